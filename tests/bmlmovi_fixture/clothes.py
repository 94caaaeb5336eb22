"""What a subject of round cones wears: drawn at random, then converted to paint.

Colours are drawn in sRGB, and used in linear RGB (gamma 2, which rendering undoes).
"""

import colorsys
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bmlmovi_fixture.shading import Paint
from d3ke_lib.data.renderer.body_surface import BodySurface

_Color = tuple[float, float, float]

# Patterns: wave vectors in body axes (x forward, y up, z right), in waves per period, and mix (see Paint).
_PATTERNS = {
    "plain": (((0, 0, 0), (0, 0, 0)), (0, 0, 0, 0)),
    "hoops": (((0, 1, 0), (0, 0, 0)), (2.5, 0, 0, 0)),
    "stripes": (((0, 0, 1), (0, 0, 0)), (2.5, 0, 0, 0)),
    "checks": (((0, 1, 0), (0, 0, 1)), (0, 0, 4, 0)),
    "plaid": (((0, 1, 0), (0, 0, 1)), (0.6, 0.6, 0, 0)),
    "argyle": (((0.5, 0.8, 0.5), (-0.5, 0.8, 0.5)), (1.2, 1.2, 0, 0)),
    "zigzag": (((0.4, 0.9, 0.3), (0.8, -0.5, 0.7)), (0.5, 1.5, 0, 0.8)),
}
# From light to dark; a subject's is between two neighbours.
_SKINS = ((0.94, 0.78, 0.69), (0.87, 0.67, 0.54), (0.72, 0.51, 0.37), (0.52, 0.34, 0.24), (0.34, 0.22, 0.16))
_HAIRS = ((0.10, 0.08, 0.07), (0.20, 0.13, 0.09), (0.33, 0.21, 0.13), (0.72, 0.56, 0.34), (0.62, 0.60, 0.58))
_NEUTRALS = ((0.92, 0.92, 0.90), (0.6, 0.6, 0.62), (0.12, 0.12, 0.13), (0.14, 0.17, 0.30), (0.27, 0.36, 0.52))


@dataclass(frozen=True)
class Cloth:
    """Two colours (sRGB, 0 to 1) and the pattern that mixes them; period in m."""

    color: _Color
    second: _Color
    pattern: str = "plain"
    period: float = 0.1


@dataclass(frozen=True)
class Appearance:
    """Clothes and girth. sleeve, leg: how far clothes reach; 1 is the elbow or knee, 2 the wrist or ankle."""

    skin: Cloth
    hair: Cloth
    top: Cloth
    bottom: Cloth
    shoe: Cloth
    sleeve: float
    leg: float
    girth: float


def draw_appearance(generator: torch.Generator) -> Appearance:
    """A subject: short sleeves and long trousers are the rule, plain clothes as frequent as patterned."""
    draw = _Draw(generator)
    skin, hair = draw.between(_SKINS), draw.between(_HAIRS)
    return Appearance(
        skin=Cloth(skin, tuple(0.94 * c for c in skin), "zigzag", 0.12),
        hair=Cloth(hair, tuple(min(1.0, 1.35 * c) for c in hair), "stripes", 0.03),
        top=draw.cloth(patterned=0.55),
        bottom=draw.cloth(patterned=0.15),
        shoe=draw.cloth(patterned=0.0),
        sleeve=draw.one((0.0, 0.45, 0.6, 0.75, 1.3, 2.0)) + draw.within(-0.05, 0.05),
        leg=draw.one((0.6, 0.9, 1.5, 2.0, 2.0, 2.0)) + draw.within(-0.05, 0.05),
        girth=draw.within(0.94, 1.08),
    )


@dataclass(frozen=True)
class _Draw:
    """Named draws from one generator."""

    generator: torch.Generator

    def within(self, low: int | float, high: int | float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def one(self, choices: tuple) -> object:
        return choices[int(torch.randint(len(choices), (), generator=self.generator))]

    def between(self, palette: tuple[_Color, ...]) -> _Color:
        position = self.within(0, len(palette) - 1.001)
        first, share = int(position), position % 1
        return tuple(a + share * (b - a) for a, b in zip(palette[first], palette[first + 1]))

    def color(self) -> _Color:
        if self.within(0, 1) < 0.4:
            return tuple(min(1.0, c * self.within(0.92, 1.08)) for c in self.one(_NEUTRALS))
        return colorsys.hsv_to_rgb(self.within(0, 1), self.within(0.25, 0.9), self.within(0.25, 0.95))

    def cloth(self, patterned: float) -> Cloth:
        first, second = self.color(), self.color()
        names = tuple(name for name in _PATTERNS if name != "plain")
        pattern = self.one(names) if self.within(0, 1) < patterned else "plain"
        return Cloth(first, second, pattern, self.within(0.05, 0.16))


# -- paint ---------------------------------------------------------------------------


def paint_body(surface: BodySurface, appearance: Appearance) -> Paint:
    """Paint of each cone of the surface for this appearance."""
    roles = [_role(garment) for garment in surface.garment]
    cloths = [getattr(appearance, role) for role in roles]
    skin = torch.tensor(appearance.skin.color).square()
    return Paint(
        color=torch.tensor([cloth.color for cloth in cloths]).square(),
        second=torch.tensor([cloth.second for cloth in cloths]).square(),
        bare=skin.expand(len(cloths), 3),
        hem=_hems(surface, appearance),
        waves=torch.tensor([_PATTERNS[cloth.pattern][0] for cloth in cloths], dtype=torch.float32)
        / torch.tensor([cloth.period for cloth in cloths])[:, None, None],
        phase=torch.full((len(cloths), 2), 0.25),
        mix=torch.tensor([_PATTERNS[cloth.pattern][1] for cloth in cloths], dtype=torch.float32),
    )


def _role(garment: str) -> str:
    tops, bottoms = ("shirt", "sleeve", "long_sleeve"), ("shorts", "trousers")
    if garment in tops or garment in bottoms:
        return "top" if garment in tops else "bottom"
    return "skin" if garment == "none" else garment


def _hems(surface: BodySurface, appearance: Appearance) -> Float[Tensor, "cone"]:
    """Where along each cone cloth ends: a sleeve or trouser leg may end on it, else far beyond it."""
    hems = []
    for i, (body, garment) in enumerate(zip(surface.body, surface.garment)):
        limb = _LIMBS.get(body.split("_")[0])
        length = {"top": appearance.sleeve, "bottom": appearance.leg}.get(_role(garment))
        if limb is None or length is None:
            hems.append(9.0)
            continue
        start, end = (
            limb - float(point[1]) / _length(surface, body) for point in (surface.a[i], surface.b[i])
        )
        hems.append((length - start) / max(end - start, 1e-6))
    return torch.tensor(hems)


# Bodies that a sleeve or trouser leg can end on, and how many whole segments are above them.
_LIMBS = {"humerus": 0, "ulna": 1, "radius": 1, "femur": 0, "tibia": 1}


def _length(surface: BodySurface, body: str) -> float:
    """How far (m) clothes can reach down a body: its segments hang along −y."""
    covered = [i for i, b in enumerate(surface.body) if b == body and surface.garment[i] != "none"]
    return -float(surface.b[covered, 1].min())
