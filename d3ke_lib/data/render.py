"""A posed body of round cones in a room → pictures, batched, in torch; the same bytes in any batch.

Every pixel's middle is traced; where the picture then changes abruptly at the person, four rays share
the pixel. Distances are m in world coordinates (z up), seen through any `Camera`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from d3ke_lib.data.camera import Camera
from d3ke_lib.data.cones import Cones, Ray, dot, ray, solid
from d3ke_lib.data.room import Room, backdrop, casters
from d3ke_lib.data.shade import Light, Paint, shade, surface
from d3ke_lib.data.tiles import (
    COARSE,
    Grid,
    Lists,
    candidates,
    nearest,
    of_pixels,
    pixels_of,
    rays_at,
    world_rays,
)

# Pixels rendered at once: temporaries then stay near the cache.
AT_ONCE = 2**17
ROOM_AT_ONCE = 2**15
# A step in brightness (of 1, after gamma) between neighbours that deserves four rays a pixel.
STEP = 0.06
# A rotated grid: the four rays differ in both coordinates.
FOUR = ((0.125, -0.375), (-0.375, -0.125), (0.375, 0.125), (-0.125, 0.375))


class Looks(NamedTuple):
    """How a person and the place look."""

    paint: Paint
    room: Room
    light: Light


class View(NamedTuple):
    """A chunk of frames made ready: one batch axis, every constant spread to it."""

    cones: Cones
    looks: Looks
    camera: Camera
    grid: Grid
    eye: Float[Tensor, "frame 3"]


def render(
    cones: Cones, looks: Looks, camera: Camera, height: int, width: int
) -> UInt8[Tensor, "*batch 3 height width"]:
    """RGB pictures. Leading axes of `looks` and `camera` are broadcast to those of the cones.

    What is behind the eye, or holds it, is not seen. The eye must be inside the room and above its floor.
    """
    batch = cones.ra.shape[:-1]
    cones, looks, camera = (_frames(value, batch) for value in (cones, looks, camera))
    rows, columns = (-(-side // COARSE) * COARSE for side in (height, width))
    step = max(1, AT_ONCE // (rows * columns))
    pictures = []
    for start in range(0, len(cones.ra), step):
        part = [_cut(value, start, start + step) for value in (cones, looks, camera)]
        grid = Grid(len(part[0].ra), rows, columns)
        eye = -torch.stack([dot(part[2].R[..., i], part[2].t) for i in range(3)], -1)
        pictures.append(_picture(View(*part, grid, eye))[..., :height, :width])
    return torch.cat(pictures).unflatten(0, batch) if batch else pictures[0][0]


# Number of trailing axes of each field: what is in front of them is batch.
TRAILING = {
    Cones: (2, 2, 1, 1, 3, 2),
    Paint: (2, 2, 2, 1, 3, 2, 2),
    Room: (1, 1, 3),
    Light: (1, 1, 1),
    Camera: (2, 1, 1, 1, 1),
}


def _frames(value: tuple, batch: tuple[int, ...]) -> tuple:
    """Every field spread to the batch, and this made one axis."""
    kind = type(value)
    if kind is Looks:
        return Looks(*(_frames(part, batch) for part in value))
    fields = (field.expand(*batch, *field.shape[field.ndim - n :]) for field, n in zip(value, TRAILING[kind]))
    return kind(*(field.reshape(-1, *field.shape[len(batch) :]) for field in fields))


def _cut(value: tuple | Tensor, start: int, stop: int) -> tuple | Tensor:
    if isinstance(value, Tensor):
        return value[start:stop]
    fields = (_cut(part, start, stop) for part in value)
    return type(value)(*fields)


def _picture(view: View) -> UInt8[Tensor, "frame 3 row column"]:
    rays = world_rays(view.camera, _middles(view))
    color = _empty_room(view, rays)
    a, b = view.cones.a - view.eye[:, None], view.cones.b - view.eye[:, None]
    reach = torch.maximum(dot(a, a).sqrt() + view.cones.ra, dot(b, b).sqrt() + view.cones.rb)
    cones = torch.stack(solid(a, b, view.cones.ra, view.cones.rb))
    footprint = dot(a, a).sqrt() / view.camera.focal.amin(-1, keepdim=True)
    rows = surface(view.cones, view.looks.paint, view.looks.light, view.eye, footprint)
    lists = candidates(cones, reach, view.camera, view.grid)
    if lists.length:
        met = _trace(color, cones, rows, lists, rays, view.grid)
        _refine(color, cones, rows, lists, rays, met, view.grid)
    return _developed(color, view.grid)


def _middles(view: View) -> Float[Tensor, "1 pixel 2"]:
    like = view.camera.focal
    y = torch.arange(view.grid.rows, dtype=like.dtype, device=like.device) + 0.5
    x = torch.arange(view.grid.columns, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack((x.repeat(len(y)), y.repeat_interleave(len(x))), -1)[None]


def _empty_room(view: View, rays: Ray) -> Float[Tensor, "3 pixel"]:
    shadows = casters(view.cones, view.looks.light)
    step = max(1, ROOM_AT_ONCE // rays.x.shape[1])
    parts = []
    for start in range(0, view.grid.frames, step):
        room, some, eye, thrown = (
            _cut(v, start, start + step) for v in (view.looks.room, rays, view.eye, shadows)
        )
        parts.append(backdrop(room, thrown, some, eye))
    return torch.cat(parts, 1)


def _trace(color: Tensor, cones: Tensor, rows: Tensor, lists: Lists, rays: Ray, grid: Grid) -> Tensor:
    """Paints the person into `color`, one ray a pixel; returns the pixels painted."""
    pixel = pixels_of(lists, grid)
    inside = rays_at(rays, pixel)
    inverse, cone = nearest(cones, lists, inside)
    hit = (inverse > 0).flatten().nonzero()[:, 0]
    pixel = pixel.flatten()[hit]
    painted = shade(rows, rays_at(rays, pixel), inverse.flatten()[hit], cone.flatten()[hit])
    color.scatter_(1, pixel.expand(3, -1), painted)
    return pixel


def _refine(
    color: Tensor, cones: Tensor, rows: Tensor, lists: Lists, rays: Ray, met: Tensor, grid: Grid
) -> None:
    """Four rays for every pixel at a visible edge of, or on, the person; what they miss stays as it is."""
    pixel, lists = of_pixels(lists, _edges(color, met, grid), grid)
    four = _four_rays(rays, pixel, grid)
    inverse, cone = nearest(cones, lists, four)
    hit = (inverse > 0).flatten().nonzero()[:, 0]
    samples = color.index_select(1, pixel).repeat(1, len(FOUR))
    painted = shade(rows, rays_at(four, hit), inverse.flatten()[hit], cone.flatten()[hit])
    samples.scatter_(1, hit.expand(3, -1), painted)
    one, two, three, last = samples.view(3, len(FOUR), -1).unbind(1)
    color.scatter_(1, pixel.expand(3, -1), (one + two + three + last) * 0.25)


def _edges(color: Tensor, met: Tensor, grid: Grid) -> Int[Tensor, "n"]:
    """Pixels beside a step in brightness one side of which is the person."""
    bright = (color[0] * 0.3 + color[1] * 0.6 + color[2] * 0.1).sqrt_().view(*grid)
    person = torch.zeros_like(bright, dtype=torch.bool)
    person.view(-1)[met] = True
    edge = torch.zeros_like(person)
    for axis in (1, 2):
        sides = [(0, bright.shape[axis] - 1), (1, bright.shape[axis] - 1)]
        first, second = (bright.narrow(axis, *side) for side in sides)
        step = (first - second).abs_() > STEP
        step &= person.narrow(axis, *sides[0]) | person.narrow(axis, *sides[1])
        for side in sides:
            edge.narrow(axis, *side).logical_or_(step)
    return edge.flatten().nonzero()[:, 0]


def _four_rays(rays: Ray, pixel: Tensor, grid: Grid) -> Ray:
    """(4, n) rays spread over each pixel, from the differences between neighbouring pixels' rays."""
    right = torch.where(pixel % grid.columns == grid.columns - 1, -1, 1)
    down = torch.where(pixel // grid.columns % grid.rows == grid.rows - 1, -1, 1)
    middle, beside, below = (rays_at(rays, n) for n in (pixel, pixel + right, pixel + down * grid.columns))
    components = []
    for m, x, y in zip(middle[:3], beside[:3], below[:3]):
        dx, dy = (x - m) * right, (y - m) * down
        components.append(torch.stack([m + dx * u + dy * v for u, v in FOUR]))
    return ray(*components)


def _developed(color: Tensor, grid: Grid) -> UInt8[Tensor, "frame 3 row column"]:
    """Linear colour → bytes, with a gamma of 2."""
    picture = color.clamp(0, 1).sqrt_().mul_(255).add_(0.5).to(torch.uint8)
    return picture.view(3, grid.frames, grid.rows, grid.columns).transpose(0, 1)
