"""Numbers of a network → Pose (range mapping and rotation, as in D3KE) or Points; in float32 or better."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer

ROTATION = 6
Head = Literal[
    "pose", "points"
]  # what a network predicts: D3KE's pose, or positions for a multi-step pipeline


def width(skeleton: SkeletonLayer) -> int:
    """Outputs of a network: a 6-D rotation, the unique scales, the angles (D3KE: 6 + 51 + 69 = 126)."""
    return ROTATION + len(skeleton.scale_middle) + len(skeleton.angle_middle)


def points_width(skeleton: SkeletonLayer) -> int:
    """Outputs of a network that predicts positions: 3 per joint and marker (D3KE: 3 · 115 = 345)."""
    return 3 * (len(skeleton.joints) + len(skeleton.markers))


def full_precision(tensor: Tensor) -> torch.autocast:
    """Autocast off on the tensor's device: a bf16 angle would be off by up to half a degree."""
    return torch.autocast(tensor.device.type, enabled=False)


def at_least_float32(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def gram_schmidt(columns: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation with the first column along columns[:3], the second in the plane with columns[3:].

    Zhou et al. 2019 (arXiv 1812.07035).
    """
    # Not roma.special_gramschmidt: its last bits differ, and with them every trained network; NaN at 0.
    x = torch.nn.functional.normalize(columns[..., :3], dim=-1)
    y = columns[..., 3:]
    y = torch.nn.functional.normalize(y - (x * y).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def to_unit(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Any number → (−1, 1)."""
    return 2 * torch.sigmoid(values) - 1


def to_pose(
    skeleton: SkeletonLayer, rotation: Float[Tensor, "*batch 6"], unit: Float[Tensor, "*batch value"]
) -> Pose:
    """Pose from a 6-D rotation and, in [−1, 1], the unique scales followed by the angles.

    Scale = mean + unit · amplitude; angle (rad) = middle of its range + unit · half of it.
    """
    scales = len(skeleton.scale_middle)
    unique = skeleton.scale_middle + unit[..., :scales] * skeleton.scale_half
    angles = skeleton.angle_middle + unit[..., scales:] * skeleton.angle_half
    return Pose(angles, skeleton.spread_scales(unique), gram_schmidt(rotation))


def to_points(skeleton: SkeletonLayer, values: Float[Tensor, "*batch value"]) -> Points:
    """Points, m, relative to the pelvis joint (joint 0), from x, y, z of every joint, then every marker."""
    points = values.unflatten(-1, (-1, 3))
    points = points - points[..., :1, :]
    count = len(skeleton.joints)
    return Points(points[..., :count, :], points[..., count:, :])
