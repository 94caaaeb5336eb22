"""A photograph behind the subject instead of a room, and the subject's shadow on the floor in it.

It is far away: what is seen depends on the direction of a ray alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.data.renderer.rays import Ray
from d3ke_lib.data.renderer.room import Shadows, sunlit
from d3ke_lib.data.renderer.shade import triangle_wave

_FLAT = 0.05  # cosine of the largest angle to the photograph's axis; beyond it nothing changes


class Backdrop(NamedTuple):
    """The image of a pinhole camera with rotation R; beyond its edges it is mirrored.

    scale: half a side of the image over the focal length is 1 / scale, across and down; linear RGB.
    """

    R: Float[Tensor, "*batch 3 3"]
    scale: Float[Tensor, "*batch 2"]
    texture: Float[Tensor, "*batch 3 height width"]


def render_backdrop(
    backdrop: Backdrop, shadows: Shadows, rays: Ray, eye: Float[Tensor, "frame 3"]
) -> Float[Tensor, "3 pixel"]:
    """Colour along (frame, n) rays, frames and rays in one axis."""
    x, y, z = (
        sum(backdrop.R[:, i, k, None] * ray for k, ray in enumerate((rays.x, rays.y, rays.z)))
        for i in range(3)
    )
    ahead = z.clamp(min=_FLAT)
    grid = torch.empty(*x.shape, 2, dtype=x.dtype, device=x.device)
    for i, across in enumerate((x, y)):
        grid[..., i] = 0.99 * triangle_wave((across / ahead * backdrop.scale[:, i, None] + 1) / 4)
    color = F.grid_sample(backdrop.texture, grid[:, None], align_corners=False)[:, :, 0].transpose(0, 1)
    floor = rays.z < 0
    t = -eye[:, 2, None] / rays.z.clamp(max=-1e-4)
    lit = sunlit(shadows, rays.x * t + eye[:, 0, None], rays.y * t + eye[:, 1, None], floor)
    return color.flatten(1).mul_(lit.flatten())
