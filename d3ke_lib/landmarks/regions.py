"""Rotated squares around a person, and what of a frame is in them."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from d3ke_lib.data.video import Frame

_LARGER = 1.25  # the square's side over twice the distance of the two alignment points


class Region(NamedTuple):
    """A square: centre (x, y) and side in px of the frame, rotation in rad (clockwise in the image)."""

    center: tuple[float, float]
    side: float
    rotation: float


def region_between(hips: Float[np.ndarray, " 2"], top: Float[np.ndarray, " 2"]) -> Region:
    """BlazePose's region: around the middle of the hips, upright from there to the second alignment point."""
    across, down = (top - hips).tolist()
    rotation = math.pi / 2 - math.atan2(-down, across)
    rotation = math.remainder(rotation, 2 * math.pi)
    return Region((float(hips[0]), float(hips[1])), 2 * _LARGER * math.hypot(across, down), rotation)


def whole_frame(frame: Frame) -> Region:
    """The smallest square that holds the frame."""
    height, width = frame.shape[:2]
    return Region((width / 2, height / 2), float(max(height, width)), 0.0)


def to_frame(region: Region, inside: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """Coordinates in the region, 0 … 1 from its upper left corner, as px of the frame."""
    return region.side * rotate(region.rotation, inside - 0.5) + np.array(region.center)


def rotate(rotation: float, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    cosine, sine = math.cos(rotation), math.sin(rotation)
    return xy @ np.array([[cosine, sine], [-sine, cosine]], dtype=xy.dtype)


def fits(region: Region, frame: Frame) -> bool:
    """Whether a person can be in the region: its centre near the frame, its side of a person's size."""
    size = np.array(frame.shape[1::-1])
    center = np.array(region.center)
    near = bool((center > -0.5 * size).all() and (center < 1.5 * size).all())
    return near and 8 < region.side < 6 * max(frame.shape)


def are_close(a: Region, b: Region) -> bool:
    """Whether both may well be of one person: centres within a third of the side, sides alike."""
    larger, smaller = max(a.side, b.side), min(a.side, b.side)
    return math.dist(a.center, b.center) < larger / 3 and larger < 2 * smaller


def cut(frame: Frame, region: Region, px: int, replicate: bool) -> UInt8[np.ndarray, "px px 3"]:
    """The region as an image of px × px, bilinear; beyond the frame its border is repeated, or black."""
    corners = to_frame(region, np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    low = np.floor(corners.min(0)).astype(int) - 2
    high = np.ceil(corners.max(0)).astype(int) + 2
    part = _slice(frame, low, high, replicate)
    right, down = rotate(region.rotation, np.eye(2)) * (region.side / px)
    # Pixels at whole numbers instead of halves: so mediapipe samples, and the networks were trained on it.
    x, y = to_frame(region, np.zeros(2)) - low + 0.5 - (right + down) / 2
    affine = (right[0], down[0], x, right[1], down[1], y)
    image = Image.fromarray(part).transform(
        (px, px), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
    )
    return np.asarray(image)


def _slice(
    frame: Frame, low: np.ndarray, high: np.ndarray, replicate: bool
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Rows and columns low … high of the frame, padded where they are beyond it."""
    size = np.array(frame.shape[1::-1])
    # At least one row and column of the frame, so that there is something to repeat.
    first, last = low.clip(0, size - 1), high.clip(1, size)
    part = frame[first[1] : last[1], first[0] : last[0]]
    before, after = (first - low).clip(0), (high - last).clip(0)
    if not (before.any() or after.any()):
        return np.ascontiguousarray(part)
    pads = ((before[1], after[1]), (before[0], after[0]), (0, 0))
    return np.pad(part, pads, mode="edge" if replicate else "constant")
