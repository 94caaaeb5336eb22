"""Augmentation of the pixels alone: colours and occluders. No label changes.

Every random number is drawn on the CPU from the generator given, then sent to the images' device, so
that a GPU and a CPU use the same draws.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn import functional as F

from d3ke_lib.data import voc_cutouts

Images = Float[Tensor, "frame 3 px px"]

# RGB -> luma and two chroma axes (YIQ, NTSC 1953): rotating the chroma plane changes the hue.
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB = torch.linalg.inv(_YIQ)


@dataclass(frozen=True)
class ColorConfig:
    """Ranges of uniform draws, one of each per image; images are in [0, 1].

    Brightness and contrast are D3KE's (released code). It has hue and saturation too; their amounts here
    are those of TensorFlow's Inception pre-processing, whose other two are D3KE's.
    """

    brightness: float = 0.125  # added, up to +- this
    contrast: tuple[float, float] = (0.5, 1.5)  # factor, about each channel's mean
    hue: float = 0.2  # of a full rotation, up to +- this
    saturation: tuple[float, float] = (0.5, 1.5)  # factor, about the luma


@dataclass(frozen=True)
class OccluderConfig:
    """A rectangle of noise or some cut-outs at random positions; sizes as shares of the image's."""

    probability: float = 0.7  # that an image has any; released code
    noise: float = 0.5  # share of rectangles of noise among them; ours
    # Random erasing (Zhong et al. 2017); areas x 0.8: released code.
    area: tuple[float, float] = (0.8 * 0.02, 0.8 * 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)  # height / width
    cutouts: int = 3  # at most, at least 1
    length: tuple[float, float] = (0.8 * 0.1, 0.8 * 0.5)  # of a cut-out's axes; ours
    # D3KE: objects of PASCAL VOC photographs (file by voc_cutouts.py); None: striped ellipses and boxes
    objects: str | None = None


def uniform(generator: Generator, low: float | int, high: float | int, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)


# --- colour -------------------------------------------------------------------------------------------------


def recolor(images: Images, generator: Generator, config: ColorConfig) -> Images:
    """Brightness, contrast, hue and saturation as one affine map of each image's colours, cut to [0, 1].

    D3KE: one after the other in random order, cut after each, hue through HSV. Here hue and saturation rotate
    and scale the chroma plane; these steps commute, so that one pass in any order does all.
    """
    count = len(images)
    added = uniform(generator, -config.brightness, config.brightness, count, 1).to(images)
    contrast = uniform(generator, *config.contrast, count, 1).to(images)
    rotation = 2 * math.pi * uniform(generator, -config.hue, config.hue, count)
    color = _chroma_matrix(rotation, uniform(generator, *config.saturation, count)).to(images)
    mean = (color @ images.mean((2, 3))[..., None])[..., 0]
    offset = added + (1 - contrast) * mean
    changed = torch.baddbmm(offset[..., None], contrast[..., None] * color, images.flatten(2))
    return changed.clamp_(0, 1).view_as(images)


def _chroma_matrix(
    rotation: Float[Tensor, " frame"], factor: Float[Tensor, " frame"]
) -> Float[Tensor, "frame 3 3"]:
    """RGB -> RGB with the hue rotated (rad) and the saturation multiplied by `factor`; luma stays."""
    sine, cosine = factor * rotation.sin(), factor * rotation.cos()
    inner = torch.eye(3).repeat(len(rotation), 1, 1)
    inner[:, 1:, 1:] = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    return _RGB @ inner @ _YIQ


# --- occluders ----------------------------------------------------------------------------------------------


def occlude(images: Images, generator: Generator, config: OccluderConfig) -> Images:
    """Images with a rectangle of noise or up to `cutouts` shapes in front, or as they were."""
    count, px = len(images), images.shape[-1]
    chance = torch.rand(count, 2, generator=generator)
    covered, noisy = chance[:, 0] < config.probability, chance[:, 1] < config.noise
    noise = torch.rand(3, px, px, generator=generator).to(images)
    inside = _draw_rectangles(count, px, generator, config)
    bank = None if config.objects is None else voc_cutouts.load_cutouts(Path(config.objects))
    shapes = [
        _draw_shapes(count, px, generator, config)
        if bank is None
        else _draw_objects(count, px, len(bank), generator, config)
        for _ in range(config.cutouts)
    ]
    number = torch.randint(1, config.cutouts + 1, (count,), generator=generator)
    images = images.clone()
    rows = (covered & noisy).nonzero()[:, 0]
    # One noise image serves the whole batch: every rectangle shows another part of it.
    images[rows] = torch.where(inside[rows].to(images.device)[:, None], noise, images[rows])
    for k, shape in enumerate(shapes):
        rows = (covered & ~noisy & (number > k)).nonzero()[:, 0]
        some = shape[rows].to(images.device)
        if bank is None:
            images[rows] = _paste_shapes(images[rows], some)
        elif len(rows):
            cut = bank[shape[rows, 3].long()].to(images) / 255
            images[rows] = _paste_objects(images[rows], cut, some[:, :2], some[:, 2])
    return images


def _draw_rectangles(
    count: int, px: int, generator: Generator, config: OccluderConfig
) -> Bool[Tensor, "frame {px} {px}"]:
    """Mask of one rectangle per image, all of it inside."""
    area = uniform(generator, *config.area, count)
    aspect = uniform(generator, *map(math.log, config.aspect), count).exp()
    size = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1).clamp(max=1)
    start = torch.rand(count, 2, generator=generator) * (1 - size)
    at = (torch.arange(px) + 0.5) / px
    row, column = ((at >= s[:, None]) & (at <= e[:, None]) for s, e in zip(start.T, (start + size).T))
    return row[:, :, None] & column[:, None, :]


def _draw_shapes(
    count: int, px: int, generator: Generator, config: OccluderConfig
) -> Float[Tensor, "frame 14"]:
    """One shape per image: both axes and the centre in units of the shape, kind, stripes, two colours."""
    center = uniform(generator, 0, px, count, 2)
    half = uniform(generator, *config.length, count, 2) * px / 2
    angle = uniform(generator, 0, math.pi, count, 1)
    cosine, sine = angle.cos(), angle.sin()
    x_axis, y_axis = torch.cat([cosine, sine], 1) / half[:, :1], torch.cat([-sine, cosine], 1) / half[:, 1:]
    offset = -torch.stack([(x_axis * center).sum(1), (y_axis * center).sum(1)], 1)
    kind, stripes = torch.rand(count, 1, generator=generator), uniform(generator, 0, 12, count, 1)
    colors = torch.rand(count, 6, generator=generator)
    return torch.cat([x_axis, y_axis, offset, kind, stripes, colors], 1)


def _draw_objects(
    count: int, px: int, things: int, generator: Generator, config: OccluderConfig
) -> Float[Tensor, "frame 4"]:
    """One object per image: its centre and the side of its square in px, and its index."""
    center = uniform(generator, 0, px, count, 2)
    length = uniform(generator, *config.length, count, 1) * px
    number = torch.randint(things, (count, 1), generator=generator)
    return torch.cat([center, length, number], 1)


def _paste_objects(
    images: Images,
    things: Float[Tensor, "frame 4 side side"],
    center: Float[Tensor, "frame 2"],
    length: Float[Tensor, " frame"],
) -> Images:
    """Cut-outs (colours times alpha, alpha) drawn over the images, upright, `length` px wide and high."""
    at = torch.arange(images.shape[-1]).to(images) + 0.5
    x, y = (2 * (at - center[:, i, None]) / length[:, None] for i in (0, 1))
    grid = torch.stack(torch.broadcast_tensors(x[:, None], y[:, :, None]), -1)
    seen = F.grid_sample(things, grid, align_corners=False)
    return images * (1 - seen[:, 3:]) + seen[:, :3]


def _paste_shapes(images: Images, shape: Float[Tensor, "frame 14"]) -> Images:
    """Ellipses (kind < 0.5) and rounded boxes, striped along their first axis, drawn over the images."""
    px = images.shape[-1]
    at = torch.arange(px).to(images) + 0.5
    numbers = shape[:, :8].T[..., None, None]
    u = numbers[0] * at + numbers[1] * at[:, None] + numbers[4]
    v = numbers[2] * at + numbers[3] * at[:, None] + numbers[5]
    u2, v2 = u.square(), v.square()
    inside = torch.where(numbers[6] < 0.5, u2 + v2, u2 * u2 * u2 + v2 * v2 * v2)[:, None] < 1
    mix = (0.5 + 0.5 * (numbers[7] * u).sin())[:, None]
    first, second = shape[:, 8:11, None, None], shape[:, 11:, None, None]
    return torch.where(inside, first + (second - first) * mix, images)
