"""A posed body of round cones in a room → images, batched, in torch; the same bytes in any batch.

Every pixel's middle is traced; where the image then changes abruptly at the body, four rays are traced
per pixel. Distances are m in world coordinates (z up), seen through any `Camera`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from bmlmovi_fixture.cones import prepare_cones
from bmlmovi_fixture.culling import (
    COARSE,
    Candidates,
    find_candidates,
    find_nearest,
    list_pixels,
    match_pixels,
    take_rays,
)
from bmlmovi_fixture.shading import Paint, prepare_shading, shade
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.body_surface import Cones
from d3ke_lib.data.renderer.rays import Grid, Ray, dot, make_ray, square_rays
from d3ke_lib.data.renderer.room import Casters, Room, Shadows, cast_shadows, render_room
from d3ke_lib.data.renderer.shade import Light

# Pixels rendered at once, within some 150 MB; with an eighth of them a third of the time goes into calls.
_MAX_PIXELS = 2**20
_MAX_ROOM_PIXELS = 2**17
# A step in brightness (of 1, after gamma) between neighbours from which on four rays are traced per pixel.
_EDGE_STEP = 0.06
# A rotated grid: the four rays differ in both coordinates.
_SUBPIXELS = ((0.125, -0.375), (-0.375, -0.125), (0.375, 0.125), (-0.125, 0.375))


class Shading(NamedTuple):
    """Paint of the body's cones, room and light."""

    paint: Paint
    room: Room
    light: Light


class _Scene(NamedTuple):
    """A chunk of frames made ready for tracing: constants of the cones, and candidate cones per square."""

    solids: Float[Tensor, "constant frame cone"]
    surfaces: Float[Tensor, "constant frame cone"]
    lists: Candidates
    rays: Ray
    grid: Grid


# Number of trailing axes of each field: what is in front of them is batch.
_TRAILING = {
    Cones: (2, 2, 1, 1, 3, 2),
    Paint: (2, 2, 2, 1, 3, 2, 2),
    Room: (1, 1, 3),
    Light: (1, 1, 1),
    Camera: (2, 1, 1, 1, 1),
}


def render(
    cones: Cones, shading: Shading, camera: Camera, height: int, width: int
) -> UInt8[Tensor, "*batch 3 height width"]:
    """RGB images, computed in float32. Leading axes of `shading` and `camera` broadcast to the cones'.

    Cones behind the eye, or around it, are not visible. Raises ValueError for an eye outside the room.
    """
    batch = cones.ra.shape[:-1]
    everything = [_flatten_batch(value, batch) for value in (cones, *shading, camera)]
    rows, columns = (-(-side // COARSE) * COARSE for side in (height, width))
    step = max(1, _MAX_PIXELS // (rows * columns))
    images = []
    for start in range(0, batch.numel(), step):
        chunk = (_cut(value, start, start + step) for value in everything)
        images.append(_render_chunk(*chunk, rows, columns)[..., :height, :width])
    return torch.cat(images).unflatten(0, batch) if batch else images[0][0]


def _flatten_batch(value: tuple, batch: torch.Size) -> tuple:
    """Every field in float32, spread to the batch, and this made one axis."""
    fields = []
    for field, trailing in zip(value, _TRAILING[type(value)]):
        spread = field.float().expand(*batch, *field.shape[field.ndim - trailing :])
        fields.append(spread.reshape(-1, *spread.shape[len(batch) :]))
    return type(value)(*fields)


def _cut(value: tuple, start: int, stop: int) -> tuple:
    return type(value)(*(field[start:stop] for field in value))


def _render_chunk(
    cones: Cones, paint: Paint, room: Room, light: Light, camera: Camera, rows: int, columns: int
) -> UInt8[Tensor, "frame 3 row column"]:
    grid = Grid(len(cones.ra), rows, columns)
    eye = -torch.stack([dot(camera.R[..., i], camera.t) for i in range(3)], -1)
    rays = square_rays(camera, grid, 1, 0.5, 0.5)
    color = _render_rooms(room, cast_shadows(_largest_casters(cones), light), rays, eye)
    a, b = cones.a - eye[:, None], cones.b - eye[:, None]
    far = dot(a, a).sqrt()
    reach = torch.maximum(far + cones.ra, dot(b, b).sqrt() + cones.rb)
    solids = torch.stack(prepare_cones(a, b, cones.ra, cones.rb))
    surfaces = prepare_shading(cones, paint, light, eye, far / camera.focal.amin(-1, keepdim=True))
    lists = find_candidates(solids, reach, camera, grid)
    if lists.length:
        scene = _Scene(solids, surfaces, lists, rays, grid)
        _refine(color, scene, _trace(color, scene))
    return _to_bytes(color, grid)


def _render_rooms(room: Room, shadows: Shadows, rays: Ray, eye: Tensor) -> Float[Tensor, "3 pixel"]:
    """The backdrop of all frames, few at a time."""
    frames, pixels = rays.x.shape
    step = max(1, _MAX_ROOM_PIXELS // pixels)
    parts = []
    for start in range(0, frames, step):
        some = (_cut(value, start, start + step) for value in (room, shadows, rays))
        parts.append(render_room(*some, eye[start : start + step]))
    return torch.cat(parts, 1)


def _trace(color: Float[Tensor, "3 pixel"], scene: _Scene) -> Int[Tensor, "n"]:
    """Paints the body into `color`, one ray per pixel; returns the pixels painted."""
    pixel = list_pixels(scene.lists, scene.grid)
    hit, painted = _shade_hits(scene, scene.lists, take_rays(scene.rays, pixel))
    pixel = pixel.flatten()[hit]
    color.scatter_(1, pixel.expand(3, -1), painted)
    return pixel


def _shade_hits(scene: _Scene, lists: Candidates, rays: Ray) -> tuple[Int[Tensor, "n"], Float[Tensor, "3 n"]]:
    """Which of (k, n) rays meet the body, numbered in one axis, and the colours they meet."""
    inverse, cone = find_nearest(scene.solids, lists, rays)
    hit = (inverse > 0).flatten().nonzero()[:, 0]
    return hit, shade(scene.surfaces, take_rays(rays, hit), inverse.flatten()[hit], cone.flatten()[hit])


def _refine(color: Float[Tensor, "3 pixel"], scene: _Scene, met: Int[Tensor, "n"]) -> None:
    """Four rays for every pixel at a visible edge of, or on, the body; what they miss stays as it is."""
    pixel, lists = match_pixels(scene.lists, _find_edges(color, met, scene.grid), scene.grid)
    hit, painted = _shade_hits(scene, lists, _subpixel_rays(scene.rays, pixel, scene.grid))
    samples = color.index_select(1, pixel).repeat(1, len(_SUBPIXELS))
    samples.scatter_(1, hit.expand(3, -1), painted)
    one, two, three, four = samples.view(3, len(_SUBPIXELS), -1).unbind(1)
    color.scatter_(1, pixel.expand(3, -1), (one + two + three + four) * 0.25)


def _find_edges(color: Float[Tensor, "3 pixel"], met: Int[Tensor, "n"], grid: Grid) -> Int[Tensor, "m"]:
    """Pixels next to a step in brightness one side of which is the body."""
    bright = (color[0] * 0.3 + color[1] * 0.6 + color[2] * 0.1).sqrt_().view(*grid)
    body = torch.zeros_like(bright, dtype=torch.bool)
    body.view(-1)[met] = True
    edge = torch.zeros_like(body)
    for axis in (1, 2):
        first, second = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
        step = (bright[first] - bright[second]).abs_() > _EDGE_STEP
        step &= body[first] | body[second]
        edge[first] |= step
        edge[second] |= step
    return edge.flatten().nonzero()[:, 0]


def _subpixel_rays(rays: Ray, pixel: Int[Tensor, "n"], grid: Grid) -> Ray:
    """(4, n) rays spread over each pixel, from the differences between neighbouring pixels' rays."""
    right = torch.where(pixel % grid.columns == grid.columns - 1, -1, 1)
    down = torch.where(pixel // grid.columns % grid.rows == grid.rows - 1, -1, 1)
    middle, right_of, below = (
        take_rays(rays, n) for n in (pixel, pixel + right, pixel + down * grid.columns)
    )
    components = []
    for m, x, y in zip(middle[:3], right_of[:3], below[:3]):
        dx, dy = (x - m) * right, (y - m) * down
        components.append(torch.stack([m + dx * u + dy * v for u, v in _SUBPIXELS]))
    return make_ray(*components)


def _to_bytes(color: Float[Tensor, "3 pixel"], grid: Grid) -> UInt8[Tensor, "frame 3 row column"]:
    """Linear colour → bytes, with a gamma of 2."""
    image = color.clamp(0, 1).sqrt_().mul_(255).add_(0.5).to(torch.uint8)
    return image.view(3, *grid).transpose(0, 1)


def _largest_casters(cones: Cones, count: int = 8) -> Casters:
    """Those of the cones that are largest."""
    size = (cones.ra + cones.rb) * ((dot(cones.b - cones.a, cones.b - cones.a)).sqrt() + cones.ra + cones.rb)
    chosen = size.argsort(descending=True, stable=True)[:, :count]
    a, b = (ends.take_along_dim(chosen[..., None], 1) for ends in (cones.a, cones.b))
    return Casters(a, b, *(radii.take_along_dim(chosen, 1) for radii in (cones.ra, cones.rb)))
