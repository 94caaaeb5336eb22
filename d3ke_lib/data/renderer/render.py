"""A posed body of round cones in a room → pictures, batched, in torch; the same bytes in any batch.

Every pixel's middle is traced; where the picture then changes abruptly at the person, four rays share
the pixel. Distances are m in world coordinates (z up), seen through any `Camera`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.culling import (
    COARSE,
    Grid,
    Lists,
    candidates,
    nearest,
    of_pixels,
    pixels_of,
    rays_at,
    squares,
)
from d3ke_lib.data.renderer.room import Casters, Room, backdrop, casters
from d3ke_lib.data.renderer.round_cones import Cones, Ray, dot, ray, solid
from d3ke_lib.data.renderer.shade import Light, Paint, shade, surface

# Pixels rendered at once, within some 150 MB; with an eighth of them a third of the time goes into calls.
AT_ONCE = 2**20
ROOM_AT_ONCE = 2**17
# A step in brightness (of 1, after gamma) between neighbours that deserves four rays a pixel.
STEP = 0.06
# A rotated grid: the four rays differ in both coordinates.
FOUR = ((0.125, -0.375), (-0.375, -0.125), (0.375, 0.125), (-0.125, 0.375))


class Looks(NamedTuple):
    """How a person and the place look."""

    paint: Paint
    room: Room
    light: Light


class Scene(NamedTuple):
    """A chunk of frames made ready for tracing: constants of the cones, and who may be seen where."""

    solids: Float[Tensor, "constant frame cone"]
    surfaces: Float[Tensor, "constant frame cone"]
    lists: Lists
    rays: Ray
    grid: Grid


# Number of trailing axes of each field: what is in front of them is batch.
TRAILING = {
    Cones: (2, 2, 1, 1, 3, 2),
    Paint: (2, 2, 2, 1, 3, 2, 2),
    Room: (1, 1, 3),
    Light: (1, 1, 1),
    Camera: (2, 1, 1, 1, 1),
}


def render(
    cones: Cones, looks: Looks, camera: Camera, height: int, width: int
) -> UInt8[Tensor, "*batch 3 height width"]:
    """RGB pictures, computed in float32. Leading axes of `looks` and `camera` broadcast to the cones'.

    What is behind the eye, or holds it, is not seen. Raises ValueError for an eye outside the room.
    """
    batch = cones.ra.shape[:-1]
    everything = [_frames(value, batch) for value in (cones, *looks, camera)]
    rows, columns = (-(-side // COARSE) * COARSE for side in (height, width))
    step = max(1, AT_ONCE // (rows * columns))
    pictures = []
    for start in range(0, batch.numel(), step):
        chunk = (_cut(value, start, start + step) for value in everything)
        pictures.append(_pictures(*chunk, rows, columns)[..., :height, :width])
    return torch.cat(pictures).unflatten(0, batch) if batch else pictures[0][0]


def _frames(value: tuple, batch: torch.Size) -> tuple:
    """Every field in float32, spread to the batch, and this made one axis."""
    fields = []
    for field, trailing in zip(value, TRAILING[type(value)]):
        spread = field.float().expand(*batch, *field.shape[field.ndim - trailing :])
        fields.append(spread.reshape(-1, *spread.shape[len(batch) :]))
    return type(value)(*fields)


def _cut(value: tuple, start: int, stop: int) -> tuple:
    return type(value)(*(field[start:stop] for field in value))


def _pictures(
    cones: Cones, paint: Paint, room: Room, light: Light, camera: Camera, rows: int, columns: int
) -> UInt8[Tensor, "frame 3 row column"]:
    grid = Grid(len(cones.ra), rows, columns)
    eye = -torch.stack([dot(camera.R[..., i], camera.t) for i in range(3)], -1)
    rays = squares(camera, grid, 1, 0.5, 0.5)
    color = _empty_room(room, casters(cones, light), rays, eye)
    a, b = cones.a - eye[:, None], cones.b - eye[:, None]
    far = dot(a, a).sqrt()
    reach = torch.maximum(far + cones.ra, dot(b, b).sqrt() + cones.rb)
    solids = torch.stack(solid(a, b, cones.ra, cones.rb))
    surfaces = surface(cones, paint, light, eye, far / camera.focal.amin(-1, keepdim=True))
    lists = candidates(solids, reach, camera, grid)
    if lists.length:
        scene = Scene(solids, surfaces, lists, rays, grid)
        _refine(color, scene, _trace(color, scene))
    return _developed(color, grid)


def _empty_room(room: Room, shadows: Casters, rays: Ray, eye: Tensor) -> Float[Tensor, "3 pixel"]:
    """The backdrop of all frames, few at a time."""
    frames, pixels = rays.x.shape
    step = max(1, ROOM_AT_ONCE // pixels)
    parts = []
    for start in range(0, frames, step):
        some = (_cut(value, start, start + step) for value in (room, shadows, rays))
        parts.append(backdrop(*some, eye[start : start + step]))
    return torch.cat(parts, 1)


def _trace(color: Float[Tensor, "3 pixel"], scene: Scene) -> Int[Tensor, "n"]:
    """Paints the person into `color`, one ray a pixel; returns the pixels painted."""
    pixel = pixels_of(scene.lists, scene.grid)
    hit, painted = _seen(scene, scene.lists, rays_at(scene.rays, pixel))
    pixel = pixel.flatten()[hit]
    color.scatter_(1, pixel.expand(3, -1), painted)
    return pixel


def _seen(scene: Scene, lists: Lists, rays: Ray) -> tuple[Int[Tensor, "n"], Float[Tensor, "3 n"]]:
    """Which of (k, n) rays meet the person, numbered in one axis, and the colours they meet."""
    inverse, cone = nearest(scene.solids, lists, rays)
    hit = (inverse > 0).flatten().nonzero()[:, 0]
    return hit, shade(scene.surfaces, rays_at(rays, hit), inverse.flatten()[hit], cone.flatten()[hit])


def _refine(color: Float[Tensor, "3 pixel"], scene: Scene, met: Int[Tensor, "n"]) -> None:
    """Four rays for every pixel at a visible edge of, or on, the person; what they miss stays as it is."""
    pixel, lists = of_pixels(scene.lists, _edges(color, met, scene.grid), scene.grid)
    hit, painted = _seen(scene, lists, _four_rays(scene.rays, pixel, scene.grid))
    samples = color.index_select(1, pixel).repeat(1, len(FOUR))
    samples.scatter_(1, hit.expand(3, -1), painted)
    one, two, three, four = samples.view(3, len(FOUR), -1).unbind(1)
    color.scatter_(1, pixel.expand(3, -1), (one + two + three + four) * 0.25)


def _edges(color: Float[Tensor, "3 pixel"], met: Int[Tensor, "n"], grid: Grid) -> Int[Tensor, "m"]:
    """Pixels beside a step in brightness one side of which is the person."""
    bright = (color[0] * 0.3 + color[1] * 0.6 + color[2] * 0.1).sqrt_().view(*grid)
    person = torch.zeros_like(bright, dtype=torch.bool)
    person.view(-1)[met] = True
    edge = torch.zeros_like(person)
    for axis in (1, 2):
        first, second = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
        step = (bright[first] - bright[second]).abs_() > STEP
        step &= person[first] | person[second]
        edge[first] |= step
        edge[second] |= step
    return edge.flatten().nonzero()[:, 0]


def _four_rays(rays: Ray, pixel: Int[Tensor, "n"], grid: Grid) -> Ray:
    """(4, n) rays spread over each pixel, from the differences between neighbouring pixels' rays."""
    right = torch.where(pixel % grid.columns == grid.columns - 1, -1, 1)
    down = torch.where(pixel // grid.columns % grid.rows == grid.rows - 1, -1, 1)
    middle, beside, below = (rays_at(rays, n) for n in (pixel, pixel + right, pixel + down * grid.columns))
    components = []
    for m, x, y in zip(middle[:3], beside[:3], below[:3]):
        dx, dy = (x - m) * right, (y - m) * down
        components.append(torch.stack([m + dx * u + dy * v for u, v in FOUR]))
    return ray(*components)


def _developed(color: Float[Tensor, "3 pixel"], grid: Grid) -> UInt8[Tensor, "frame 3 row column"]:
    """Linear colour → bytes, with a gamma of 2."""
    picture = color.clamp(0, 1).sqrt_().mul_(255).add_(0.5).to(torch.uint8)
    return picture.view(3, *grid).transpose(0, 1)
