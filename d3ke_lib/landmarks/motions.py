"""Synthetic motions seen by random cameras, without rendering: where landmarks are, and the true poses.

The motions are those of the synthetic data (mixtures and single actions that are not held out), of other
subjects; the camera looks at the person, as the crop of a video does.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.mixtures import (
    HELD_OUT,
    MIXTURE,
    draw_wide_style,
    generate_mixture,
    vary_motion,
)
from d3ke_lib.data.synthetic.motion import ACTIONS
from d3ke_lib.data.synthetic.scene import draw_scales
from d3ke_lib.landmarks.lifter import RATE

UNSEEN = tuple(name for names in HELD_OUT.values() for name in names)
SEEN = tuple(action for action in ACTIONS if action not in UNSEEN)
_SECONDS = 4.0
_SUBJECTS = 1_000_000  # the first number of a subject: no record's
_MIXTURES = 0.7  # share of the motions
_SIZE, _MOTION = 1, 2  # purposes of random streams
# Of cameras, m: distance and height; of the pelvis above the floor.
_DISTANCE, _HEIGHT, _PELVIS = (2.0, 8.0), (0.4, 2.8), 0.9
_ROLL, _AIM = math.radians(4), math.radians(2)  # standard deviations


class Motions(NamedTuple):
    """Subjects in motion at RATE; R_world_root in a world with z up. All motions are equally long."""

    angles: Float[Tensor, "motion time coord"]
    scales: Float[Tensor, "motion unique"]
    R_world_root: Float[Tensor, "motion time 3 3"]
    actions: tuple[str, ...]

    def window(self, skeleton: Skeleton, motion: Int[Tensor, " n"], frames: Int[Tensor, "n time"]) -> Pose:
        """Poses of some frames of some motions."""
        scales = skeleton.spread_scales(self.scales[motion])[:, None].expand(-1, frames.shape[1], -1, -1)
        rows = motion[:, None]
        return Pose(self.angles[rows, frames], scales, self.R_world_root[rows, frames])


def draw_motions(skeleton: Skeleton, seed: int, actions: Sequence[str]) -> Motions:
    """One motion per entry of `actions` (MIXTURE or an action's name), each by a subject of its own."""
    t = torch.arange(round(_SECONDS * RATE), dtype=torch.float64) / RATE
    double, parts = deepcopy(skeleton).double(), []
    for number, action in enumerate(actions):
        stream = (seed, _SUBJECTS + number, _MOTION)
        style = draw_wide_style(stream)
        if action == MIXTURE:
            motion, _ = generate_mixture(SEEN, style, t, stream)
        else:
            motion = vary_motion(action, style, t, stream)
        scales = draw_scales(double, seed_generator(seed, _SUBJECTS + number, _SIZE))
        parts.append((motion.angles.float(), scales.float(), motion.R_world_root.float()))
    return Motions(*(torch.stack(part) for part in zip(*parts)), tuple(actions))


def draw_actions(count: int, generator: Generator) -> list[str]:
    """Names for `draw_motions`: mostly mixtures, else actions that are not held out."""
    kinds = torch.rand(count, generator=generator) < _MIXTURES
    choice = torch.randint(len(SEEN), (count,), generator=generator)
    return [MIXTURE if mixed else SEEN[i] for mixed, i in zip(kinds.tolist(), choice.tolist())]


class View(NamedTuple):
    """Cameras at a distance (m) that look at the person, nearly: what `observe` needs to know of them."""

    R: Float[Tensor, "n 3 3"]  # world → camera
    t: Float[Tensor, "n 3"]


def draw_views(count: int, generator: Generator) -> View:
    """Cameras all around, at any of the usual heights and distances."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    azimuth, distance = uniform(0.0, 2 * math.pi), uniform(*_DISTANCE)
    pitch = torch.atan2(uniform(*_HEIGHT) - _PELVIS, distance)
    roll = _ROLL * torch.randn(count, generator=generator)
    aim = _AIM * torch.randn(count, 2, generator=generator)
    zero, one = torch.zeros(count), torch.ones(count)
    across = torch.stack([-azimuth.sin(), azimuth.cos(), zero], -1)
    forward = torch.stack([-azimuth.cos() * pitch.cos(), -azimuth.sin() * pitch.cos(), -pitch.sin()], -1)
    down = torch.linalg.cross(forward, across)
    R_roll = torch.stack(
        [roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one], -1
    ).view(-1, 3, 3)
    R = R_roll @ torch.stack([across, down, forward], -2)
    return View(R, distance[:, None] * torch.stack([aim[:, 0], aim[:, 1], one], -1))


def seen_by(view: View, points: Float[Tensor, "n time point 3"]) -> Float[Tensor, "n time point 3"]:
    """World (m, relative to the pelvis joint) → camera."""
    return points @ view.R[:, None].mT + view.t[:, None, None]
