"""Cameras: pinhole with two radial distortion terms; rotated, cropped and zoomed as D3KE does.

Camera axes: x right, y down, z forward. Pixel (row i, column j) has its centre at (j + 0.5, i + 0.5);
an image of w × h spans [0, w] × [0, h]. Everything takes leading batch axes that broadcast.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.body.spec import D3KE

# Newton steps to undo the distortion; five reach rounding error for the calibrated cameras' whole image.
_NEWTON_STEPS = 8


class Camera(NamedTuple):
    """x_camera = R · x_world + t (m); normalised x/z, y/z · (1 + k1·r² + k2·r⁴) · focal + center (px)."""

    R: Float[Tensor, "*batch 3 3"]
    t: Float[Tensor, "*batch 3"]
    focal: Float[Tensor, "*batch 2"]
    center: Float[Tensor, "*batch 2"]
    distortion: Float[Tensor, "*batch 2"]

    def to(self, *args: object) -> "Camera":
        """Every tensor on a device and/or in a floating type."""
        return Camera(*(tensor.to(*args) for tensor in self))


def calibrated(name: str, dtype: torch.dtype = torch.float32) -> Camera:
    """A camera of BMLmovi as D3KE calibrated it ("PG1" or "PG2"); its images are 800 × 600.

    Raises KeyError naming the known cameras.
    """
    if name not in D3KE.cameras:
        raise KeyError(f"camera {name!r}: expected one of {sorted(D3KE.cameras)}")
    camera = D3KE.cameras[name]
    values = (camera.R, camera.t, camera.focal, camera.center, camera.radial)
    return Camera(*(torch.tensor(value, dtype=dtype) for value in values))


# -- points --------------------------------------------------------------------


def to_camera(camera: Camera, world: Float[Tensor, "*#batch n 3"]) -> Float[Tensor, "*#batch n 3"]:
    """World → camera coordinates, m."""
    return world @ camera.R.mT + camera.t[..., None, :]


def project(camera: Camera, world: Float[Tensor, "*#batch n 3"]) -> Float[Tensor, "*#batch n 2"]:
    """Pixel coordinates of points in world coordinates (m). Undefined for points behind the camera."""
    return pixels(camera, to_camera(camera, world))


def pixels(camera: Camera, points: Float[Tensor, "*#batch n 3"]) -> Float[Tensor, "*#batch n 2"]:
    """Pixel coordinates of points in camera coordinates (m)."""
    return _distort(camera, points[..., :2] / points[..., 2:])


def _distort(camera: Camera, plane: Float[Tensor, "*#batch n 2"]) -> Float[Tensor, "*#batch n 2"]:
    """Normalised coordinates (x/z, y/z) → px, through the distortion (OpenCV's radial model)."""
    squared = plane.square().sum(-1, keepdim=True)
    k1, k2 = camera.distortion[..., None, :1], camera.distortion[..., None, 1:]
    bent = plane * (1 + squared * (k1 + k2 * squared))
    return bent * camera.focal[..., None, :] + camera.center[..., None, :]


def from_pixels(camera: Camera, px: Float[Tensor, "*#batch n 2"]) -> Float[Tensor, "*#batch n 2"]:
    """Px → normalised coordinates (x/z, y/z), distortion undone: the inverse of `_distort`.

    Newton's method on q = r², q·(1 + k1·q + k2·q²)² = r_distorted²: no root is taken, so that the
    derivative at the principal point is finite.
    """
    bent = (px - camera.center[..., None, :]) / camera.focal[..., None, :]
    k1, k2 = camera.distortion[..., None, :1], camera.distortion[..., None, 1:]
    wanted = bent.square().sum(-1, keepdim=True)
    squared = wanted
    for _ in range(_NEWTON_STEPS):
        factor = 1 + squared * (k1 + k2 * squared)
        slope = factor * (factor + 2 * squared * (k1 + 2 * k2 * squared))
        squared = squared - (squared * factor.square() - wanted) / slope
    return bent / (1 + squared * (k1 + k2 * squared))


def pixel_centers(height: int, width: int, like: Tensor) -> Float[Tensor, "pixel 2"]:
    """(x, y) of every pixel's centre, row by row, in the type and on the device of `like`."""
    y = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5
    x = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack((x.repeat(height), y.repeat_interleave(width)), -1)


def _directions(plane: Float[Tensor, "*batch n 2"]) -> Float[Tensor, "*batch n 3"]:
    """Unit vectors through normalised coordinates."""
    return F.normalize(F.pad(plane, (0, 1), value=1.0), dim=-1)


def rays(camera: Camera, height: int, width: int) -> Float[Tensor, "*batch height width 3"]:
    """Unit direction, in camera coordinates, of the ray through every pixel's centre."""
    centers = pixel_centers(height, width, camera.focal)
    return _directions(from_pixels(camera, centers)).unflatten(-2, (height, width))


# -- D3KE's crop: the camera, not the image, is changed ------------------------------


def _rotation_towards(direction: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The smallest rotation that brings a unit direction (z > −1) to the z axis: it adds no roll."""
    x, y, z = direction.unbind(-1)
    share = 1 / (1 + z)
    rows = (
        torch.stack((1 - x * x * share, -x * y * share, -x), -1),
        torch.stack((-x * y * share, 1 - y * y * share, -y), -1),
        direction,
    )
    return torch.stack(rows, -2)


def _rotation_about_z(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation by `angle` (rad) about the viewing axis; the image rotates clockwise."""
    sine, cosine, zero, one = angle.sin(), angle.cos(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = ((cosine, -sine, zero), (sine, cosine, zero), (zero, zero, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def crop_camera(
    camera: Camera,
    box: Float[Tensor, "*#batch 4"],
    px: int,
    zoom: Float[Tensor, "*#batch"] | float = 1.0,
    roll: Float[Tensor, "*#batch"] | float = 0.0,
    shift: Float[Tensor, "*#batch 2"] | tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """The undistorted camera of px × px that looks at a box (x1, y1, x2, y2, px of `camera`).

    It has the position of `camera`, rotated towards the box's centre moved by `shift` (in sides of the
    box), rolled by `roll` (rad, clockwise in the image). The longer of the box's width and height,
    measured between the middles of its sides through the rotated camera, spans zoom · px.
    """
    corner, far = box[..., :2], box[..., 2:]
    side = (far - corner).amax(-1, keepdim=True)
    aim = (corner + far) / 2 + torch.as_tensor(shift).to(box) * side
    rotation = _rotation_towards(_directions(from_pixels(camera, aim[..., None, :]))[..., 0, :])
    focal = px * torch.as_tensor(zoom).to(box) / _longer_side(camera, box, rotation)
    R = _rotation_about_z(torch.as_tensor(roll).to(box)) @ rotation
    batch = torch.broadcast_shapes(R.shape[:-2], focal.shape, camera.R.shape[:-2])
    return Camera(
        R=(R @ camera.R).expand(*batch, 3, 3),
        t=(R @ camera.t[..., None])[..., 0].expand(*batch, 3),
        focal=focal[..., None].expand(*batch, 2),
        center=torch.full_like(box[..., :2], px / 2).expand(*batch, 2),
        distortion=torch.zeros_like(box[..., :2]).expand(*batch, 2),
    )


def describe_crop(camera: Camera, up: Float[Tensor, "*batch 3"], px: int) -> Float[Tensor, "*batch 4"]:
    """What a crop of px × px leaves out of its camera: focal length and attitude.

    The logarithm of the focal length in sides of the crop, and the unit vector `up` in the camera's axes. A
    subject fills every crop: only these tell how large it is, where cameras are at known heights.
    """
    return torch.cat([(camera.focal[..., :1] / px).log(), up], -1)


def _longer_side(camera: Camera, box: Tensor, rotation: Tensor) -> Float[Tensor, "*batch"]:
    """The box's longer side in normalised coordinates of the rotated camera."""
    x1, y1, x2, y2 = box.unbind(-1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    middles = torch.stack([torch.stack(xy, -1) for xy in ((x1, y), (x2, y), (x, y1), (x, y2))], -2)
    rotated = _directions(from_pixels(camera, middles)) @ rotation.mT
    plane = rotated[..., :2] / rotated[..., 2:]
    width = (plane[..., 1, :] - plane[..., 0, :]).norm(dim=-1)
    height = (plane[..., 3, :] - plane[..., 2, :]).norm(dim=-1)
    return torch.maximum(width, height)


def resample(
    image: Float[Tensor, "*batch channel height width"], old: Camera, new: Camera, px: int
) -> Float[Tensor, "*batch channel px px"]:
    """The image that `new`, at the position of `old`, would have taken: bilinear, 0 outside.

    No low-pass filter: meant for crops of about the old image's resolution.
    """
    height, width = image.shape[-2:]
    aim = rays(new, px, px).flatten(-3, -2) @ (old.R @ new.R.mT).mT
    ahead = aim[..., 2:] > 1e-6
    at = pixels(old, torch.where(ahead, aim, aim.new_tensor([1e6, 1e6, 1.0])))
    # Far outside is outside: what the distortion's polynomial does out there must not overflow.
    grid = (2 * at / at.new_tensor([width, height]) - 1).clamp(-3, 3)
    grid = grid.expand(*image.shape[:-3], -1, -1).reshape(-1, px, px, 2)
    sampled = F.grid_sample(image.reshape(-1, *image.shape[-3:]), grid, align_corners=False)
    return sampled.reshape(*image.shape[:-2], px, px)
