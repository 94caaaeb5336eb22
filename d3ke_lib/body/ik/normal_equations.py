"""Markers' normal equations in the coordinates, without ever forming the Jacobian.

A coordinate moves everything beyond its joint as one rigid body, so what a marker adds to JᵀWJ depends only
on its weight and its first and second moments. Summed over the markers beyond a joint they act as a subtree's
inertia does in Featherstone's composite-rigid-body algorithm (Rigid Body Dynamics Algorithms, 2008, §6.2):
(JᵀWJ)[i, j] = twist_i · inertia_j twist_j where axis i is above axis j, 0 where neither is above the other.
For 87 markers and 75 coordinates that is a twentieth of the work of multiplying Jacobians, and exact.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import jvp

from d3ke_lib.body.kinematics import PosedSkeleton, Skeleton
from d3ke_lib.body.pose import Pose


class Axes(NamedTuple):
    """The turns and slides that the unknown coordinates move.

    The first axes are one for each of `free`, in order; further ones that an unknown moves through couplers
    follow. `above` is 1 where the row's axis carries the column's, ½ on the diagonal; `beyond` 1 where the
    joint moves the marker; `slope` is d amount / d unknown, None where it depends on the pose.
    """

    free: Int[Tensor, " unknown"]
    slot: Int[Tensor, " axis"]  # in the skeleton's turns, or after them place · slots + slot of a slide
    joint: Int[Tensor, " axis"]  # the joint's slot
    turning: Bool[Tensor, " axis"]
    unknown: Int[Tensor, " axis"]
    above: Float[Tensor, "axis axis"]
    beyond: Float[Tensor, "joint marker"]
    slope: Float[Tensor, " axis"] | None


class Equations(NamedTuple):
    """At given coordinates: hessian = JᵀWJ, descent = JᵀWr, cost = rᵀWr, the distances |r| in m."""

    hessian: Float[Tensor, "frame unknown unknown"]
    descent: Float[Tensor, "frame unknown"]
    cost: Float[Tensor, " frame"]
    distance: Float[Tensor, "frame marker"]


def axes_of(skeleton: Skeleton, free: Int[Tensor, " unknown"]) -> Axes:
    """What the coordinates `free` (indices into skeleton.coordinates) move, themselves or through couplers.

    Raises ValueError naming coordinates that move nothing.
    """
    order = {index: i for i, index in enumerate(free.tolist())}
    found = [axis for axis in _all_axes(skeleton) if axis[1] in order]
    primary = {index: next((a for a in found if a[1] == index), None) for index in order}
    if idle := [skeleton.coordinates[i] for i, axis in primary.items() if axis is None]:
        raise ValueError(f"{skeleton.body.source}: these coordinates move nothing: {idle}")
    further = [axis for axis in found if axis is not primary[axis[1]]]
    slots, drivers, slopes = zip(*primary.values(), *further, strict=True)
    like = skeleton.ranges
    slot = torch.tensor(slots, device=like.device)
    turning = slot < len(skeleton.rotations)
    joint = torch.tensor([*(at for at, _ in skeleton.rotations), *3 * list(range(len(skeleton.order)))])
    joint = joint.to(slot)[slot]
    above, beyond = _reach(skeleton)
    same = (joint[:, None] == joint).triu(1).to(like)
    above = above[joint][:, joint] + same + torch.eye(len(slot)).to(like) / 2
    unknown = torch.tensor([order[d] for d in drivers], device=like.device)
    slope = None if None in slopes else torch.tensor(slopes, dtype=torch.float64).to(like)
    return Axes(free, slot, joint, turning, unknown, above, beyond, slope)


def _all_axes(skeleton: Skeleton) -> list[tuple[int, int, float | None]]:
    """(slot, index of the coordinate that drives it, slope or None) of every axis that moves."""
    driver = _drivers(skeleton)
    given = skeleton.coordinate_source.tolist()
    axes, offset = [], 0
    for kind in ("rotation", "slide"):
        bent = {slot for slot, _, _ in getattr(skeleton, f"{kind}_functions")}
        columns = getattr(skeleton, f"{kind}_source").tolist()
        for slot, (column, slope) in enumerate(zip(columns, getattr(skeleton, f"{kind}_slope").tolist())):
            by, ratio = driver[column]
            if column < len(given) - 1 and given[by] < len(skeleton.coordinates):
                axes.append(
                    (offset + slot, given[by], None if slot in bent or ratio is None else slope * ratio)
                )
        offset += len(columns)
    return axes


def _drivers(skeleton: Skeleton) -> list[tuple[int, float | None]]:
    """For each column of values the column that decides it, and d value / d driver (None: varies)."""
    driver = list(zip(skeleton.coupled_source.tolist(), skeleton.coupled_slope.tolist()))
    for dependent, independent, function in skeleton.couplers:
        by, ratio = driver[independent]
        driver[dependent] = (
            by,
            ratio * function.line[0] if function.is_linear and ratio is not None else None,
        )
    return driver


def _reach(skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Which slots are strictly above which (slot, slot), and move which markers (slot, marker)."""
    count = len(skeleton.order)
    beyond = skeleton.every_point_mask
    return beyond[:, :count] - torch.eye(count).to(skeleton.ranges), beyond[:, count:]


def equations(
    skeleton: Skeleton,
    axes: Axes,
    angles: Float[Tensor, "frame coord"],
    scales: Float[Tensor, "*frame body 3"],
    target: Float[Tensor, "frame marker 3"],
    weight: Float[Tensor, "frame marker"],
) -> Equations:
    """Normal equations of Σ weight · |target − marker|²; targets are finite even where the weight is 0."""
    posed = skeleton.posed(Pose(angles, scales))
    markers = posed.markers.permute(2, 1, 0)
    # Moments about a point among the markers: about a far ground origin float32 would cancel.
    center = markers.mean(-2, keepdim=True)
    twists = _twists(axes, posed, center[:, 0]) * slopes_at(skeleton, axes, angles)[..., None]
    residual = target - markers
    moments, wrench = _moments(markers - center, residual, weight, axes)
    hessian, descent = _reduced(axes, twists, _applied(moments, twists), wrench)
    square = residual.square().sum(-1)
    return Equations(hessian, descent, (weight * square).sum(-1), square.sqrt())


def _twists(axes: Axes, posed: PosedSkeleton, center: Tensor) -> Float[Tensor, "frame axis 6"]:
    """Angular velocity and the velocity of the point at the centre, for unit speed of each axis."""
    direction = posed.directions.index_select(1, axes.slot).permute(2, 1, 0)
    origin = posed.origin.index_select(1, axes.joint).permute(2, 1, 0) - center[:, None]
    turning = axes.turning[:, None]
    linear = torch.where(turning, torch.linalg.cross(origin, direction), direction)
    return torch.cat([torch.where(turning, direction, 0.0), linear], -1)


def slopes_at(skeleton: Skeleton, axes: Axes, angles: Tensor) -> Tensor:
    """d amount / d unknown by axis; forward differentiation, as every amount has one unknown behind it."""
    if axes.slope is not None:
        return axes.slope

    return jvp(skeleton.axis_amounts, (angles,), (torch.ones_like(angles),))[1][axes.slot].T


def _moments(at: Tensor, residual: Tensor, weight: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """By axis: weight, first and second moments of the markers beyond it; their wrench (torque, force)."""
    heavy = weight[..., None] * at
    pulled = weight[..., None] * residual
    square = (heavy[..., :, None] * at[..., None, :]).flatten(-2)
    each = torch.cat([weight[..., None], heavy, square, torch.linalg.cross(at, pulled), pulled], -1)
    summed = (axes.beyond @ each)[..., axes.joint, :]
    return summed[..., :13], summed[..., 13:]


def _applied(moments: Tensor, twists: Tensor) -> Float[Tensor, "frame axis 6"]:
    """The inertia of the markers beyond each axis times its twist."""
    weight, first, second = moments[..., :1], moments[..., 1:4], moments[..., 4:].unflatten(-1, (3, 3))
    angular, linear = twists[..., :3], twists[..., 3:]
    trace = second.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    torque = torch.linalg.cross(first, linear) + trace * angular - (second * angular[..., None, :]).sum(-1)
    return torch.cat([torque, weight * linear + torch.linalg.cross(angular, first)], -1)


def _reduced(axes: Axes, twists: Tensor, applied: Tensor, wrench: Tensor) -> tuple[Tensor, Tensor]:
    """From axes to unknowns: what an unknown moves through couplers is added to its own axis."""
    half = (twists @ applied.mT) * axes.above
    hessian, descent = half + half.mT, (twists * wrench).sum(-1)
    count, further = len(axes.free), axes.unknown[len(axes.free) :]
    if len(further):
        hessian = hessian[..., :count, :].index_add(-2, further, hessian[..., count:, :])
        hessian = hessian[..., :count].index_add(-1, further, hessian[..., count:])
        descent = descent[..., :count].index_add(-1, further, descent[..., count:])
    return hessian, descent
