"""Actions as smooth curves of the 69 coordinates.

An action (actions.toml) is a table of key poses over one cycle. Straight lines join them, a Gaussian blurs
them in time, and the Fourier series of that is the curve: periodic, infinitely smooth, never beyond its keys,
and a pure function of time. A `Style` (of the subject) and a seed (of the take) change tempo, amplitude and
posture; slow random curves are added, so that no coordinate is constant.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.data.portable.mode import portable
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.channels import (
    CHANNELS,
    POSTURES,
    TABLES,
    channel_ranges,
    look_up,
    mirror,
    posture_ranges,
    stem,
    to_angles,
    uniform,
    wander,
)

ACTIONS: tuple[str, ...] = tuple(
    name for name, table in TABLES.items() if "period" in table and name not in POSTURES
)

_SAMPLES = 240  # of a cycle; even, so that half a cycle is whole
_HARMONICS = 40
_BLUR = 0.03  # standard deviation, cycles
_RANDOM_SHARE = 0.6  # of the comfortable range
# Body axes x forward, y up, z right, of a subject who faces the world's -y (towards camera PG1).
_FACING = torch.tensor([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


class Motion(NamedTuple):
    """A take: joint angles, rotation and position of the pelvis. World: z up, m, rad; float64.

    hop: clearance between the lowest point of the body and the floor; the pelvis' height follows from it.
    """

    angles: Float[Tensor, "time coord"]
    R_world_root: Float[Tensor, "time 3 3"]
    xy: Float[Tensor, "time 2"]
    hop: Float[Tensor, " time"]


@dataclass(frozen=True)
class Style:
    """A subject's style in all actions: factors of tempo and amplitude, posture (degrees) by channel."""

    tempo: float
    gains: tuple[float, ...]
    posture: tuple[float, ...]
    left_handed: bool


def generate_motion(
    action: str, style: Style, t: Float[Tensor, " time"], seed: int | Sequence[int]
) -> Motion:
    """The action at the times `t` (s), in the style of a subject; `seed`: of the take.

    A function of each time alone, whatever the other times in `t`. Angles are rad in D3KE's order, inside
    the ranges of the model. Raises ValueError for an unknown action, naming those there are.
    """
    if action not in ACTIONS:
        raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, found {action!r}")
    parts = (seed,) if isinstance(seed, int) else tuple(seed)
    take = seed_generator(*parts, ACTIONS.index(action))
    t = t.to(torch.float64)
    return to_motion(draw_curves(action, style, take, t), action, style, take, t)


def draw_curves(
    action: str, style: Style, take: torch.Generator, t: Float[Tensor, " time"]
) -> Float[Tensor, "time channel"]:
    """Channels (degrees) of one take, without the style's posture."""
    return _perform_random(take, t) if action == "random" else _perform_action(action, style, take, t)


def to_motion(
    curves: Float[Tensor, "time channel"],
    action: str,
    style: Style,
    take: torch.Generator,
    t: Float[Tensor, " time"],
) -> Motion:
    """Channels and the style's posture as a motion that travels as the action does."""
    curves = curves + torch.tensor(style.posture, dtype=torch.float64)
    angles = to_angles(curves, take, t)
    heading, xy = _travel(TABLES[action], curves, style, take, t)
    column = curves.unbind(-1)
    tilt, lean = (torch.deg2rad(column[CHANNELS.index(name)]) for name in ("tilt", "list"))
    R_world_root = _axis_rotation(2, heading) @ _FACING @ _axis_rotation(2, -tilt) @ _axis_rotation(0, lean)
    return Motion(angles, R_world_root, xy, column[CHANNELS.index("hop")].clamp_min(0.0))


def draw_style(
    seed: int | Sequence[int], tempo: float = 0.2, size: float = 0.15, posture: float = 1.0
) -> Style:
    """A random style; one subject in eight is left-handed.

    tempo, size (of the amplitude): factors within 1 ± these; posture: factor of its standard deviation.
    """
    generator = seed_generator(*((seed,) if isinstance(seed, int) else seed))
    gain = uniform(generator, 1 - size, 1 + size)
    gains = gain * uniform(generator, 0.92, 1.08, len(CHANNELS))
    spread = posture * posture_ranges()[:, 0]
    offsets = torch.randn(len(CHANNELS), generator=generator, dtype=torch.float64).clamp(-2, 2)
    factor = float(uniform(generator, 1 - tempo, 1 + tempo))
    left_handed = bool(torch.rand((), generator=generator) < 1 / 8)
    return Style(factor, tuple(gains.tolist()), tuple((spread * offsets).tolist()), left_handed)


# -- curves -----------------------------------------------------------------------------------------------


@cache
def _cycle(action: str) -> Float[np.ndarray, "sample channel"]:
    """One cycle of an action, degrees: its key poses joined by straight lines."""
    table = TABLES[action]
    columns = []
    for name in CHANNELS:
        values = np.atleast_1d(look_up(table["keys"], name, TABLES["rest"].get(stem(name), 0.0)))
        phases = table.get("phase") if len(values) > 1 else [0.0]
        phases = np.linspace(0, 1, len(values), endpoint=False) if phases is None else phases
        column = np.interp(np.arange(_SAMPLES) / _SAMPLES, phases, values, period=1.0)
        opposite = table.get("alternate", False) and name.endswith("_l") and name not in table["keys"]
        columns.append(np.roll(column, _SAMPLES // 2) if opposite else column)
    return np.stack(columns, -1)


@cache
@portable
def _fourier_series(action: str) -> tuple[Tensor, Tensor]:
    """Coefficients (cosine and sine, harmonic, channel) of the blurred cycle, and of the beat (channel,)."""
    order = torch.arange(_HARMONICS, dtype=torch.float64)[:, None]
    smooth = torch.exp(-2 * (math.pi * _BLUR * order) ** 2) * torch.where(order > 0, 2.0, 1.0)
    found = torch.from_numpy(np.fft.rfft(_cycle(action), axis=0)[:_HARMONICS] / _SAMPLES)
    beat = [float(look_up(TABLES[action].get("beat", {}), name, 0.0)) for name in CHANNELS]
    coefficients = torch.stack([found.real * smooth, -found.imag * smooth])
    return coefficients, torch.tensor(beat, dtype=torch.float64)


def _perform_action(action: str, style: Style, take: torch.Generator, t: Tensor) -> Tensor:
    """Channels (time, channel) of one take in degrees: cycles that vary in phase and amplitude."""
    table = TABLES[action]
    phase = uniform(take, 0.0, 1.0) + t * style.tempo / table["period"] + 0.03 * wander(take, t, 1)[:, 0]
    (cosines, sines), beat = _fourier_series(action)
    angle = 2 * math.pi * phase[:, None] * torch.arange(_HARMONICS, dtype=torch.float64)
    curves = torch.cos(angle) @ cosines + torch.sin(angle) @ sines
    envelope = curves[:, CHANNELS.index("beat"), None]
    middle = cosines[0]
    gains = torch.tensor(style.gains, dtype=torch.float64) * uniform(take, 0.94, 1.06, len(CHANNELS))
    gains = gains * (1 + 0.08 * wander(take, t, len(CHANNELS)))
    beating = torch.sin(2 * math.pi * table.get("beats", 0) * phase)[:, None] * beat * envelope
    curves = (
        middle + gains * (curves - middle + beating) + posture_ranges()[:, 1] * wander(take, t, len(CHANNELS))
    )
    return mirror(curves) if style.left_handed else curves


def _perform_random(take: torch.Generator, t: Tensor) -> Tensor:
    """The action `random`: every channel for itself, slowly, inside RANDOM_SHARE of its comfortable range."""
    low, high = channel_ranges().unbind(-1)
    reach = _RANDOM_SHARE * wander(take, t, len(CHANNELS), slowest=0.1, fastest=0.45) / 0.8
    return (low + high) / 2 + (high - low) / 2 * reach.clamp(-1, 1)


# -- body and floor ---------------------------------------------------------------------------------------


def _travel(
    table: dict, curves: Tensor, style: Style, take: torch.Generator, t: Tensor
) -> tuple[Float[Tensor, " time"], Float[Tensor, "time 2"]]:
    """Heading (rad about z, 0 = looking along -y) and xy (m): on the spot, in a circle, or to and fro."""
    start = torch.deg2rad(uniform(take, -60.0, 60.0) + 15 * wander(take, t, 1, 0.05, 0.15)[:, 0])
    sense = 1.0 if torch.rand((), generator=take) < 0.5 else -1.0
    radius, swayed = uniform(take, 0.6, 0.9), uniform(take, 0.0, 1.0)
    xy = 0.15 * wander(take, t, 2, 0.05, 0.15)
    if "sway" in table:
        reach, cycles = table["sway"]
        swayed = swayed + t * style.tempo / (cycles * table["period"])
        xy = xy + reach * torch.sin(2 * math.pi * swayed)[:, None] * _right_of(start)
    if "speed" in table:
        start = start + sense * table["speed"] * style.tempo / radius * t
        xy = xy + sense * radius * _right_of(start)
    return start + torch.deg2rad(curves[:, CHANNELS.index("turn")]), xy


def _right_of(heading: Float[Tensor, " time"]) -> Float[Tensor, "time 2"]:
    return torch.stack([-torch.cos(heading), -torch.sin(heading)], -1)


def _axis_rotation(axis: int, angle: Float[Tensor, " time"]) -> Float[Tensor, "time 3 3"]:
    """Rotation by `angle` (rad) about one of the three axes."""
    R = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R[..., axis, axis] = 1.0
    R[..., i, i] = R[..., j, j] = torch.cos(angle)
    R[..., j, i] = torch.sin(angle)
    R[..., i, j] = -R[..., j, i]
    return R
