"""Round cones — the hull of two spheres — and where a ray from the eye meets them first.

A round cone is the union of the spheres with centre a + s·(b − a) and radius ra + s·(rb − ra), 0 ≤ s ≤ 1.
Of all of these the ray enters one first; that sphere is found from the infinite cone they envelop
(`_first_sphere`), after which everything is the intersection of a ray with one sphere (`intersect`).

Only additions, products, quotients, roots and comparisons: these round alike in every vector width, so
that a frame's bytes do not depend on the batch around it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.data.renderer.rays import Ray, dot

# A ray nearly along a cone's flank grazes the sphere that it enters first: rounding (in float32, some m
# from the eye) must not make that a miss. Radii of 1 cm look 0.2 mm larger, those of 5 cm 0.04 mm. m².
_GRAZE = 4e-6
# Instead of 0 under a root: the root of 0 takes seven times as long.
_TINY = 1e-30


class PreparedCones(NamedTuple):
    """What intersecting needs of each cone, with the eye at the origin; names as in `prepare_cones`."""

    ax: Tensor
    ay: Tensor
    az: Tensor
    ux: Tensor
    uy: Tensor
    uz: Tensor
    ra: Tensor
    fall: Tensor  # ra − rb
    grip: Tensor  # |u|² − fall²: positive where neither sphere holds the other
    lean: Tensor  # a·u + ra·fall
    near: Tensor  # |a|² − ra²
    apex: Tensor  # grip·near − lean²


def prepare_cones(
    a: Float[Tensor, "*cones 3"],
    b: Float[Tensor, "*cones 3"],
    ra: Float[Tensor, "*cones"],
    rb: Float[Tensor, "*cones"],
) -> PreparedCones:
    """Constants of cones given relative to the eye. A sphere inside the other is dropped."""
    length = dot(b - a, b - a)
    swallowed = length <= 1.0001 * (ra - rb) * (ra - rb) + 1e-10
    larger = (ra >= rb)[..., None]
    a = torch.where(swallowed[..., None] & ~larger, b, a)
    ra = torch.where(swallowed & ~larger[..., 0], rb, ra)
    b, rb = torch.where(swallowed[..., None], a, b), torch.where(swallowed, ra, rb)
    u, fall = b - a, ra - rb
    # Any positive number does for a sphere: u = 0 makes s = 0.
    grip = torch.where(swallowed, torch.ones_like(fall), dot(u, u) - fall * fall)
    lean, near = dot(a, u) + ra * fall, dot(a, a) - ra * ra
    return PreparedCones(*a.unbind(-1), *u.unbind(-1), ra, fall, grip, lean, near, grip * near - lean * lean)


def thicken(cones: PreparedCones, more: Tensor) -> PreparedCones:
    """The cones with both radii larger by `more`."""
    ra = cones.ra + more
    lean = cones.lean + more * cones.fall
    near = cones.near - more * (cones.ra + ra)
    return cones._replace(ra=ra, lean=lean, near=near, apex=cones.grip * near - lean * lean)


def _first_sphere(cones: PreparedCones, ray: Ray) -> tuple[Tensor, Tensor, Tensor]:
    """Which sphere (s) the ray enters first if it meets the cone at all; ray·a and ray·u.

    The points t of the ray inside the sphere s satisfy |t·ray − a − s·u|² ≤ (ra − s·fall)², the inside of
    a conic in the (t, s) plane that is convex where radii are positive; its first t is a root of
    A·t² − 2·B·t + apex = 0. Convexity makes clamping its s to [0, 1] exact.
    """
    along_a = ray.x * cones.ax + ray.y * cones.ay + ray.z * cones.az
    along_u = ray.x * cones.ux + ray.y * cones.uy + ray.z * cones.uz
    A = cones.grip * ray.square - along_u * along_u
    B = cones.grip * along_a - along_u * cones.lean
    root = (B * B - A * cones.apex).clamp_(min=_TINY).sqrt_()
    t = cones.apex / root.add_(B)
    # A < 0: steeper than the cone's flank. Going towards the apex the ray was inside "since −∞".
    t += A.clamp_(max=0).mul_((along_u * cones.fall).clamp_(min=0)).mul_(1e30)
    s = t.mul_(along_u).sub_(cones.lean).div_(cones.grip).clamp_(0, 1)
    return s, along_a, along_u


def intersect(cones: PreparedCones, ray: Ray) -> tuple[Tensor, Tensor]:
    """(1/t, d): the ray enters at t times its direction; d < 0 where it misses.

    1/t is not positive where the ray misses, and where the cone is behind the eye or around it.
    """
    s, along_a, along_u = _first_sphere(cones, ray)
    along = s * along_u + along_a
    near = (s * cones.grip + 2 * cones.lean).mul_(s).add_(cones.near - _GRAZE)
    inside = along * along - ray.square * near
    # A miss is pushed far behind the eye: cheaper than `where`, and no nan.
    miss = inside.clamp(max=0).mul_(1e30)
    return inside.clamp(min=_TINY).sqrt_().add_(along).add_(miss).div_(near), inside
