"""Where a person is, from a box or landmarks in the image: poses are relative to the pelvis."""

from operator import itemgetter

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, from_pixels, pixels

_FILL = 0.92  # of the box is spanned by joints and markers (embedded data: 0.92 ± 0.01)
_SMOOTH_S = 0.2  # the distance is only as steady as the box
_CHUNK = 1024  # frames at once: memory does not grow with the video
_ITERATIONS = 8
_NEAREST = 0.3  # m from the camera, of any point
_SMOOTH_ACROSS_S = 0.03  # across the line of sight landmarks say more


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


def estimate_positions_by_landmarks(
    sites: Skeleton,
    pose: Pose,
    image: Float[Tensor, "frame 33 2"],
    visibility: Float[Tensor, "frame 33"],
    camera: Camera,
    fps: float,
) -> Float[Tensor, "frame 3"]:
    """The root joint in the camera (m), so that the body's landmarks come nearest to those in the image.

    `sites`: the pose's skeleton with the landmarks as markers; `pose` (frame,) is in the camera's frame.
    """
    plane = from_pixels(camera, image)
    found = []
    for first in range(0, len(image), _CHUNK):
        cut = slice(first, first + _CHUNK)
        points = sites(apply(itemgetter(cut), pose)).markers
        found.append(_meet_landmarks(points, plane[cut], visibility[cut].square()))
    position = torch.cat(found).numpy()
    distance = gaussian_filter1d(position[:, 2:], _SMOOTH_S * fps, axis=0, mode="nearest")
    across = position[:, :2] / position[:, 2:]
    across = gaussian_filter1d(across, _SMOOTH_ACROSS_S * fps, axis=0, mode="nearest")
    return torch.from_numpy(np.concatenate([across * distance, distance], -1)).float()


def _meet_landmarks(
    points: Float[Tensor, "frame 33 3"], plane: Float[Tensor, "frame 33 2"], weight: Float[Tensor, "frame 33"]
) -> Float[Tensor, "frame 3"]:
    """t of each frame that minimises Σ weight · |(x + tx, y + ty) − plane · (z + tz)|²."""
    rows = torch.zeros(*points.shape[:2], 2, 3)
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -plane
    right = plane * points[..., 2:] - points[..., :2]
    normal = torch.einsum("fl,flij,flik->fjk", weight, rows, rows)
    found = torch.linalg.solve(
        normal + 1e-6 * torch.eye(3), torch.einsum("fl,flij,fli->fj", weight, rows, right)
    )
    nearest = points[..., 2].amin(-1).neg() + _NEAREST
    return torch.cat([found[:, :2], torch.maximum(found[:, 2], nearest)[:, None]], -1)
