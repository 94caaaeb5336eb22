"""Photographs and panoramas from a folder (BACKGROUNDS): what is behind subjects, and the light on them.

A file twice as wide as high is a panorama (equirectangular), any other a photograph, which covers the full
frame. Bytes of records are then the same on machines of one kind only: directions take the maths library.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_image

from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.backdrop import Backdrop
from d3ke_lib.data.renderer.shade import Light
from d3ke_lib.files import D3keError

SUFFIXES = (".jpg", ".jpeg", ".png", ".exr")
_LARGEST = 2048  # px of a side that is kept
_SIDES = (480, 360)  # of a backdrop, px …
_WIDER = 1.25  # … which covers more than the full frame of 800 × 600
_FRAME = (800.0, 600.0)
_MEAN = 0.22  # linear brightness that panoramas of unknown exposure are given
_HELD_OUT = 5  # one file in so many, at least one of several, is for the held-out look


class _Background(NamedTuple):
    """Linear RGB; a panorama may exceed 1."""

    image: Float[Tensor, "3 height width"]
    panorama: bool


def list_backgrounds(folder: Path) -> tuple[Path, ...]:
    """The folder's images, by name. Raises D3keError where there are none, or anything else is."""
    if not folder.is_dir():
        raise D3keError(f"BACKGROUNDS={folder}: expected a folder, found none")
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    strange = [path.name for path in files if path.suffix.lower() not in SUFFIXES]
    if strange or not files:
        found = ", ".join(strange) or "no file"
        raise D3keError(f"BACKGROUNDS={folder}: expected {', '.join(SUFFIXES)} alone, found {found}")
    return tuple(files)


def choose_background(files: tuple[Path, ...], held_out: bool, generator: Generator) -> Path:
    """One of the files; the held-out look has files of its own where there are several."""
    count = max(1, len(files) // _HELD_OUT)
    if len(files) > 1:
        files = files[-count:] if held_out else files[:-count]
    return files[int(torch.randint(len(files), (), generator=generator))]


@lru_cache(maxsize=4)
def read_background(path: Path) -> _Background:
    """Raises D3keError for a file that is no image, or an .exr without the reader."""
    image = _read_exr(path) if path.suffix.lower() == ".exr" else _read_image(path)
    height, width = image.shape[1:]
    panorama = abs(width - 2 * height) <= 2
    shrink = max(height, width) / _LARGEST
    if shrink > 1:
        image = F.interpolate(image[None], (int(height / shrink), int(width / shrink)), mode="area")[0]
    if path.suffix.lower() == ".exr":
        image = image * (_MEAN / image.clamp(max=8 * float(image.median())).mean().clamp(min=1e-6))
    return _Background(image, panorama)


def _read_image(path: Path) -> Float[Tensor, "3 height width"]:
    try:
        image = decode_image(
            torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8), ImageReadMode.RGB
        )
    except (RuntimeError, ValueError) as error:
        raise D3keError(f"{path}: expected an image, found {path.stat().st_size} other bytes") from error
    return (image.float() / 255).square()


def _read_exr(path: Path) -> Float[Tensor, "3 height width"]:
    try:
        import OpenEXR
    except ImportError as error:
        raise D3keError(
            f"{path}: .exr needs the package OpenEXR, which is not installed: pip install OpenEXR, "
            "or convert the file to .jpg"
        ) from error
    try:
        with OpenEXR.File(str(path)) as file:
            channels = file.channels()
            pixels = channels["RGB" if "RGB" in channels else "RGBA"].pixels
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise D3keError(f"{path}: expected an OpenEXR image with channels RGB, found other bytes") from error
    return torch.from_numpy(pixels[..., :3].astype("float32")).permute(2, 0, 1).nan_to_num(0.0).clamp(0, 1e4)


def draw_backdrop(path: Path, camera: Camera, generator: Generator) -> tuple[Backdrop, Light]:
    """What the full frame's camera sees of the file, turned or mirrored at random, and the light from it."""
    background = read_background(path)
    draw = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    half = torch.tensor(_FRAME, dtype=torch.float64) / 2 / camera.focal
    if background.panorama:
        around = 2 * math.pi * draw[0]
        texture = _look_into(background.image, camera, half * _WIDER, around)
        light = _light_of_panorama(background.image, around, draw[1], draw[2])
        return Backdrop(camera.R, 1 / (half * _WIDER), texture), light
    image = background.image.flip(-1) if draw[0] < 0.5 else background.image
    cover = min(image.shape[2] / _FRAME[0], image.shape[1] / _FRAME[1])  # px of the file per px of the frame
    share = torch.tensor([_FRAME[0] * cover / image.shape[2], _FRAME[1] * cover / image.shape[1]])
    texture = F.interpolate(image[None], _SIDES[::-1], mode="area")[0] if cover > 1 else image
    return Backdrop(camera.R, share.double() / half, texture), _light_of_photograph(
        image, camera, draw[1], draw[2]
    )


def _look_into(
    panorama: Float[Tensor, "3 height width"], camera: Camera, half: Float[Tensor, "2"], around: float
) -> Float[Tensor, "3 row column"]:
    """The panorama, turned about the vertical by `around`, through a pinhole camera."""
    x, y = (half[i] * (2 * (torch.arange(n).double() + 0.5) / n - 1) for i, n in enumerate(_SIDES))
    seen = torch.stack(torch.broadcast_tensors(x, y[:, None], torch.ones(1, 1).double()), -1)
    world = F.normalize(seen @ camera.R, dim=-1)
    turned = (torch.atan2(world[..., 1], world[..., 0]) + around) / (2 * math.pi)
    u, v = 1 - (turned - turned.floor()), torch.acos(world[..., 2].clamp(-1, 1)) / math.pi
    wide = torch.cat([panorama[..., -1:], panorama, panorama[..., :1]], -1)
    width = panorama.shape[-1]
    grid = torch.stack([(2 * u * width + 2) / (width + 2) - 1, (2 * v - 1) * 0.999], -1).float()
    return F.grid_sample(wide[None], grid[None], align_corners=False)[0].clamp(0, 1)


def _light_of_panorama(image: Tensor, around: float, power: float, level: float) -> Light:
    """A lamp where the upper half is brightest, in the colours of what is there and of that half."""
    small = F.interpolate(image[None], (32, 64), mode="area")[0].double()
    v, u = ((torch.arange(n).double() + 0.5) / n for n in (32, 64))
    height, turn = (math.pi * (0.5 - v))[:16, None], -2 * math.pi * u[None] - around
    flat = torch.cos(height)
    axes = torch.stack(
        torch.broadcast_tensors(flat * torch.cos(turn), flat * torch.sin(turn), torch.sin(height))
    )
    upper = small[:, :16]
    bright = upper.mean(0)
    chosen = ((bright - bright.mean()).clamp(min=0).square() + 1e-9) * flat
    towards = (axes * chosen).sum((1, 2))
    sun = (upper * chosen).sum((1, 2)) / chosen.sum()
    return _light(towards, sun, (upper * flat).sum((1, 2)) / (flat.sum() * 64), power, level)


def _light_of_photograph(image: Tensor, camera: Camera, power: float, level: float) -> Light:
    """A lamp on the brighter side, before the subject, in the colour of the brightest quarter."""
    small = F.interpolate(image[None], (16, 16), mode="area")[0].double()
    bright = small.mean(0)
    left, right = float(bright[:, :8].mean()), float(bright[:, 8:].mean())
    side = 2 * (right - left) / max(right + left, 1e-6)
    sun = small[:, bright >= bright.flatten().quantile(0.75)].mean(1)
    return _light(side * camera.R[0] - 0.5 * camera.R[2], sun, small.mean((1, 2)), power, level)


def _light(towards: Tensor, sun: Tensor, sky: Tensor, power: float, level: float) -> Light:
    """Half the tint of the file; a lamp 35° above the horizon or higher, as bright as lamps of rooms are."""
    flat = F.normalize(torch.stack([towards[0], towards[1]]), dim=0)
    rise = float(towards[2]) / max(float(towards.norm()), 1e-9)
    rise = min(max(rise, math.sin(math.radians(35))), math.sin(math.radians(75)))
    along = math.sqrt(1 - rise * rise)
    colors = [(color / color.mean().clamp(min=1e-6)).clamp(0.3, 2).sqrt() for color in (sun, sky)]
    return Light(
        torch.tensor([float(flat[0]) * along, float(flat[1]) * along, rise]),
        (colors[0] * (0.45 + 0.5 * power)).float(),
        (colors[1] * (0.35 + 0.25 * level)).float(),
    )
