"""The person detector's output: boxes and alignment points relative to anchors → regions, best first.

As mediapipe's graph pose_detection has it: SSD anchors of fixed size, weighted non-maximum suppression.
"""

from functools import cache

import numpy as np
from jaxtyping import Float

from d3ke_lib.data.person_tracking import intersection_over_union
from d3ke_lib.data.video import Frame
from d3ke_lib.landmarks.networks import Network, normalise
from d3ke_lib.landmarks.regions import Region, cut, region_between, to_frame, whole_frame

# Cells along each side of the three maps, and anchors per cell.
_MAPS = ((28, 2), (14, 2), (7, 6))
_SCORE = 0.5  # of a person
_OVERLAP = 0.3  # intersection over union of boxes that mean the same person
_CLIPPED = 100.0  # scores beyond it overflow


def detect_regions(detector: Network, frame: Frame) -> list[Region]:
    """Regions around the persons in a frame, the most certain first; none where there is nobody."""
    square = whole_frame(frame)
    image = normalise(cut(frame, square, detector.px, replicate=False), -1.0, 1.0)
    outputs = detector(image)
    count = len(_anchors())
    scores = 1 / (1 + np.exp(-outputs[1, count, 1][0, :, 0].clip(-_CLIPPED, _CLIPPED).astype(np.float64)))
    found = scores > _SCORE
    points = outputs[1, count, 12][0][found].reshape(-1, 6, 2) / detector.px
    points[:, [0, *range(2, 6)]] += _anchors()[found][:, None]
    people = suppress(points, scores[found])
    return [region_between(*to_frame(square, person[2:4].astype(np.float64))) for person in people]


@cache
def _anchors() -> Float[np.ndarray, "anchor 2"]:
    """Centres of the anchors, 0 … 1."""
    parts = []
    for cells, each in _MAPS:
        middle = (np.arange(cells) + 0.5) / cells
        grid = np.stack([np.tile(middle, cells), np.repeat(middle, cells)], -1)
        parts.append(np.repeat(grid, each, axis=0))
    return np.concatenate(parts).astype(np.float32)


def suppress(
    points: Float[np.ndarray, "found 6 2"], scores: Float[np.ndarray, " found"]
) -> list[Float[np.ndarray, "6 2"]]:
    """One detection per person: the mean of those that overlap the best one, weighted by their scores.

    A detection: its box's centre and size, then four alignment points.
    """
    boxes = np.concatenate([points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2], -1)
    left, merged = np.argsort(-scores, kind="stable"), []
    while len(left):
        best = boxes[left[0]]
        same = np.array([intersection_over_union(best, boxes[i]) > _OVERLAP for i in left])
        same[0] = True
        merged.append(np.average(points[left[same]], axis=0, weights=scores[left[same]]))
        left = left[~same]
    return merged
