"""Actions as smooth curves of the 69 coordinates.

An action (actions.toml) is a table of key poses over one cycle. Straight lines join them, a Gaussian blurs
them in time, and the Fourier series of that is the curve: periodic, infinitely smooth, never beyond its keys,
and a pure function of time. A `Style` (of the subject) and a seed (of the take) change tempo, amplitude and
posture; slow random curves are added, so that no coordinate is constant.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.seeds import seed_generator

ACTIONS_FILE = Path(__file__).with_name("actions.toml")
_TABLES = tomllib.loads(ACTIONS_FILE.read_text(encoding="utf-8"))
ACTIONS: tuple[str, ...] = tuple(name for name, table in _TABLES.items() if "period" in table)

_SAMPLES = 240  # of a cycle; even, so that half a cycle is whole
_HARMONICS = 40
_BLUR = 0.03  # standard deviation, cycles
_VARIATION_DEG = (0.5, 1.2)  # amplitude of the random curve of each coordinate
_RANDOM_SHARE = 0.6  # of the comfortable range
_CENTERED = ("trunk_bending", "trunk_rotation", "head_bending", "head_rotation", "list", "turn")
_MIDLINE = ("trunk_flexion", "head_flexion", "tilt", "hop", "beat", *_CENTERED)
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
    curves = _perform_random(take, t) if action == "random" else _perform_action(action, style, take, t)
    curves = curves + torch.tensor(style.posture, dtype=torch.float64)
    angles = _to_angles(curves, take, t)
    heading, xy = _travel(_TABLES[action], curves, style, take, t)
    column = curves.unbind(-1)
    tilt, lean = (torch.deg2rad(column[_CHANNELS.index(name)]) for name in ("tilt", "list"))
    R_world_root = _axis_rotation(2, heading) @ _FACING @ _axis_rotation(2, -tilt) @ _axis_rotation(0, lean)
    return Motion(angles, R_world_root, xy, column[_CHANNELS.index("hop")].clamp_min(0.0))


def draw_style(seed: int | Sequence[int]) -> Style:
    """A random style; one subject in eight is left-handed."""
    generator = seed_generator(*((seed,) if isinstance(seed, int) else seed))
    size = _uniform(generator, 0.85, 1.15)
    gains = size * _uniform(generator, 0.92, 1.08, len(_CHANNELS))
    spread = _posture()[:, 0]
    offsets = torch.randn(len(_CHANNELS), generator=generator, dtype=torch.float64).clamp(-2, 2)
    tempo = float(_uniform(generator, 0.8, 1.2))
    left_handed = bool(torch.rand((), generator=generator) < 1 / 8)
    return Style(tempo, tuple(gains.tolist()), tuple((spread * offsets).tolist()), left_handed)


# -- channels ---------------------------------------------------------------------------------------------


def _stem(channel: str) -> str:
    return channel.removesuffix("_r").removesuffix("_l")


def _channel(coordinate: str) -> str:
    """A coordinate's name with its side: the model writes the right arm's without one."""
    return f"{coordinate}_r" if f"{coordinate}_l" in D3KE.coordinates else coordinate


def _look_up(table: dict[str, object], channel: str, default: object) -> object:
    """The entry of one side, or else of both."""
    return table.get(channel, table.get(_stem(channel), default))


_COORDINATE_CHANNELS = tuple(map(_channel, D3KE.coordinates))
_CHANNELS: tuple[str, ...] = _MIDLINE + tuple(
    name for name in _COORDINATE_CHANNELS if _stem(name) in _TABLES["rest"] and _stem(name) != name
)


@cache
def _mixing() -> Float[Tensor, "channel coord"]:
    """Coordinates as sums of channels."""
    mix = torch.zeros(len(_CHANNELS), len(_COORDINATE_CHANNELS), dtype=torch.float64)
    for column, name in enumerate(_COORDINATE_CHANNELS):
        own = {_stem(name): 1.0} if name in _CHANNELS else {}
        for source, weight in _look_up(_TABLES["mix"], name, own).items():
            row = source if source in _CHANNELS else f"{source}_{name[-1]}"
            mix[_CHANNELS.index(row), column] = weight
    return mix


@cache
def comfortable_ranges() -> Float[Tensor, "coord 2"]:
    """Comfortable ranges, rad; those of the spine by the ending of the name."""
    table = _TABLES["comfort"]
    rows = [_look_up(table, name, table.get(name.split("_")[-1])) for name in _COORDINATE_CHANNELS]
    return torch.deg2rad(torch.tensor(rows, dtype=torch.float64))


@cache
def _posture() -> Float[Tensor, "channel 2"]:
    """Degrees: standard deviation between subjects, and the amplitude of its random curve in a take."""
    rows = [_look_up(_TABLES["posture"], name, [0.0, 0.0]) for name in _CHANNELS]
    return torch.tensor(rows, dtype=torch.float64)


# -- curves -----------------------------------------------------------------------------------------------


@cache
def _cycle(action: str) -> Float[np.ndarray, "sample channel"]:
    """One cycle of an action, degrees: its key poses joined by straight lines."""
    table = _TABLES[action]
    columns = []
    for name in _CHANNELS:
        values = np.atleast_1d(_look_up(table["keys"], name, _TABLES["rest"].get(_stem(name), 0.0)))
        phases = table.get("phase") if len(values) > 1 else [0.0]
        phases = np.linspace(0, 1, len(values), endpoint=False) if phases is None else phases
        column = np.interp(np.arange(_SAMPLES) / _SAMPLES, phases, values, period=1.0)
        opposite = table.get("alternate", False) and name.endswith("_l") and name not in table["keys"]
        columns.append(np.roll(column, _SAMPLES // 2) if opposite else column)
    return np.stack(columns, -1)


@cache
def _fourier_series(action: str) -> tuple[Tensor, Tensor]:
    """Fourier coefficients (harmonic, channel) of the blurred cycle, and of the beat (channel,)."""
    order = np.arange(_HARMONICS)[:, None]
    smooth = np.exp(-2 * (np.pi * _BLUR * order) ** 2) * np.where(order, 2.0, 1.0)
    coefficients = np.fft.rfft(_cycle(action), axis=0)[:_HARMONICS] / _SAMPLES * smooth
    beat = [float(_look_up(_TABLES[action].get("beat", {}), name, 0.0)) for name in _CHANNELS]
    return torch.from_numpy(coefficients), torch.tensor(beat, dtype=torch.float64)


def _perform_action(action: str, style: Style, take: torch.Generator, t: Tensor) -> Tensor:
    """Channels (time, channel) of one take in degrees: cycles that vary in phase and amplitude."""
    table = _TABLES[action]
    phase = _uniform(take, 0.0, 1.0) + t * style.tempo / table["period"] + 0.03 * _wander(take, t, 1)[:, 0]
    coefficients, beat = _fourier_series(action)
    harmonics = torch.arange(len(coefficients), dtype=torch.float64)
    waves = torch.polar(torch.ones((), dtype=torch.float64), 2 * math.pi * phase[:, None] * harmonics)
    curves = (waves @ coefficients).real
    envelope = curves[:, _CHANNELS.index("beat"), None]
    middle = coefficients[0].real
    gains = torch.tensor(style.gains, dtype=torch.float64) * _uniform(take, 0.94, 1.06, len(_CHANNELS))
    gains = gains * (1 + 0.08 * _wander(take, t, len(_CHANNELS)))
    beating = torch.sin(2 * math.pi * table.get("beats", 0) * phase)[:, None] * beat * envelope
    curves = (
        middle + gains * (curves - middle + beating) + _posture()[:, 1] * _wander(take, t, len(_CHANNELS))
    )
    return _mirror(curves) if style.left_handed else curves


def _perform_random(take: torch.Generator, t: Tensor) -> Tensor:
    """The action `random`: every channel for itself, slowly, inside RANDOM_SHARE of its comfortable range."""
    bounds = [_look_up(_TABLES["comfort"], name, [0.0, 0.0]) for name in _CHANNELS]
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    reach = _RANDOM_SHARE * _wander(take, t, len(_CHANNELS), slowest=0.1, fastest=0.45) / 0.8
    return (low + high) / 2 + (high - low) / 2 * reach.clamp(-1, 1)


def _mirror(curves: Float[Tensor, "time channel"]) -> Float[Tensor, "time channel"]:
    """Left and right exchanged."""
    other = {"_r": "_l", "_l": "_r"}
    names = [_stem(name) + other[name[-2:]] if name[-2:] in other else name for name in _CHANNELS]
    sign = torch.tensor([-1.0 if name in _CENTERED else 1.0 for name in _CHANNELS], dtype=torch.float64)
    return curves[:, [_CHANNELS.index(name) for name in names]] * sign


def _wander(
    take: torch.Generator, t: Float[Tensor, " time"], count: int, slowest: float = 0.12, fastest: float = 0.5
) -> Float[Tensor, "time count"]:
    """Slow random curves in [-1, 1]: each the sum of three sines between `slowest` and `fastest` Hz."""
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    rate, start = _uniform(take, slowest, fastest, 3, count), _uniform(take, 0.0, 1.0, 3, count)
    waves = torch.sin(2 * math.pi * (t[:, None, None] * rate + start))
    return (waves * weights[:, None]).sum(-2)


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


# -- body and floor ---------------------------------------------------------------------------------------


def _to_angles(curves: Tensor, take: torch.Generator, t: Tensor) -> Float[Tensor, "time coord"]:
    """Channels to coordinates, rad: mixed, with random curves added, inside the comfortable ranges."""
    size = _uniform(take, *_VARIATION_DEG, len(D3KE.coordinates))
    variation = size * _wander(take, t, len(D3KE.coordinates))
    angles = soft_clamp(torch.deg2rad(curves @ _mixing() + variation), comfortable_ranges())
    column = {name: i for i, name in enumerate(D3KE.coordinates)}
    # The model couples these two on the right (and only there).
    angles[:, column["shoulder1_r2"]] = -angles[:, column["elv_angle"]]
    return angles


def soft_clamp(x: Float[Tensor, "*batch n"], bounds: Float[Tensor, "n 2"]) -> Float[Tensor, "*batch n"]:
    """The identity inside the bounds; saturates smoothly in the last tenth of the range at either end."""
    low, high = bounds.unbind(-1)
    soft = 0.1 * (high - low)
    x = torch.where(x > high - soft, high - soft + soft * torch.tanh((x - high + soft) / soft), x)
    return torch.where(x < low + soft, low + soft + soft * torch.tanh((x - low - soft) / soft), x)


def _travel(
    table: dict, curves: Tensor, style: Style, take: torch.Generator, t: Tensor
) -> tuple[Float[Tensor, " time"], Float[Tensor, "time 2"]]:
    """Heading (rad about z, 0 = looking along -y) and xy (m): on the spot, in a circle, or to and fro."""
    start = torch.deg2rad(_uniform(take, -60.0, 60.0) + 15 * _wander(take, t, 1, 0.05, 0.15)[:, 0])
    sense = 1.0 if torch.rand((), generator=take) < 0.5 else -1.0
    radius, swayed = _uniform(take, 0.6, 0.9), _uniform(take, 0.0, 1.0)
    xy = 0.15 * _wander(take, t, 2, 0.05, 0.15)
    if "sway" in table:
        reach, cycles = table["sway"]
        swayed = swayed + t * style.tempo / (cycles * table["period"])
        xy = xy + reach * torch.sin(2 * math.pi * swayed)[:, None] * _right_of(start)
    if "speed" in table:
        start = start + sense * table["speed"] * style.tempo / radius * t
        xy = xy + sense * radius * _right_of(start)
    return start + torch.deg2rad(curves[:, _CHANNELS.index("turn")]), xy


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
