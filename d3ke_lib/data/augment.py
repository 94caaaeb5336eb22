"""Network crops from stored crops, plain or augmented as D3KE does: the camera is moved, labels follow it.

Everything is batched torch on the batch's device. What is random comes from the generator given,
`seed_generator(seed, epoch, step)`, and from nothing else.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from d3ke_lib.body.pose import Points, Validity
from d3ke_lib.data.augment_pixels import ColorConfig, Images, OccluderConfig, occlude, recolor, uniform
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.camera import Camera, crop_camera, describe_crop, pixel_centers, pixels


@dataclass(frozen=True)
class ViewConfig:
    """How far the crop's camera is moved; D3KE's numbers, from its released code."""

    shift: float = 0.10  # radius of the disc in which the centre lies, in sides of the box
    zoom: tuple[float, float] = (0.75, 1.25)  # factor
    roll_deg: float = 20.0  # up to +- this


@dataclass(frozen=True)
class AugmentConfig:
    """The three parts of D3KE's augmentation; None switches one off. No mirroring, as in D3KE."""

    view: ViewConfig | None = field(default_factory=ViewConfig)
    color: ColorConfig | None = field(default_factory=ColorConfig)
    occluder: OccluderConfig | None = field(default_factory=OccluderConfig)


def crop(batch: Batch, px: int) -> tuple[Images, Batch]:
    """The network's crops, (frame, 3, px, px) in [0, 1], and the labels: same direction, margin cut off.

    Points outside a crop are masked. Labels come without the stored crop, with margin 1.
    """
    camera = _crop_view(batch, px)
    middle = _exact_middle(batch, px)
    images = _resample(batch, camera, px) if middle is None else middle.float() / 255
    return images, _labels_in_view(batch, camera, px)


def augment(
    batch: Batch, px: int, generator: Generator, config: AugmentConfig | None = None
) -> tuple[Images, Batch]:
    """`crop` through a camera moved at random, then colours, then occluders (which mask no label).

    One leading axis. The same generator state, batch and config give the same draws on any device.
    """
    config = config or AugmentConfig()
    if config.view:
        camera = _crop_view(batch, px, *_draw_view(len(batch.time), generator, config.view))
        images, batch = _resample(batch, camera, px), _labels_in_view(batch, camera, px)
    else:
        images, batch = crop(batch, px)
    if config.color:
        images = recolor(images, generator, config.color)
    if config.occluder:
        images = occlude(images, generator, config.occluder)
    return images, batch


def camera_values(labels: Batch, px: int) -> Float[Tensor, "frame 4"]:
    """Of the cameras of crops that `crop` or `augment` made with `px`; the world's z axis points up."""
    return describe_crop(labels.camera, labels.R_camera_world[..., 2], px)


def _draw_view(count: int, generator: Generator, config: ViewConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Zoom (factor), roll (rad), shift (frame, 2) in sides of the box."""
    radius = config.shift * torch.rand(count, generator=generator).sqrt()
    angle = uniform(generator, 0, 2 * math.pi, count)
    zoom = uniform(generator, *config.zoom, count)
    roll = math.radians(config.roll_deg) * uniform(generator, -1, 1, count)
    return zoom, roll, radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


def _crop_view(
    batch: Batch,
    px: int,
    zoom: Float[Tensor, " frame"] | float = 1.0,
    roll: Float[Tensor, " frame"] | float = 0.0,
    shift: Float[Tensor, "frame 2"] | tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """The network crop's camera; its R maps the stored crop's camera frame to its own."""
    half = _crop_side(batch) / 2
    box = torch.cat([batch.camera.center - half, batch.camera.center + half], 1)
    return crop_camera(batch.camera, box, px, zoom, roll, shift)


def _crop_side(batch: Batch) -> Float[Tensor, "frame 1"]:
    """Side of the network's crop in pixels of the stored one."""
    return batch.image.shape[-1] / batch.margin[:, None]


def _labels_in_view(batch: Batch, camera: Camera, px: int) -> Batch:
    """Labels in the frame of `camera`, points outside its image masked; without the stored crop."""
    R = camera.R
    points = Points(batch.points.joints @ R.mT, batch.points.markers @ R.mT)
    own = camera._replace(R=torch.eye(3).to(R).expand_as(R))
    valid = Validity(
        batch.valid.angles,
        batch.valid.joints & _is_inside(own, points.joints, px),
        batch.valid.markers & _is_inside(own, points.markers, px),
    )
    return replace(
        batch,
        image=None,
        camera=own,
        pose=batch.pose._replace(R_ground_root=R @ batch.pose.R_ground_root),
        points=points,
        valid=valid,
        R_camera_world=R @ batch.R_camera_world,
        t_camera_world=(R @ batch.t_camera_world[..., None])[..., 0],
        margin=torch.ones_like(batch.margin),
    )


def _is_inside(camera: Camera, points: Float[Tensor, "frame n 3"], px: int) -> Tensor:
    """Whether points (camera frame, m) are in front of the camera and project into its image."""
    at = pixels(camera, points)
    return ((at >= 0) & (at <= px)).all(-1) & (points[..., 2] > 0)


# --- pixels -----------------------------------------------------------------------------------------------


def _exact_middle(batch: Batch, px: int) -> Tensor | None:
    """The middle of the stored crops where that is the network's crop pixel by pixel, else None."""
    stored = batch.image.shape[-1]
    border = (stored - px) // 2
    exact = ((_crop_side(batch) - px).abs() < 1e-3) & ((batch.camera.center - stored / 2).abs() < 1e-3).all(
        1
    )[:, None]
    if (stored - px) % 2 or not bool(exact.all()):
        return None
    return batch.image[:, :, border : border + px, border : border + px]


def _resample(batch: Batch, camera: Camera, px: int) -> Images:
    """The stored crops as `camera` sees them: bilinear, after averaging where they are much finer.

    Two pinhole cameras with one centre are related by a homography, so that no ray is computed.
    D3KE: resamples the video frame; here the stored margin's border is repeated beyond it.
    """
    fine = max(1, int(float(_crop_side(batch).min()) / px + 1e-3))
    images = batch.image.float().div_(255)
    images = F.avg_pool2d(images, fine) if fine > 1 else images
    old = batch.camera._replace(focal=batch.camera.focal / fine, center=batch.camera.center / fine)
    homography = _to_grid(old, images.shape[-1]) @ camera.R.mT @ _intrinsics(camera).inverse()
    aim = F.pad(pixel_centers(px, px, images), (0, 1), value=1.0) @ homography.mT
    grid = (aim[..., :2] / aim[..., 2:]).unflatten(1, (px, px))
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _intrinsics(camera: Camera) -> Float[Tensor, "frame 3 3"]:
    matrix = torch.diag_embed(F.pad(camera.focal, (0, 1), value=1.0))
    matrix[..., :2, 2] = camera.center
    return matrix


def _to_grid(camera: Camera, px: int) -> Float[Tensor, "frame 3 3"]:
    """Camera coordinates -> grid_sample's, in which the image spans [-1, 1]."""
    to_unit = torch.tensor([[2 / px, 0.0, -1.0], [0.0, 2 / px, -1.0], [0.0, 0.0, 1.0]])
    return to_unit.to(camera.focal) @ _intrinsics(camera)
