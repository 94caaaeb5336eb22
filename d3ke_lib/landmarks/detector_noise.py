"""Errors like the detector's, added to true landmarks: what a lifting network is trained on.

Every window has errors of its own: a steady part and one that changes from frame to frame, hidden landmarks
with larger errors, exchanged sides, gaps in time, a wrong size and a rotated 3-D body. Sizes: sites.json.
"""

import math
from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from d3ke_lib.landmarks.features import crop_normalise
from d3ke_lib.landmarks.names import MIRRORED, NAMES
from d3ke_lib.landmarks.sites import DetectorNoise

_LIMBS = {"arms": range(11, 23), "legs": range(23, 33), "all": range(33)}
_HIPS = [NAMES.index("left_hip"), NAMES.index("right_hip")]
_LONGEST_GAP = 8  # frames


class _Seen(NamedTuple):
    """Landmarks as a detector gives them."""

    image: Float[Tensor, "window time 33 2"]  # any unit
    world: Float[Tensor, "window time 33 3"]  # m from the middle of the hips
    visibility: Float[Tensor, "window time 33"]


def observe(points: Float[Tensor, "window time 33 3"], noise: DetectorNoise, generator: Generator) -> _Seen:
    """Landmarks at `points` (m, in the axes of a camera at 0), as the detector would see them."""
    draw = _Draw(noise, generator, points)
    hidden = draw.hidden()
    factor = torch.where(hidden, noise.hidden_factor, 1.0) * draw.outlier_factor()
    image = points[..., :2] / points[..., 2:]
    size = crop_normalise(image)[1][..., None, None]
    image = image + size * factor[..., None] * draw.errors(noise.image_slow, noise.image_fast, 2)
    world = points - points[:, :, _HIPS].mean(2, keepdim=True)
    scale, R = draw.size(), draw.rotation()
    world = world + factor[..., None] * draw.errors(noise.world_slow, noise.world_fast, 3)
    world = scale[:, None, None, None] * (world @ R[:, None].mT)
    seen = _Seen(image, world, draw.visibility(hidden))
    for limb, share in noise.swaps.items():
        seen = draw.swapped(seen, limb, share)
    return draw.with_gaps(seen)


class _Draw:
    """Random numbers of one batch of windows."""

    def __init__(self, noise: DetectorNoise, generator: Generator, like: Tensor) -> None:
        self.noise, self.generator, self.like = noise, generator, like
        self.windows, self.time = like.shape[:2]

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(self.like)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator).to(self.like)

    def hidden(self) -> Tensor:
        """Hidden for the whole window."""
        chance = self.like.new_tensor(self.noise.hidden)
        return (self.uniform(self.windows, 1, len(NAMES)) < chance).expand(-1, self.time, -1)

    def visibility(self, hidden: Tensor) -> Tensor:
        own = 0.5 * self.uniform(self.windows, 1, len(NAMES)).expand_as(hidden)
        return torch.where(hidden, own, 1 - own.square())

    def outlier_factor(self) -> Tensor:
        outlying = self.uniform(self.windows, self.time, len(NAMES)) < self.noise.outliers
        return torch.where(outlying, self.noise.outlier_factor, 1.0)

    def errors(self, slow: list, fast: list, axes: int) -> Tensor:
        """Steady errors plus an autoregressive sequence; a deviation per landmark, or per axis as well."""
        slow, fast = (self.like.new_tensor(part).reshape(len(NAMES), -1) for part in (slow, fast))
        keep = self.noise.correlation
        steps = self.normal(self.windows, self.time, len(NAMES), axes)
        sequence = [steps[:, 0]]
        for step in steps.unbind(1)[1:]:
            sequence.append(keep * sequence[-1] + math.sqrt(1 - keep**2) * step)
        steady = self.normal(self.windows, 1, len(NAMES), axes)
        return slow * steady + fast * torch.stack(sequence, 1)

    def size(self) -> Tensor:
        mean, deviation = self.noise.world_scale
        return mean + deviation * self.normal(self.windows).clamp(-2.5, 2.5)

    def rotation(self) -> Tensor:
        deviation = self.like.new_tensor(self.noise.world_rotation)
        return roma.rotvec_to_rotmat(deviation * self.normal(self.windows, 3).clamp(-2.5, 2.5))

    def swapped(self, seen: _Seen, limb: str, share: float) -> _Seen:
        """The sides of a limb exchanged in a part of some windows: `share` of all frames."""
        first, last = self.uniform(2, self.windows, 1).sort(0).values * self.time
        frames = torch.arange(self.time).to(self.like)
        within = (frames >= first) & (frames < last)
        within &= self.uniform(self.windows, 1) < 3 * share  # a part is a third of a window on average
        order = torch.arange(len(NAMES))
        rows = torch.tensor(list(_LIMBS[limb]))
        order[rows] = torch.tensor(MIRRORED)[rows]
        image, world, visibility = (
            torch.where(within.view(*within.shape, *[1] * (part.ndim - 2)), part[:, :, order], part)
            for part in seen
        )
        return _Seen(image, world, visibility)

    def with_gaps(self, seen: _Seen) -> _Seen:
        """Some frames lost: landmarks on straight lines between those around, with a visibility of 0."""
        length = 1 + (self.uniform(self.windows) * _LONGEST_GAP).long()
        first = 1 + (self.uniform(self.windows) * (self.time - 2 - length)).long()
        lost = self.uniform(self.windows) < self.noise.missing * self.time / length
        index = torch.arange(self.time).expand(self.windows, -1)
        before, after = first[:, None] - 1, (first + length)[:, None]
        inside = lost[:, None] & (index > before) & (index < after)
        share = ((index - before) / (after - before)).to(self.like)
        rows = torch.arange(self.windows)

        def line(part: Tensor) -> Tensor:
            wide = [1] * (part.ndim - 2)
            start, end = part[rows, before[:, 0]][:, None], part[rows, after[:, 0]][:, None]
            between = start + share.view(*share.shape, *wide) * (end - start)
            return torch.where(inside.view(*inside.shape, *wide), between, part)

        return _Seen(line(seen.image), line(seen.world), seen.visibility.masked_fill(inside[..., None], 0.0))
