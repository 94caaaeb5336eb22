"""Where a body stands: the root joint's coordinates that bring all markers nearest as one rigid body."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.least_squares import Problem
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Axis, Joint
from d3ke_lib.body.pose import Pose


def placed(problem: Problem, angles: Float[Tensor, "frame coord"]) -> Float[Tensor, "frame coord"]:
    """`angles` with the root moved; unchanged where it is not three turns and three slides of its own."""
    skeleton = problem.skeleton
    root = next((j for j in skeleton.body.joints if j.parent.body == "ground"), None)
    free = {skeleton.coordinates[i] for i in problem.axes.free.tolist()}
    if root is None or not _is_plain(root) or not {c.name for c in root.coordinates} <= free:
        return angles
    pose = Pose(angles, problem.scales)
    R, t = _rigid(skeleton(pose).markers, problem.target, problem.weight)
    bodies, origins = skeleton.frames(pose)
    index = skeleton.bodies.index(root.child.body)
    found = _root_coordinates(skeleton, root, R @ bodies[:, index], _applied(R, origins[:, index]) + t)
    columns = [skeleton.coordinates.index(name) for name in found]
    angles = angles.clone()
    angles[:, columns] = torch.stack(list(found.values()), -1)
    return problem.moved(angles, torch.zeros_like(problem.low))  # into the bounds


def _applied(R: Tensor, x: Tensor) -> Tensor:
    return (R @ x[..., None])[..., 0]


def _rigid(points: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Kabsch (1976): R, t that minimise Σ weight · |R point + t − target|², by frame."""
    share = weight / weight.sum(-1, keepdim=True).clamp(min=1e-9)
    a, b = ((share[..., None] * x).sum(-2) for x in (points, target))
    moment = ((target - b[:, None]) * share[..., None]).mT @ (points - a[:, None])
    u, _, vt = torch.linalg.svd(moment)
    mirror = torch.ones_like(a)
    mirror[:, 2] = torch.det(u @ vt).sign()
    R = u @ (mirror[..., None] * vt)
    seen = weight.sum(-1) > 0
    R = torch.where(seen[:, None, None], R, torch.eye(3).to(R))
    return R, torch.where(seen[:, None], b - _applied(R, a), 0.0)


def _is_plain(joint: Joint) -> bool:
    """Three orthogonal turns and three orthogonal slides, each by a coordinate of its own, one to one."""
    axes = (*joint.rotations, *joint.translations)
    if len(joint.coordinates) != 6 or {a.coordinate for a in axes} != {c.name for c in joint.coordinates}:
        return False
    straight = all(a.function.is_linear and abs(a.function.line[0]) == 1.0 for a in axes)
    return straight and all(_orthogonal(group) for group in (joint.rotations, joint.translations))


def _orthogonal(axes: tuple[Axis, ...]) -> bool:
    matrix = torch.tensor([a.axis for a in axes], dtype=torch.float64)
    return torch.allclose(matrix @ matrix.T, torch.eye(3, dtype=torch.float64), atol=1e-6)


def _root_coordinates(
    skeleton: Skeleton, joint: Joint, R_ground_body: Tensor, p: Tensor
) -> dict[str, Tensor]:
    index = skeleton.order.index(joint.name)
    P, C = skeleton.parent_rotation[index], skeleton.child_rotation_inverse[index].mT
    turned = P.mT @ R_ground_body @ C
    origin = p + _applied(R_ground_body, skeleton.child_translation[index])
    moved = (origin - skeleton.parent_translation[index]) @ P
    turns = torch.tensor([a.axis for a in joint.rotations]).to(P)
    slides = torch.tensor([a.axis for a in joint.translations]).to(P)
    amounts = torch.cat([_turns_about(turns, turned), moved @ slides.mT], -1)
    values = {}
    for amount, axis in zip(amounts.unbind(-1), (*joint.rotations, *joint.translations)):
        slope, offset = axis.function.line
        values[axis.coordinate] = (amount - offset) / slope
    return values


def _turns_about(axes: Tensor, R: Tensor) -> Float[Tensor, "frame 3"]:
    """Angles of three successive turns about orthogonal axes; in their basis Euler's about x, y, z."""
    Q = axes @ R @ axes.mT
    sense = torch.det(axes).sign()  # seen from a left-handed basis every turn is the other way
    y = torch.asin(Q[:, 0, 2].clamp(-1, 1))
    x, z = torch.atan2(-Q[:, 1, 2], Q[:, 2, 2]), torch.atan2(-Q[:, 0, 1], Q[:, 0, 0])
    return sense * _unwrapped(torch.stack([x, y, z], -1))


def _unwrapped(angles: Float[Tensor, "frame 3"]) -> Float[Tensor, "frame 3"]:
    """Whole turns added so that no angle jumps from one frame to the next."""
    jumps = torch.round(angles.diff(dim=0) / (2 * math.pi)).cumsum(0)
    return torch.cat([angles[:1], angles[1:] - 2 * math.pi * jumps])
