"""The channels of motion: what coordinates are sums of, their ranges, and slow random curves.

A channel is a coordinate of the model, a sum of several, or a movement of the root (actions.toml).
"""

import math
import tomllib
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.spec import D3KE

ACTIONS_FILE = Path(__file__).with_name("actions.toml")
POSTURES_FILE = ACTIONS_FILE.with_name("postures.toml")
POSTURES = tomllib.loads(POSTURES_FILE.read_text(encoding="utf-8"))
TABLES = tomllib.loads(ACTIONS_FILE.read_text(encoding="utf-8")) | POSTURES
_VARIATION_DEG = (0.5, 1.2)  # amplitude of the random curve of each coordinate
_CENTERED = ("trunk_bending", "trunk_rotation", "head_bending", "head_rotation", "list", "turn")
_MIDLINE = ("trunk_flexion", "head_flexion", "tilt", "hop", "beat", *_CENTERED)


def stem(channel: str) -> str:
    return channel.removesuffix("_r").removesuffix("_l")


def _channel(coordinate: str) -> str:
    """A coordinate's name with its side: the model writes the right arm's without one."""
    return f"{coordinate}_r" if f"{coordinate}_l" in D3KE.coordinates else coordinate


def look_up(table: dict[str, object], channel: str, default: object) -> object:
    """The entry of one side, or else of both."""
    return table.get(channel, table.get(stem(channel), default))


_COORDINATE_CHANNELS = tuple(map(_channel, D3KE.coordinates))
CHANNELS: tuple[str, ...] = _MIDLINE + tuple(
    name for name in _COORDINATE_CHANNELS if stem(name) in TABLES["rest"] and stem(name) != name
)


@cache
def _mixing() -> Float[Tensor, "channel coord"]:
    """Coordinates as sums of channels."""
    mix = torch.zeros(len(CHANNELS), len(_COORDINATE_CHANNELS), dtype=torch.float64)
    for column, name in enumerate(_COORDINATE_CHANNELS):
        own = {stem(name): 1.0} if name in CHANNELS else {}
        for source, weight in look_up(TABLES["mix"], name, own).items():
            row = source if source in CHANNELS else f"{source}_{name[-1]}"
            mix[CHANNELS.index(row), column] = weight
    return mix


@cache
def comfortable_ranges() -> Float[Tensor, "coord 2"]:
    """Comfortable ranges, rad; those of the spine by the ending of the name."""
    table = TABLES["comfort"]
    rows = [look_up(table, name, table.get(name.split("_")[-1])) for name in _COORDINATE_CHANNELS]
    return torch.deg2rad(torch.tensor(rows, dtype=torch.float64))


@cache
def posture_ranges() -> Float[Tensor, "channel 2"]:
    """Degrees: standard deviation between subjects, and the amplitude of its random curve in a take."""
    rows = [look_up(TABLES["posture"], name, [0.0, 0.0]) for name in CHANNELS]
    return torch.tensor(rows, dtype=torch.float64)


@cache
def channel_ranges() -> Float[Tensor, "channel 2"]:
    """Comfortable ranges of the channels, degrees; 0 where a channel has none."""
    rows = [look_up(TABLES["comfort"], name, [0.0, 0.0]) for name in CHANNELS]
    return torch.tensor(rows, dtype=torch.float64)


# -- curves ---------------------------------------------------------------------------------------------


def to_angles(curves: Tensor, take: torch.Generator, t: Tensor) -> Float[Tensor, "time coord"]:
    """Channels to coordinates, rad: mixed, with random curves added, inside the comfortable ranges."""
    size = uniform(take, *_VARIATION_DEG, len(D3KE.coordinates))
    variation = size * wander(take, t, len(D3KE.coordinates))
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


def mirror(curves: Float[Tensor, "time channel"]) -> Float[Tensor, "time channel"]:
    """Left and right exchanged."""
    other = {"_r": "_l", "_l": "_r"}
    names = [stem(name) + other[name[-2:]] if name[-2:] in other else name for name in CHANNELS]
    sign = torch.tensor([-1.0 if name in _CENTERED else 1.0 for name in CHANNELS], dtype=torch.float64)
    return curves[:, [CHANNELS.index(name) for name in names]] * sign


def wander(
    take: torch.Generator, t: Float[Tensor, " time"], count: int, slowest: float = 0.12, fastest: float = 0.5
) -> Float[Tensor, "time count"]:
    """Slow random curves in [-1, 1]: each the sum of three sines between `slowest` and `fastest` Hz."""
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    rate, start = uniform(take, slowest, fastest, 3, count), uniform(take, 0.0, 1.0, 3, count)
    waves = torch.sin(2 * math.pi * (t[:, None, None] * rate + start))
    return (waves * weights[:, None]).sum(-2)


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
