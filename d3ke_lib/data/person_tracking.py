"""The box of the person who moves, by background subtraction: for a camera that stands still.

No detector and no weights: what differs from the median picture is cut into regions, regions are followed
from frame to frame, and the one that covers most (area × frames) is taken for the person. It is checked by
looking (boxes.png of a prediction), not trusted.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage as ndimage
from jaxtyping import Bool, Float, UInt8
from scipy.signal import savgol_filter

from d3ke_lib.data.video import VideoError

SAMPLES = 41  # frames that the background's median is taken from
CONTRAST = 24  # of 255: a pixel that differs this much from the background moves
JOIN = 0.03  # pieces closer than this share of the picture's longer side are one region
SMALLEST = 0.002  # of the picture's area: smaller regions are leaves, noise, compression
SHARED = 0.3  # of the smaller box: a region that shares this much with a track's last box goes on with it
GROWTH = 1.6
GAP_S = 0.5  # a person hidden for longer is a new one
SMOOTH_S = 0.15
MARGIN = 0.03  # of the box's longer side, on each side: thresholding eats hands and feet


class Track(NamedTuple):
    """One person's boxes in consecutive frames from `start` on: (x0, y0, x1, y1) in px of those frames."""

    start: int
    boxes: Float[np.ndarray, "frame 4"]


def box_by_motion(frames: UInt8[np.ndarray, "frame height width 3"], fps: float) -> Track:
    """The moving person's boxes, smoothed in time and kept inside the picture; only frames where one is seen.

    Raises VideoError when nothing moves, or everything does (a moving camera).
    """
    moving = _moving(frames)
    if moving.mean() > 0.5:
        raise VideoError("more than half of the picture moves (a moving camera?): give BOX=x,y,w,h")
    tracks: list[dict[int, np.ndarray]] = []
    for index, mask in enumerate(moving):
        _extend(tracks, index, _regions(mask), GAP_S * fps)
    best = max(tracks, key=_weight, default={})
    if len(best) < 2:
        raise VideoError("nothing the size of a person moves: give BOX=x,y,w,h")
    return _smooth(best, frames.shape[1:3], fps)


def _moving(frames: UInt8[np.ndarray, "frame height width 3"]) -> Bool[np.ndarray, "frame height width"]:
    chosen = np.linspace(0, len(frames) - 1, min(SAMPLES, len(frames))).round().astype(int)
    background = np.median(frames[chosen], axis=0).astype(np.int16)
    difference = np.stack([np.abs(frame - background).max(-1).astype(np.uint8) for frame in frames])
    return ndimage.median_filter(difference, (1, 3, 3)) > CONTRAST


def _regions(mask: Bool[np.ndarray, "height width"]) -> list[Float[np.ndarray, " 5"]]:
    """Boxes of joined moving regions and their moving area in px: (x0, y0, x1, y1, area)."""
    reach = max(1, round(JOIN * max(mask.shape) / 2))
    labels, _ = ndimage.label(ndimage.binary_dilation(mask, iterations=reach))
    labels[~mask] = 0
    found = []
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        area = np.count_nonzero(labels[where] == number) if where else 0
        if area >= SMALLEST * mask.size:
            y, x = where
            found.append(np.array([x.start, y.start, x.stop, y.stop, area], float))
    return found


def _extend(tracks: list[dict], index: int, regions: list[Float[np.ndarray, " 5"]], gap: float) -> None:
    """Gives each region to the living track whose last box it shares most with; one without begins a track.

    A track may take several: a shirt the colour of the hedge behind it cuts a person in two. It takes none
    that would make it grow at once by more than GROWTH: that is a change of light, or somebody else.
    """
    living = [track for track in tracks if index - max(track) <= gap]
    last = [track[max(track)] for track in living]
    size = [max(_longer_side(track[i]) for i in sorted(track)[-int(gap) :]) for track in living]
    for region in regions:
        shares = [shared_area(box, region) / min(area_of(box), area_of(region)) for box in last]
        nearest = int(np.argmax(shares)) if shares else -1
        if nearest < 0 or shares[nearest] < SHARED:
            tracks.append({index: region})
            continue
        track = living[nearest]
        joined = union(track[index], region) if index in track else region
        if _longer_side(joined) <= GROWTH * size[nearest]:
            track[index] = joined


def _longer_side(box: Float[np.ndarray, " _"]) -> float:
    return float((box[2:4] - box[:2]).max())


def area_of(box: Float[np.ndarray, " _"]) -> float:
    return float(np.prod(box[2:4] - box[:2]))


def shared_area(a: Float[np.ndarray, " _"], b: Float[np.ndarray, " _"]) -> float:
    return float(np.prod((np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])).clip(min=0)))


def union(a: Float[np.ndarray, " 5"], b: Float[np.ndarray, " 5"]) -> Float[np.ndarray, " 5"]:
    """The box round both, and the sum of their moving areas."""
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:4], b[2:4]), a[4:] + b[4:]])


def _weight(track: dict[int, np.ndarray]) -> float:
    return sum(region[4] for region in track.values())


def _smooth(track: dict[int, np.ndarray], shape: tuple[int, int], fps: float) -> Track:
    at = np.arange(min(track), max(track) + 1)
    known = np.array(sorted(track))
    raw = np.array([track[i][:4] for i in known])
    boxes = np.stack([np.interp(at, known, side) for side in raw.T], -1)
    boxes = ndimage.median_filter(boxes, (2 * round(SMOOTH_S * fps) + 1, 1), mode="nearest")
    boxes = savgol_filter(boxes, min(4 * round(SMOOTH_S * fps) + 1, (len(boxes) - 1) // 2 * 2 + 1), 1, axis=0)
    margin = MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True)
    boxes = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)
    height, width = shape
    return Track(int(at[0]), boxes.clip(0, [width, height, width, height]))
