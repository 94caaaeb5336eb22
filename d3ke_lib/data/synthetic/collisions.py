"""How deep a posed body's surface penetrates itself."""

import math
from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.renderer.body_surface import BodySurface, Cones, pose_surface

_NEIGHBOURS = 1  # joints between two bodies whose cones may overlap
_SPREAD_DEG = {"hip_adduction_r": -15, "hip_adduction_l": -15, "shoulder_elv": 60, "shoulder_elv_l": 60}


def penetration_depth(cones: Cones, pairs: Bool[Tensor, "cone cone"]) -> Float[Tensor, "*batch"]:
    """m: the largest overlap of two cones among `pairs`, each taken as a capsule of its mean radius."""
    return _overlaps(cones, pairs).amax(-1).clamp(min=0)


def _overlaps(cones: Cones, pairs: Bool[Tensor, "cone cone"]) -> Float[Tensor, "*batch pair"]:
    i, j = pairs.nonzero(as_tuple=True)
    radius = (cones.ra + cones.rb) / 2
    distance = _segment_distance(*(end[..., k, :] for k in (i, j) for end in (cones.a, cones.b)))
    return radius[..., i] + radius[..., j] - distance


def separable_pairs(skeleton: Skeleton, surface: BodySurface) -> Bool[Tensor, "cone cone"]:
    """Pairs of cones on bodies more than `_NEIGHBOURS` joints apart that do not overlap with limbs spread.

    `skeleton` in float64.
    """
    far = _far_pairs(skeleton, surface)
    angles = torch.zeros(1, len(skeleton.coordinates), dtype=torch.float64)
    for name, degrees in _SPREAD_DEG.items():
        angles[:, skeleton.coordinates.index(name)] = math.radians(degrees)
    pose = Pose(angles, skeleton.generic_scales[None], torch.eye(3, dtype=torch.float64)[None])
    overlap = _overlaps(pose_surface(surface, skeleton, pose, torch.zeros(1, 3, dtype=torch.float64)), far)
    separable = far.clone()
    separable[far] = overlap[0] <= 0
    return separable


def _far_pairs(skeleton: Skeleton, surface: BodySurface) -> Bool[Tensor, "cone cone"]:
    joints = {joint.child.body: joint.parent.body for joint in skeleton.body.joints}

    @cache
    def ancestors(body: str) -> tuple[str, ...]:
        return (body, *(ancestors(joints[body]) if body in joints else ()))

    def apart(one: str, other: str) -> bool:
        first, second = ancestors(one), ancestors(other)
        common = next((body for body in first if body in second), None)
        if common is None:
            return True
        return first.index(common) + second.index(common) > _NEIGHBOURS

    count = len(surface.body)
    rows = [[j > i and apart(surface.body[i], surface.body[j]) for j in range(count)] for i in range(count)]
    return torch.tensor(rows)


def _segment_distance(
    a: Float[Tensor, "*batch 3"],
    b: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
    d: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """Distance of the segments a–b and c–d (Ericson, Real-Time Collision Detection, 5.1.9)."""
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = ((p * q).sum(-1) for p, q in ((u, u), (v, v), (u, v)))
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    uu, vv = uu.clamp(min=1e-9), vv.clamp(min=1e-9)
    s = ((uv * vw - uw * vv) / (uu * vv - uv * uv).clamp(min=1e-12)).clamp(0, 1)
    t = (uv * s + vw) / vv
    s = torch.where(t < 0, -uw / uu, torch.where(t > 1, (uv - uw) / uu, s)).clamp(0, 1)
    return (w + s[..., None] * u - t.clamp(0, 1)[..., None] * v).norm(dim=-1)
