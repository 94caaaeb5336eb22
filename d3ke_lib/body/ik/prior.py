"""What inverse kinematics believes before it sees the markers."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Prior(NamedTuple):
    """What is believed before the markers are seen; they are off by `noise`, m, per axis (for weight 1).

    Coordinates accelerate by about `acceleration` half ranges per s² and stand about `spread` half ranges off
    their middle, which matters only where no marker sees them, or two turn about one axis (in D3KE's body
    shoulder_rot and shoulder1_r2) and only their sum is seen. No half range counts for more than half a turn.
    With `mean` and `deviation` (rad or m, as Skeleton.coordinates) coordinates stand about there instead.
    """

    rate: float  # frames per second
    noise: float = 2e-3
    acceleration: float = 20.0
    spread: float = 1.0
    mean: Float[Tensor, " coord"] | None = None
    deviation: Float[Tensor, " coord"] | None = None


class _Pull(NamedTuple):
    """`strength` (m²/rad²) · |unknown − usual|² is added to the cost of a frame."""

    usual: Float[Tensor, " unknown"]
    strength: Float[Tensor, " unknown"]


def pull_of(
    prior: Prior | None, coordinates: Sequence[str], names: Sequence[str], usual: Tensor, reach: Tensor
) -> _Pull:
    """The pull on the unknowns `names`; `coordinates`: what the prior's mean and deviation are of.

    usual, reach: where unknowns stand without a prior's mean, and their half ranges.
    """
    if prior is None:
        return _Pull(usual, torch.zeros_like(usual))
    strength = (prior.noise / (prior.spread * reach)).square()
    if prior.mean is None or prior.deviation is None:
        return _Pull(usual, strength)
    rows = [i for i, name in enumerate(names) if name in coordinates]
    columns = [coordinates.index(names[i]) for i in rows]
    usual, strength = usual.clone(), strength.clone()
    usual[rows] = prior.mean[columns].to(usual)
    strength[rows] = (prior.noise / prior.deviation[columns].to(usual)).square()
    return _Pull(usual, strength)
