"""What scenes have in common: random streams, sizes of subjects, boxes and labels.

World: z up, the floor at 0, m; float64.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.camera import Camera, to_camera

# Purposes of the random streams (seed, subject, …, purpose).
SIZE, STYLE, CLOTHES, TAKE, ROOM = range(5)
# Standard deviations: of all lengths together (of the mean), of each length and each side (of the amplitude).
_STATURE_SD, _LENGTH_SD, _SIDE_SD = 0.055, 0.17, 0.04
# The box extends beyond the surface by this share of its side.
_PAD = 0.02


def draw_scales(skeleton: Skeleton, generator: torch.Generator) -> Float[Tensor, " unique"]:
    """Unique scale factors: all lengths together, then each length, left and right nearly alike.

    Inside D3KE's mean ± amplitude; statures come out at 1.72 m ± 0.09 m.
    """
    middle, half = skeleton.scale_middle, skeleton.scale_half
    own, side = torch.randn(2, len(middle), generator=generator, dtype=torch.float64).to(middle)
    size = torch.randn((), generator=generator, dtype=torch.float64).clamp(-2.2, 2.2).to(middle)
    own = own[torch.minimum(_opposite(skeleton), torch.arange(len(middle)))]
    change = _STATURE_SD * size * middle + half * (_LENGTH_SD * own + _SIDE_SD * side)
    return middle + change.clamp(-half, half)


def _opposite(skeleton: Skeleton) -> Tensor:
    """Index of each unique scale factor's counterpart on the other side (its own on the midline)."""
    other = torch.arange(len(skeleton.scale_middle))
    other[skeleton.scale_index.flatten()] = skeleton.scale_index[list(D3KE.mirror_bones)].flatten()
    return other


def square_around(
    low: Float[Tensor, "*batch 2"], high: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 4"]:
    """The square (x0, y0, x1, y1, px) that holds what extends from `low` to `high`, slightly wider."""
    half = (0.5 + _PAD) * (high - low).amax(-1, keepdim=True)
    return torch.cat([(low + high) / 2 - half, (low + high) / 2 + half], -1)


def label_columns(pose: Pose, points: Points, crop: Camera, box: Float[Tensor, "time 4"]) -> dict[str, Any]:
    """The labels of each frame, in the crop's camera frame; all are valid."""
    joints, markers = (to_camera(crop, part) for part in points)
    return {
        "angles": pose.angles,
        "scales": pose.scales,
        "R_camera_root": crop.R @ pose.R_ground_root,
        "joints": joints,
        "markers": markers,
        "valid_angles": torch.ones_like(pose.angles, dtype=torch.bool),
        "valid_joints": torch.ones_like(joints[..., 0], dtype=torch.bool),
        "valid_markers": torch.ones_like(markers[..., 0], dtype=torch.bool),
        "focal": crop.focal,
        "center": crop.center,
        "R_camera_world": crop.R,
        "t_camera_world": crop.t,
        "box": box,
    }
