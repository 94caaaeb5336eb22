"""What a subject does in a take: an action, or a mixture that does not penetrate itself."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.portable.mode import portable
from d3ke_lib.data.renderer.body_surface import BodySurface, pose_surface
from d3ke_lib.data.synthetic.collisions import penetration_depth, separable_pairs
from d3ke_lib.data.synthetic.mixtures import MIXTURE, generate_mixture, vary_motion
from d3ke_lib.data.synthetic.motion import Motion, Style

# Of mixtures: how many are tried, how deep (m) one may penetrate itself, and in how many of its frames.
_TRIES, _MAX_DEPTH, _CHECKED_FRAMES = 8, 0.03, 8


class Mover(NamedTuple):
    """What a subject's motion depends on; the skeleton in float64."""

    skeleton: Skeleton
    surface: BodySurface  # whose cones are kept apart
    scales: Float[Tensor, "body 3"]
    style: Style


def draw_motion(
    mover: Mover, action: str, seen: Sequence[str], t: Float[Tensor, " time"], seed: Sequence[int]
) -> tuple[Motion, list[str]]:
    """The motion at the times `t` (s) and, of each frame, the column `parts`; `seed`: of the take.

    seen: the actions that mixtures are made of. Raises ValueError for an unknown action.
    """
    if action == MIXTURE:
        return choose_mixture(mover, seen, t, seed)
    return vary_motion(action, mover.style, t, seed), [""] * len(t)


def choose_mixture(
    mover: Mover, actions: Sequence[str], t: Float[Tensor, " time"], seed: Sequence[int]
) -> tuple[Motion, list[str]]:
    """A mixture of actions: of up to `_TRIES`, the first that penetrates itself by less than `_MAX_DEPTH`.

    If there is none, the one that penetrates itself least.
    """
    tries: list[tuple[float, tuple[Motion, list[str]]]] = []
    while len(tries) < _TRIES and (not tries or tries[-1][0] > _MAX_DEPTH):
        made = generate_mixture(actions, mover.style, t, (*seed, len(tries)))
        some = Motion(*(part[:: max(1, len(t) // _CHECKED_FRAMES)] for part in made[0]))
        tries.append((float(measure_depth(mover, some).max()), made))
    return min(tries, key=lambda one: one[0])[1]


def measure_depth(mover: Mover, motion: Motion) -> Float[Tensor, " time"]:
    """m: how deep the body penetrates itself in each frame."""
    pose = Pose(motion.angles, mover.scales.expand(len(motion.angles), -1, -1), motion.R_world_root)
    cones = pose_surface(mover.surface, mover.skeleton, pose, torch.zeros(len(motion.angles), 3).double())
    return penetration_depth(cones, _find_pairs(mover.skeleton, mover.surface))


@cache
@portable
def _find_pairs(skeleton: Skeleton, surface: BodySurface) -> Bool[Tensor, "cone cone"]:
    """Pairs of cones that may not overlap."""
    return separable_pairs(skeleton, surface)
