"""The constants of a skeleton layer, computed once from a model; kinematics.py uses them."""

from collections.abc import Callable, Container

import numpy as np
import torch
from torch import Tensor, nn

from d3ke_lib.body.opensim.functions import constant
from d3ke_lib.body.opensim.model import Axis, Body, Coupler, Joint, Marker, Offset

_Arrays = dict[str, np.ndarray]
_STILL = Axis(None, (1.0, 0.0, 0.0), constant(0.0))
_FIXED = Offset("ground", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
_GROUND = Joint("ground", "WeldJoint", _FIXED, _FIXED, (), (), ())


class ExactConstants(nn.Module):
    """A module whose constants are cast from their float64 values, not from rounded ones."""

    def __init__(self) -> None:
        super().__init__()
        self._exact: _Arrays = {}

    def register_exact(self, arrays: _Arrays) -> None:
        """Buffers that are not saved."""
        for name, values in arrays.items():
            tensor = torch.as_tensor(values)
            if values.dtype == np.float64:
                self._exact[name] = values
                tensor = tensor.to(torch.get_default_dtype())
            self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """What `.double()` and `.to(...)` call."""
        super()._apply(fn, recurse)
        for name, exact in self._exact.items():
            buffer = self._buffers[name]
            self._buffers[name] = torch.as_tensor(exact).to(device=buffer.device, dtype=buffer.dtype)
        return self


# --- which joints ---


def needed_slots(body: Body, bodies: tuple, joints: tuple, markers: tuple) -> tuple[Joint, ...]:
    """The ground and the joints that some selected joint, marker or body depends on, nearest to it first."""
    parent = {j.child.body: j.parent.body for j in body.joints}
    by_name = {j.name: j for j in body.joints}
    wanted = set(bodies) | {by_name[n].child.body for n in joints}
    wanted |= {m.body for m in body.markers if m.name in markers}
    needed: set[str] = set()
    for name in wanted:
        while name != "ground" and name not in needed:
            needed.add(name)
            name = parent.get(name, "ground")
    return (_GROUND, *_by_depth([j for j in body.joints if j.child.body in needed]))


def _by_depth(joints: list[Joint]) -> list[Joint]:
    """The joints nearest to the ground first: those with an ancestor are then a tail."""
    depth = {"ground": 0}
    for joint in joints:
        depth[joint.child.body] = depth[joint.parent.body] + 1
    return sorted(joints, key=lambda joint: depth[joint.child.body])


def chosen_parents(chosen: list[Joint], slots: tuple[Joint, ...]) -> tuple[int, ...]:
    """For each chosen joint the nearest chosen ancestor, −1 where there is none."""
    index = {j.child.body: i for i, j in enumerate(chosen)}
    parent = {j.child.body: j.parent.body for j in slots}

    def nearest(body: str) -> int:
        while body != "ground" and body not in index:
            body = parent[body]
        return index.get(body, -1)

    return tuple(nearest(j.parent.body) for j in chosen)


# --- frames, links and points ---


def points(slots: tuple[Joint, ...], bodies: tuple, chosen: list[int], markers: list[Marker]) -> _Arrays:
    """Frames, links and masks of the slots, the `chosen` joints and the markers; where each finds its scale.

    `slide_direction` is (3, slide, slot), in the parent's body.
    """
    slot = _slot_of_body(slots)
    frames = _slot_frames(slots)
    marker_slots = np.array([slot[m.body] for m in markers], np.int64)
    local = np.reshape([m.location for m in markers], (-1, 3))
    links = _links(frames, marker_slots, local)
    masks = {}
    for kind, joints in (("chosen", chosen), ("every", range(len(slots)))):
        parent_joint = np.array([*joints, *marker_slots], np.int64)
        masks[f"{kind}_parent_joint"] = parent_joint
        masks[f"{kind}_point_mask"] = links["ancestor_mask"][parent_joint].T
    index = {name: i for i, name in enumerate(bodies)}
    ratio_source = np.array([index.get(n, len(bodies)) for n in slot])
    sources = {"ratio_source": ratio_source, "link_source": ratio_source[links["carrier"]]}
    body_slots = np.array([slot[n] for n in bodies if n in slot], np.int64)
    return frames | links | masks | sources | {"body_slots": body_slots}


def _slot_of_body(slots: tuple[Joint, ...]) -> dict[str, int]:
    return {j.child.body: i for i, j in enumerate(slots)}


def _parent_slots(slots: tuple[Joint, ...]) -> np.ndarray:
    slot = _slot_of_body(slots)
    return np.array([slot[j.parent.body] for j in slots])


def _slot_frames(slots: tuple[Joint, ...]) -> _Arrays:
    slides = np.array([[a.axis for a in _three(j.translations)] for j in slots])
    share = np.abs(slides)
    P = np.array([_rotation(j.parent.orientation) for j in slots])
    return {
        "parent_slots": _parent_slots(slots),
        "parent_translation": np.array([j.parent.translation for j in slots]),
        "parent_rotation": P,
        "child_translation": np.array([j.child.translation for j in slots]),
        "child_rotation_inverse": np.array([_rotation(j.child.orientation).T for j in slots]),
        "slide_direction": (P @ slides.transpose(0, 2, 1)).transpose(1, 2, 0),
        "slide_share": share / share.sum(-1, keepdims=True),
        "slide_scaled": np.array([[a.function.scaled for a in _three(j.translations)] for j in slots]),
    }


def _links(frames: _Arrays, marker_slots: np.ndarray, marker_local: np.ndarray) -> _Arrays:
    """Links and masks of tree.KinematicTree: first each slot's own link, then one to each marker."""
    parents, inward = frames["parent_slots"], frames["child_translation"]
    carrier = np.concatenate([parents, marker_slots])
    mask = np.eye(len(parents))
    for slot, parent in enumerate(parents):
        mask[slot] = np.maximum(mask[slot], mask[parent])
    return {
        "carrier": carrier,
        "link": np.concatenate([frames["parent_translation"], marker_local]) - inward[carrier],
        "ancestor_mask": mask,
        "link_mask": mask[carrier].T,
    }


def ancestor_rounds(slots: tuple[Joint, ...]) -> list[np.ndarray]:
    """Pointer doubling: per round the next ancestors of those last slots that still have one."""
    ancestors, found = _parent_slots(slots), []
    while ancestors.any():
        found.append(ancestors[np.argmax(ancestors > 0) :].copy())
        ancestors = ancestors[ancestors]
    return found


# --- axes ---


def rotation_axes(slots: tuple[Joint, ...], driven: set[str]) -> list[tuple[Axis, ...]]:
    """Of each slot the axes about which it can rotate by other than nothing."""
    return [tuple(a for a in j.rotations if _rotates(a, driven)) for j in slots]


def _rotates(axis: Axis, driven: set[str]) -> bool:
    return axis.coordinate in driven or not axis.function.is_linear or axis.function.line[1] != 0.0


def slides(slots: tuple[Joint, ...]) -> list[Axis]:
    """The first slides of all slots, then the second, then the third."""
    by_slot = [_three(j.translations) for j in slots]
    return [axis for position in zip(*by_slot, strict=True) for axis in position]


def sliding_slots(slots: tuple[Joint, ...]) -> list[int]:
    moving = [any(a.coordinate or a.function.line[1] for a in j.translations) for j in slots]
    return [i for i, moves in enumerate(moving) if moves]


def rotation_positions(axes: list[tuple[Axis, ...]]) -> list[tuple[int, int]]:
    """(slot, position in it) of every axis rotation in the order of tree.KinematicTree."""
    slots = sorted((i for i, own in enumerate(axes) if own), key=lambda i: -len(axes[i]))
    return [(slot, position) for position in range(3) for slot in slots if len(axes[slot]) > position]


def rotation_matrices(axes: list[tuple[Axis, ...]], slots: tuple[Joint, ...], given: int | None) -> _Arrays:
    """Matrices of tree.KinematicTree; of a slot whose rotation is `given` only its child's frame is left."""
    frames = _slot_frames(slots)
    rows = {"base": [], "sine": [], "versine": [], "axis": []}
    for slot, position in rotation_positions(axes):
        before = frames["parent_rotation"][slot] if position == 0 and slot != given else np.eye(3)
        after = frames["child_rotation_inverse"][slot] if position + 1 == len(axes[slot]) else np.eye(3)
        axis = np.array(axes[slot][position].axis) * (slot != given)
        K = _cross(tuple(axis))
        for name, matrix in (("base", np.eye(3)), ("sine", K), ("versine", K @ K)):
            rows[name].append(before @ matrix @ after)
        rows["axis"].append(before @ axis)
    still = [i for i, own in enumerate(axes) if not own]
    fixed = np.array(frames["child_rotation_inverse"][still])
    for row, slot in enumerate(still):
        fixed[row] = fixed[row] if slot == given else frames["parent_rotation"][slot] @ fixed[row]
    shapes = {"axis": (-1, 3)} | dict.fromkeys(("base", "sine", "versine"), (-1, 3, 3))
    arrays = {name: np.reshape(rows[name], shape) for name, shape in shapes.items()} | {"fixed": fixed}
    return {name: np.moveaxis(array, 0, -1)[..., None] for name, array in arrays.items()}


def rotation_slots(axes: list[tuple[Axis, ...]]) -> _Arrays:
    """Index tensors of tree.KinematicTree."""
    found = rotation_positions(axes)
    by_position = [np.array([slot for slot, at in found if at == i], np.int64) for i in range(3)]
    still = [i for i, own in enumerate(axes) if not own]
    order = np.argsort([*by_position[0], *still])
    return dict(zip(("first", "second", "third", "rotation_order"), (*by_position, order), strict=True))


def axis_functions(kind: str, axes: list[Axis], column: dict[str, int]) -> tuple[_Arrays, list[tuple]]:
    """Linear axes as one gather and one multiply-add; the few others as (axis, column, function)."""
    line = [a.function.line if a.function.is_linear else (0.0, 0.0) for a in axes]
    sources = [column[a.coordinate] if a.coordinate else len(column) for a in axes]
    others = [(i, s, a.function) for i, (s, a) in enumerate(zip(sources, axes)) if not a.function.is_linear]
    arrays = {
        f"{kind}_source": np.array(sources, np.int64),
        f"{kind}_slope": np.array([slope for slope, _ in line], float),
        f"{kind}_offset": np.array([offset for _, offset in line], float),
        f"{kind}_nonlinear": np.array([i for i, _, _ in others], np.int64),
    }
    return arrays, others


# --- coordinates ---


def linear_couplers(couplers: list[Coupler], column: dict[str, int]) -> _Arrays:
    """Linear couplers, drivers first, folded into one gather and one multiply-add over all columns."""
    count = len(column) + 1
    source, slope, offset = np.arange(count), np.ones(count), np.zeros(count)
    for c in couplers:
        to, by = column[c.dependent], column[c.independent]
        k, b = c.function.line
        source[to], slope[to], offset[to] = source[by], k * slope[by], k * offset[by] + b
    return {"coupled_source": source, "coupled_slope": slope, "coupled_offset": offset}


def active_couplers(body: Body, ignored: Container[str], column: dict[str, int]) -> list[Coupler]:
    """Enforced couplers of coordinates with a column, drivers first; ValueError where they form a loop."""
    known = [c for c in body.couplers if c.enforced and c.dependent not in ignored]
    waiting, ordered = [c for c in known if c.dependent in column and c.independent in column], []
    while waiting:
        pending = {c.dependent for c in waiting}
        ready = [c for c in waiting if c.independent not in pending]
        if not ready:
            names = [c.name for c in waiting]
            raise ValueError(f"{body.source}: couplers {names} drive each other in a loop")
        ordered += ready
        waiting = [c for c in waiting if c not in ready]
    return ordered


def output_ranges(ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half of the range that D3KE maps a network's output to."""
    # D3KE: a range with an end beyond a full turn counts as ±2π.
    wide = (np.abs(ranges) > 2 * np.pi).any(1, keepdims=True)
    low, high = np.where(wide, [-2 * np.pi, 2 * np.pi], np.fmod(ranges, 2 * np.pi)).T
    return (low + high) / 2, (high - low) / 2


# --- vectors ---


def _three(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    return (*axes, _STILL, _STILL, _STILL)[:3]


def _cross(axis: tuple[float, ...]) -> np.ndarray:
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _rotation(angles: tuple[float, ...]) -> np.ndarray:
    """Body-fixed rotations about x, then y, then z (OpenSim's orientation)."""
    R = np.eye(3)
    for axis, angle in zip(np.eye(3), angles, strict=True):
        K = _cross(tuple(axis))
        R = R @ (np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K))
    return R
