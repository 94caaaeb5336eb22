"""The room and its light, drawn at random.

Colours are drawn in sRGB, and used in linear RGB (gamma 2, which rendering undoes).
"""

import colorsys
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.data.renderer.room import Room
from d3ke_lib.data.renderer.shade import Light

_Color = tuple[float, float, float]


@dataclass(frozen=True)
class _Draw:
    """Named draws from one generator."""

    generator: torch.Generator
    held_out: bool = False  # hues that only held-out rooms have

    def within(self, low: int | float, high: int | float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def hue(self) -> float:
        """0 to 1: warm in three of four cases and else bluish; held out: green or purple."""
        if self.held_out:
            return self.within(0.24, 0.42) if self.within(0, 1) < 0.5 else self.within(0.74, 0.9)
        return self.within(0.04, 0.14) if self.within(0, 1) < 0.75 else self.within(0.5, 0.64)

    def one(self, choices: tuple) -> object:
        return choices[int(torch.randint(len(choices), (), generator=self.generator))]


def draw_light(generator: torch.Generator) -> Light:
    """A lamp 35° to 75° above the horizon on any side, warmer or cooler than the sky."""
    draw = _Draw(generator)
    height, around = math.radians(draw.within(35, 75)), draw.within(0, 2 * math.pi)
    flat = math.cos(height)
    towards = (flat * math.cos(around), flat * math.sin(around), math.sin(height))
    warmth, power = draw.within(-0.12, 0.12), draw.within(0.45, 0.95)
    sun = (power * (1 + warmth), power, power * (1 - warmth))
    sky = draw.within(0.35, 0.6)
    return Light(
        *(torch.tensor(v) for v in (towards, sun, (sky * (1 - warmth / 2), sky, sky * (1 + warmth / 2))))
    )


# Wallpaper and floor, texels each; the room's texture has the one above the other.
_ROWS, _COLUMNS = 128, 256


def draw_room(generator: torch.Generator, held_out: bool = False) -> Room:
    """A room around BMLmovi's cameras (about y = −5 m and x = −4 m); walls 2.2 to 5 m behind the origin.

    Colours are those of inhabited rooms, mostly warm and pale; `held_out`: more colourful, green or purple,
    over a chequered floor.
    """
    draw = _Draw(generator, held_out)
    low = torch.tensor([-draw.within(5.6, 8), -draw.within(5.6, 8)])
    high = torch.tensor([draw.within(2.2, 5), draw.within(2.2, 5)])
    texture = torch.cat((_wallpaper(draw), _flooring(draw)), 1)
    return Room(low, high, texture.clamp(0, 1).square())


def _wallpaper(draw: _Draw) -> Float[Tensor, "3 row column"]:
    wall = _tinted(draw, saturation=0.25, low=0.3, high=0.95)
    wall = wall * torch.linspace(draw.within(0.85, 1.1), draw.within(0.75, 1.0), _ROWS)[:, None]
    wall = wall + _clouds(draw, 0.06)
    for _ in range(draw.one((0, 1, 2, 3, 5))):
        _draw_framed(draw, wall)
    if draw.within(0, 1) < 0.7:
        wall[:, -int(draw.within(3, 8)) :] = _tinted(draw, saturation=0.4, low=0.1, high=0.9)[:, :1]
    return wall


def _tinted(draw: _Draw, saturation: float, low: float, high: float) -> Float[Tensor, "3 row column"]:
    pale, low = 0.7 * saturation, (low + high) / 2
    strength = draw.within(0.7 * saturation, 1.2 * saturation) if draw.held_out else draw.within(0, pale)
    color = colorsys.hsv_to_rgb(draw.hue(), strength, draw.within(low, high))
    return torch.tensor(color)[:, None, None].repeat(1, _ROWS, _COLUMNS)


def _clouds(draw: _Draw, strength: float) -> Float[Tensor, "3 row column"]:
    """Grey noise in three octaves, with a little colour."""
    total = torch.zeros(3, _ROWS, _COLUMNS)
    for octave in range(3):
        shape = (1, 3, 4 * 2 ** (2 * octave), 8 * 2 ** (2 * octave))
        noise = 2 * torch.rand(shape, generator=draw.generator) - 1
        noise = 0.95 * noise[:, :1] + 0.05 * noise
        total += F.interpolate(noise, (_ROWS, _COLUMNS), mode="bilinear")[0] * strength / (1 + octave)
    return total


def _draw_framed(draw: _Draw, wall: Tensor) -> None:
    """A poster, a window or a door on the wallpaper: a frame, and something inside."""
    height, width = int(draw.within(12, 80)), int(draw.within(10, 60))
    top = _ROWS - height if height > 60 else int(draw.within(0, _ROWS - height))
    left = int(draw.within(0, _COLUMNS - width))
    inside = _tinted(draw, saturation=0.6, low=0.1, high=1.0) + _clouds(draw, draw.within(0, 0.25))
    wall[:, top : top + height, left : left + width] = _tinted(draw, 0.3, 0.05, 1.0)[:, :height, :width]
    edge = int(draw.within(1, 4))
    inner = (slice(None), slice(top + edge, top + height - edge), slice(left + edge, left + width - edge))
    wall[inner] = inside[inner]


def _flooring(draw: _Draw) -> Float[Tensor, "3 row column"]:
    """Carpet, planks along y, or tiles; chequers where held out."""
    floor = _tinted(draw, saturation=0.3, low=0.25, high=0.8) + _clouds(draw, 0.05)
    kind = "chequers" if draw.held_out else draw.one(("carpet", "planks", "tiles"))
    if kind == "chequers":
        row, column = torch.arange(_ROWS)[:, None] // (_ROWS // 8), torch.arange(_COLUMNS) // (_COLUMNS // 16)
        floor *= torch.where((row + column) % 2 == 0, 1.0, draw.within(0.45, 0.75))
    if kind == "planks":
        shades = 1 + 0.4 * (torch.rand(16, generator=draw.generator) - 0.5)
        floor *= shades.repeat_interleave(_COLUMNS // 16)
    if kind == "tiles":
        joint = draw.within(0.6, 0.95)
        floor[:, :: _ROWS // 4] *= joint
        floor[:, :, :: _COLUMNS // 8] *= joint
    return floor
