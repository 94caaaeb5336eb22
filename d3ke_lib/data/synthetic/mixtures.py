"""How actions are varied and mixed: all headings, both sides, wide styles, and mixtures of actions.

A mixture is a motion that no single action contains: the upper body blends three parts and the lower body
three others, where a part is an action or a posture (postures.toml); single limbs follow further parts, and
every channel has a random curve of its own. The weights of a blend change in time.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.channels import CHANNELS, POSTURES, channel_ranges, stem, uniform, wander
from d3ke_lib.data.synthetic.motion import Motion, Style, draw_curves, draw_style, generate_motion, to_motion

MIXTURE = "mixture"  # the action of a record's frames
# Actions of no training subject and of no mixture, by the split whose subjects perform them.
HELD_OUT = {
    "validation": ("crossing_legs_sitting", "taking_photo"),
    "test": ("kicking", "throwing", "crawling", "random"),
}
_LOWER = ("hip", "knee", "ankle", "subtalar", "mtp", "tilt", "list", "turn", "hop")  # stems of channels
_POSTURES_UPPER, _POSTURES_LOWER = 0.35, 0.6  # share of postures among the parts
_PARTS = 3  # that each half blends
_SHARPNESS = 4.0  # of their weights
_RATES = (0.15, 0.8)  # Hz, of the weights and of every channel's random curve
_LIMB = 0.35  # probability that a limb follows a part of its own
_RANDOM = 0.2  # probability that the upper, or the lower, body moves at random
_NOISE = 0.2  # amplitude of every channel's random curve, of its comfortable range
_HALVES = {"upper": ("arm_r", "arm_l"), "lower": ("leg_r", "leg_l")}
_LEAN = 0.35  # rad, standard deviation of the root's lean in any direction


class _Mixture(NamedTuple):
    """Names of the parts that each half of the body blends; limb → its own part; halves at random."""

    upper: tuple[str, ...]
    lower: tuple[str, ...]
    limbs: dict[str, str]
    random: tuple[bool, bool]


def draw_wide_style(seed: int | Sequence[int]) -> Style:
    """A style with tempo, amplitude and posture within ± 40 %."""
    return draw_style(seed, tempo=0.4, size=0.4, posture=1.4)


def vary_motion(action: str, style: Style, t: Float[Tensor, " time"], seed: Sequence[int]) -> Motion:
    """The action by either side of the body and with a heading uniform over 360°."""
    generator = seed_generator(*seed, len(CHANNELS))
    left_handed = bool(torch.rand((), generator=generator) < 0.5)
    motion = generate_motion(action, replace(style, left_handed=left_handed), t, seed)
    return _rotate_world(motion, torch.eye(3, dtype=torch.float64), uniform(generator, 0.0, 2 * math.pi))


def generate_mixture(
    actions: Sequence[str], style: Style, t: Float[Tensor, " time"], seed: Sequence[int]
) -> tuple[Motion, list[str]]:
    """A mixture of these actions and the postures, and of each time the column `parts` (data/schema.py).

    A function of each time alone, as `generate_motion`.
    """
    take = seed_generator(*seed, len(CHANNELS) + 1)
    mixture = draw_mixture(actions, take)
    t = t.to(torch.float64)
    style = replace(style, left_handed=bool(torch.rand((), generator=take) < 0.5))
    curves, weights = _mix(mixture, style, take, t)
    motion = to_motion(curves, mixture.lower[0], style, take, t)
    axis = uniform(take, 0.0, 2 * math.pi)
    lean = _LEAN * torch.randn((), generator=take, dtype=torch.float64).clamp(-2, 2)
    R_lean = _rotation_about(torch.stack([axis.cos(), axis.sin(), torch.zeros_like(axis)]), lean)
    motion = _rotate_world(motion, R_lean, uniform(take, 0.0, 2 * math.pi))
    return motion, [_describe_parts(mixture, frame) for frame in weights.tolist()]


def _describe_parts(mixture: _Mixture, weights: list[list[float]]) -> str:
    """One frame's parts by half of the body, as JSON: weights that sum to 1, to 3 decimals.

    A limb with a part of its own weighs what its share of the half's channels is.
    """
    described = {}
    for half, random, blend in zip(_HALVES, mixture.random, weights):
        names = ("random",) if random else getattr(mixture, half)
        limbs = {limb: _limb_share(limb) for limb in _HALVES[half] if limb in mixture.limbs}
        rest = 1 - sum(limbs.values())
        pairs = [(name, rest * weight) for name, weight in zip(names, [1.0] if random else blend)]
        pairs += [(mixture.limbs[limb], share) for limb, share in limbs.items()]
        every = sorted({name for name, _ in pairs})
        described[half] = {name: round(sum(w for other, w in pairs if other == name), 3) for name in every}
    return json.dumps(described)


def draw_mixture(actions: Sequence[str], generator: Generator) -> _Mixture:
    """Random parts."""

    def chance(probability: float) -> bool:
        return bool(torch.rand((), generator=generator) < probability)

    def part(postures: float) -> str:
        names = tuple(POSTURES) if chance(postures) else tuple(actions)
        return names[int(torch.randint(len(names), (), generator=generator))]

    upper, lower = (tuple(part(share) for _ in range(_PARTS)) for share in (_POSTURES_UPPER, _POSTURES_LOWER))
    limbs = {limb: part(_POSTURES_UPPER) for limb in _limb_channels() if chance(_LIMB)}
    return _Mixture(upper, lower, limbs, (chance(_RANDOM), chance(_RANDOM / 2)))


def _mix(
    mixture: _Mixture, style: Style, take: Generator, t: Tensor
) -> tuple[Float[Tensor, "time channel"], Float[Tensor, "time half part"]]:
    """Channels of a mixture, degrees, and the weights of the parts that each half blends."""
    blends = [_blend(parts, style, take, t) for parts in (mixture.upper, mixture.lower)]
    (upper, lower), weights = zip(*blends)
    free = draw_curves("random", style, take, t)
    upper, lower = (free if own else half for own, half in zip(mixture.random, (upper, lower)))
    curves = torch.where(_is_lower(), lower, upper)
    for limb, name in mixture.limbs.items():
        curves = torch.where(_limb_channels()[limb], draw_curves(name, style, take, t), curves)
    low, high = channel_ranges().unbind(-1)
    noise = _NOISE * (high - low) / 2 * wander(take, t, len(CHANNELS), *_RATES)
    return curves + noise, torch.stack(weights, 1)


def _blend(
    parts: Sequence[str], style: Style, take: Generator, t: Tensor
) -> tuple[Float[Tensor, "time channel"], Float[Tensor, "time part"]]:
    """Channels of parts whose weights change in time, mostly one or two of them at once; the weights."""
    curves = torch.stack([draw_curves(name, style, take, t) for name in parts])
    weights = (_SHARPNESS * wander(take, t, len(parts), *_RATES)).softmax(-1)
    return torch.einsum("tp,ptc->tc", weights, curves), weights


@cache
def _is_lower() -> Bool[Tensor, " channel"]:
    return torch.tensor([stem(name).startswith(_LOWER) for name in CHANNELS])


@cache
def _limb_channels() -> dict[str, Bool[Tensor, " channel"]]:
    sides = {side: torch.tensor([name.endswith(f"_{side}") for name in CHANNELS]) for side in "rl"}
    halves = {"leg": _is_lower(), "arm": ~_is_lower()}
    return {f"{limb}_{side}": half & own for limb, half in halves.items() for side, own in sides.items()}


@cache
def _limb_share(limb: str) -> float:
    """Share of its half's channels that a limb moves."""
    half = _is_lower() if limb.startswith("leg") else ~_is_lower()
    return int(_limb_channels()[limb].sum()) / int(half.sum())


def _rotate_world(motion: Motion, R: Float[Tensor, "3 3"], heading: Float[Tensor, ""]) -> Motion:
    """The motion with its root rotated by `R` in the world, then about the vertical with its path."""
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    yaw = _rotation_about(up, heading)
    return motion._replace(R_world_root=yaw @ R @ motion.R_world_root, xy=motion.xy @ yaw[:2, :2].T)


def _rotation_about(axis: Float[Tensor, "3"], angle: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    x, y, z = (axis * angle.sin()).unbind()
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    return angle.cos() * torch.eye(3).to(axis) + cross + (1 - angle.cos()) * axis[:, None] * axis
