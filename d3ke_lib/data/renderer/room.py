"""The room behind the subject: a floor and four papered walls, and its shadow on the floor.

The room is fixed in the world, so that it stays where it is when the crop follows the subject.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.data.renderer.rays import Ray
from d3ke_lib.data.renderer.shade import Light, triangle_wave

# Half a period of the mirrored wallpaper and floor, m, and how far up the wallpaper reaches.
_WALL_LENGTH, _FLOOR_LENGTH, _WALL_HEIGHT = 6.0, 3.0, 3.2
_SHADOW = 0.55
_MAP = 80  # points along each side of the map of a frame's shadow


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
    return color.flatten(1).mul_(sunlit(shadows, x, y, floor).flatten())


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


def sunlit(shadows: Shadows, x: Tensor, y: Tensor, floor: Tensor) -> Float[Tensor, "frame n"]:
    """Share of light that reaches (frame, n) points, by a map of each frame's shadow; 1 off the floor."""
    low, high = shadows.bounds[:, :2], shadows.bounds[:, 2:]
    steps = (torch.arange(_MAP, dtype=x.dtype, device=x.device) + 0.5) / _MAP
    map_x, map_y = (low[:, i, None] + steps * (high - low)[:, i, None] for i in range(2))
    shade = _darkest_shadow(shadows, map_x[:, None, :], map_y[:, :, None])
    grid = torch.empty(*x.shape, 2, dtype=x.dtype, device=x.device)
    for i, at in enumerate((x, y)):
        grid[..., i] = (at - low[:, i, None]) * (2 / (high - low)[:, i, None]) - 1
    found = F.grid_sample(shade[:, None], grid[:, None], align_corners=False)[:, 0, 0]
    return 1 - found * floor


def _darkest_shadow(shadows: Shadows, x: Tensor, y: Tensor) -> Float[Tensor, "frame row column"]:
    """How dark the darkest of the shadows is at points (frame, …), never their sum.

    It falls off with the fourth power of the distance.
    """
    least = None
    for start_x, start_y, dx, dy, over_length, over_width in zip(*(part.unbind(1) for part in shadows[:6])):
        px, py = x - start_x[:, None, None], y - start_y[:, None, None]
        s = (px * dx[:, None, None] + py * dy[:, None, None]).mul_(over_length[:, None, None]).clamp_(0, 1)
        px, py = px - s * dx[:, None, None], py - s * dy[:, None, None]
        square = px.square_().add_(py.square_()).mul_(over_width[:, None, None])
        least = square if least is None else torch.minimum(least, square)
    return _SHADOW / (1 + least * least)
