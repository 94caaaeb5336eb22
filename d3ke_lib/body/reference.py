"""The skeleton layer as a loop over the joints. Read this first: kinematics.py is its fast form.

A joint fixes a frame to its parent's body and one to its child's (offsets, which grow with the bodies' scale
factors). In between, the joint rotates about up to three axes, each by a function of one coordinate, and
slides along up to three:

    T_parent_child = T_parent_offset · rotations · translations · inverse(T_child_offset)

Walking the tree from the ground outwards puts every body into ground, and a marker is a point of its body.
The tests hold kinematics.py, its derivatives included, against this file, and both against OpenSim.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.opensim.model import Axis, Joint, Marker
from d3ke_lib.body.pose import Points, Pose, SkeletonLayer

_Values = dict[str, Float[Tensor, "*batch"]]  # by coordinate: rad or m
_Ratios = dict[str, Float[Tensor, "*batch 3"]]  # by body: its scale factors over those of the file


class _Frame(NamedTuple):
    """A frame in another: rotation and origin (m)."""

    R: Float[Tensor, "*batch 3 3"]
    p: Float[Tensor, "*batch 3"]


def forward_kinematics(skeleton: SkeletonLayer, pose: Pose) -> Points:
    """Joint origins and markers in ground, m: the same as `skeleton(pose)`."""
    values = _coordinate_values(skeleton, pose.angles)
    ratio = pose.scales / skeleton.generic_scales
    ratios = {name: ratio[..., i, :] for i, name in enumerate(skeleton.bodies)}
    like = pose.angles
    T_ground = {"ground": _Frame(torch.eye(3).to(like), torch.zeros(3).to(like))}
    origins = {}
    for joint in skeleton.body.joints:  # a joint comes after the joint that moves its parent
        parent = T_ground[joint.parent.body]
        R, origin = _joint_motion(joint, values, ratios, like)
        if pose.R_ground_root is not None and joint is skeleton.body.joints[0]:
            R, origin = pose.R_ground_root, torch.zeros(3).to(like)
        origins[joint.name] = parent.p + _apply(parent.R, origin)
        R_ground_child = parent.R @ R @ _orientation(joint.child.orientation, like).mT
        inward = _scaled(joint.child.translation, joint.child.body, ratios, like)
        T_ground[joint.child.body] = _Frame(
            R_ground_child, origins[joint.name] - _apply(R_ground_child, inward)
        )
    by_name = {marker.name: marker for marker in skeleton.body.markers}
    markers = [_marker_position(by_name[name], T_ground, ratios, like) for name in skeleton.markers]
    joints = [origins[name] for name in skeleton.joints]
    batch = pose.angles.shape[:-1]
    return Points(*(torch.stack([p.expand(*batch, 3) for p in found], -2) for found in (joints, markers)))


def _coordinate_values(skeleton: SkeletonLayer, angles: Float[Tensor, "*batch coord"]) -> _Values:
    """Predicted coordinates as they are; others follow their enforced coupler, or are 0."""
    values = {c.name: torch.zeros_like(angles[..., 0]) for c in skeleton.body.coordinates}
    values |= {name: angles[..., i] for i, name in enumerate(skeleton.coordinates)}
    kept = skeleton.coordinates if skeleton.spec else ()
    waiting = [c for c in skeleton.body.couplers if c.enforced and c.dependent not in kept]
    while waiting:
        pending = {coupler.dependent for coupler in waiting}
        coupler = next(coupler for coupler in waiting if coupler.independent not in pending)
        values[coupler.dependent] = coupler.function(values[coupler.independent])
        waiting.remove(coupler)
    return values


def _joint_motion(joint: Joint, values: _Values, ratios: _Ratios, like: Tensor) -> _Frame:
    """The joint's frame after its rotations and translations, in its parent's body."""
    P = R = _orientation(joint.parent.orientation, like)
    for axis in joint.rotations:
        R = R @ _rotation(axis.axis, _amount(axis, values))
    moved = torch.zeros(3).to(like)
    for axis in joint.translations:
        direction = torch.tensor(axis.axis).to(like)
        stretch = 1.0
        if axis.function.scaled:  # OpenSim's MultiplierFunction: it grows with the parent, along the axis
            ratio = ratios.get(joint.parent.body, torch.ones(3).to(like))
            stretch = ratio @ direction.abs() / direction.abs().sum()
        moved = moved + (_amount(axis, values) * stretch)[..., None] * direction
    return _Frame(R, _scaled(joint.parent.translation, joint.parent.body, ratios, like) + _apply(P, moved))


def _marker_position(
    marker: Marker, T_ground: dict[str, _Frame], ratios: _Ratios, like: Tensor
) -> Float[Tensor, "*#batch 3"]:
    """In ground, m."""
    R, p = T_ground[marker.body]
    return p + _apply(R, _scaled(marker.location, marker.body, ratios, like))


def _amount(axis: Axis, values: _Values) -> Float[Tensor, "*batch"]:
    """How far the axis rotates, rad, or slides, m."""
    zero = torch.zeros_like(next(iter(values.values())))
    return axis.function(values[axis.coordinate] if axis.coordinate else zero)


def _rotation(axis: tuple[float, ...], angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula for a unit axis."""
    x, y, z = axis
    K = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64).to(angle)
    sine, versine = torch.sin(angle)[..., None, None], (1 - torch.cos(angle))[..., None, None]
    return torch.eye(3).to(angle) + sine * K + versine * (K @ K)


def _orientation(angles: tuple[float, ...], like: Tensor) -> Float[Tensor, "3 3"]:
    """Body-fixed rotations about x, then y, then z, rad."""
    x, y, z = torch.tensor(angles, dtype=torch.float64).to(like)
    return _rotation((1.0, 0.0, 0.0), x) @ _rotation((0.0, 1.0, 0.0), y) @ _rotation((0.0, 0.0, 1.0), z)


def _scaled(
    vector: tuple[float, ...], body: str, ratios: _Ratios, like: Tensor
) -> Float[Tensor, "*#batch 3"]:
    """A vector of the file (m) in the scaled body; ground and bodies that are not predicted stay."""
    return torch.tensor(vector, dtype=torch.float64).to(like) * ratios.get(body, torch.ones(3).to(like))


def _apply(R: Float[Tensor, "*a 3 3"], x: Float[Tensor, "*b 3"]) -> Float[Tensor, "*c 3"]:
    return (R @ x[..., None])[..., 0]
