"""Shading of a point on a cone: paint that moves with the body, a sun, a sky.

Colours are linear RGB, 0 to 1. Paint is two colours mixed by a pattern of two triangular waves in the
coordinates of the body that carries the cone: stripes, checks, plaid and zigzags are the same formula.
Additions, products, quotients, roots and comparisons only, as in cones.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bmlmovi_fixture.culling import take_columns
from d3ke_lib.data.renderer.body_surface import Cones
from d3ke_lib.data.renderer.rays import Ray, dot
from d3ke_lib.data.renderer.shade import EDGE, GROUND, Light, triangle_wave

# One over the share of a cone's length in which cloth gives way to skin at a hem.
_SHARP = 25.0


class Paint(NamedTuple):
    """Per cone: the share `hem` of its length from a on is covered by cloth, the rest is bare.

    waves: two wave vectors (1/m) in body axes; phase: of each, in waves;
    mix: weights of wave 1, wave 2 and their product around 0.5, and how far wave 1 bends wave 2.
    """

    color: Float[Tensor, "*batch cone 3"]
    second: Float[Tensor, "*batch cone 3"]
    bare: Float[Tensor, "*batch cone 3"]
    hem: Float[Tensor, "*batch cone"]
    waves: Float[Tensor, "*batch cone 2 3"]
    phase: Float[Tensor, "*batch cone 2"]
    mix: Float[Tensor, "*batch cone 4"]


def prepare_shading(
    cones: Cones,
    paint: Paint,
    light: Light,
    eye: Float[Tensor, "frame 3"],
    footprint: Float[Tensor, "frame cone"],
) -> Float[Tensor, "constant frame cone"]:
    """The constants of `shade`, a row each; footprint: a pixel's size at each cone, m."""
    a, u, fall = cones.a - eye[:, None], cones.b - cones.a, cones.ra - cones.rb
    grip, lean = (dot(u, u) - fall * fall).clamp(min=1e-9), dot(a, u) + cones.ra * fall
    R, origin = cones.R_world_body, cones.p_world_body - eye[:, None]
    waves = [_in_world(R, paint.waves[..., i, :]) for i in range(2)]
    phase = [paint.phase[..., i] - dot(wave, origin) for i, wave in enumerate(waves)]
    mix = paint.mix * _resolved(paint.waves, footprint)[..., None]
    rows = [
        *(a.unbind(-1) + u.unbind(-1)),
        *(lean, grip, cones.ra, fall, paint.hem),
        *(waves[0].unbind(-1) + waves[1].unbind(-1)),
        *(*phase, *mix.unbind(-1)),
        *(paint.color.unbind(-1) + (paint.second - paint.color).unbind(-1) + paint.bare.unbind(-1)),
        *(component for part in light for component in part[:, None].unbind(-1)),
    ]
    return torch.stack([row.expand(fall.shape) for row in rows])


def _in_world(R: Tensor, vector: Tensor) -> Tensor:
    """R · vector without a matrix product, whose rounding may depend on the batch."""
    return torch.stack([dot(R[..., i, :], vector.expand(R.shape[:-1])) for i in range(3)], -1)


def _resolved(waves: Tensor, footprint: Tensor) -> Tensor:
    """1 where the finer wave is at least four pixels long, 0 where it is under two: no moiré."""
    square = (waves * waves)[..., 0] + (waves * waves)[..., 1] + (waves * waves)[..., 2]
    pixels = 1 / (square.amax(-1).sqrt() * footprint).clamp(min=1e-3)
    return ((pixels - 2) / 2).clamp(0, 1)


def shade(
    rows: Float[Tensor, "constant frame cone"], rays: Ray, inverse: Float[Tensor, "n"], cone: Int[Tensor, "n"]
) -> Float[Tensor, "3 n"]:
    """Colour where rays meet cones at 1/t; `cone` is numbered through all frames."""
    c = take_columns(rows, cone)
    t = 1 / inverse
    x, y, z = rays.x * t, rays.y * t, rays.z * t
    along = x * c[3] + y * c[4] + z * c[5]
    s = ((along - c[6]) / c[7]).clamp_(0, 1)
    size = 1 / (c[8] - s * c[9])
    nx, ny, nz = ((p - c[i] - s * c[3 + i]) * size for i, p in enumerate((x, y, z)))
    cloth = _cloth_mix(c[11:23], x, y, z)
    lit = (nx * c[32] + ny * c[33] + nz * c[34]).clamp_(min=0)
    facing = (nx * rays.x + ny * rays.y + nz * rays.z) / rays.square.sqrt()
    sky = ((1 + GROUND) / 2 + (1 - GROUND) / 2 * nz) * (1 - EDGE - EDGE * facing)
    covered = ((c[10] - s) * _SHARP).clamp_(0, 1)
    colors = []
    for i in range(3):
        base = c[29 + i] + covered * (c[23 + i] + cloth * c[26 + i] - c[29 + i])
        colors.append(base * (c[35 + i] * lit + c[38 + i] * sky))
    return torch.stack(colors)


def _cloth_mix(c: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Share of the second colour, in [0, 1]."""
    first = triangle_wave(x * c[0] + y * c[1] + z * c[2] + c[6])
    second = triangle_wave(x * c[3] + y * c[4] + z * c[5] + c[7] + first * c[11])
    return (first * c[8] + second * c[9] + first * second * c[10] + 0.5).clamp_(0, 1)
