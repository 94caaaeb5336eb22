"""OpenSim model files (.osim, version 4) as plain frozen descriptions.

XML ends here: what leaves this module is numbers and names.  Anything the kinematics could not
follow exactly is refused by name rather than read approximately.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from d3ke_lib.body.functions import (
    Function,
    constant,
    linear,
    multiplied,
    piecewise_linear,
    polynomial,
    simm_spline,
)

Vector = tuple[float, float, float]
IDENTITY_SCALE = (1.0, 1.0, 1.0)
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class OsimError(ValueError):
    """An .osim file that cannot be read, or holds something the library does not model."""


@dataclass(frozen=True)
class Segment:
    """A rigid body. Mass kg, centre m, inertia kg m² (xx yy zz xy xz yz), scale factors as last applied."""

    name: str
    mass: float
    mass_center: Vector
    inertia: tuple[float, ...]
    scale_factors: Vector


@dataclass(frozen=True)
class Coordinate:
    """A generalised coordinate: range and default in rad (rotations) or m (translations)."""

    name: str
    range: tuple[float, float]
    default: float
    locked: bool
    clamped: bool


@dataclass(frozen=True)
class Offset:
    """A frame fixed to a body: translation m, orientation as XYZ body-fixed angles in rad."""

    body: str
    translation: Vector
    orientation: Vector


@dataclass(frozen=True)
class Axis:
    """A rotation about, or a translation along, `axis` by `function(coordinate)`."""

    coordinate: str | None
    axis: Vector
    function: Function


@dataclass(frozen=True)
class Joint:
    """T_parent_child = parent offset · rotations and translations · inverse of the child offset."""

    name: str
    kind: str
    parent: Offset
    child: Offset
    rotations: tuple[Axis, ...]
    translations: tuple[Axis, ...]
    coordinates: tuple[Coordinate, ...]


@dataclass(frozen=True)
class Coupler:
    """dependent = scale · function(independent), while enforced."""

    name: str
    dependent: str
    independent: str
    function: Function
    enforced: bool


@dataclass(frozen=True)
class Marker:
    """A point fixed to a body, m in that body's frame."""

    name: str
    body: str
    location: Vector


@dataclass(frozen=True)
class Body:
    """A whole model, rooted in "ground"; a joint comes after the joint that moves its parent body."""

    name: str
    source: str
    segments: tuple[Segment, ...]
    joints: tuple[Joint, ...]
    couplers: tuple[Coupler, ...]
    markers: tuple[Marker, ...]

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return tuple(c for joint in self.joints for c in joint.coordinates)


def load_osim(path: str | Path) -> Body:
    """Read an OpenSim 4 model file.

    Raises `OsimError` for a file that is not one, for an element, joint or function the library does
    not model, and for inconsistent content (unknown bodies, duplicate names, loops).
    """
    path = Path(path)
    model = _model_element(path)
    segments = tuple(_segment(e, path) for e in _objects(model, "BodySet"))
    joints = tuple(_joint(e, path) for e in _objects(model, "JointSet"))
    markers = tuple(_marker(e, path) for e in _objects(model, "MarkerSet"))
    couplers = tuple(_coupler(e, path) for e in _objects(model, "ConstraintSet"))
    _check_names(path, segments, joints, markers, couplers)
    return Body(
        model.get("name", path.stem), path.name, segments, _from_the_root(joints, path), couplers, markers
    )


def _model_element(path: Path) -> Element:
    try:
        root = defusedxml.ElementTree.parse(path).getroot()
    except (ParseError, DefusedXmlException, UnicodeDecodeError) as error:
        raise OsimError(f"{path}: not readable as XML: {error!r}") from error
    model = root.find("Model")
    if root.tag != "OpenSimDocument" or model is None:
        raise OsimError(f"{path}: expected <OpenSimDocument><Model>, found <{root.tag}>")
    version = root.get("Version", "none")
    if not version.isdigit() or not 40000 <= int(version) < 50000:
        raise OsimError(f"{path}: file version {version}; this library reads 40000 to 49999")
    return model


def _objects(model: Element, collection: str) -> list[Element]:
    found = model.find(f"{collection}/objects")
    return [] if found is None else list(found)


def _text(element: Element, tag: str, path: Path, default: str | None = None) -> str:
    text = (element.findtext(tag) or "").strip() or default
    if text is None:
        raise OsimError(f"{path}: <{element.tag} name={element.get('name')!r}> has no <{tag}>")
    return text


def _floats(
    element: Element, tag: str, path: Path, count: int | None = None, default: str | None = None
) -> tuple:
    text = _text(element, tag, path, default)
    try:
        values = tuple(float(v) for v in text.split())
    except ValueError as error:
        raise OsimError(
            f"{path}: {element.get('name') or element.tag}: <{tag}> is {text!r}, expected numbers"
        ) from error
    if count is not None and len(values) != count:
        owner = element.get("name") or element.tag
        raise OsimError(f"{path}: {owner}: <{tag}> has {len(values)} numbers, expected {count}")
    if any(v != v or abs(v) == float("inf") for v in values):
        raise OsimError(f"{path}: {element.get('name') or element.tag}: <{tag}> is not finite: {text!r}")
    return values


def _segment(element: Element, path: Path) -> Segment:
    if element.tag != "Body":
        raise OsimError(f"{path}: <{element.tag}> in the BodySet, expected <Body>")
    mesh = element.find("attached_geometry/Mesh")
    scale = IDENTITY_SCALE if mesh is None else _floats(mesh, "scale_factors", path, 3, "1 1 1")
    return Segment(
        name=element.get("name", ""),
        mass=_floats(element, "mass", path, 1, "0")[0],
        mass_center=_floats(element, "mass_center", path, 3, "0 0 0"),
        inertia=_floats(element, "inertia", path, 6, "0 0 0 0 0 0"),
        scale_factors=scale,
    )


def _marker(element: Element, path: Path) -> Marker:
    frame = _text(element, "socket_parent_frame", path)
    return Marker(element.get("name", ""), _body_name(frame), _floats(element, "location", path, 3))


def _body_name(socket: str) -> str:
    return socket.strip().rstrip("/").split("/")[-1]


def _flag(element: Element, tag: str, default: str) -> bool:
    return (element.findtext(tag) or default).strip().lower() == "true"


def _coordinate(element: Element, path: Path) -> Coordinate:
    return Coordinate(
        name=element.get("name", ""),
        range=_floats(element, "range", path, 2, "-10 10"),
        default=_floats(element, "default_value", path, 1, "0")[0],
        locked=_flag(element, "locked", "false"),
        clamped=_flag(element, "clamped", "false"),
    )


def _offset(joint: Element, side: str, path: Path) -> Offset:
    socket = _text(joint, f"socket_{side}_frame", path)
    for frame in joint.findall("frames/PhysicalOffsetFrame"):
        if frame.get("name") == _body_name(socket):
            return Offset(
                body=_body_name(_text(frame, "socket_parent", path)),
                translation=_floats(frame, "translation", path, 3, "0 0 0"),
                orientation=_floats(frame, "orientation", path, 3, "0 0 0"),
            )
    return Offset(_body_name(socket), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def _joint(element: Element, path: Path) -> Joint:
    name = element.get("name", "")
    coordinates = tuple(_coordinate(c, path) for c in element.findall("coordinates/Coordinate"))
    if element.tag == "CustomJoint":
        rotations, translations = _spatial_transform(element, path)
    elif element.tag in BUILT_IN:
        rotations, translations = _built_in(element.tag, name, coordinates, path)
    else:
        known = ", ".join(["CustomJoint", *BUILT_IN])
        raise OsimError(f"{path}: joint {name!r} is a {element.tag}, which is not modelled; known: {known}")
    parent, child = _offset(element, "parent", path), _offset(element, "child", path)
    return Joint(name, element.tag, parent, child, rotations, translations, coordinates)


# Axes of OpenSim's ready-made joints, in the order of their coordinates (Simbody's mobilizers):
# (rotation axes, translation axes, order of the coordinates: r = rotation, t = translation).
BUILT_IN = {
    "WeldJoint": ("", "", ""),
    "PinJoint": ("z", "", "r"),
    "SliderJoint": ("", "x", "t"),
    "UniversalJoint": ("xy", "", "rr"),
    "GimbalJoint": ("xyz", "", "rrr"),
    "BallJoint": ("xyz", "", "rrr"),
    "PlanarJoint": ("z", "xy", "rtt"),
    "FreeJoint": ("xyz", "xyz", "rrrttt"),
}


def _built_in(tag: str, name: str, coordinates: tuple[Coordinate, ...], path: Path) -> tuple:
    rotation_axes, translation_axes, order = BUILT_IN[tag]
    if len(coordinates) != len(order):
        raise OsimError(f"{path}: {tag} {name!r} has {len(coordinates)} coordinates, expected {len(order)}")
    by_kind = {k: [c.name for c, o in zip(coordinates, order, strict=True) if o == k] for k in "rt"}
    letters = {"x": X, "y": Y, "z": Z}

    def axes(letters_used: str, names: list[str]) -> tuple[Axis, ...]:
        return tuple(Axis(n, letters[a], linear(1.0, 0.0)) for a, n in zip(letters_used, names, strict=True))

    return axes(rotation_axes, by_kind["r"]), axes(translation_axes, by_kind["t"])


def _spatial_transform(joint: Element, path: Path) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    name = joint.get("name")
    found = {e.get("name"): e for e in joint.findall("SpatialTransform/TransformAxis")}
    expected = [f"{kind}{i}" for kind in ("rotation", "translation") for i in (1, 2, 3)]
    if sorted(found) != sorted(expected):
        raise OsimError(f"{path}: CustomJoint {name!r} has axes {sorted(found)}, expected {expected}")
    axes = [_axis(found[e], name, path) for e in expected]
    return tuple(axes[:3]), tuple(axes[3:])


def _axis(element: Element, joint: str, path: Path) -> Axis:
    names = (element.findtext("coordinates") or "").split()
    if len(names) > 1:
        raise OsimError(f"{path}: joint {joint!r}: an axis of several coordinates {names} is not modelled")
    direction = _floats(element, "axis", path, 3)
    length = sum(v * v for v in direction) ** 0.5
    if length == 0:
        raise OsimError(f"{path}: joint {joint!r}: axis {element.get('name')} has no direction")
    function = next((_function(c, f"joint {joint!r}", path) for c in _functions(element)), None)
    if function is None:
        function = linear(1.0, 0.0) if names else constant(0.0)
    # OpenSim turns about the direction only: a written axis need not have unit length.
    unit = tuple(v / length for v in direction)
    return Axis(names[0] if names else None, unit, function)


def _functions(element: Element) -> Iterator[Element]:
    """The function of an axis, coupler or multiplier: directly, or wrapped as older versions wrote it."""
    for child in element:
        if child.tag in FUNCTIONS or child.tag == "MultiplierFunction":
            yield child
        elif child.tag in ("function", "coupled_coordinates_function"):
            yield from child


FUNCTIONS = {
    "Constant": lambda e, p: constant(_floats(e, "value", p, 1, "0")[0]),
    "LinearFunction": lambda e, p: linear(*_floats(e, "coefficients", p, 2)),
    "PolynomialFunction": lambda e, p: polynomial(_floats(e, "coefficients", p)),
    "SimmSpline": lambda e, p: simm_spline(_floats(e, "x", p), _floats(e, "y", p)),
    "NaturalCubicSpline": lambda e, p: simm_spline(_floats(e, "x", p), _floats(e, "y", p)),
    "PiecewiseLinearFunction": lambda e, p: piecewise_linear(_floats(e, "x", p), _floats(e, "y", p)),
}


def _function(element: Element, owner: str, path: Path) -> Function:
    if element.tag == "MultiplierFunction":
        inner = next(_functions(element), None)
        if inner is None:
            raise OsimError(f"{path}: {owner}: a MultiplierFunction without a function")
        return multiplied(_function(inner, owner, path), _floats(element, "scale", path, 1, "1")[0])
    if element.tag not in FUNCTIONS:
        known = ", ".join([*FUNCTIONS, "MultiplierFunction"])
        raise OsimError(f"{path}: {owner}: function {element.tag} is not modelled; known: {known}")
    try:
        return FUNCTIONS[element.tag](element, path)
    except ValueError as error:
        raise OsimError(f"{path}: {owner}: {element.tag}: {error}") from error


def _coupler(element: Element, path: Path) -> Coupler:
    name = element.get("name", "")
    if element.tag != "CoordinateCouplerConstraint":
        raise OsimError(
            f"{path}: constraint {name!r} is a {element.tag}; only CoordinateCouplerConstraint is modelled"
        )
    independent = _text(element, "independent_coordinate_names", path).split()
    if len(independent) != 1:
        raise OsimError(f"{path}: coupler {name!r} has independent coordinates {independent}, expected one")
    function = next((_function(c, f"coupler {name!r}", path) for c in _functions(element)), None)
    if function is None:
        raise OsimError(f"{path}: coupler {name!r} has no function")
    scale = _floats(element, "scale_factor", path, 1, "1")[0]
    return Coupler(
        name=name,
        dependent=_text(element, "dependent_coordinate_name", path),
        independent=independent[0],
        function=function if scale == 1.0 else multiplied(function, scale),
        enforced=_flag(element, "isEnforced", "true"),
    )


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
    named = [(f"joint {j.name!r}", a.coordinate) for j in joints for a in (*j.rotations, *j.translations)]
    named += [(f"coupler {c.name!r}", n) for c in couplers for n in (c.dependent, c.independent)]
    for owner, name in named:
        if name is not None and name not in coordinates:
            raise OsimError(f"{path}: {owner} names coordinate {name!r}, which the file does not have")


def _from_the_root(joints: tuple[Joint, ...], path: Path) -> tuple[Joint, ...]:
    """Joints reordered (stably) so that parents come first; every body hangs on the ground exactly once."""
    placed, reached, waiting = [], {"ground"}, list(joints)
    while waiting:
        ready = next((j for j in waiting if j.parent.body in reached), None)
        if ready is None:
            raise OsimError(f"{path}: joints {[j.name for j in waiting]} form a loop or hang on nothing")
        if ready.child.body in reached:
            raise OsimError(f"{path}: body {ready.child.body!r} is the child of more than one joint")
        waiting.remove(ready)
        placed.append(ready)
        reached.add(ready.child.body)
    return tuple(placed)
