"""Actions as smooth curves of the 69 coordinates: what the synthetic people do.

An action (actions.toml) is a table of key poses over one cycle. Straight lines join them, a Gaussian blurs
them in time, and the Fourier series of that is the curve: periodic, infinitely smooth, never beyond its keys,
and a pure function of time. A `Style` (who) and a seed (this take) change tempo, size and posture and
let everything wander a little, so that no coordinate is ever still.
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
TABLES = tomllib.loads(ACTIONS_FILE.read_text(encoding="utf-8"))
ACTIONS: tuple[str, ...] = tuple(name for name, table in TABLES.items() if "period" in table)

SAMPLES = 240  # of a cycle; even, so that half a cycle is whole
HARMONICS = 40
BLUR = 0.03  # standard deviation, cycles
TREMBLE_DEG = (0.5, 1.2)  # how far a coordinate wanders by itself
RANDOM_SHARE = 0.6  # of the comfortable range
CENTERED = ("trunk_bending", "trunk_rotation", "head_bending", "head_rotation", "list", "turn")
MIDLINE = ("trunk_flexion", "head_flexion", "tilt", "hop", "beat", *CENTERED)
# Body axes x forward, y up, z right, of somebody who looks along the world's -y (towards camera PG1).
FACING = torch.tensor([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


class Motion(NamedTuple):
    """A take: joint angles, and where the pelvis turns and goes. World: z up, m, rad; float64.

    hop: clearance between the lowest point of the body and the floor; the pelvis' height follows from it.
    """

    angles: Float[Tensor, "time coord"]
    R_world_root: Float[Tensor, "time 3 3"]
    xy: Float[Tensor, "time 2"]
    hop: Float[Tensor, " time"]


@dataclass(frozen=True)
class Style:
    """How one person moves, whatever the action: factors of tempo and size, posture (degrees) by channel."""

    tempo: float
    gains: tuple[float, ...]
    posture: tuple[float, ...]
    left_handed: bool


def motion(action: str, style: Style, t: Float[Tensor, " time"], seed: int | Sequence[int]) -> Motion:
    """What somebody of `style` does at the times `t` (s) in the take `seed`.

    Depends on each time alone: any chunking of `t` gives the same. Angles are rad in D3KE's order, inside
    the ranges of the model. Raises ValueError for an unknown action, naming those there are.
    """
    if action not in ACTIONS:
        raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, found {action!r}")
    parts = (seed,) if isinstance(seed, int) else tuple(seed)
    take = seed_generator(*parts, ACTIONS.index(action))
    t = t.to(torch.float64)
    curves = wandering(take, t) if action == "random" else performed(action, style, take, t)
    curves = curves + torch.tensor(style.posture, dtype=torch.float64)
    angles = angles_from(curves, take, t)
    heading, xy = travel(TABLES[action], curves, style, take, t)
    column = curves.unbind(-1)
    tilt, lean = (torch.deg2rad(column[CHANNELS.index(name)]) for name in ("tilt", "list"))
    R_world_root = turned(2, heading) @ FACING @ turned(2, -tilt) @ turned(0, lean)
    return Motion(angles, R_world_root, xy, column[CHANNELS.index("hop")].clamp_min(0.0))


def draw_style(seed: int | Sequence[int]) -> Style:
    """A person's way of moving; one in eight is left-handed."""
    generator = seed_generator(*((seed,) if isinstance(seed, int) else seed))
    size = uniform(generator, 0.85, 1.15)
    gains = size * uniform(generator, 0.92, 1.08, len(CHANNELS))
    spread = posture()[:, 0]
    offsets = torch.randn(len(CHANNELS), generator=generator, dtype=torch.float64).clamp(-2, 2)
    tempo = float(uniform(generator, 0.8, 1.2))
    left_handed = bool(torch.rand((), generator=generator) < 1 / 8)
    return Style(tempo, tuple(gains.tolist()), tuple((spread * offsets).tolist()), left_handed)


# -- channels ---------------------------------------------------------------------------------------------


def stem(channel: str) -> str:
    return channel.removesuffix("_r").removesuffix("_l")


def channel_of(coordinate: str) -> str:
    """A coordinate's name with its side: the model writes the right arm's without one."""
    return f"{coordinate}_r" if f"{coordinate}_l" in D3KE.coordinates else coordinate


def by_name(table: dict[str, object], channel: str, default: object) -> object:
    """The entry of one side, or else of both."""
    return table.get(channel, table.get(stem(channel), default))


COORDINATE_CHANNELS = tuple(map(channel_of, D3KE.coordinates))
CHANNELS: tuple[str, ...] = MIDLINE + tuple(
    name for name in COORDINATE_CHANNELS if stem(name) in TABLES["rest"] and stem(name) != name
)


@cache
def mixing() -> Float[Tensor, "channel coord"]:
    """Coordinates as sums of channels."""
    mix = torch.zeros(len(CHANNELS), len(COORDINATE_CHANNELS), dtype=torch.float64)
    for column, name in enumerate(COORDINATE_CHANNELS):
        own = {stem(name): 1.0} if name in CHANNELS else {}
        for source, weight in by_name(TABLES["mix"], name, own).items():
            row = source if source in CHANNELS else f"{source}_{name[-1]}"
            mix[CHANNELS.index(row), column] = weight
    return mix


@cache
def limits() -> Float[Tensor, "coord 2"]:
    """Comfortable ranges, rad; those of the spine by the ending of the name."""
    table = TABLES["comfort"]
    rows = [by_name(table, name, table.get(name.split("_")[-1])) for name in COORDINATE_CHANNELS]
    return torch.deg2rad(torch.tensor(rows, dtype=torch.float64))


@cache
def posture() -> Float[Tensor, "channel 2"]:
    """Degrees: standard deviation between people, and how far a take wanders from it."""
    rows = [by_name(TABLES["posture"], name, [0.0, 0.0]) for name in CHANNELS]
    return torch.tensor(rows, dtype=torch.float64)


# -- curves -----------------------------------------------------------------------------------------------


@cache
def cycle(action: str) -> Float[np.ndarray, "sample channel"]:
    """One cycle of an action, degrees: its keys joined by straight lines."""
    table = TABLES[action]
    columns = []
    for name in CHANNELS:
        values = np.atleast_1d(by_name(table["keys"], name, TABLES["rest"].get(stem(name), 0.0)))
        phases = table.get("phase") if len(values) > 1 else [0.0]
        phases = np.linspace(0, 1, len(values), endpoint=False) if phases is None else phases
        column = np.interp(np.arange(SAMPLES) / SAMPLES, phases, values, period=1.0)
        opposite = table.get("alternate", False) and name.endswith("_l") and name not in table["keys"]
        columns.append(np.roll(column, SAMPLES // 2) if opposite else column)
    return np.stack(columns, -1)


@cache
def series(action: str) -> tuple[Tensor, Tensor]:
    """Fourier coefficients (harmonic, channel) of the blurred cycle, and of the beat (channel,)."""
    order = np.arange(HARMONICS)[:, None]
    smooth = np.exp(-2 * (np.pi * BLUR * order) ** 2) * np.where(order, 2.0, 1.0)
    coefficients = np.fft.rfft(cycle(action), axis=0)[:HARMONICS] / SAMPLES * smooth
    beat = [float(by_name(TABLES[action].get("beat", {}), name, 0.0)) for name in CHANNELS]
    return torch.from_numpy(coefficients), torch.tensor(beat, dtype=torch.float64)


def performed(action: str, style: Style, take: torch.Generator, t: Tensor) -> Tensor:
    """Channels (time, channel) in degrees of one take: cycles that are never quite the same."""
    table = TABLES[action]
    phase = uniform(take, 0.0, 1.0) + t * style.tempo / table["period"] + 0.03 * wander(take, t, 1)[:, 0]
    coefficients, beat = series(action)
    harmonics = torch.arange(len(coefficients), dtype=torch.float64)
    waves = torch.polar(torch.ones((), dtype=torch.float64), 2 * math.pi * phase[:, None] * harmonics)
    curves = (waves @ coefficients).real
    envelope = curves[:, CHANNELS.index("beat"), None]
    middle = coefficients[0].real
    gains = torch.tensor(style.gains, dtype=torch.float64) * uniform(take, 0.94, 1.06, len(CHANNELS))
    gains = gains * (1 + 0.08 * wander(take, t, len(CHANNELS)))
    beating = torch.sin(2 * math.pi * table.get("beats", 0) * phase)[:, None] * beat * envelope
    curves = middle + gains * (curves - middle + beating) + posture()[:, 1] * wander(take, t, len(CHANNELS))
    return mirrored(curves) if style.left_handed else curves


def wandering(take: torch.Generator, t: Tensor) -> Tensor:
    """The action `random`: every channel for itself, slowly, inside RANDOM_SHARE of its comfortable range."""
    bounds = [by_name(TABLES["comfort"], name, [0.0, 0.0]) for name in CHANNELS]
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    reach = RANDOM_SHARE * wander(take, t, len(CHANNELS), slowest=0.1, fastest=0.45) / 0.8
    return (low + high) / 2 + (high - low) / 2 * reach.clamp(-1, 1)


def mirrored(curves: Float[Tensor, "time channel"]) -> Float[Tensor, "time channel"]:
    """Left and right exchanged."""
    other = {"_r": "_l", "_l": "_r"}
    names = [stem(name) + other[name[-2:]] if name[-2:] in other else name for name in CHANNELS]
    sign = torch.tensor([-1.0 if name in CENTERED else 1.0 for name in CHANNELS], dtype=torch.float64)
    return curves[:, [CHANNELS.index(name) for name in names]] * sign


def wander(
    take: torch.Generator, t: Float[Tensor, " time"], count: int, slowest: float = 0.12, fastest: float = 0.5
) -> Float[Tensor, "time count"]:
    """Slow curves in [-1, 1]: each the sum of three sines between `slowest` and `fastest` Hz."""
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    rate, start = uniform(take, slowest, fastest, 3, count), uniform(take, 0.0, 1.0, 3, count)
    waves = torch.sin(2 * math.pi * (t[:, None, None] * rate + start))
    return (waves * weights[:, None]).sum(-2)


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


# -- body and floor ---------------------------------------------------------------------------------------


def angles_from(curves: Tensor, take: torch.Generator, t: Tensor) -> Float[Tensor, "time coord"]:
    """Channels to coordinates, rad: mixed, trembling, held inside the comfortable ranges."""
    size = uniform(take, *TREMBLE_DEG, len(D3KE.coordinates))
    tremble = size * wander(take, t, len(D3KE.coordinates))
    angles = soft_clamp(torch.deg2rad(curves @ mixing() + tremble), limits())
    column = {name: i for i, name in enumerate(D3KE.coordinates)}
    # The model couples these two on the right (and only there).
    angles[:, column["shoulder1_r2"]] = -angles[:, column["elv_angle"]]
    return angles


def soft_clamp(x: Float[Tensor, "*batch n"], bounds: Float[Tensor, "n 2"]) -> Float[Tensor, "*batch n"]:
    """Itself inside the bounds; from a tenth of the range before an end on, ever slower towards it."""
    low, high = bounds.unbind(-1)
    soft = 0.1 * (high - low)
    x = torch.where(x > high - soft, high - soft + soft * torch.tanh((x - high + soft) / soft), x)
    return torch.where(x < low + soft, low + soft + soft * torch.tanh((x - low - soft) / soft), x)


def travel(
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
        xy = xy + reach * torch.sin(2 * math.pi * swayed)[:, None] * to_the_right(start)
    if "speed" in table:
        start = start + sense * table["speed"] * style.tempo / radius * t
        xy = xy + sense * radius * to_the_right(start)
    return start + torch.deg2rad(curves[:, CHANNELS.index("turn")]), xy


def to_the_right(heading: Float[Tensor, " time"]) -> Float[Tensor, "time 2"]:
    return torch.stack([-torch.cos(heading), -torch.sin(heading)], -1)


def turned(axis: int, angle: Float[Tensor, " time"]) -> Float[Tensor, "time 3 3"]:
    """Rotation by `angle` (rad) about one of the three axes."""
    R = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R[..., axis, axis] = 1.0
    R[..., i, i] = R[..., j, j] = torch.cos(angle)
    R[..., j, i] = torch.sin(angle)
    R[..., i, j] = -R[..., j, i]
    return R
