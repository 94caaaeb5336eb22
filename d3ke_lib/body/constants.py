"""The constants of a skeleton layer, computed once from a body; kinematics.py uses them."""

import numpy as np

from d3ke_lib.body.opensim.functions import constant
from d3ke_lib.body.opensim.model import Axis, Body, Coupler, Joint, Offset

STILL = Axis(None, (1.0, 0.0, 0.0), constant(0.0))
FIXED = Offset("ground", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
GROUND = Joint("ground", "WeldJoint", FIXED, FIXED, (), (), ())  # slot 0 of a tree


def ancestry(body: Body, bodies: tuple, joints: tuple, markers: tuple) -> tuple[Joint, ...]:
    """Joints that some selected joint, marker or body depends on, parents first."""
    above = {j.child.body: j for j in body.joints}
    by_name = {j.name: j for j in body.joints}
    wanted = set(bodies) | {by_name[n].child.body for n in joints}
    wanted |= {m.body for m in body.markers if m.name in markers}
    needed: set[str] = set()
    for name in wanted:
        while name != "ground" and name not in needed:
            needed.add(name)
            name = above[name].parent.body if name in above else "ground"
    return tuple(j for j in body.joints if j.child.body in needed)


def by_depth(kept: tuple[Joint, ...]) -> tuple[Joint, ...]:
    """The same joints, those nearest to the ground first: what hangs on something is then a tail."""
    depth = {"ground": 0}
    for joint in kept:
        depth[joint.child.body] = depth[joint.parent.body] + 1
    return tuple(sorted(kept, key=lambda joint: depth[joint.child.body]))


def rounds(parent_slots: np.ndarray) -> list[np.ndarray]:
    """Pointer doubling: per round the slots on which the last slots still hang (0, the ground: on none)."""
    above, found = np.array(parent_slots), []
    while above.any():
        found.append(above[np.argmax(above > 0) :].copy())
        above = above[above]
    return found


def tree(joints: tuple[Joint, ...]) -> dict[str, np.ndarray]:
    """By slot (joints, GROUND first): offset frames and slides.

    `slide_direction` is (3, slide, slot), in the parent's body.
    """
    slot = {j.child.body: i for i, j in enumerate(joints)}
    slides = np.array([[a.axis for a in three(j.translations)] for j in joints])
    share = np.abs(slides)
    P = np.array([rotation(j.parent.orientation) for j in joints])
    return {
        "parent_slots": np.array([slot[j.parent.body] for j in joints]),
        "parent_translation": np.array([j.parent.translation for j in joints]),
        "parent_rotation": P,
        "child_translation": np.array([j.child.translation for j in joints]),
        "child_rotation_inverse": np.array([rotation(j.child.orientation).T for j in joints]),
        "slide_direction": (P @ slides.transpose(0, 2, 1)).transpose(1, 2, 0),
        "slide_share": share / share.sum(-1, keepdims=True),
        "slide_scaled": np.array([[a.function.scaled for a in three(j.translations)] for j in joints]),
    }


def places(turning: list[tuple[Axis, ...]]) -> list[tuple[int, int]]:
    """(slot, place) of every turn in the order of chain.Tree, from the axes that each slot turns about."""
    slots = sorted((i for i, axes in enumerate(turning) if axes), key=lambda i: -len(turning[i]))
    return [(slot, place) for place in range(3) for slot in slots if len(turning[slot]) > place]


def turns(
    turning: list[tuple[Axis, ...]], frames: dict[str, np.ndarray], given: int | None
) -> dict[str, np.ndarray]:
    """Constants of chain.Tree; of a slot whose rotation is `given` only its child's frame is left."""
    rows = {"base": [], "sine": [], "versine": [], "axis": []}
    for slot, place in places(turning):
        before = frames["parent_rotation"][slot] if place == 0 and slot != given else np.eye(3)
        after = frames["child_rotation_inverse"][slot] if place + 1 == len(turning[slot]) else np.eye(3)
        axis = np.array(turning[slot][place].axis) * (slot != given)
        K = cross(tuple(axis))
        for name, matrix in (("base", np.eye(3)), ("sine", K), ("versine", K @ K)):
            rows[name].append(before @ matrix @ after)
        rows["axis"].append(before @ axis)
    still = [i for i, axes in enumerate(turning) if not axes]
    fixed = np.array(frames["child_rotation_inverse"][still])
    for row, slot in enumerate(still):
        fixed[row] = fixed[row] if slot == given else frames["parent_rotation"][slot] @ fixed[row]
    shapes = {"axis": (-1, 3)} | dict.fromkeys(("base", "sine", "versine"), (-1, 3, 3))
    arrays = {name: np.reshape(rows[name], shape) for name, shape in shapes.items()} | {"fixed": fixed}
    return {name: np.moveaxis(array, 0, -1)[..., None] for name, array in arrays.items()}


def turn_slots(turning: list[tuple[Axis, ...]]) -> dict[str, np.ndarray]:
    """Index tensors of chain.Tree."""
    found = places(turning)
    by_place = [np.array([slot for slot, at in found if at == place], np.int64) for place in range(3)]
    still = [i for i, axes in enumerate(turning) if not axes]
    order = np.argsort([*by_place[0], *still])
    return dict(zip(("first", "second", "third", "order"), (*by_place, order), strict=True))


def links(
    arrays: dict[str, np.ndarray], marker_slots: np.ndarray, marker_local: np.ndarray
) -> dict[str, np.ndarray]:
    """What chain.py hangs on the slots: first each slot's own link, then one to each marker."""
    parents, inward = arrays["parent_slots"], arrays["child_translation"]
    carrier = np.concatenate([parents, marker_slots])
    beyond = np.eye(len(parents))  # (slot, slot) 1 where the column is the row or above it
    for slot, parent in enumerate(parents):
        beyond[slot] = np.maximum(beyond[slot], beyond[parent])
    return {
        "carrier": carrier,
        "link": np.concatenate([arrays["parent_translation"], marker_local]) - inward[carrier],
        "beyond": beyond,
        "turned": beyond[carrier].T,
    }


def lines(kind: str, axes: list[Axis], column: dict[str, int]) -> tuple[dict[str, np.ndarray], list[tuple]]:
    """Linear axes as one gather and one multiply-add; the few others as (axis, column, function)."""
    line = [a.function.line if a.function.is_linear else (0.0, 0.0) for a in axes]
    sources = [column[a.coordinate] if a.coordinate else len(column) for a in axes]
    others = [(i, s, a.function) for i, (s, a) in enumerate(zip(sources, axes)) if not a.function.is_linear]
    arrays = {
        f"{kind}_source": np.array(sources, np.int64),
        f"{kind}_slope": np.array([slope for slope, _ in line], float),
        f"{kind}_offset": np.array([offset for _, offset in line], float),
    }
    return arrays, others


def coupled(couplers: list[Coupler], column: dict[str, int]) -> dict[str, np.ndarray]:
    """Linear couplers, drivers first, folded into one gather and one multiply-add over all columns."""
    count = len(column) + 1
    source, slope, offset = np.arange(count), np.ones(count), np.zeros(count)
    for c in couplers:
        to, by = column[c.dependent], column[c.independent]
        k, b = c.function.line
        source[to], slope[to], offset[to] = source[by], k * slope[by], k * offset[by] + b
    return {"coupled_source": source, "coupled_slope": slope, "coupled_offset": offset}


def drivers_first(couplers: list[Coupler], body: Body) -> list[Coupler]:
    """Couplers ordered so that one coordinate's driver is known before it; a loop is an error."""
    ordered, waiting = [], list(couplers)
    while waiting:
        pending = {c.dependent for c in waiting}
        ready = [c for c in waiting if c.independent not in pending]
        if not ready:
            names = [c.name for c in waiting]
            raise ValueError(f"{body.source}: couplers {names} drive each other in a loop")
        ordered += ready
        waiting = [c for c in waiting if c not in ready]
    return ordered


def mapped(ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half range that D3KE maps a network's output to."""
    # D3KE: a range with an end beyond a full turn counts as ±2π.
    wide = (np.abs(ranges) > 2 * np.pi).any(1, keepdims=True)
    low, high = np.where(wide, [-2 * np.pi, 2 * np.pi], np.fmod(ranges, 2 * np.pi)).T
    return (low + high) / 2, (high - low) / 2


def parents_among(chosen: list[Joint], kept: tuple[Joint, ...]) -> tuple[int, ...]:
    """For each chosen joint the nearest chosen one above it, −1 where there is none."""
    index = {j.child.body: i for i, j in enumerate(chosen)}
    above = {j.child.body: j.parent.body for j in kept}

    def nearest(body: str) -> int:
        while body != "ground" and body not in index:
            body = above[body]
        return index.get(body, -1)

    return tuple(nearest(j.parent.body) for j in chosen)


def three(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    return (*axes, STILL, STILL, STILL)[:3]


def cross(axis: tuple[float, ...]) -> np.ndarray:
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def rotation(angles: tuple[float, ...]) -> np.ndarray:
    """Body-fixed rotations about x, then y, then z (OpenSim's orientation)."""
    R = np.eye(3)
    for axis, angle in zip(np.eye(3), angles, strict=True):
        K = cross(tuple(axis))
        R = R @ (np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K))
    return R
