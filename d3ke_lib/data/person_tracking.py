"""Boxes of the persons who move, by background subtraction: for a camera that stands still.

No detector and no weights: what differs from the median frame is cut into regions, and regions are followed
from frame to frame. The result is meant to be checked by eye (boxes.png of a prediction), not trusted.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.ndimage as ndimage
from jaxtyping import Bool, Float, UInt8
from scipy.signal import savgol_filter

from d3ke_lib.data.video import Frame, Thumbnails, VideoError

MARGIN = 0.03  # of the box's longer side, on each side: thresholding eats hands and feet
_SAMPLES = 41  # frames that the background's median is taken from
_CONTRAST = 24  # of 255: a pixel that differs this much from the background moves
_JOIN = 0.03  # pieces closer than this share of the frame's longer side are one region
_SMALLEST = 0.002  # of the frame's area: smaller regions are leaves, noise, compression
_SHARED = 0.3  # of the smaller box: a region that shares this much with a track's last box can extend it
_GROWTH = 1.6  # from one frame to the next; more is a change of light, or somebody else
_GAP_S = 0.5  # a person hidden for longer is a new one
_SMOOTH_S = 0.15
_SHORTEST_S, _SHORTEST = 0.4, 5  # s and frames: in less, a person hardly uncovers any background
_PERSON = 0.1  # of the largest track's moving area: smaller tracks are shadows, doors, limbs


class Track(NamedTuple):
    """One person's boxes in consecutive frames from `start` on: (x0, y0, x1, y1) in px of those frames."""

    start: int
    boxes: Float[np.ndarray, "frame 4"]
    seen: Bool[np.ndarray, " frame"]  # False: hidden for a moment, the box is interpolated


_Region = Float[np.ndarray, " 5"]  # x0, y0, x1, y1 in px and the moving area in px²


def box_by_motion(frames: UInt8[np.ndarray, "frame height width 3"] | Thumbnails, fps: float) -> Track:
    """The boxes of the person who moves most: the first of `boxes_by_motion`."""
    return boxes_by_motion(frames, fps)[0]


def boxes_by_motion(
    frames: UInt8[np.ndarray, "frame height width 3"] | Thumbnails, fps: float
) -> list[Track]:
    """Every moving person's boxes, who moves most (area × frames) first; only frames where one is seen.

    Boxes are smoothed over time and kept inside the frame. Raises VideoError where the video is too short,
    nothing moves, or everything does (a moving camera).
    """
    least = max(_SHORTEST, math.ceil(_SHORTEST_S * fps))
    if len(frames) < least:
        raise VideoError(
            f"too short to find a person by motion: expected at least {least} frames ({_SHORTEST_S:g} s), "
            f"found {len(frames)}: give BOX=x,y,w,h"
        )
    background = _background(frames)
    tracks: list[dict[int, _Region]] = []
    moving = 0.0
    for index, frame in enumerate(frames):
        mask = _moving(frame, background)
        moving += mask.mean() / len(frames)
        _extend(tracks, index, _regions(mask), max(1, round(_GAP_S * fps)))
    if moving > 0.5:
        raise VideoError("more than half of the image moves (a moving camera?): give BOX=x,y,w,h")
    persons = _persons(tracks)
    if not persons:
        raise VideoError("nothing the size of a person moves: give BOX=x,y,w,h")
    return [_smooth(person, background.shape[:2], fps) for person in persons]


def _background(frames: UInt8[np.ndarray, "frame height width 3"] | Thumbnails) -> Frame:
    chosen = np.linspace(0, len(frames) - 1, min(_SAMPLES, len(frames))).round().astype(int)
    return np.median(frames[chosen], axis=0).astype(np.uint8)


def _moving(frame: Frame, background: Frame) -> Bool[np.ndarray, "height width"]:
    difference = np.abs(frame.astype(np.int16) - background).max(-1).astype(np.uint8)
    return ndimage.median_filter(difference, 3) > _CONTRAST


def _regions(mask: Bool[np.ndarray, "height width"]) -> list[_Region]:
    """Boxes of joined moving regions and their moving area."""
    reach = max(1, round(_JOIN * max(mask.shape) / 2))
    labels, _ = ndimage.label(ndimage.binary_dilation(mask, iterations=reach))
    labels[~mask] = 0
    found = []
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        area = np.count_nonzero(labels[where] == number) if where else 0
        if area >= _SMALLEST * mask.size:
            y, x = where
            found.append(np.array([x.start, y.start, x.stop, y.stop, area], float))
    return found


def _extend(tracks: list[dict[int, _Region]], index: int, regions: list[_Region], gap: int) -> None:
    """Gives each region to the living track whose last box is most like it; one that meets none begins one.

    Likeness is intersection over union, so that a body's region goes to the body and not to an arm that was
    apart for a moment and lies inside it. A track may take several regions: a shirt the colour of the hedge
    behind it cuts a person in two. It takes none that would make it grow at once by more than _GROWTH.
    """
    living = [track for track in tracks if index - max(track) <= gap]
    last = [track[max(track)] for track in living]
    size = [max(_longer_side(track[i]) for i in sorted(track)[-gap:]) for track in living]
    for region in regions:
        met = [i for i, box in enumerate(last) if _share_of_smaller(box, region) >= _SHARED]
        if not met:
            tracks.append({index: region})
        for i in sorted(met, key=lambda i: -intersection_over_union(last[i], region)):
            track = living[i]
            joined = _union(track[index], region) if index in track else region
            if _longer_side(joined) <= _GROWTH * size[i]:
                track[index] = joined
                break


def intersection_over_union(a: Float[np.ndarray, " _"], b: Float[np.ndarray, " _"]) -> float:
    """Of two boxes (x0, y0, x1, y1, …): 1 where they are equal, 0 where they do not meet."""
    shared = _shared_area(a, b)
    return shared / (_area(a) + _area(b) - shared)


def _share_of_smaller(a: Float[np.ndarray, " _"], b: Float[np.ndarray, " _"]) -> float:
    return _shared_area(a, b) / min(_area(a), _area(b))


def _shared_area(a: Float[np.ndarray, " _"], b: Float[np.ndarray, " _"]) -> float:
    return float(np.prod((np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])).clip(min=0)))


def _area(box: Float[np.ndarray, " _"]) -> float:
    return float(np.prod(box[2:4] - box[:2]))


def _longer_side(box: Float[np.ndarray, " _"]) -> float:
    return float((box[2:4] - box[:2]).max())


def _union(a: _Region, b: _Region) -> _Region:
    """The box round both, and the sum of their moving areas."""
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:4], b[2:4]), a[4:] + b[4:]])


def _persons(tracks: list[dict[int, _Region]]) -> list[dict[int, _Region]]:
    """Tracks of at least two frames that move enough for a person, largest first."""
    moved = [sum(region[4] for region in track.values()) for track in tracks]
    order = sorted(range(len(tracks)), key=lambda i: -moved[i])
    return [tracks[i] for i in order if len(tracks[i]) > 1 and moved[i] >= _PERSON * max(moved)]


def _smooth(track: dict[int, _Region], shape: tuple[int, ...], fps: float) -> Track:
    index = np.arange(min(track), max(track) + 1)
    known = np.array(sorted(track))
    raw = np.array([track[i][:4] for i in known])
    boxes = np.stack([np.interp(index, known, side) for side in raw.T], -1)
    reach = round(_SMOOTH_S * fps)
    boxes = ndimage.median_filter(boxes, (2 * reach + 1, 1), mode="nearest")
    window = min(4 * reach + 1, (len(boxes) - 1) // 2 * 2 + 1)
    if window > 2:
        boxes = savgol_filter(boxes, window, 1, axis=0)
    margin = MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True)
    boxes = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)
    height, width = shape
    seen = np.isin(index, known)
    return Track(int(index[0]), boxes.clip(0, [width, height, width, height]), seen)
