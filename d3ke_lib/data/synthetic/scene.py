"""A person of drawn size and looks does an action in a room, and what a camera makes of it.

World: z up, the floor at 0, m; all in float64 until the picture is rendered.
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
from d3ke_lib.data.renderer.appearance import draw_appearance, draw_light, draw_room, paint
from d3ke_lib.data.renderer.body_surface import Flesh, pose_flesh, stout
from d3ke_lib.data.renderer.render import Looks, render
from d3ke_lib.data.renderer.round_cones import Cones
from d3ke_lib.data.renderer.shade import Paint
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.motion import Motion, Style, draw_style, motion

# What a random stream of (seed, subject, purpose, ...) is for.
SIZE, STYLE, DRESS, TAKE, PLACE = range(5)
# How bodies differ: all lengths together (of the mean), each length and each side (of the amplitude).
TOGETHER, APART, ASIDE = 0.055, 0.17, 0.04
# The lowest point is found softly, m: the pelvis moves smoothly when another point becomes the lowest.
SOFT = 0.003
# The box reaches this share of its side beyond the flesh.
PAD = 0.02


class Person(NamedTuple):
    """Scale factors, way of moving, surface and its paint: the same in all takes and cameras."""

    scales: Float[Tensor, "body 3"]
    style: Style
    flesh: Flesh
    paint: Paint


class Take(NamedTuple):
    """An action of one person over time, in the world."""

    pose: Pose  # R_ground_root = R_world_root
    points: Points
    cones: Cones


def draw_person(skeleton: Skeleton, flesh: Flesh, seed: int, subject: int) -> Person:
    """Subject number `subject` of everybody that `seed` makes; `skeleton` in float64."""
    unique = draw_scales(skeleton, seed_generator(seed, subject, SIZE))
    looks = draw_appearance(seed_generator(seed, subject, DRESS))
    style = draw_style((seed, subject, STYLE))
    return Person(skeleton.spread_scales(unique), style, stout(flesh, looks.girth), paint(flesh, looks))


def draw_scales(skeleton: Skeleton, generator: torch.Generator) -> Float[Tensor, " unique"]:
    """Unique scale factors: tall or short as a whole, then each length, left and right nearly alike.

    Inside D3KE's mean ± amplitude; statures come out at 1.72 m ± 0.09 m.
    """
    middle, half = skeleton.scale_middle, skeleton.scale_half
    own, side = torch.randn(2, len(middle), generator=generator, dtype=torch.float64).to(middle)
    size = torch.randn((), generator=generator, dtype=torch.float64).clamp(-2.2, 2.2).to(middle)
    own = own[torch.minimum(opposite(skeleton), torch.arange(len(middle)))]
    change = TOGETHER * size * middle + half * (APART * own + ASIDE * side)
    return middle + change.clamp(-half, half)


def opposite(skeleton: Skeleton) -> Tensor:
    """Each unique scale factor's number on the other side of the body (its own in the middle)."""
    other = torch.arange(len(skeleton.scale_middle))
    other[skeleton.scale_index.flatten()] = skeleton.scale_index[list(D3KE.mirror_bones)].flatten()
    return other


def act(
    skeleton: Skeleton, person: Person, action: str, t: Float[Tensor, " time"], seed: int | Sequence[int]
) -> Take:
    """The person does `action` at the times t (s)."""
    return stand(skeleton, person, motion(action, person.style, t, seed))


def stand(skeleton: Skeleton, person: Person, moved: Motion) -> Take:
    """The person moves so on the floor: the lowest point of the flesh is `hop` over it."""
    pose = Pose(moved.angles, person.scales.expand(len(moved.hop), -1, -1), moved.R_world_root)
    cones = pose_flesh(person.flesh, skeleton, pose, torch.zeros_like(moved.hop)[:, None].expand(-1, 3))
    bottom = torch.cat([cones.a[..., 2] - cones.ra, cones.b[..., 2] - cones.rb], -1)
    lowest = -SOFT * torch.logsumexp(-bottom / SOFT, -1)
    root = torch.cat([moved.xy, (moved.hop - lowest)[:, None]], -1)[:, None]
    points = Points(*(part + root for part in skeleton(pose)))
    ends = {"a": cones.a + root, "b": cones.b + root, "p_world_body": cones.p_world_body + root}
    return Take(pose, points, cones._replace(**ends))


def film(
    take: Take,
    person: Person,
    full: Camera,
    px: int,
    margin: float,
    place: torch.Generator,
    device: str = "cpu",
) -> tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"]]:
    """Labels (columns of a record that the frames decide) and pictures of a take by the camera `full`.

    The crop is D3KE's: the camera turned to the person's box, undistorted, `margin` x the box's side wide.
    Rendering in that camera is what resampling a perfect full picture would give.
    """
    box = bounding_box(full, take.cones)
    crop = crop_camera(full, box, px, zoom=1 / margin)
    looks = Looks(person.paint, draw_room(place), draw_light(place))
    cones, looks, camera = (
        apply(lambda tensor: tensor.to(device, torch.float32), value) for value in (take.cones, looks, crop)
    )
    images = render(cones, looks, camera, px, px).cpu()
    return labels(take, crop, box), images


def bounding_box(camera: Camera, cones: Cones) -> Float[Tensor, "*batch 4"]:
    """The square around the person in the full picture (x0, y0, x1, y1, px), a little wider than the flesh.

    D3KE: a detector's box, squared; it ends where the picture does. This one goes on, as the crop does.
    """
    ends = torch.cat([cones.a, cones.b], -2)
    radius = torch.cat([cones.ra, cones.rb], -1)[..., None]
    seen = to_camera(camera, ends)
    center, reach = pixels(camera, seen), radius * camera.focal / seen[..., 2:]
    low, high = (center - reach).amin(-2), (center + reach).amax(-2)
    half = (0.5 + PAD) * (high - low).amax(-1, keepdim=True)
    return torch.cat([(low + high) / 2 - half, (low + high) / 2 + half], -1)


def labels(take: Take, crop: Camera, box: Float[Tensor, "time 4"]) -> dict[str, Any]:
    """What is true of each frame, in the crop's camera frame; everything is known and counts."""
    joints, markers = (to_camera(crop, part) for part in take.points)
    return {
        "angles": take.pose.angles,
        "scales": take.pose.scales,
        "R_camera_root": crop.R @ take.pose.R_ground_root,
        "joints": joints,
        "markers": markers,
        "valid_angles": torch.ones_like(take.pose.angles, dtype=torch.bool),
        "valid_joints": torch.ones_like(joints[..., 0], dtype=torch.bool),
        "valid_markers": torch.ones_like(markers[..., 0], dtype=torch.bool),
        "focal": crop.focal,
        "center": crop.center,
        "R_camera_world": crop.R,
        "t_camera_world": crop.t,
        "box": box,
    }
