"""Joints of an .osim document: OpenSim's ready-made ones and CustomJoint."""

from dataclasses import replace
from itertools import chain, combinations
from operator import mul
from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.couplers import read_function
from d3ke_lib.body.opensim.frames import Frames
from d3ke_lib.body.opensim.functions import Function, constant, linear
from d3ke_lib.body.opensim.model import Axis, Coordinate, Joint, OsimError
from d3ke_lib.body.opensim.xml import flag, floats, text

# Axes of OpenSim's ready-made joints, in the order of their coordinates (Simbody's mobilizers):
# (rotation axes, translation axes, order of the coordinates: r = rotation, t = translation).
_BUILT_IN = {
    "WeldJoint": ("", "", ""),
    "PinJoint": ("z", "", "r"),
    "SliderJoint": ("", "x", "t"),
    "UniversalJoint": ("xy", "", "rr"),
    "GimbalJoint": ("xyz", "", "rrr"),
    "BallJoint": ("xyz", "", "rrr"),
    "PlanarJoint": ("z", "xy", "rtt"),
    "FreeJoint": ("xyz", "xyz", "rrrttt"),
}
_LETTERS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}

_AXES = {f"{kind}{i}": _LETTERS[a] for kind in ("rotation", "translation") for i, a in enumerate("xyz", 1)}


def read_joint(element: Element, frames: Frames, path: Path) -> Joint:
    """One element of the JointSet; raises OsimError naming a kind that is not modelled."""
    name = element.get("name", "")
    written = element.findall("coordinates/Coordinate") or _default_coordinates(element)
    coordinates = tuple(_coordinate(c, path) for c in written)
    if element.tag == "CustomJoint":
        rotations, translations = _spatial_transform(element, path)
    elif element.tag in _BUILT_IN:
        rotations, translations = _built_in(element.tag, name, coordinates, path)
    else:
        known = ", ".join(["CustomJoint", *_BUILT_IN])
        raise OsimError(f"{path}: joint {name!r} is a {element.tag}, which is not modelled; known: {known}")
    parent, child = (
        frames.offset(text(element, f"socket_{side}_frame", path), name) for side in ("parent", "child")
    )
    return Joint(name, element.tag, parent, child, rotations, translations, coordinates)


def _coordinate(element: Element, path: Path) -> Coordinate:
    name = element.get("name", "")
    low, high = floats(element, "range", path, 2, "-10 10")
    if low > high:
        raise OsimError(f"{path}: coordinate {name!r}: range from {low} to {high}, expected low ≤ high")
    if flag(element, "prescribed", path, "false"):
        raise OsimError(f"{path}: coordinate {name!r} has prescribed motion, which is not modelled")
    return Coordinate(
        name=name,
        range=(low, high),
        default=floats(element, "default_value", path, 1, "0")[0],
        locked=flag(element, "locked", path, "false"),
        clamped=flag(element, "clamped", path, "false"),
    )


def _default_coordinates(element: Element) -> list[Element]:
    """Those that OpenSim makes for a joint that is written without any."""
    names = [f"_coord_{i}" for i in range(len(_BUILT_IN.get(element.tag, ("", "", ""))[2]))]
    if element.tag == "CustomJoint":
        axes = element.findall("SpatialTransform/TransformAxis/coordinates")
        names = list(dict.fromkeys(chain.from_iterable((axis.text or "").split() for axis in axes)))
    elif element.find("coordinates") is not None:  # written as none
        names = []
    return [Element("Coordinate", name=name) for name in names]


def _built_in(tag: str, name: str, coordinates: tuple[Coordinate, ...], path: Path) -> tuple:
    rotation_axes, translation_axes, order = _BUILT_IN[tag]
    if len(coordinates) != len(order):
        raise OsimError(f"{path}: {tag} {name!r} has {len(coordinates)} coordinates, expected {len(order)}")
    by_kind = {k: [c.name for c, o in zip(coordinates, order, strict=True) if o == k] for k in "rt"}

    def axes(letters: str, names: list[str]) -> tuple[Axis, ...]:
        return tuple(Axis(n, _LETTERS[a], linear(1.0, 0.0)) for a, n in zip(letters, names, strict=True))

    return axes(rotation_axes, by_kind["r"]), axes(translation_axes, by_kind["t"])


def _spatial_transform(element: Element, path: Path) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """Rotations and translations; an axis that is not written is still, along x, y or z."""
    name = element.get("name")
    every = element.findall("SpatialTransform/TransformAxis")
    found = {str(e.get("name")): e for e in every}
    if len(found) < len(every) or not found.keys() <= _AXES.keys():
        names = [e.get("name") for e in every]
        raise OsimError(f"{path}: CustomJoint {name!r} has axes {names}, expected each once of {list(_AXES)}")
    axes = [
        _axis(found[e], f"joint {name!r}", path) if e in found else Axis(None, unit, constant(0.0))
        for e, unit in _AXES.items()
    ]
    for a, b in combinations(range(6), 2):
        if a // 3 == b // 3 and abs(sum(map(mul, axes[a].axis, axes[b].axis))) > 1 - 1e-12:
            both = [list(_AXES)[i] for i in (a, b)]
            raise OsimError(f"{path}: CustomJoint {name!r}: {both[0]} and {both[1]} share one axis")
    return tuple(axes[:3]), tuple(axes[3:])


def _axis(element: Element, owner: str, path: Path) -> Axis:
    names = (element.findtext("coordinates") or "").split()
    if len(names) > 1:
        raise OsimError(f"{path}: {owner}: an axis of several coordinates {names} is not modelled")
    direction = floats(element, "axis", path, 3)
    length = sum(v * v for v in direction) ** 0.5
    if length == 0:
        raise OsimError(f"{path}: {owner}: axis {element.get('name')} has no direction")
    # OpenSim rotates about the direction only: a written axis need not have unit length.
    unit = tuple(v / length for v in direction)
    return Axis(names[0] if names else None, unit, _axis_function(element, names, owner, path))


def _axis_function(element: Element, names: list[str], owner: str, path: Path) -> Function:
    found = read_function(element, owner, path)
    if found is None:
        return linear(1.0, 0.0) if names else constant(0.0)
    function = found[1]
    if not names and not (function.is_linear and function.line[0] == 0.0):
        raise OsimError(f"{path}: {owner}: {element.get('name')} has a {found[0]} of no coordinate")
    # OpenSim scales every translation with the parent's body but a coordinate written as itself.
    plain = found[0] == "LinearFunction" and tuple(function.line) == (1.0, 0.0)
    return replace(function, scaled=not plain)
