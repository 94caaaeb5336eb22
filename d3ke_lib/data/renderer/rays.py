"""Rays through the pixels of an image, in world axes, and products in a fixed order.

Additions, products, quotients and comparisons only: a frame's bytes do not depend on the batch around it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.data.camera import Camera, from_pixels


class Ray(NamedTuple):
    """Directions of any length from the eye, and their squared length."""

    x: Tensor
    y: Tensor
    z: Tensor
    square: Tensor


class Grid(NamedTuple):
    """Pixels of images, numbered frame by frame and row by row."""

    frames: int
    rows: int
    columns: int


def make_ray(x: Tensor, y: Tensor, z: Tensor) -> Ray:
    return Ray(x, y, z, x * x + y * y + z * z)


def square_rays(camera: Camera, grid: Grid, size: int, right: float, down: float) -> Ray:
    """(frame, square) rays through one point, in shares of the side, of every square of size × size px."""
    y = torch.arange(0, grid.rows, size, dtype=camera.focal.dtype, device=camera.focal.device) + size * down
    x = torch.arange(0, grid.columns, size, dtype=y.dtype, device=y.device) + size * right
    return _world_rays(camera, y, x)


def _world_rays(camera: Camera, y: Float[Tensor, "row"], x: Float[Tensor, "column"]) -> Ray:
    """(frame, row · column) rays through pixel coordinates: world axes, z = 1 in the camera's."""
    if camera.distortion.any():
        px = torch.stack((x.repeat(len(y)), y.repeat_interleave(len(x))), -1)
        across, down = from_pixels(camera, px[None]).unflatten(1, (len(y), len(x))).unbind(-1)
    else:
        center, focal = camera.center[:, None, None], camera.focal[:, None, None]
        across, down = (x - center[..., 0]) / focal[..., 0], (y[:, None] - center[..., 1]) / focal[..., 1]
    R = camera.R[:, :, :, None, None]
    return make_ray(*((across * R[:, 0, i] + (down * R[:, 1, i] + R[:, 2, i])).flatten(1) for i in range(3)))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Over the last axis of 3, in a fixed order."""
    product = a * b
    return product[..., 0] + product[..., 1] + product[..., 2]
