"""Markers' normal equations in the unknown coordinates, without ever forming the Jacobian.

A coordinate moves everything distal to its joint as one rigid body, so what a marker adds to JᵀWJ depends
only on its weight and its first and second moments. Summed over the markers distal to a joint they act as a
subtree's inertia does in Featherstone's composite-rigid-body algorithm (Rigid Body Dynamics Algorithms, 2008,
§6.2):
(JᵀWJ)[i, j] = twist_i · inertia_j twist_j where axis i is above axis j, 0 where neither is above the other.
For 87 markers and 75 coordinates that is a twentieth of the work of multiplying Jacobians, and exact.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from d3ke_lib.body.ik.linkage import Links, Posed, Transmission
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.layout import rotate
from d3ke_lib.body.tree import axis_frames


class Axes(NamedTuple):
    """Joint axes that the unknowns move: one per unknown, in order, then further ones through couplers."""

    rotation: Int[Tensor, " rotation"]  # among the amounts
    slide: Int[Tensor, " slide"]  # among the amounts after the rotations
    order: Int[Tensor, " axis"]  # rotations, then slides → this class's order
    amount: Int[Tensor, " axis"]
    joint: Int[Tensor, " axis"]  # the joint's slot
    further: Int[Tensor, " further"]  # unknowns of the axes after the first ones
    above: Float[Tensor, "axis axis"]  # 1 where the row's axis carries the column's, ½ on the diagonal
    distal: Float[Tensor, "slot marker"]  # 1 where the slot's joint moves the marker


class Equations(NamedTuple):
    """At given unknowns: hessian = JᵀWJ, descent = JᵀWr, cost = rᵀWr."""

    hessian: Float[Tensor, "frame unknown unknown"]
    descent: Float[Tensor, "frame unknown"]
    cost: Float[Tensor, " frame"]


def axes_of(skeleton: Skeleton, drive: Transmission, names: list[str]) -> Axes:
    """The axes of a transmission; raises ValueError naming the unknowns (`names`) that move nothing."""
    moving = [i for i, unknown in enumerate(drive.unknown) if unknown >= 0]
    first: dict[int, int] = {}
    for i in moving:
        first.setdefault(drive.unknown[i], i)
    if idle := [name for i, name in enumerate(names) if i not in first]:
        raise ValueError(f"{skeleton.body.source}: these coordinates move nothing: {idle}")
    ordered = [first[u] for u in range(len(names))]
    ordered += [i for i in moving if first[drive.unknown[i]] != i]
    slots = [*(slot for slot, _ in skeleton.rotations), *3 * skeleton.slide_slots.tolist()]
    device = skeleton.ranges.device

    def index(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    joint, place = index([slots[i] for i in ordered]), {i: k for k, i in enumerate(moving)}
    rotations = len(skeleton.rotations)
    carries, distal = _carried(skeleton)
    amount = index(ordered)
    # Two axes of one joint move the same markers: either may count as the one above.
    above = carries[joint][:, joint] + (joint[:, None] == joint).triu(1).to(carries)
    return Axes(
        index([i for i in moving if i < rotations]), index([i - rotations for i in moving if i >= rotations]),
        index([place[i] for i in ordered]), amount, joint,
        index([drive.unknown[i] for i in ordered[len(names) :]]),
        above + torch.eye(len(ordered)).to(above) / 2, distal,
    )  # fmt: skip


def _carried(skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Which slots are strictly above which (slot, slot), and move which markers (slot, marker)."""
    count = len(skeleton.order)
    mask = skeleton.every_point_mask
    return mask[:, :count] - torch.eye(count).to(skeleton.ranges), mask[:, count:]


def equations(
    skeleton: Skeleton,
    axes: Axes,
    link: Links,
    at: Posed,
    target: Float[Tensor, "3 marker frame"],
    weight: Float[Tensor, "marker frame"],
) -> Equations:
    """Normal equations of Σ weight · |target − marker|²; targets are finite even where the weight is 0."""
    markers = at.markers(len(skeleton.order))
    # Moments about a point among the markers: about a far ground origin float32 would cancel.
    center = markers.mean(1, keepdim=True)
    twists = _twists(skeleton, axes, link, at, center)
    residual = target - markers
    inertia, wrench = _moments(markers - center, residual, weight, axes)
    hessian = _hessian(axes, twists, _times(inertia, twists))
    descent = (twists * wrench).sum(0)
    count = len(descent) - len(axes.further)
    if len(axes.further):
        descent = descent[:count].index_add(0, axes.further, descent[count:])
    return Equations(hessian, descent.T, (weight * residual.square().sum(0)).sum(0))


def _twists(
    skeleton: Skeleton, axes: Axes, link: Links, at: Posed, center: Tensor
) -> Float[Tensor, "6 axis frame"]:
    """Angular velocity and the velocity of the point at the center, for unit speed of each unknown."""
    parent = at.tree.R.index_select(2, skeleton.parent_slots)
    moving = skeleton.kinematic_tree("every", root_given=False)
    frames = axis_frames(moving, at.tree.rotations, parent)
    rotated = rotate(frames, moving.axis.expand(-1, -1, frames.shape[-1])).index_select(1, axes.rotation)
    kinds = [rotated]
    if len(axes.slide):
        sliding = len(skeleton.slide_slots)
        above = parent.index_select(2, skeleton.slide_slots.index_select(0, axes.slide % sliding))
        along = link.slide.flatten(1, 2).index_select(1, axes.slide)
        kinds.append(rotate(above, along.expand(-1, -1, above.shape[-1])))
    direction = torch.cat(kinds, 1).index_select(1, axes.order)
    origin = at.tree.points.index_select(1, axes.joint) - center
    rotates = (axes.amount < len(skeleton.rotations))[:, None]
    linear = torch.where(rotates, torch.linalg.cross(origin, direction, dim=0), direction)
    slope = at.slope.index_select(0, axes.amount)
    return torch.cat([direction * rotates, linear]) * slope


def _moments(x: Tensor, residual: Tensor, weight: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """By axis: weight, first and second moments (10 rows) of the distal markers; their torque and force."""
    heavy, force = weight * x, weight * residual
    each = [weight[None], heavy, heavy * x, heavy * x.roll(-1, 0), torch.linalg.cross(x, force, dim=0), force]
    summed = torch.matmul(axes.distal, torch.cat(each)).index_select(1, axes.joint)
    return summed[:10], summed[10:]


def _times(inertia: Tensor, twists: Tensor) -> Float[Tensor, "6 axis frame"]:
    """The inertia of the markers distal to each axis times its twist."""
    weight, first, squares, products = inertia.split([1, 3, 3, 3])
    angular, linear = twists.chunk(2)
    torque = (squares.sum(0) - squares) * angular - products * angular.roll(-1, 0)
    torque = torque - products.roll(1, 0) * angular.roll(1, 0) + torch.linalg.cross(first, linear, dim=0)
    return torch.cat([torque, weight * linear + torch.linalg.cross(angular, first, dim=0)])


def _hessian(axes: Axes, twists: Tensor, applied: Tensor) -> Float[Tensor, "frame unknown unknown"]:
    """From axes to unknowns: what an unknown moves through couplers is added to its own axis."""
    count = len(axes.joint) - len(axes.further)
    twist, wrench = twists.permute(2, 1, 0).contiguous(), applied.permute(2, 1, 0).contiguous()
    half = (twist[:, :count] @ wrench[:, :count].mT).mul_(axes.above[:count, :count])
    if len(axes.further):
        whole = (twist[:, count:] @ wrench.mT) * axes.above[count:]
        whole = whole + (wrench[:, count:] @ twist.mT) * axes.above[:, count:].T
        rows = whole[..., :count].index_add(-1, axes.further, whole[..., count:], alpha=0.5)
        half.index_add_(-2, axes.further, rows)
    return half + half.mT


def is_even(drive: Transmission, axes: Axes, unknown: Tensor) -> Bool[Tensor, "*frame unknown"]:
    """Whether an unknown's first axis rotates or slides by as much as the unknown itself."""
    _, slope = drive(unknown)
    count = unknown.shape[-1]
    return (slope.index_select(0, axes.amount[:count]).abs() - 1).abs().lt(1e-6).T
