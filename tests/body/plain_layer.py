"""A second oracle for the skeleton layer: joint after joint, straight from the model's description."""

import torch
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Axis, Joint
from d3ke_lib.body.pose import Points, Pose


def plain(skeleton: Skeleton, pose: Pose) -> Points:
    """The same as `skeleton(pose)`, with a loop over the tree."""
    values = _values(skeleton, pose.angles)
    factors = {n: (pose.scales / skeleton.generic_scales)[..., i, :] for i, n in enumerate(skeleton.bodies)}
    eye, nothing = torch.eye(3).to(pose.angles), torch.zeros(3).to(pose.angles)
    place = {"ground": (eye, nothing)}
    origins = {}
    for index, joint in enumerate(skeleton.body.joints):
        R, origin, p = _joint(joint, values, factors, eye)
        if index == 0 and pose.R_ground_root is not None:
            R, origin = pose.R_ground_root @ _turned(joint.child.orientation, eye).mT, nothing
            p = -_on(R, _sized(joint.child.translation, joint.child.body, factors, eye))
        R_parent, p_parent = place[joint.parent.body]
        origins[joint.name] = p_parent + _on(R_parent, origin)
        place[joint.child.body] = (R_parent @ R, p_parent + _on(R_parent, p))
    markers = {m.name: m for m in skeleton.body.markers}
    found = [_marker(markers[name], place, factors, eye) for name in skeleton.markers]
    batch = pose.angles.shape[:-1]
    return Points(*(_stack(points, batch) for points in ([origins[n] for n in skeleton.joints], found)))


def _stack(points: list[Tensor], batch: torch.Size) -> Tensor:
    return torch.stack([p.expand(*batch, 3) for p in points], -2)


def _values(skeleton: Skeleton, angles: Tensor) -> dict[str, Tensor]:
    values = {c.name: torch.zeros_like(angles[..., 0]) for c in skeleton.body.coordinates}
    values |= {name: angles[..., i] for i, name in enumerate(skeleton.coordinates)}
    kept = set(skeleton.coordinates) if skeleton.spec else set()
    waiting = [c for c in skeleton.body.couplers if c.enforced and c.dependent not in kept]
    while waiting:
        pending = {c.dependent for c in waiting}
        for c in [c for c in waiting if c.independent not in pending]:
            values[c.dependent] = c.function(values[c.independent])
            waiting.remove(c)
    return values


def _joint(joint: Joint, values: dict, factors: dict, eye: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation of the child's body, the joint's origin and the body's, in the parent's body."""
    P = _turned(joint.parent.orientation, eye)
    R = P
    for axis in joint.rotations:
        R = R @ _about(axis.axis, _amount(axis, values), eye)
    R = R @ _turned(joint.child.orientation, eye).mT
    ratio = factors.get(joint.parent.body, torch.ones(3).to(eye))
    moved = torch.zeros(3).to(eye)
    for axis in joint.translations:
        direction = torch.tensor(axis.axis).to(eye)
        stretch = (ratio @ direction.abs() / direction.abs().sum()) if axis.function.scaled else 1.0
        moved = moved + (_amount(axis, values) * stretch)[..., None] * direction
    origin = _sized(joint.parent.translation, joint.parent.body, factors, eye) + _on(P, moved)
    return R, origin, origin - _on(R, _sized(joint.child.translation, joint.child.body, factors, eye))


def _amount(axis: Axis, values: dict) -> Tensor:
    like = next(iter(values.values()))
    return axis.function(values[axis.coordinate] if axis.coordinate else torch.zeros_like(like))


def _about(axis: tuple, angle: Tensor, eye: Tensor) -> Tensor:
    x, y, z = axis
    K = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64).to(eye)
    sine, versine = torch.sin(angle)[..., None, None], (1 - torch.cos(angle))[..., None, None]
    return eye + sine * K + versine * (K @ K)


def _turned(orientation: tuple, eye: Tensor) -> Tensor:
    R = eye
    for unit, angle in zip(torch.eye(3, dtype=torch.float64).tolist(), orientation, strict=True):
        R = R @ _about(tuple(unit), torch.tensor(angle, dtype=torch.float64).to(eye), eye)
    return R


def _sized(vector: tuple, body: str, factors: dict, eye: Tensor) -> Tensor:
    return torch.tensor(vector, dtype=torch.float64).to(eye) * factors.get(body, torch.ones(3).to(eye))


def _on(R: Tensor, x: Tensor) -> Tensor:
    return (R @ x[..., None])[..., 0]


def _marker(marker, place: dict, factors: dict, eye: Tensor) -> Tensor:
    R, p = place[marker.body]
    return p + _on(R, _sized(marker.location, marker.body, factors, eye))
