"""The methods that see landmarks, not pixels: `lifted` (a network) and `landmarks` (inverse kinematics).

Both begin with BlazePose's landmarks, which come from real people; a frame in which the detector finds nobody
gets no pose, unless it lies in a short gap.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn.functional import pad

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, from_pixels
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.experiment.video.request import R_GROUND_CAMERA
from d3ke_lib.landmarks import Landmarks
from d3ke_lib.landmarks.features import to_features
from d3ke_lib.landmarks.lifter import RATE, WINDOW, Lifter
from d3ke_lib.landmarks.multi_step import fit_landmarks, fit_skeleton

_GAP_S = 0.5  # a longer time without the person is an absence
_MARGIN = 0.08  # of the box around the landmarks, of its longer side, on each side
_SMOOTH_S = 0.1  # of boxes
_CHUNK = 512  # windows at once: memory does not grow with the video
CROP_PX = 256


class Followed(NamedTuple):
    """A person's landmarks in the frames `rows` of a video, gaps of a moment interpolated (`seen` False)."""

    rows: Int[np.ndarray, " frame"]
    times: Float[np.ndarray, " frame"]  # s
    seen: Bool[np.ndarray, " frame"]
    image: Float[Tensor, "frame 33 2"]  # px
    world: Float[Tensor, "frame 33 3"]  # m, in the axes of the camera that looks at the person
    visibility: Float[Tensor, "frame 33"]
    boxes: Float[Tensor, "frame 4"]
    crops: Camera  # (frame,) look at the boxes


def follow(landmarks: Landmarks, times: Float[np.ndarray, " time"], camera: Camera) -> Followed:
    """The frames that show the person, or hide them for at most GAP_S; raises ValueError for none."""
    known = np.flatnonzero(landmarks.valid)
    if not len(known):
        raise ValueError("landmarks: expected a frame with a person, found none")
    every = np.arange(known[0], known[-1] + 1)
    before = known[np.searchsorted(known, every, "right") - 1]
    after = known[np.searchsorted(known, every)]
    rows = every[(times[after] - times[before] <= _GAP_S) | (before == after)]
    seen = landmarks.valid[rows]
    parts = [_interpolated(part, times, known, rows) for part in landmarks[:3]]
    parts[2] = parts[2] * torch.from_numpy(seen)[:, None]
    boxes = _boxes(parts[0], times[rows], rows)
    return Followed(rows, times[rows], seen, *parts, boxes, crop_camera(camera, boxes, CROP_PX))


def _interpolated(
    part: Float[np.ndarray, "time *rest"], times: np.ndarray, known: np.ndarray, rows: np.ndarray
) -> Float[Tensor, "frame *rest"]:
    flat = part.reshape(len(part), -1)
    columns = [np.interp(times[rows], times[known], column) for column in flat[known].T]
    return torch.from_numpy(np.stack(columns, -1).reshape(len(rows), *part.shape[1:])).float()


def _boxes(
    image: Float[Tensor, "frame 33 2"], times: np.ndarray, rows: np.ndarray
) -> Float[Tensor, "frame 4"]:
    """Around all landmarks, smoothed over time in each stretch."""
    low, high = image.amin(1), image.amax(1)
    margin = _MARGIN * (high - low).amax(-1, keepdim=True)
    boxes = torch.cat([low - margin, high + margin], -1).numpy()
    parts = [
        gaussian_filter1d(boxes[part], _SMOOTH_S / _spacing(times), axis=0, mode="nearest")
        for part in stretches(rows)
    ]
    return torch.from_numpy(np.concatenate(parts))


def _spacing(times: np.ndarray) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def stretches(rows: Int[np.ndarray, " frame"]) -> Iterator[slice]:
    """Parts of consecutive frames."""
    edges = [0, *(np.flatnonzero(np.diff(rows) > 1) + 1).tolist(), len(rows)]
    yield from (slice(a, b) for a, b in itertools.pairwise(edges))


# --- lifted -----------------------------------------------------------------------------------------------


@torch.no_grad()
def lift(lifter: Lifter, person: Followed, camera: Camera) -> Pose:
    """The network's poses in the camera's frame, from a window around each frame at the rate of its training.

    Where the video's rate is another, the window's landmarks are interpolated; past an end, the end repeats.
    """
    flat = from_pixels(camera, person.image)
    looked = (pad(flat, (0, 1), value=1.0) @ person.crops.R.mT)[..., :3]
    features = to_features(looked[..., :2] / looked[..., 2:], person.world, person.visibility)
    found = []
    for part in stretches(person.rows):
        times, rows = person.times[part], features[part]
        for some in np.split(times, range(_CHUNK, len(times), _CHUNK)):
            found.append(apply(lambda x: x[:, 0], lifter(_windows(rows, times, some))[0]))
    pose = stored_predictions.concatenate(found)
    scales = pose.scales.mean(0).expand_as(pose.scales)  # a person's size is constant
    return Pose(pose.angles, scales, person.crops.R.mT @ pose.R_ground_root)


def _windows(
    rows: Float[Tensor, "time feature"], times: np.ndarray, some: np.ndarray
) -> Float[Tensor, "frame window feature"]:
    wanted = (some[:, None] + (np.arange(WINDOW) - WINDOW // 2) / RATE).clip(times[0], times[-1])
    after = np.searchsorted(times, wanted).clip(min(1, len(times) - 1), len(times) - 1)
    before = (after - 1).clip(0)
    share = (wanted - times[before]) / np.maximum(times[after] - times[before], 1e-9)
    return torch.lerp(rows[before], rows[after], torch.from_numpy(share).float()[..., None])


# --- landmarks → inverse kinematics -----------------------------------------------------------------------


def fit(skeleton: Skeleton, person: Followed, fps: float) -> Pose:
    """Poses in the camera's frame by scaling and inverse kinematics; `skeleton`: the pose's."""
    in_camera = person.world @ person.crops.R
    R = torch.tensor(R_GROUND_CAMERA)
    every = torch.from_numpy(person.rows - person.rows[0])
    world = torch.full((int(every[-1]) + 1, *in_camera.shape[1:]), torch.nan)
    visibility = torch.zeros(world.shape[:2])
    seen = torch.from_numpy(person.seen)
    world[every[seen]], visibility[every[seen]] = (in_camera @ R.T)[seen], person.visibility[seen]
    pose = fit_landmarks(fit_skeleton(skeleton.body), world, visibility, fps)
    pose = apply(lambda part: part[every].float(), pose)
    return pose._replace(R_ground_root=R.T @ pose.R_ground_root)
