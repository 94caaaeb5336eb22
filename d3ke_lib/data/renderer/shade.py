"""Light: a lamp and a sky. Colours are linear RGB, 0 to 1."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

# How much darker the ground's light is than the sky's, and a surface seen edge-on than one faced.
GROUND, EDGE = 0.45, 0.35


class Light(NamedTuple):
    """Unit direction to the sun (world), its colour, and the sky's."""

    towards: Float[Tensor, "*batch 3"]
    sun: Float[Tensor, "*batch 3"]
    sky: Float[Tensor, "*batch 3"]


def triangle_wave(phase: Tensor) -> Tensor:
    """The triangular wave of period 1 between −1 and 1."""
    return (phase - (phase + 0.5).floor()).abs_().mul_(4).sub_(1)
