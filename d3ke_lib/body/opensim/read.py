"""OpenSim model files (.osim, versions 10901 to 4xxxx) as plain frozen descriptions.

XML ends here: what leaves this module is numbers and names.  Anything the kinematics could not follow exactly
is refused by name rather than read approximately.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim import checks
from d3ke_lib.body.opensim.couplers import COUPLER, read_coupler
from d3ke_lib.body.opensim.frames import Frames
from d3ke_lib.body.opensim.joints import read_joint
from d3ke_lib.body.opensim.markers import read_marker, read_marker_set
from d3ke_lib.body.opensim.model import IDENTITY_SCALE, Body, Marker, OsimError, Segment
from d3ke_lib.body.opensim.names import resolve_names
from d3ke_lib.body.opensim.older_versions import upgrade
from d3ke_lib.body.opensim.xml import floats, objects, parse

_OLDEST, _UPGRADED_BEFORE, _NEWEST = 10901, 40000, 49999


def load_osim(path: str | Path, markers: str | Path | None = None) -> Body:
    """Read an OpenSim model file, with the markers of a MarkerSet file (.xml) where one is given.

    Names are as OpenSim resolves them (see `names`). Markers of the set replace the model's of the same name
    and follow the others, as OpenSim's updateMarkerSet has it. Constraints that close a loop of joints are
    kept in `Body.constraints`, with a warning that names them: the points at given coordinates are exact,
    but nothing makes the coordinates fulfil them (inverse kinematics refuses such a model).

    Raises `OsimError` for a file that is not one, for an element, joint or function the library does not
    model, and for inconsistent content (unknown bodies, loops of joints, couplers or constraints).
    """
    path = Path(path)
    model = model_element(parse(path), path)
    frames = Frames(model, path)
    segments = tuple(_segment(e, path) for e in objects(model, "BodySet"))
    joints = tuple(read_joint(e, frames, path) for e in objects(model, "JointSet"))
    constraints = objects(model, "ConstraintSet")
    couplers = tuple(read_coupler(e, path) for e in constraints if e.tag == COUPLER)
    points = tuple(read_marker(e, frames, path) for e in objects(model, "MarkerSet"))
    checks.check_bodies_exist(path, segments, joints, points)
    if markers is not None:
        replacing = read_marker_set(markers, frames)
        checks.check_bodies_exist(Path(markers), segments, (), replacing)
        points = _replace_markers(points, replacing)
    checks.check_coordinates_exist(path, joints, couplers)
    checks.check_couplers(path, couplers)
    joints = checks.order_from_root(checks.distinguish_coordinates(joints), path)
    checks.check_every_body_has_a_joint(path, segments, joints)
    others = (e for e in constraints if e.tag != COUPLER)
    restricting = checks.read_constraints(others, frames, joints, path)
    return Body(model.get("name", path.stem), path.name, segments, joints, couplers, points, restricting)


def model_element(root: Element, path: Path) -> Element:
    """The document's <Model> as version 4 has it, parts named as OpenSim resolves them (in place)."""
    model, version = root.find("Model"), root.get("Version", "none")
    if root.tag != "OpenSimDocument" or model is None:
        raise OsimError(f"{path}: expected <OpenSimDocument><Model>, found <{root.tag}>")
    if not version.isdecimal() or not _OLDEST <= int(version) <= _NEWEST:
        raise OsimError(
            f"{path}: file version {version}, expected {_OLDEST} to {_NEWEST}, as OpenSim 4 reads"
        )
    if int(version) < _UPGRADED_BEFORE:
        upgrade(model, path)
    resolve_names(model, int(version), path)
    return model


def _segment(element: Element, path: Path) -> Segment:
    if element.tag != "Body":
        raise OsimError(f"{path}: <{element.tag}> in the BodySet, expected <Body>")
    mesh = element.find("attached_geometry/Mesh")
    scale = IDENTITY_SCALE if mesh is None else floats(mesh, "scale_factors", path, 3, "1 1 1")
    if 0.0 in scale:
        raise OsimError(f"{path}: body {element.get('name')!r}: a scale factor of 0 in {scale}")
    mass = floats(element, "mass", path, 1)[0]
    if mass < 0:
        raise OsimError(f"{path}: body {element.get('name')!r}: mass {mass}, expected 0 or more")
    return Segment(
        name=element.get("name", ""),
        mass=mass,
        mass_center=floats(element, "mass_center", path, 3, "0 0 0"),
        inertia=floats(element, "inertia", path, 6, "0 0 0 0 0 0"),
        scale_factors=scale,
    )


def _replace_markers(own: tuple[Marker, ...], new: tuple[Marker, ...]) -> tuple[Marker, ...]:
    replaced = {m.name for m in new}
    return (*(m for m in own if m.name not in replaced), *new)
