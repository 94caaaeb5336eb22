"""Where the cameras of a take stand: BMLmovi's two, which never move, and looks drawn for every take.

A look names a distribution of cameras: R1 and R2 are drawn from the same one, H1 from ranges of height and
focal length that the others never have. World: z up, the floor at 0, m; float64.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.camera import Camera, calibrated

_Range = tuple[float, float]


class _Ranges(NamedTuple):
    """What is drawn uniformly; of several ranges one is drawn first."""

    height: tuple[_Range, ...]  # of the eye, m
    zoom: tuple[_Range, ...]  # focal length over that of BMLmovi's cameras
    roll: tuple[_Range, ...]  # degrees


_TRAINED = _Ranges(((0.8, 2.2),), ((0.7, 1.6),), ((-4.0, 4.0),))
_HELD_OUT = _Ranges(((0.45, 0.7), (2.3, 2.8)), ((0.5, 0.65), (1.7, 2.1)), ((-9.0, -5.0), (5.0, 9.0)))
_DRAWN = {"R1": _TRAINED, "R2": _TRAINED, "H1": _HELD_OUT}
LOOKS: tuple[str, ...] = (*D3KE.cameras, *_DRAWN)
HELD_OUT_LOOK = "H1"

_DISTANCE = (2.5, 8.0)  # m from the nearest point of the pelvis' path, horizontally
_AIM, _AIM_OFF = (0.75, 1.1), 0.25  # height of the point aimed at, and how far off the path's middle, m
_FOCAL, _SIZE = 979.0, (800.0, 600.0)  # px, BMLmovi's


def place_camera(look: str, path: Float[Tensor, "time 2"], generator: torch.Generator) -> Camera:
    """The full frame's camera of one take; `path`: x and y of the pelvis, m.

    Raises ValueError for an unknown look, naming the known ones.
    """
    if look not in LOOKS:
        raise ValueError(f"look: expected one of {', '.join(LOOKS)}, found {look!r}")
    if look not in _DRAWN:
        return calibrated(look, torch.float64)
    ranges = _DRAWN[look]
    draw = _Draw(generator)
    around, distance = draw.within(0.0, 2 * math.pi), draw.within(*_DISTANCE)
    height, zoom, roll = (draw.within_one(each) for each in ranges)
    aim = [draw.within(-_AIM_OFF, _AIM_OFF), draw.within(-_AIM_OFF, _AIM_OFF), draw.within(*_AIM)]
    return _aimed(path, (math.cos(around), math.sin(around)), distance, height, aim, zoom, roll)


class _Draw(NamedTuple):
    generator: torch.Generator

    def within(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def within_one(self, ranges: tuple[_Range, ...]) -> float:
        return self.within(*ranges[int(torch.randint(len(ranges), (), generator=self.generator))])


def _aimed(
    path: Tensor,
    direction: tuple[float, float],
    distance: float,
    height: float,
    aim: list[float],
    zoom: float,
    roll: float,
) -> Camera:
    """A camera in a `direction` (unit) from the path's middle that looks at `aim`, relative to it."""
    middle = path.mean(0).tolist()
    reach = max((x - middle[0]) * direction[0] + (y - middle[1]) * direction[1] for x, y in path.tolist())
    away = distance + max(reach, 0.0)
    eye = [middle[0] + away * direction[0], middle[1] + away * direction[1], height]
    forward = _unit([middle[0] + aim[0] - eye[0], middle[1] + aim[1] - eye[1], aim[2] - eye[2]])
    right = _unit([forward[1], -forward[0], 0.0])
    down = _cross(forward, right)
    cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    rows = [
        [cosine * r - sine * d for r, d in zip(right, down)],
        [sine * r + cosine * d for r, d in zip(right, down)],
        forward,
    ]
    t = [-sum(a * b for a, b in zip(row, eye)) for row in rows]
    focal, center = (zoom * _FOCAL,) * 2, [side / 2 for side in _SIZE]
    return Camera(
        *(torch.tensor(value, dtype=torch.float64) for value in (rows, t, focal, center, (0.0, 0.0)))
    )


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(component * component for component in vector))
    return [component / length for component in vector]


def _cross(a: list[float], b: list[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
