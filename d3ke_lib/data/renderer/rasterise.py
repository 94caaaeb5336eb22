"""Which triangle of a mesh is nearest in every pixel: a depth buffer in torch, all frames at once.

Additions, products, quotients and comparisons only, and the nearest triangle is the minimum of integers: a
frame's bytes depend neither on the batch around it nor on the number of threads.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

_NEAR = 0.05  # m; a triangle with a corner nearer to the eye, or behind it, is not drawn
_DEPTH_STEPS = 2.0**31  # of 1/depth between 0 and 1/NEAR
_NUMBERS = 2**31  # fragments that one call can tell apart
_NOTHING = 2**62
_SEAM = 1e-4  # share by which triangles overlap, so that rounding leaves no hole between two


class Fragments(NamedTuple):
    """Pixels that show the mesh: number in (frame, row, column), triangle, shares of its corners 1 and 2."""

    pixel: Int[Tensor, " n"]
    frame: Int[Tensor, " n"]
    triangle: Int[Tensor, " n"]
    w1: Float[Tensor, " n"]
    w2: Float[Tensor, " n"]


class _Facing(NamedTuple):
    """Triangles that may be seen, one row each: where they are, and the planes of shares and of 1/depth."""

    number: Tensor  # frame · triangles + triangle
    left: Tensor
    top: Tensor
    wide: Tensor
    tall: Tensor
    x: Tensor  # of corner 0
    y: Tensor
    w1_x: Tensor  # growth of a share per px
    w1_y: Tensor
    w2_x: Tensor
    w2_y: Tensor
    z: Tensor  # 1/depth of corner 0, and how much more corners 1 and 2 have
    z1: Tensor
    z2: Tensor


def rasterise(
    px: Float[Tensor, "frame vertex 2"],
    depth: Float[Tensor, "frame vertex"],
    triangles: Int[Tensor, "triangle 3"],
    height: int,
    width: int,
) -> Fragments:
    """Pixels whose centre is covered by a triangle that is counter-clockwise seen from the eye.

    px: positions in the image, x to the right and y down; depth: along the viewing axis, m. Shares are affine
    in the image: triangles are small against their distance.
    """
    facing = _select(px, depth, triangles, height, width)
    each, row, column, w1, w2, z = _cover(facing)
    number = facing.number.index_select(0, each)
    frame = torch.div(number, len(triangles), rounding_mode="floor")
    pixel = (frame * height + row) * width + column
    key = (-z * (_NEAR * _DEPTH_STEPS)).to(torch.int64) * _NUMBERS + torch.arange(len(each), device=px.device)
    buffer = torch.full((len(px) * height * width,), _NOTHING, dtype=torch.int64, device=px.device)
    buffer.scatter_reduce_(0, pixel, key, "amin")
    shown = (buffer < _NOTHING).nonzero()[:, 0]
    first = buffer.index_select(0, shown).remainder(_NUMBERS)
    frame, number, w1, w2 = (values.index_select(0, first) for values in (frame, number, w1, w2))
    return Fragments(shown, frame, number - frame * len(triangles), w1, w2)


def _select(px: Tensor, depth: Tensor, triangles: Tensor, height: int, width: int) -> _Facing:
    """Triangles in front of the eye that face it and may cover a pixel's centre."""
    (ax, ay), (bx, by), (cx, cy) = (px.index_select(1, triangles[:, i]).unbind(-1) for i in range(3))
    z0, z1, z2 = (depth.index_select(1, triangles[:, i]).reciprocal() for i in range(3))
    area = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)  # twice the area; y is down
    (left, wide), (top, tall) = _span(ax, bx, cx, width), _span(ay, by, cy, height)
    before = (torch.minimum(torch.minimum(z0, z1), z2) > 0) & (
        torch.maximum(torch.maximum(z0, z1), z2) < 1 / _NEAR
    )
    chosen = (before & (area > 1e-8) & (wide * tall > 0)).flatten().nonzero()[:, 0]

    def pick(values: Tensor) -> Tensor:
        return values.flatten().index_select(0, chosen)

    over = pick(area).reciprocal()
    planes = (pick(ay - cy) * over, pick(cx - ax) * over, pick(by - ay) * over, pick(ax - bx) * over)
    z0, z1, z2 = map(pick, (z0, z1, z2))
    corner = map(pick, (left, top, wide, tall, ax, ay))
    return _Facing(chosen, *corner, *planes, z0, z1 - z0, z2 - z0)


def _span(a: Tensor, b: Tensor, c: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel along one axis whose centre may be covered, and how many may be."""
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    first, last = (low - 0.5).ceil().clamp(0, size), (high - 0.5).floor().clamp(-1, size - 1)
    return first, (last - first + 1).clamp(min=0)


def _cover(facing: _Facing) -> tuple[Tensor, ...]:
    """Row of `facing`, row, column, shares and 1/depth of every covered pixel of every triangle."""
    cells = (facing.wide * facing.tall).to(torch.int64)
    each = torch.repeat_interleave(cells)
    first = cells.cumsum(0) - cells
    number = (torch.arange(len(each), device=cells.device) - first.index_select(0, each)).to(torch.float32)
    left, top, wide, x, y = (
        values.index_select(0, each) for values in (facing.left, facing.top, facing.wide, facing.x, facing.y)
    )
    row = ((number + 0.5) / wide).floor()
    column = number - row * wide + left
    row = row + top
    dx, dy = column + 0.5 - x, row + 0.5 - y
    w1, w2 = (
        dx * gx.index_select(0, each) + dy * gy.index_select(0, each)
        for gx, gy in ((facing.w1_x, facing.w1_y), (facing.w2_x, facing.w2_y))
    )
    inside = ((w1 >= -_SEAM) & (w2 >= -_SEAM) & (w1 + w2 <= 1 + _SEAM)).nonzero()[:, 0]
    each, row, column, w1, w2 = (values.index_select(0, inside) for values in (each, row, column, w1, w2))
    z, z1, z2 = (values.index_select(0, each) for values in (facing.z, facing.z1, facing.z2))
    return each, row.to(torch.int64), column.to(torch.int64), w1, w2, z + w1 * z1 + w2 * z2
