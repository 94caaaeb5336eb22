"""A subject of random size and appearance performs an action in a room, and its image and labels by camera.

World: z up, the floor at 0, m; float64 except in rendering.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, pixels, to_camera
from d3ke_lib.data.renderer.appearance import draw_appearance, draw_light, draw_room, paint_body
from d3ke_lib.data.renderer.body_surface import BodySurface, pose_surface, scale_girth
from d3ke_lib.data.renderer.raytrace import Shading, render
from d3ke_lib.data.renderer.round_cones import Cones
from d3ke_lib.data.renderer.shade import Paint
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.motion import Motion, Style, draw_style, generate_motion

# Purposes of the random streams (seed, subject, …, purpose).
SIZE, STYLE, CLOTHES, TAKE, ROOM = range(5)
# Standard deviations: of all lengths together (of the mean), of each length and each side (of the amplitude).
_STATURE_SD, _LENGTH_SD, _SIDE_SD = 0.055, 0.17, 0.04
# m, of a soft minimum: the pelvis moves smoothly when another point becomes the lowest.
_SOFTNESS = 0.003
# The box extends beyond the surface by this share of its side.
_PAD = 0.02


class Subject(NamedTuple):
    """Scale factors, style of motion, surface and its paint: the same in all takes and cameras."""

    scales: Float[Tensor, "body 3"]
    style: Style
    surface: BodySurface
    paint: Paint


class Take(NamedTuple):
    """One subject's action over time, in the world."""

    pose: Pose  # R_ground_root = R_world_root
    points: Points
    cones: Cones


def draw_subject(skeleton: Skeleton, surface: BodySurface, seed: int, number: int) -> Subject:
    """Subject `number` of a data set of this seed; `skeleton` in float64."""
    unique = draw_scales(skeleton, seed_generator(seed, number, SIZE))
    appearance = draw_appearance(seed_generator(seed, number, CLOTHES))
    style = draw_style((seed, number, STYLE))
    return Subject(
        skeleton.spread_scales(unique),
        style,
        scale_girth(surface, appearance.girth),
        paint_body(surface, appearance),
    )


def draw_scales(skeleton: Skeleton, generator: torch.Generator) -> Float[Tensor, " unique"]:
    """Unique scale factors: all lengths together, then each length, left and right nearly alike.

    Inside D3KE's mean ± amplitude; statures come out at 1.72 m ± 0.09 m.
    """
    middle, half = skeleton.scale_middle, skeleton.scale_half
    own, side = torch.randn(2, len(middle), generator=generator, dtype=torch.float64).to(middle)
    size = torch.randn((), generator=generator, dtype=torch.float64).clamp(-2.2, 2.2).to(middle)
    own = own[torch.minimum(_opposite(skeleton), torch.arange(len(middle)))]
    change = _STATURE_SD * size * middle + half * (_LENGTH_SD * own + _SIDE_SD * side)
    return middle + change.clamp(-half, half)


def _opposite(skeleton: Skeleton) -> Tensor:
    """Index of each unique scale factor's counterpart on the other side (its own on the midline)."""
    other = torch.arange(len(skeleton.scale_middle))
    other[skeleton.scale_index.flatten()] = skeleton.scale_index[list(D3KE.mirror_bones)].flatten()
    return other


def perform(
    skeleton: Skeleton, subject: Subject, action: str, t: Float[Tensor, " time"], seed: int | Sequence[int]
) -> Take:
    """The subject performs `action` at the times t (s); `seed`: of the take."""
    return put_on_floor(skeleton, subject, generate_motion(action, subject.style, t, seed))


def put_on_floor(skeleton: Skeleton, subject: Subject, motion: Motion) -> Take:
    """The motion on the floor: the lowest point of the surface is `hop` (m) above it."""
    pose = Pose(motion.angles, subject.scales.expand(len(motion.hop), -1, -1), motion.R_world_root)
    cones = pose_surface(subject.surface, skeleton, pose, torch.zeros_like(motion.hop)[:, None].expand(-1, 3))
    bottom = torch.cat([cones.a[..., 2] - cones.ra, cones.b[..., 2] - cones.rb], -1)
    lowest = -_SOFTNESS * torch.logsumexp(-bottom / _SOFTNESS, -1)
    root = torch.cat([motion.xy, (motion.hop - lowest)[:, None]], -1)[:, None]
    points = Points(*(part + root for part in skeleton(pose)))
    ends = {"a": cones.a + root, "b": cones.b + root, "p_world_body": cones.p_world_body + root}
    return Take(pose, points, cones._replace(**ends))


def render_take(
    take: Take,
    subject: Subject,
    full: Camera,
    px: int,
    margin: float,
    room: torch.Generator,
    device: str = "cpu",
) -> tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"]]:
    """Labels (columns of a record) and images of a take by the camera `full`; room and light from `room`.

    The crop is D3KE's: the camera rotated towards the subject's box, undistorted, `margin` x the box's side
    wide. It is rendered in that camera instead of resampled from a video frame.
    """
    box = bound_subject(full, take.cones)
    crop = crop_camera(full, box, px, zoom=1 / margin)
    shading = Shading(subject.paint, draw_room(room), draw_light(room))
    cones, shading, camera = (
        apply(lambda tensor: tensor.to(device, torch.float32), value) for value in (take.cones, shading, crop)
    )
    images = render(cones, shading, camera, px, px).cpu()
    return label_columns(take.pose, take.points, crop, box), images


def bound_subject(camera: Camera, cones: Cones) -> Float[Tensor, "*batch 4"]:
    """The square around the subject in the video frame (x0, y0, x1, y1, px), slightly wider than the surface.

    D3KE: a detector's box, squared, within the image. This one extends beyond the border, as the crop does.
    """
    ends = torch.cat([cones.a, cones.b], -2)
    radius = torch.cat([cones.ra, cones.rb], -1)[..., None]
    seen = to_camera(camera, ends)
    center, reach = pixels(camera, seen), radius * camera.focal / seen[..., 2:]
    return square_around((center - reach).amin(-2), (center + reach).amax(-2))


def square_around(
    low: Float[Tensor, "*batch 2"], high: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 4"]:
    """The square (x0, y0, x1, y1, px) that holds what extends from `low` to `high`, slightly wider."""
    half = (0.5 + _PAD) * (high - low).amax(-1, keepdim=True)
    return torch.cat([(low + high) / 2 - half, (low + high) / 2 + half], -1)


def label_columns(pose: Pose, points: Points, crop: Camera, box: Float[Tensor, "time 4"]) -> dict[str, Any]:
    """The labels of each frame, in the crop's camera frame; all are valid."""
    joints, markers = (to_camera(crop, part) for part in points)
    return {
        "angles": pose.angles,
        "scales": pose.scales,
        "R_camera_root": crop.R @ pose.R_ground_root,
        "joints": joints,
        "markers": markers,
        "valid_angles": torch.ones_like(pose.angles, dtype=torch.bool),
        "valid_joints": torch.ones_like(joints[..., 0], dtype=torch.bool),
        "valid_markers": torch.ones_like(markers[..., 0], dtype=torch.bool),
        "focal": crop.focal,
        "center": crop.center,
        "R_camera_world": crop.R,
        "t_camera_world": crop.t,
        "box": box,
    }
