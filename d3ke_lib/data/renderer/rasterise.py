"""Which triangle of a mesh is nearest in every pixel: a depth buffer in torch, all frames at once.

Additions, products, quotients and comparisons only, and the nearest triangle is the minimum of integers: a frame's
bytes depend neither on the batch around it nor on the number of threads.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAR = 0.05  # m; a triangle with a corner nearer to the eye, or behind it, is not drawn
DEPTH_STEPS = 2.0**31  # of 1/depth between 0 and 1/NEAR
NOTHING = 2**62


class Fragments(NamedTuple):
    """Pixels that show the mesh: number in (frame, row, column), triangle, barycentric shares of corners 1 and 2."""

    pixel: Int[Tensor, " n"]
    frame: Int[Tensor, " n"]
    triangle: Int[Tensor, " n"]
    w1: Float[Tensor, " n"]
    w2: Float[Tensor, " n"]


def rasterise(
    px: Float[Tensor, "frame vertex 2"],
    depth: Float[Tensor, "frame vertex"],
    triangles: Int[Tensor, "triangle 3"],
    height: int,
    width: int,
) -> Fragments:
    """Pixels whose centre a triangle covers that is counter-clockwise seen from the eye.

    px: positions in the image, x to the right and y down; depth: along the viewing axis, m. Shares are affine in
    the image: triangles are small against their distance.
    """
    frames, count = len(px), len(triangles)
    corner = [px.index_select(1, triangles[:, i]) for i in range(3)]
    inverse = [depth.index_select(1, triangles[:, i]).reciprocal() for i in range(3)]
    (ax, ay), (bx, by), (cx, cy) = (c.unbind(-1) for c in corner)
    area = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)  # twice the area; y is down
    left, right = _span(ax, bx, cx, width)
    top, bottom = _span(ay, by, cy, height)
    wide, tall = (right - left + 1).clamp(min=0), (bottom - top + 1).clamp(min=0)
    nearest = torch.maximum(torch.maximum(inverse[0], inverse[1]), inverse[2])
    farthest = torch.minimum(torch.minimum(inverse[0], inverse[1]), inverse[2])
    drawn = (area > 1e-8) & (wide * tall > 0) & (farthest > 0) & (nearest < 1 / NEAR)
    chosen = drawn.flatten().nonzero()[:, 0]

    def pick(values: Tensor) -> Tensor:
        return values.flatten().index_select(0, chosen)

    ax, ay, bx, by, cx, cy, area, left, top, wide, tall, z0, z1, z2 = map(
        pick, (ax, ay, bx, by, cx, cy, area, left, top, wide, tall, *inverse)
    )
    cells = (wide * tall).to(torch.int64)
    each = torch.repeat_interleave(cells)
    number = torch.arange(len(each), device=px.device) - (cells.cumsum(0) - cells).index_select(0, each)
    wide = wide.to(torch.int64)
    along = wide.index_select(0, each)
    row = torch.div(number, along, rounding_mode="floor")
    column = number - row * along + left.to(torch.int64).index_select(0, each)
    row = row + top.to(torch.int64).index_select(0, each)
    dx = column + (0.5 - ax).index_select(0, each)
    dy = row + (0.5 - ay).index_select(0, each)
    over = area.reciprocal()
    w1 = _cross(cx - ax, cy - ay, over, dx, dy, each)
    w2 = -_cross(bx - ax, by - ay, over, dx, dy, each)
    inside = ((w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1)).nonzero()[:, 0]
    each, row, column, w1, w2 = (v.index_select(0, inside) for v in (each, row, column, w1, w2))
    z = z0.index_select(0, each) + w1 * (z1 - z0).index_select(0, each) + w2 * (z2 - z0).index_select(0, each)
    frame = torch.div(chosen, count, rounding_mode="floor").index_select(0, each)
    pixel = (frame * height + row) * width + column
    key = (-z * (NEAR * DEPTH_STEPS)).to(torch.int64) * 2**31 + torch.arange(len(each), device=px.device)
    buffer = torch.full((frames * height * width,), NOTHING, dtype=torch.int64, device=px.device)
    buffer.scatter_reduce_(0, pixel, key, "amin")
    shown = (buffer < NOTHING).nonzero()[:, 0]
    first = buffer.index_select(0, shown).remainder(2**31)
    triangle = (chosen % count).index_select(0, each)
    return Fragments(shown, *(v.index_select(0, first) for v in (frame, triangle, w1, w2)))


def _span(a: Tensor, b: Tensor, c: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First and last pixel whose centre may be covered, along one axis."""
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    return (low - 0.5).ceil().clamp(0, size), (high - 0.5).floor().clamp(-1, size - 1)


def _cross(x: Tensor, y: Tensor, over: Tensor, dx: Tensor, dy: Tensor, each: Tensor) -> Tensor:
    """(side × offset) / area for every cell, of each cell's triangle."""
    return (x * over).index_select(0, each) * dy - (y * over).index_select(0, each) * dx
