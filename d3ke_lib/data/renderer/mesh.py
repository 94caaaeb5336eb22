"""A posed, dressed mesh in a room → RGB images, batched, in torch; the same bytes in any batch.

Four samples per pixel at four instants of the exposure, each the nearest triangle's texel in the light of a
lamp and the sky. Distances are m in world coordinates (z up), seen through any undistorted `Camera`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from d3ke_lib.data.camera import Camera
from d3ke_lib.data.renderer.backdrop import Backdrop, render_backdrop
from d3ke_lib.data.renderer.rasterise import Fragments, rasterise
from d3ke_lib.data.renderer.rays import Grid, dot, square_rays
from d3ke_lib.data.renderer.room import Casters, Room, cast_shadows, render_room
from d3ke_lib.data.renderer.shade import EDGE, GROUND, Light

# A rotated grid: samples differ in both coordinates, px from the pixel's middle. Instants, in exposures.
_SAMPLES = ((0.125, -0.375), (-0.375, -0.125), (0.375, 0.125), (-0.125, 0.375))
_INSTANTS = (-0.375, -0.125, 0.125, 0.375)
_SAMPLES_AT_ONCE = 2**21


class Mesh(NamedTuple):
    """Posed vertices and unit normals in the world; corners and colours of the triangles between them."""

    vertices: Float[Tensor, "frame vertex 3"]
    normals: Float[Tensor, "frame vertex 3"]
    triangles: Int[Tensor, "triangle 3"]
    texels: Float[Tensor, "triangle texel 3"]  # linear RGB
    moved: Float[Tensor, "frame vertex 3"] | None = None  # over the exposure, m; None: nothing moves


def render_mesh(
    mesh: Mesh, shadow: Casters, room: Room | Backdrop, light: Light, camera: Camera, height: int, width: int
) -> UInt8[Tensor, "frame 3 height width"]:
    """RGB images, computed in float32. `shadow`: what casts a shadow on the floor.

    Raises ValueError for an eye outside the room.
    """
    step = max(1, _SAMPLES_AT_ONCE // (height * width * len(_SAMPLES)))
    frames = len(mesh.vertices)
    spread = [_per_frame(value, frames) for value in (room, light, camera)]
    images = []
    for start in range(0, frames, step):
        part = slice(start, start + step)
        own = (mesh.vertices, mesh.normals, mesh.moved)
        vertices, normals, moved = (None if field is None else field[part].float() for field in own)
        some = mesh._replace(vertices=vertices, normals=normals, moved=moved)
        casters = Casters(*(field[part].float() for field in shadow))
        images.append(
            _images(some, casters, *(type(v)(*(f[part] for f in v)) for v in spread), height, width)
        )
    return torch.cat(images)


_TRAILING = {Room: (1, 1, 3), Backdrop: (2, 1, 3), Light: (1, 1, 1), Camera: (2, 1, 1, 1, 1)}


def _per_frame(value: tuple, frames: int) -> tuple:
    return type(value)(
        *(f.float().expand(frames, *f.shape[f.ndim - n :]) for f, n in zip(value, _TRAILING[type(value)]))
    )


def _images(
    mesh: Mesh, shadow: Casters, room: Room | Backdrop, light: Light, camera: Camera, height: int, width: int
) -> UInt8[Tensor, "frame 3 height width"]:
    frames = len(mesh.vertices)
    eye = -torch.stack([dot(camera.R[..., i], camera.t) for i in range(3)], -1)
    rays = square_rays(camera, Grid(frames, height, width), 1, 0.5, 0.5)
    shadows = cast_shadows(shadow, light)
    draw = render_room if isinstance(room, Room) else render_backdrop
    color = draw(room, shadows, rays, eye)
    found = rasterise(*_sampled(mesh, camera), mesh.triangles, height, width)
    found = found._replace(frame=torch.div(found.frame, len(_SAMPLES), rounding_mode="floor"))
    _blend(color, found.pixel, _shade(mesh, found, light, eye), height * width)
    color = color.view(3, frames, height, width).transpose(0, 1)
    return color.clamp(0, 1).sqrt_().mul_(255).add_(0.5).to(torch.uint8)


def _sampled(mesh: Mesh, camera: Camera) -> tuple[Float[Tensor, "sample vertex 2"], Tensor]:
    """Positions (px, from which a sample is a pixel's middle) and depths (m), a row per sample of a frame."""
    vertices = mesh.vertices[:, None]
    if mesh.moved is not None:
        instants = mesh.vertices.new_tensor(_INSTANTS)[:, None, None]
        vertices = vertices + instants * mesh.moved[:, None]
    x, y, z = (dot(vertices, camera.R[:, None, None, i]) + camera.t[:, None, None, i] for i in range(3))
    focal, center = (value[:, None, None] for value in (camera.focal, camera.center))
    px = torch.stack((x / z * focal[..., 0] + center[..., 0], y / z * focal[..., 1] + center[..., 1]), -1)
    px = px - px.new_tensor(_SAMPLES)[:, None]
    return px.flatten(0, 1), z.expand(px.shape[:-1]).flatten(0, 1)


def _blend(
    color: Float[Tensor, "3 pixel"], sample: Int[Tensor, " n"], painted: Float[Tensor, "3 n"], pixels: int
) -> None:
    """Puts samples, numbered in (frame, sample, pixel), into `color`: the mean of four is a pixel."""
    count = len(_SAMPLES)
    row, pixel = torch.div(sample, pixels, rounding_mode="floor"), sample % pixels
    frame, which = torch.div(row, count, rounding_mode="floor"), row % count
    pixel = frame * pixels + pixel
    touched = torch.zeros(color.shape[1], dtype=torch.bool, device=color.device)
    touched[pixel] = True
    slots = touched.cumsum(0) - 1
    touched = touched.nonzero()[:, 0]
    samples = color.index_select(1, touched).repeat(1, count)
    samples.scatter_(1, (which * len(touched) + slots.index_select(0, pixel)).expand(3, -1), painted)
    a, b, c, d = samples.view(3, count, -1).unbind(1)
    color.scatter_(1, touched.expand(3, -1), (a + b + c + d) * 0.25)


def _shade(mesh: Mesh, found: Fragments, light: Light, eye: Float[Tensor, "frame 3"]) -> Float[Tensor, "3 n"]:
    count, side = mesh.vertices.shape[1], round(mesh.texels.shape[1] ** 0.5)
    corners = mesh.triangles.index_select(0, found.triangle) + (found.frame * count)[:, None]
    shares = torch.stack([1 - found.w1 - found.w2, found.w1, found.w2], -1)
    normals = mesh.normals.flatten(0, 1)
    normal = sum(normals.index_select(0, corners[:, i]) * shares[:, i, None] for i in range(3))
    normal = normal / dot(normal, normal).sqrt().clamp(min=1e-6)[:, None]
    view = mesh.vertices.flatten(0, 1).index_select(0, corners[:, 0]) - eye.index_select(0, found.frame)
    facing = dot(normal, view) / dot(view, view).sqrt()
    normal = torch.where(facing[:, None] > 0, -normal, normal)  # cloth and hair seen from behind
    cell = [(w * side).to(torch.int64).clamp(max=side - 1) for w in (found.w1, found.w2)]
    texel = (found.triangle * side + cell[1]) * side + cell[0]
    base = mesh.texels.flatten(0, 1).index_select(0, texel)
    towards, sun, sky = (part.index_select(0, found.frame) for part in light)
    lit = dot(normal, towards).clamp(min=0)[:, None]
    ambient = ((1 + GROUND) / 2 + (1 - GROUND) / 2 * normal[:, 2]) * (1 - EDGE + EDGE * facing.abs())
    return (base * (sun * lit + sky * ambient[:, None])).T
