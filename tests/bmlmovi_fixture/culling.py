"""Candidate cones of each small square of the image, and the nearest of them along each ray.

Squares of 16 × 16 pixels are tried against every cone, the 4 × 4 squares in them against those that are
left. A square stands for all of its rays: it is the ray through its middle against cones made fatter by
as much as its other rays stray at the cone's far end, so that no cone is ever missed.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bmlmovi_fixture.cones import PreparedCones, intersect, thicken
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.rays import Grid, Ray, square_rays

COARSE, _FINE = 16, 4
# For rounding, and for distortion, through which a quarter of a square is not quite a quarter as wide.
_SLACK = 1.1


class Candidates(NamedTuple):
    """Fine squares that can show a cone, those with most candidates first, and their candidates.

    `cone[k, :length[k]]` is the k-th candidate of the first `length[k]` squares; the others have fewer.
    """

    square: Int[Tensor, "square"]
    cone: Int[Tensor, "rank square"]
    length: list[int]


def _ray_spread(camera: Camera, grid: Grid) -> Float[Tensor, "frame"]:
    """How far any ray of a coarse square is from that through its middle, per metre of depth."""
    middle = square_rays(camera, grid, COARSE, 0.5, 0.5)
    corners = [square_rays(camera, grid, COARSE, right, down) for right in (0.0, 1.0) for down in (0.0, 1.0)]
    return torch.stack([_squared_distance(middle, corner).amax(-1) for corner in corners]).amax(0).sqrt()


def _squared_distance(a: Ray, b: Ray) -> Tensor:
    x, y, z = a.x - b.x, a.y - b.y, a.z - b.z
    return x * x + y * y + z * z


def find_candidates(
    cones: Float[Tensor, "constant frame cone"],
    reach: Float[Tensor, "frame cone"],
    camera: Camera,
    grid: Grid,
) -> Candidates:
    """For every fine square the cones it can show. `reach`: each cone's farthest point from the eye, m."""
    apart = reach * (_ray_spread(camera, grid) * _SLACK)[:, None]
    pairs = _test_coarse(cones, apart, square_rays(camera, grid, COARSE, 0.5, 0.5))
    fine = square_rays(camera, grid, _FINE, 0.5, 0.5)
    return _rank(*_test_fine(cones, apart * (_FINE / COARSE), fine, grid, *pairs))


def _test_coarse(cones: Tensor, apart: Tensor, middle: Ray) -> tuple[Tensor, Tensor, Tensor]:
    """(frame, coarse square, cone) of pairs that may meet, in this order."""
    wide = PreparedCones(*(constant[:, None] for constant in thicken(PreparedCones(*cones), apart)))
    _, inside = intersect(wide, Ray(*(component[..., None] for component in middle)))
    frame, square, cone = (inside > 0).nonzero(as_tuple=True)
    return frame, square, cone


def _test_fine(
    cones: Tensor, apart: Tensor, middle: Ray, grid: Grid, frame: Tensor, square: Tensor, cone: Tensor
) -> tuple[Tensor, Tensor]:
    """(fine square, cone) of pairs that may meet, both numbered through all frames; cones ascending."""
    times, across = COARSE // _FINE, grid.columns // _FINE
    row, column = square // (grid.columns // COARSE), square % (grid.columns // COARSE)
    first = frame * (across * (grid.rows // _FINE)) + row * (times * across) + column * times
    part = torch.arange(times * times, device=first.device)[:, None]
    fine = first + part // times * across + part % times
    chosen = frame * cones.shape[-1] + cone
    wide = thicken(PreparedCones(*take_columns(cones, chosen)), apart.flatten()[chosen])
    _, inside = intersect(wide, take_rays(middle, fine))
    part, pair = (inside > 0).nonzero(as_tuple=True)
    return fine[part, pair], chosen[pair]


def _rank(square: Tensor, cone: Tensor) -> Candidates:
    square, order = square.sort(stable=True)
    square, count = square.unique_consecutive(return_counts=True)
    rank = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count).repeat_interleave(count)
    most = count.argsort(descending=True, stable=True)
    column = torch.empty_like(most)
    column[most] = torch.arange(len(most), device=most.device)
    length = torch.bincount(rank).tolist()
    table = cone.new_zeros(len(length), len(most))
    table[rank, column.repeat_interleave(count)] = cone[order]
    return Candidates(square[most], table, length)


def take_columns(table: Float[Tensor, "row *frame cone"], index: Int[Tensor, "n"]) -> Float[Tensor, "row n"]:
    """Columns of a table by the number of the cone through all frames."""
    return table.flatten(1).index_select(1, index)


def take_rays(rays: Ray, index: Int[Tensor, "*n"]) -> Ray:
    """Rays by their number through all frames."""
    return Ray(*(component.flatten().index_select(0, index.flatten()).view_as(index) for component in rays))


def list_pixels(lists: Candidates, grid: Grid) -> Int[Tensor, "16 square"]:
    """Numbers, through all frames, of the pixels of the listed squares."""
    across, part = grid.columns // _FINE, torch.arange(_FINE * _FINE, device=lists.square.device)[:, None]
    row, column = lists.square // across, lists.square % across
    return (row * _FINE + part // _FINE) * grid.columns + column * _FINE + part % _FINE


def find_nearest(
    cones: Float[Tensor, "constant frame cone"], lists: Candidates, rays: Ray
) -> tuple[Float[Tensor, "k n"], Int[Tensor, "k n"]]:
    """1/t of the first cone that each of (k, n) rays meets (≤ 0: none) and which; column n has list n.

    Positive floats sort like the integers with their bits: the cone's number replaces the last bits of
    1/t (7 for up to 128 cones: 0.1 mm at 5 m), and one maximum finds both.
    """
    count = cones.shape[-1]
    mask = (1 << (count - 1).bit_length()) - 1
    pairs = torch.cat([row[:n] for row, n in zip(lists.cone, lists.length)])
    spread = Ray(*(torch.cat([component[:, :n] for n in lists.length], 1) for component in rays))
    inverse, _ = intersect(PreparedCones(*take_columns(cones, pairs)), spread)
    keys = inverse.view(torch.int32).bitwise_and_(~mask).bitwise_or_((pairs % count).to(torch.int32))
    best = torch.zeros_like(rays.x, dtype=torch.int32)
    for key in keys.split(lists.length, 1):
        seen = best[:, : key.shape[1]]
        torch.maximum(seen, key, out=seen)
    return best.view(torch.float32), (best & mask) + lists.cone[0] // count * count


def match_pixels(
    lists: Candidates, pixel: Int[Tensor, "n"], grid: Grid
) -> tuple[Int[Tensor, "m"], Candidates]:
    """Those of the pixels whose square has candidates, in the lists' order, and their lists."""
    row, column = pixel // grid.columns, pixel % grid.columns
    square = row // _FINE * (grid.columns // _FINE) + column // _FINE
    count = grid.frames * (grid.rows // _FINE) * (grid.columns // _FINE)
    slot = torch.full((count,), len(lists.square), device=pixel.device)
    slot[lists.square] = torch.arange(len(lists.square), device=pixel.device)
    slot, order = slot[square].sort(stable=True)
    ends = slot.new_tensor([*lists.length, len(lists.square)])
    *length, known = torch.searchsorted(slot, ends).tolist()
    slot = slot[:known]
    return pixel[order[:known]], Candidates(square[order[:known]], lists.cone[:, slot], length)
