"""OpenSim model files (.osim, versions 30000 to 4xxxx) as plain frozen descriptions.

XML ends here: what leaves this module is numbers and names.  Anything the kinematics could not follow exactly
is refused by name rather than read approximately.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.couplers import coupler
from d3ke_lib.body.opensim.frames import Frames, placed
from d3ke_lib.body.opensim.joints import joint
from d3ke_lib.body.opensim.model import (
    IDENTITY_SCALE,
    Axis,
    Body,
    Coordinate,
    Coupler,
    Joint,
    Marker,
    Offset,
    OsimError,
    Segment,
)
from d3ke_lib.body.opensim.version3 import upgraded
from d3ke_lib.body.opensim.xml import floats, objects, parse, text

__all__ = [
    "Axis", "Body", "Coordinate", "Coupler", "Joint", "Marker", "Offset", "OsimError", "Segment", "load_osim",
]  # fmt: skip


def load_osim(path: str | Path) -> Body:
    """Read an OpenSim model file.

    Raises `OsimError` for a file that is not one, for an element, joint or function the library does not
    model, and for inconsistent content (unknown bodies, duplicate names, loops of joints or couplers).
    """
    path = Path(path)
    root = parse(path)
    model = model_element(root, path)
    frames = Frames(model, path)
    segments = tuple(_segment(e, path) for e in objects(model, "BodySet"))
    joints = tuple(joint(e, frames, path) for e in objects(model, "JointSet"))
    markers = tuple(_marker(e, frames, path) for e in objects(model, "MarkerSet"))
    couplers = tuple(c for e in objects(model, "ConstraintSet") if (c := coupler(e, path)))
    _check_names(path, segments, joints, markers, couplers)
    if root.get("Version", "") >= "40000":  # in older files OpenSim replaces them
        _check_letters(path, (*segments, *joints, *markers, *(c for j in joints for c in j.coordinates)))
    _check_couplers(path, couplers)
    joints = _from_the_root(joints, path)
    _check_hung(path, segments, joints)
    return Body(model.get("name", path.stem), path.name, segments, joints, couplers, markers)


def model_element(root: Element, path: Path) -> Element:
    """The document's <Model>, as version 4 has it."""
    model, version = root.find("Model"), root.get("Version", "none")
    if root.tag != "OpenSimDocument" or model is None:
        raise OsimError(f"{path}: expected <OpenSimDocument><Model>, found <{root.tag}>")
    if not version.isdecimal() or not 30000 <= int(version) < 50000:
        raise OsimError(f"{path}: file version {version}; this library reads 30000 to 49999")
    return model if int(version) >= 40000 else upgraded(model, path)


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


def _marker(element: Element, frames: Frames, path: Path) -> Marker:
    offset = frames.offset(text(element, "socket_parent_frame", path), element.get("name", ""))
    return Marker(element.get("name", ""), offset.body, placed(offset, floats(element, "location", path, 3)))


def _check_names(path: Path, segments: tuple, joints: tuple, markers: tuple, couplers: tuple) -> None:
    bodies = {"ground", *(s.name for s in segments)}
    coordinates = [c.name for j in joints for c in j.coordinates]
    groups = {"bodies": [s.name for s in segments], "joints": [j.name for j in joints]}
    for kind, names in {**groups, "markers": [m.name for m in markers], "coordinates": coordinates}.items():
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice or "" in names:
            raise OsimError(f"{path}: {kind} without a name of their own: {twice or ['(empty)']}")
    used = [(f"marker {m.name!r}", m.body) for m in markers]
    used += [(f"joint {j.name!r}", o.body) for j in joints for o in (j.parent, j.child)]
    for owner, body in used:
        if body not in bodies:
            raise OsimError(f"{path}: {owner} is on body {body!r}, which the file does not have")
    for j in joints:
        own = {c.name for c in j.coordinates}
        for axis in (*j.rotations, *j.translations):
            if axis.coordinate is not None and axis.coordinate not in own:
                raise OsimError(f"{path}: joint {j.name!r} names coordinate {axis.coordinate!r}, not its own")
    for owner, name in ((c, n) for c in couplers for n in (c.dependent, c.independent)):
        if name not in coordinates:
            raise OsimError(f"{path}: coupler {owner.name!r} names coordinate {name!r}, which is not there")


def _check_letters(path: Path, parts: tuple) -> None:
    if bad := [part.name for part in parts if set(part.name) & set("\\*+/ \t\n\r")]:
        raise OsimError(f"{path}: names that OpenSim does not allow: {bad[:5]}")


def _check_couplers(path: Path, couplers: tuple[Coupler, ...]) -> None:
    """Each coordinate follows one other at most, and none itself in the end."""
    driver: dict[str, str] = {}
    for c in (c for c in couplers if c.enforced):
        if c.dependent in driver:
            raise OsimError(f"{path}: coordinate {c.dependent!r} follows two couplers, {c.name!r} the second")
        driver[c.dependent] = c.independent
    for start in driver:
        name, seen = start, set()
        while name in driver:
            if name in seen:
                raise OsimError(f"{path}: couplers make coordinate {name!r} follow itself in a loop")
            seen.add(name)
            name = driver[name]


def _from_the_root(joints: tuple[Joint, ...], path: Path) -> tuple[Joint, ...]:
    """Joints reordered (stably) so that parents come first; every body hangs on the ground exactly once."""
    placed_joints, reached, waiting = [], {"ground"}, list(joints)
    while waiting:
        ready = next((j for j in waiting if j.parent.body in reached), None)
        if ready is None:
            raise OsimError(f"{path}: joints {[j.name for j in waiting]} form a loop or hang on nothing")
        if ready.child.body in reached:
            raise OsimError(f"{path}: body {ready.child.body!r} is the child of more than one joint")
        waiting.remove(ready)
        placed_joints.append(ready)
        reached.add(ready.child.body)
    return tuple(placed_joints)


def _check_hung(path: Path, segments: tuple[Segment, ...], joints: tuple[Joint, ...]) -> None:
    """OpenSim gives a body without a joint six coordinates of its own; nobody means that."""
    loose = sorted({s.name for s in segments} - {j.child.body for j in joints})
    if loose:
        raise OsimError(f"{path}: no joint holds the bodies {loose}")
