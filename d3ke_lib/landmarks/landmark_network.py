"""The landmark network's output for one region of a frame: 33 landmarks in 2-D and metric 3-D.

As mediapipe's graph pose_landmark_by_roi has it: positions refined by a heat map, six further points of which
two say where the person is in the next frame.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from d3ke_lib.data.video import Frame
from d3ke_lib.landmarks.names import NAMES
from d3ke_lib.landmarks.networks import Network, normalise
from d3ke_lib.landmarks.regions import Region, cut, fits, rotate, to_frame

COUNT = len(NAMES)
_POINTS = 39  # the landmarks, two alignment points, four that are not used
_SHARE = 0.5  # the network's score of a person, above which there is one
_REACH = 3  # cells of the heat map around a landmark that refine its position
_CONFIDENT = 0.5  # the heat map's highest value there, at least


class Observation(NamedTuple):
    """One person in one frame."""

    image: Float[np.ndarray, "33 2"]  # px of the frame
    world: Float[np.ndarray, "33 3"]  # m from the middle of the hips: x right, y down, z away from the camera
    visibility: Float[np.ndarray, " 33"]  # 0 … 1
    alignment: Float[np.ndarray, "2 2"]  # px: middle of the hips, and how far the person extends upwards


def observe(landmarker: Network, frame: Frame, region: Region) -> Observation | None:
    """The person in a region of the frame; None where the network sees nobody there."""
    if not fits(region, frame):
        return None
    image = normalise(cut(frame, region, landmarker.px, replicate=True), 0.0, 1.0)
    outputs = landmarker(image)
    if outputs[1, 1][0, 0] <= _SHARE:
        return None
    raw = outputs[1, 5 * _POINTS][0].reshape(_POINTS, 5).astype(np.float64)
    inside = _refine(raw[:, :2] / landmarker.px, outputs[1, 64, 64, _POINTS][0])
    points = to_frame(region, inside)
    world = outputs[1, 3 * _POINTS][0].reshape(_POINTS, 3)[:COUNT].astype(np.float64)
    world[:, :2] = rotate(region.rotation, world[:, :2])
    return Observation(points[:COUNT], world, _sigmoid(raw[:COUNT, 3]), points[COUNT : COUNT + 2])


def _sigmoid(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return 1 / (1 + np.exp(-x))


def _refine(
    inside: Float[np.ndarray, "point 2"], heat: Float[np.ndarray, "row column point"]
) -> Float[np.ndarray, "point 2"]:
    """Positions (0 … 1) moved to the mean of the heat map around them, where it is confident."""
    cells, refined = np.array(heat.shape[1::-1]), inside.copy()
    for point, at in enumerate((inside * cells).astype(int)):
        if (at < 0).any() or (at >= cells).any():
            continue
        (x0, y0), (x1, y1) = (at - _REACH).clip(0), (at + _REACH + 1).clip(max=cells)
        share = _sigmoid(heat[y0:y1, x0:x1, point].astype(np.float64))
        if share.max() >= _CONFIDENT:
            mean = share.sum(0) @ np.arange(x0, x1), share.sum(1) @ np.arange(y0, y1)
            refined[point] = np.array(mean) / share.sum() / cells
    return refined
