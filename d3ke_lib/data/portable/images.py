"""Random normal numbers, evenly spaced numbers and bilinear interpolation."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from d3ke_lib.data.portable.functions import cos, log, square_root


def draw_normal(size: Sequence[int], *, generator: Any = None, dtype: Any = None, **_: object) -> Tensor:
    """Box and Muller's."""
    u, v = torch.rand(2, *size, generator=generator, dtype=torch.float64)
    return (square_root(-2 * log(1 - u)) * cos(2 * math.pi * v)).to(dtype or torch.get_default_dtype())


def space_evenly(
    start: float | int, end: float | int, steps: int, *, dtype: Any = None, **_: object
) -> Tensor:
    number = torch.arange(steps, dtype=torch.float64)
    return (start + number * ((end - start) / max(steps - 1, 1))).to(dtype or torch.get_default_dtype())


def enlarge(image: Tensor, size: Sequence[int], align_corners: bool, *_: object) -> Tensor:
    """Bilinear, corners not aligned."""
    if align_corners:
        raise NotImplementedError("bilinear interpolation: expected corners not aligned")
    for axis, wanted in zip((-2, -1), size):
        count = image.shape[axis]
        at = ((torch.arange(wanted, dtype=image.dtype) + 0.5) * (count / wanted) - 0.5).clamp(0, count - 1)
        first = at.floor()
        share = at - first if axis == -1 else (at - first)[:, None]
        first = first.to(torch.int64)
        low, high = (image.index_select(axis, i.clamp(max=count - 1)) for i in (first, first + 1))
        image = low + share * (high - low)
    return image


def sample(image: Tensor, grid: Tensor, *kind: object) -> Tensor:
    """Bilinear samples of (batch, channel, height, width), 0 outside, corners not aligned."""
    if any(kind):
        raise NotImplementedError("grid_sample: expected bilinear, zeros outside, corners not aligned")
    height, width = image.shape[-2:]
    x, y = ((grid[..., i] + 1) * (size * 0.5) - 0.5 for i, size in ((0, width), (1, height)))
    left, top = x.floor(), y.floor()
    right, below = x - left, y - top
    flat = image.flatten(2)
    total = None
    for row, up in ((top, 1 - below), (top + 1, below)):
        for column, side in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).to(torch.int64)
            index = index.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
            part = flat.gather(2, index) * (up * side * inside).flatten(1)[:, None]
            total = part if total is None else total + part
    return total.unflatten(2, grid.shape[1:3])
