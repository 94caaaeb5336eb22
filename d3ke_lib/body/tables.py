"""The constants of a skeleton layer, computed once from a body; kinematics.py uses them."""

import numpy as np

from d3ke_lib.body.functions import constant
from d3ke_lib.body.model import Axis, Body, Coupler, Joint

STILL = Axis(None, (1.0, 0.0, 0.0), constant(0.0))


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


def rounds(parents: list[int]) -> list[tuple[int, np.ndarray]]:
    """Pointer doubling: per round the first joint that still hangs on another (−1: on none), and on which."""
    above, found = np.array(parents), []
    while (above >= 0).any():
        first = int(np.argmax(above >= 0))
        found.append((first, above[first:].copy()))
        above = np.where(above >= 0, above[above], -1)
    return found


def tree(joints: tuple[Joint, ...]) -> dict[str, np.ndarray]:
    """Offset frames of the joints; turns' constants with the frames' rotations multiplied in."""
    slot = {"ground": 0} | {j.child.body: i + 1 for i, j in enumerate(joints)}
    P = np.array([rotation(j.parent.orientation) for j in joints])
    C = np.array([rotation(j.child.orientation).T for j in joints])
    K = np.array([[cross(a.axis) for a in three(j.rotations)] for j in joints])
    base = np.stack([P, np.broadcast_to(np.eye(3), P.shape), C], 1)
    sine = np.stack([P @ K[:, 0], K[:, 1], K[:, 2] @ C], 1)
    versine = np.stack([P @ K[:, 0] @ K[:, 0], K[:, 1] @ K[:, 1], K[:, 2] @ K[:, 2] @ C], 1)
    slides = np.array([[a.axis for a in three(j.translations)] for j in joints])
    share = np.abs(slides)
    return {
        "parent_slots": np.array([slot[j.parent.body] for j in joints]),
        "parent_translation": np.array([j.parent.translation for j in joints]),
        "parent_rotation": P,
        "child_translation": np.array([j.child.translation for j in joints]),
        "child_rotation_inverse": C,
        "turn_axis": np.array([[a.axis for a in three(j.rotations)] for j in joints]),
        "turn_base": base.transpose(2, 3, 1, 0)[..., None],
        "turn_sine": sine.transpose(2, 3, 1, 0)[..., None],
        "turn_versine": versine.transpose(2, 3, 1, 0)[..., None],
        "slide_axis": slides,
        "slide_share": share / share.sum(-1, keepdims=True),
        "slide_scaled": np.array([[a.function.scaled for a in three(j.translations)] for j in joints]),
    }


def lines(kind: str, axes: list[Axis], column: dict[str, int]) -> tuple[dict[str, np.ndarray], list[tuple]]:
    """Linear axes as one gather and one multiply-add; the few others as (axis, column, function)."""
    line = [a.function.line if a.function.is_linear else (0.0, 0.0) for a in axes]
    sources = [column[a.coordinate] if a.coordinate else len(column) for a in axes]
    others = [(i, s, a.function) for i, (s, a) in enumerate(zip(sources, axes)) if not a.function.is_linear]
    arrays = {
        f"{kind}_source": np.array(sources),
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
