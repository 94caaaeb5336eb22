"""What has to hold between the parts of a model; what does not is named with its file."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.couplers import COUPLER
from d3ke_lib.body.opensim.frames import Frames
from d3ke_lib.body.opensim.functions import negated
from d3ke_lib.body.opensim.model import Constraint, Coupler, Joint, Marker, OsimError, Segment
from d3ke_lib.body.opensim.xml import flag, text

_SOCKETS = {
    "WeldConstraint": ("frame1", "frame2"),
    "PointConstraint": ("body_1", "body_2"),
    "ConstantDistanceConstraint": ("body_1", "body_2"),
    "PointOnLineConstraint": ("line_body", "follower_body"),
}


def check_bodies_exist(
    path: Path, segments: tuple[Segment, ...], joints: tuple[Joint, ...], markers: tuple[Marker, ...]
) -> None:
    """Joints and markers are on bodies of the file."""
    bodies = {"ground", *(s.name for s in segments)}
    used = [(f"marker {m.name!r}", m.body) for m in markers]
    used += [(f"joint {j.name!r}", o.body) for j in joints for o in (j.parent, j.child)]
    for owner, body in used:
        if body not in bodies:
            raise OsimError(f"{path}: {owner} is on body {body!r}, which the file does not have")


def check_coordinates_exist(path: Path, joints: tuple[Joint, ...], couplers: tuple[Coupler, ...]) -> None:
    """A joint's axes follow coordinates of that joint, a coupler's two are in the model."""
    for j in joints:
        own = {c.name for c in j.coordinates}
        for axis in (*j.rotations, *j.translations):
            if axis.coordinate is not None and axis.coordinate not in own:
                raise OsimError(f"{path}: joint {j.name!r} names coordinate {axis.coordinate!r}, not its own")
    coordinates = {c.name for j in joints for c in j.coordinates}
    for owner, name in ((c, n) for c in couplers for n in (c.dependent, c.independent)):
        if name not in coordinates:
            raise OsimError(f"{path}: coupler {owner.name!r} names coordinate {name!r}, which is not there")


def distinguish_coordinates(joints: tuple[Joint, ...]) -> tuple[Joint, ...]:
    """OpenSim lets two joints have coordinates of one name: the first keeps it, others are `joint/name`."""
    taken: set[str] = set()
    found = []
    for joint in joints:
        new = {c.name: f"{joint.name}/{c.name}" if c.name in taken else c.name for c in joint.coordinates}
        taken |= set(new.values())
        coordinates = tuple(replace(c, name=new[c.name]) for c in joint.coordinates)
        rotations, translations = (
            tuple(replace(axis, coordinate=new.get(axis.coordinate, axis.coordinate)) for axis in axes)
            for axes in (joint.rotations, joint.translations)
        )
        found.append(replace(joint, coordinates=coordinates, rotations=rotations, translations=translations))
    return tuple(found)


def check_couplers(path: Path, couplers: tuple[Coupler, ...]) -> None:
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


def order_from_root(joints: tuple[Joint, ...], path: Path) -> tuple[Joint, ...]:
    """Joints reordered (stably) so that parents come first; every body is the child of one joint.

    A joint whose child is nearer to the ground is reversed, as OpenSim does.
    """
    ordered, reached, waiting = [], {"ground"}, list(joints)
    while waiting:
        ready = next((j for j in waiting if {j.parent.body, j.child.body} & reached), None)
        if ready is None:
            raise OsimError(f"{path}: joints {[j.name for j in waiting]} form a loop or lead to no ground")
        waiting.remove(ready)
        joint = ready if ready.parent.body in reached else _reverse(ready, path)
        if joint.child.body in reached:
            raise OsimError(f"{path}: body {joint.child.body!r} is the child of more than one joint")
        ordered.append(joint)
        reached.add(joint.child.body)
    return tuple(ordered)


def _reverse(joint: Joint, path: Path) -> Joint:
    """The same joint from its child to its parent: the rotations backwards, in the opposite order."""
    if any(
        a.coordinate or not a.function.is_linear or a.function.line != (0.0, 0.0) for a in joint.translations
    ):
        raise OsimError(f"{path}: joint {joint.name!r} slides and leads towards the ground, not modelled")
    rotations = tuple(replace(a, function=negated(a.function)) for a in reversed(joint.rotations))
    return replace(joint, parent=joint.child, child=joint.parent, rotations=rotations)


def check_every_body_has_a_joint(
    path: Path, segments: tuple[Segment, ...], joints: tuple[Joint, ...]
) -> None:
    """OpenSim gives a body without a joint six coordinates of its own; nobody means that."""
    loose = sorted({s.name for s in segments} - {j.child.body for j in joints})
    if loose:
        raise OsimError(f"{path}: no joint holds the bodies {loose}")


def read_constraints(
    elements: Iterable[Element], frames: Frames, joints: tuple[Joint, ...], path: Path
) -> tuple[Constraint, ...]:
    """The enforced ones of constraints that are not couplers; `joints` from the root.

    A weld, point or distance between two bodies with one moving joint between them restricts that joint's
    coordinates, as their ranges do; with several it closes a loop, which a warning names. Between bodies that
    cannot move relative to each other it restricts nothing.
    """
    found = []
    for element in elements:
        if not flag(element, "isEnforced", path, "true"):
            continue
        named = f"{path}: constraint {element.get('name')!r} is a {element.tag}"
        if element.tag not in _SOCKETS:
            raise OsimError(f"{named}; known: {COUPLER}, {', '.join(_SOCKETS)}")
        ends = [text(element, f"socket_{socket}", path) for socket in _SOCKETS[element.tag]]
        a, b = (frames.base(end, element.get("name", "")) for end in ends)
        moving = _moving_joints_between(a, b, joints)
        if len(moving) > 1:
            loop = f"closes a loop of joints {moving}, between bodies {a!r} and {b!r}"
            warnings.warn(f"{named} that {loop}; coordinates are not made to fulfil it", stacklevel=3)
        if moving:
            found.append(Constraint(element.get("name", ""), element.tag, (a, b), len(moving) > 1))
    return tuple(found)


def _moving_joints_between(a: str, b: str, joints: tuple[Joint, ...]) -> list[str]:
    """Names of the joints with coordinates on the way from one body to the other."""
    above = {j.child.body: j for j in joints}
    ways = []
    for body in (a, b):
        way = []
        while body in above:
            way.append(above[body])
            body = above[body].parent.body
        ways.append(way)
    between = [j for way, other in (ways, ways[::-1]) for j in way if j not in other]
    return [j.name for j in between if any(axis.coordinate for axis in (*j.rotations, *j.translations))]
