"""Cones, looks and cameras for tests of the renderer: small, made up, no skeleton needed."""

import torch
from bmlmovi_fixture.clothes import Appearance, Cloth, paint_body
from bmlmovi_fixture.raytrace import Shading

from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.body_surface import BodySurface, Cones
from d3ke_lib.data.renderer.room import Room
from d3ke_lib.data.renderer.shade import Light

GREY = Cloth((0.8, 0.8, 0.8), (0.8, 0.8, 0.8))


def scattered(seed: int, frames: int = 1, count: int = 12) -> Cones:
    """Cones of all shapes and directions around (0, 0, 1), other ones in every frame."""
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(frames, count, 3, generator=generator) * 0.25 + torch.tensor([0.0, 0.0, 1.0])
    step = torch.randn(frames, count, 3, generator=generator) * 0.12
    ra, rb = 0.01 + 0.1 * torch.rand(2, frames, count, generator=generator).square()
    R = torch.linalg.qr(torch.randn(frames, count, 3, 3, generator=generator))[0]
    return Cones(middle - step, middle + step, ra, rb, R, middle)


def ball(at: tuple[float, float, float] = (0.0, 0.0, 1.0), radius: float = 0.3) -> Cones:
    center = torch.tensor(at)[None]
    r = torch.tensor([radius])
    return Cones(center, center, r, r, torch.eye(3)[None], center)


def dressed(cones: Cones, cloth: Cloth = GREY, sun: float = 0.6, seed: int = 0) -> Shading:
    """Everything of one cloth, in a room of soft blotches, under a sun up on the right."""
    count = cones.ra.shape[-1]
    shirts = ("thorax",) * count, ("shirt",) * count, ("top",) * count
    surface = BodySurface(*shirts, cones.a[..., :count, :], cones.b, cones.ra, cones.rb)
    everything = Appearance(cloth, cloth, cloth, cloth, cloth, 2.0, 2.0, 1.0)
    image = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(seed))
    image = torch.nn.functional.interpolate(image[None], size=(64, 64), mode="bilinear")[0]
    room = Room(torch.full((2,), -6.0), torch.full((2,), 4.0), image)
    towards = torch.tensor([0.48, -0.6, 0.64])
    return Shading(
        paint_body(surface, everything), room, Light(towards, torch.full((3,), sun), torch.full((3,), 0.4))
    )


def looking_north(px: int = 64, distance: float = 4.0, focal: float = 2.2) -> Camera:
    """At y = −distance, 1 m up, looking along y; sees about 1.8 m at the origin."""
    R = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    t = -(R @ torch.tensor([0.0, -distance, 1.0]))
    return Camera(R, t, torch.full((2,), focal * px), torch.full((2,), px / 2), torch.zeros(2))
