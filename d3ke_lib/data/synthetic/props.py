"""Furniture of boxes: a seat under a subject who sits, and what stands around in a room.

World: z up, the floor at 0, m; float64. A box is (x0, y0, z0, x1, y1, z1) in the piece's own axes, whose x is
forward and whose floor is z = 0.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from d3ke_lib.data.people.chart import TEXELS

_Color = tuple[float, float, float]  # sRGB
_Box = tuple[tuple[float, float, float, float, float, float], _Color]
# Wood from light to dark, white, greys, black, and a few painted ones.
_COLORS = (
    (0.80, 0.66, 0.48), (0.62, 0.45, 0.29), (0.42, 0.28, 0.18), (0.27, 0.18, 0.13), (0.90, 0.89, 0.87),
    (0.62, 0.62, 0.62), (0.30, 0.31, 0.33), (0.13, 0.13, 0.14), (0.45, 0.20, 0.18), (0.24, 0.33, 0.45),
    (0.34, 0.42, 0.32), (0.72, 0.62, 0.38),
)  # fmt: skip
_SEAT_WIDTH, _THICK = 0.42, 0.045  # m


class Prop(NamedTuple):
    """Corners with normals, triangles between them and their texels (linear RGB); a caster of its shadow."""

    vertices: Float[Tensor, "vertex 3"]
    normals: Float[Tensor, "vertex 3"]
    triangles: Int[Tensor, "triangle 3"]
    texels: Float[Tensor, "triangle texel 3"]
    caster: tuple[tuple[float, float, float], tuple[float, float, float], float]  # ends and radius of a cone


def seat(
    at: Float[Tensor, "2"], forward: Float[Tensor, "2"], height: float, back: float, generator: Generator
) -> Prop:
    """A chair or a stool below `at`, its top at `height`; nothing of it is `back` m behind `at` or nearer.

    `forward`: where who sits on it faces, a unit vector.
    """
    frame, cover = (_color(generator) for _ in range(2))
    with_back = bool(torch.rand((), generator=generator) < 0.7)
    rear, front, half = -max(back, 0.16), 0.20, _SEAT_WIDTH / 2
    rear = rear - _THICK if with_back else max(rear, -0.20)
    boxes = [((rear, -half, height - _THICK, front, half, height), cover)]
    boxes += _legs(rear, front, half, height - _THICK, frame)
    if with_back:
        top = height + 0.42
        boxes += [
            ((rear, side - 0.02, height, rear + 0.03, side + 0.02, top), frame)
            for side in (-half + 0.02, half - 0.02)
        ]
        boxes.append(((rear, -half, top - 0.24, rear + 0.03, half, top), cover))
    return _build(boxes, at.tolist(), math.atan2(float(forward[1]), float(forward[0])))


def _legs(rear: float, front: float, half: float, height: float, color: _Color) -> list[_Box]:
    ends = [(x, y) for x in (rear + 0.02, front - 0.02) for y in (-half + 0.02, half - 0.02)]
    return [((x - 0.018, y - 0.018, 0.0, x + 0.018, y + 0.018, height), color) for x, y in ends]


def draw_clutter(
    generator: Generator, free: float, low: Sequence[float], high: Sequence[float], most: int = 4
) -> list[Prop]:
    """Up to `most` pieces in a room with walls at `low` and `high`, farther than `free` m from the origin."""
    pieces = []
    for _ in range(int(torch.randint(most + 1, (), generator=generator))):
        kind = _KINDS[int(torch.randint(len(_KINDS), (), generator=generator))]
        boxes = kind(generator)
        around, away = _within(generator, 0.0, 2 * math.pi), _within(generator, free + 0.5, free + 3.0)
        at = [away * math.cos(around), away * math.sin(around)]
        at = [min(max(value, a + 0.5), b - 0.5) for value, a, b in zip(at, low, high)]
        facing = _within(generator, 0.0, 2 * math.pi)
        if math.hypot(*at) > free + 0.5:
            pieces.append(_build(boxes, at, facing))
    return pieces


def _cabinet(generator: Generator) -> list[_Box]:
    width, depth, height = _within(generator, 0.4, 0.9), 0.4, _within(generator, 0.6, 1.9)
    body, door = _color(generator), _color(generator)
    x = depth / 2
    boxes = [((-x, -width / 2, 0.0, x, width / 2, height), body)]
    rows = max(1, round(height / 0.45))
    for row in range(rows):
        low, high = height * (row + 0.08) / rows, height * (row + 0.92) / rows
        boxes.append(((x, -width * 0.46, low, x + 0.02, width * 0.46, high), door))
    return boxes


def _table(generator: Generator) -> list[_Box]:
    width, depth, height = _within(generator, 0.6, 1.3), 0.6, _within(generator, 0.5, 0.78)
    top, legs = _color(generator), _color(generator)
    boxes = [((-depth / 2, -width / 2, height - 0.04, depth / 2, width / 2, height), top)]
    boxes += _legs(-depth / 2, depth / 2, width / 2, height - 0.04, legs)
    if torch.rand((), generator=generator) < 0.6:
        boxes.append(
            ((-0.12, -0.15, height, 0.06, 0.1, height + _within(generator, 0.04, 0.3)), _color(generator))
        )
    return boxes


def _crates(generator: Generator) -> list[_Box]:
    boxes, height = [], 0.0
    for _ in range(1 + int(torch.randint(3, (), generator=generator))):
        half, tall = _within(generator, 0.14, 0.24), _within(generator, 0.2, 0.4)
        boxes.append(((-half, -half, height, half, half, height + tall), _color(generator)))
        height += tall
    return boxes


def _lamp(generator: Generator) -> list[_Box]:
    height, pole, shade = _within(generator, 1.3, 1.8), _color(generator), (0.95, 0.92, 0.82)
    return [
        ((-0.15, -0.15, 0.0, 0.15, 0.15, 0.03), pole),
        ((-0.015, -0.015, 0.03, 0.015, 0.015, height), pole),
        ((-0.16, -0.16, height, 0.16, 0.16, height + 0.24), shade),
    ]


_KINDS: tuple[Callable[[Generator], list[_Box]], ...] = (_cabinet, _table, _crates, _lamp)


def _within(generator: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def _color(generator: Generator) -> _Color:
    base = _COLORS[int(torch.randint(len(_COLORS), (), generator=generator))]
    factor = _within(generator, 0.85, 1.1)
    return tuple(min(1.0, factor * component) for component in base)


def _build(boxes: Sequence[_Box], at: Sequence[float], angle: float) -> Prop:
    """The piece standing `at` (x, y), turned by `angle` (rad)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    R = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    corners, normals, triangles = _BOX
    sides = torch.tensor([sides for sides, _ in boxes], dtype=torch.float64)
    local = sides[:, None, :3] + corners * (sides[:, None, 3:] - sides[:, None, :3])
    origin = torch.tensor([*at, 0.0], dtype=torch.float64)
    numbers = torch.arange(len(boxes))[:, None, None] * len(corners) + triangles
    color = torch.tensor([color for _, color in boxes]).square()
    texels = color[:, None, None].expand(-1, len(triangles), TEXELS**2, 3)
    low, high = sides[:, :3].amin(0), sides[:, 3:].amax(0)
    radius = float((high - low)[:2].amin()) / 2
    return Prop(
        _turned(R, local.flatten(0, 1)) + origin,
        _turned(R, normals.repeat(len(boxes), 1)),
        numbers.flatten(0, 1),
        texels.flatten(0, 1),
        ((at[0], at[1], 0.0), (at[0], at[1], float(high[2])), radius),
    )


def _turned(R: Tensor, vectors: Tensor) -> Tensor:
    return sum(R[:, i] * vectors[:, i, None] for i in range(3))


def _unit_box() -> tuple[Tensor, Tensor, Tensor]:
    """Four corners of each face of the unit cube, their normals, and triangles counter-clockwise outside."""
    corners, normals = [], []
    for axis in range(3):
        for side in (0.0, 1.0):
            square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
            for u, v in square if side else reversed(square):
                point = [0.0] * 3
                point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = side, u, v
                corners.append(point)
                normals.append([2 * side - 1 if i == axis else 0.0 for i in range(3)])
    triangles = [[4 * face + i for i in three] for face in range(6) for three in ((0, 1, 2), (0, 2, 3))]
    return (
        torch.tensor(corners, dtype=torch.float64),
        torch.tensor(normals, dtype=torch.float64),
        torch.tensor(triangles),
    )


_BOX = _unit_box()
