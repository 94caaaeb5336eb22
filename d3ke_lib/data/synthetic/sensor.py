"""The camera's electronics: exposure, white balance, noise and JPEG quality, drawn for every take."""

from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

_QUALITY = (70, 95)
_GAIN, _BALANCE = 0.08, 0.06  # of the brightness, and of red and blue against green: at most, after gamma
_NOISE = (0.0, 7.0)  # standard deviation, grey levels of 255
_SPARE = 32  # px by which the noise's tile is larger than an image: each frame takes a part of its own
_UNIT = 104.2  # standard deviation of the difference of two uniform bytes


class Sensor(NamedTuple):
    """Factors of the three channels (after gamma), noise in grey levels, and JPEG quality."""

    gains: tuple[float, float, float]
    noise: float
    quality: int


def draw_sensor(generator: Generator) -> Sensor:
    """A good camera is as likely as a bad one."""
    draw = [float(x) for x in torch.rand(5, generator=generator, dtype=torch.float64)]
    gain, red, blue = (
        1 + _GAIN * (2 * draw[0] - 1),
        _BALANCE * (2 * draw[1] - 1),
        _BALANCE * (2 * draw[2] - 1),
    )
    noise = _NOISE[0] + (_NOISE[1] - _NOISE[0]) * draw[3] ** 2
    quality = _QUALITY[0] + int((_QUALITY[1] - _QUALITY[0] + 1) * draw[4])
    return Sensor((gain * (1 + red), gain, gain * (1 + blue)), noise, quality)


def develop(
    images: UInt8[Tensor, "frame 3 height width"], sensor: Sensor, generator: Generator
) -> UInt8[Tensor, "frame 3 height width"]:
    """The images as this sensor gives them; the noise of a frame depends on its number alone."""
    height, width = images.shape[-2:]
    first, second = (
        torch.randint(256, (3, height + _SPARE, width + _SPARE), generator=generator, dtype=torch.uint8)
        for _ in range(2)
    )
    tile = (first.float() - second.float()) * (sensor.noise / _UNIT)
    gains = torch.tensor(sensor.gains)[:, None, None]
    shifts = torch.randint(_SPARE, (len(images), 2), generator=generator).tolist()
    developed = torch.empty_like(images)
    for frame, (down, right) in enumerate(shifts):
        noise = tile[:, down : down + height, right : right + width]
        levels = (images[frame].float() * gains) + noise
        developed[frame] = levels.add_(0.5).clamp_(0, 255).to(torch.uint8)
    return developed
