"""The room behind the subject: a floor and four papered walls, and its shadow on the floor.

The room is fixed in the world, so that it stays where it is when the crop follows the subject.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.data.renderer.round_cones import Cones, Ray, dot
from d3ke_lib.data.renderer.shade import Light, triangle_wave

# Half a period of the mirrored wallpaper and floor, m, and how far up the wallpaper reaches.
_WALL_LENGTH, _FLOOR_LENGTH, _WALL_HEIGHT = 6.0, 3.0, 3.2
_SHADOW = 0.55


class Room(NamedTuple):
    """Walls at x, y = low and high (m), floor at z = 0; texture: wallpaper above, floor below, linear RGB.

    The eye must be inside.
    """

    low: Float[Tensor, "*batch 2"]
    high: Float[Tensor, "*batch 2"]
    texture: Float[Tensor, "*batch 3 height width"]


class Casters(NamedTuple):
    """Round cones that throw a shadow, m."""

    a: Float[Tensor, "frame caster 3"]
    b: Float[Tensor, "frame caster 3"]
    ra: Float[Tensor, "frame caster"]
    rb: Float[Tensor, "frame caster"]


class Shadows(NamedTuple):
    """Cones thrown on the floor along the light: segments from (x, y) by (dx, dy), one over width²."""

    x: Tensor
    y: Tensor
    dx: Tensor
    dy: Tensor
    over_length: Tensor
    over_width: Tensor
    bounds: Tensor  # (frame, 4): beyond these x, y the shadow cannot be seen


def largest_casters(cones: Cones, count: int = 8) -> Casters:
    """Those of the cones that are largest."""
    size = (cones.ra + cones.rb) * ((dot(cones.b - cones.a, cones.b - cones.a)).sqrt() + cones.ra + cones.rb)
    chosen = size.argsort(descending=True, stable=True)[:, :count]
    a, b = (ends.take_along_dim(chosen[..., None], 1) for ends in (cones.a, cones.b))
    return Casters(a, b, *(radii.take_along_dim(chosen, 1) for radii in (cones.ra, cones.rb)))


def cast_shadows(casters: Casters, light: Light) -> Shadows:
    """Shadows on the floor; blurred the more, the higher the cone is."""
    a, b, ra, rb = casters
    slope = (light.towards[:, :2] / light.towards[:, 2:])[:, None]
    start, end = (point[..., :2] - slope * point[..., 2:] for point in (a, b))
    step = end - start
    length = step[..., 0] * step[..., 0] + step[..., 1] * step[..., 1]
    height = (a[..., 2] + b[..., 2]).clamp(min=0) / 2
    width = (ra + rb) / 2 + 0.02 + 0.12 * height
    reach = 3 * width[..., None]
    low = (torch.minimum(start, end) - reach).amin(1)
    high = (torch.maximum(start, end) + reach).amax(1)
    over = (1 / length.clamp(min=1e-6), 1 / (width * width))
    return Shadows(*start.unbind(-1), *step.unbind(-1), *over, torch.cat((low, high), -1))


def render_room(
    room: Room, shadows: Shadows, rays: Ray, eye: Float[Tensor, "frame 3"]
) -> Float[Tensor, "3 pixel"]:
    """Colour along (frame, n) rays, frames and rays in one axis. Raises ValueError for an eye outside."""
    _refuse_outside(room, eye)
    x, y, z = (component[:, None] for component in eye.unbind(-1))
    low, high = room.low - eye[:, :2], room.high - eye[:, :2]
    # 1/t of the walls: of the two across an axis, the one ahead.
    walls = [
        torch.maximum(ray * (1 / low[:, i, None]), ray * (1 / high[:, i, None]))
        for i, ray in enumerate((rays.x, rays.y))
    ]
    down, wall = rays.z * (-1 / z), torch.maximum(*walls)
    t = 1 / torch.maximum(wall, down)
    x, y, z = rays.x * t + x, rays.y * t + y, rays.z * t + z
    floor = down >= wall
    color = _sample_texture(room.texture, (x, y, z), floor, walls[0] > walls[1])
    return color.flatten(1).mul_(_sunlit(shadows, x, y, floor).flatten())


def _refuse_outside(room: Room, eye: Tensor) -> None:
    inside = ((eye[:, :2] > room.low) & (eye[:, :2] < room.high)).all(1) & (eye[:, 2] > 0)
    if not inside.all():
        first = int(inside.logical_not().nonzero()[0])
        walls = [(low, high) for low, high in zip(room.low[first].tolist(), room.high[first].tolist())]
        raise ValueError(f"eye at {eye[first].tolist()} m: expected x, y inside {walls} and z > 0")


def _sample_texture(
    texture: Tensor, at: tuple[Tensor, Tensor, Tensor], floor: Tensor, side: Tensor
) -> Tensor:
    """Colour at points of the room; `side`: on a wall across x."""
    across = torch.where(side, at[1] + 0.37 * _WALL_LENGTH, at[0])
    up = (1 - at[2] * (1 / _WALL_HEIGHT)).clamp(0.02, 1)
    u = torch.where(floor, at[0] * (0.5 / _FLOOR_LENGTH), across * (0.5 / _WALL_LENGTH))
    v = torch.where(floor, triangle_wave(at[1] * (0.5 / _FLOOR_LENGTH)) * 0.48 + 0.5, up * 0.98 - 1)
    grid = torch.empty(*u.shape, 2, dtype=u.dtype, device=u.device)
    grid[..., 0], grid[..., 1] = triangle_wave(u).mul_(0.99), v
    return F.grid_sample(texture, grid[:, None], align_corners=False)[:, :, 0].transpose(0, 1)


def _sunlit(shadows: Shadows, x: Tensor, y: Tensor, floor: Tensor) -> Float[Tensor, "frame n"]:
    """Share of light that reaches (frame, n) points; 1 off the floor."""
    left, near, right, far = (bound[:, None] for bound in shadows.bounds.unbind(-1))
    dim = floor & (x > left) & (x < right) & (y > near) & (y < far)
    frame, n = dim.nonzero(as_tuple=True)
    pixel = frame * x.shape[1] + n
    x, y = (value.flatten().index_select(0, pixel) for value in (x, y))
    lit = torch.ones(dim.shape, dtype=x.dtype, device=x.device)
    lit.view(-1).scatter_(0, pixel, _darkest_shadow(shadows, x, y, frame))
    return lit


def _darkest_shadow(shadows: Shadows, x: Tensor, y: Tensor, frame: Tensor) -> Float[Tensor, "n"]:
    """The darkest of the shadows, never their sum; falls off with the fourth power of the distance."""
    constants = torch.stack([constant.T for constant in shadows[:6]]).flatten(0, 1)
    start_x, start_y, dx, dy, over_length, over_width = (
        constants.index_select(1, frame).unflatten(0, (6, -1)).unbind(0)
    )
    px, py = x - start_x, y - start_y
    s = (px * dx).add_(py * dy).mul_(over_length).clamp_(0, 1)
    px, py = px.sub_(s * dx), py.sub_(s * dy)
    least = px.square_().add_(py.square_()).mul_(over_width).amin(0)
    return 1 - _SHADOW / (1 + least * least)
