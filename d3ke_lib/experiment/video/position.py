"""How far away a person is, from the size of the box alone: the networks predict relative to the pelvis."""

from operator import itemgetter

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, pixels

_FILL = 0.92  # of the box is spanned by joints and markers (embedded data: 0.92 ± 0.01)
_SMOOTH_S = 0.2  # the distance is only as steady as the box
_CHUNK = 1024  # frames at once: memory does not grow with the video
_ITERATIONS = 8


def estimate_positions(
    skeleton: Skeleton, pose: Pose, crops: Camera, px: int, fps: float
) -> Float[Tensor, "frame 3"]:
    """The root joint in the video's camera (m), so that the body fills its box; smoothed over time.

    `pose` (frame,) is in the frame of `crops` (frame,), cameras of px × px. Distance and direction carry the
    box's errors.
    """
    found = []
    for first in range(0, len(pose.angles), _CHUNK):
        cut = itemgetter(slice(first, first + _CHUNK))
        found.append(_fit_box(skeleton, apply(cut, pose), apply(cut, crops), px))
    sigma = _SMOOTH_S * fps
    return torch.from_numpy(gaussian_filter1d(torch.cat(found).numpy(), sigma, axis=0, mode="nearest"))


def _fit_box(skeleton: Skeleton, pose: Pose, crops: Camera, px: int) -> Float[Tensor, "frame 3"]:
    points = torch.cat(skeleton(pose), -2)
    size = (points.amax(-2) - points.amin(-2))[:, :2].amax(-1)
    position = torch.stack([0 * size, 0 * size, crops.focal[:, 0] * size / (_FILL * px)], -1)
    for _ in range(_ITERATIONS):
        flat = pixels(crops, points + position[:, None])
        low, high = flat.amin(-2), flat.amax(-2)
        position = position * ((high - low).amax(-1) / (_FILL * px))[:, None].clamp(0.5, 2)
        shift = (px / 2 - (low + high) / 2) * position[:, 2:] / crops.focal
        position = position + F.pad(shift, (0, 1))
    return (crops.R.mT @ position[..., None])[..., 0]
