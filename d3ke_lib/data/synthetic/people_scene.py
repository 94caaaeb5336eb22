"""A dressed subject performs an action in a room, and its images and labels by camera: scene.py with a mesh.

World: z up, the floor at 0, m; float64 except in rendering.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, pixels, to_camera
from d3ke_lib.data.people.cast import DressedSubject, People, draw_person
from d3ke_lib.data.people.subject import pose_surface
from d3ke_lib.data.renderer.appearance import draw_light, draw_room
from d3ke_lib.data.renderer.mesh import Mesh, render_mesh
from d3ke_lib.data.renderer.round_cones import Cones
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.motion import Motion, Style, draw_style
from d3ke_lib.data.synthetic.scene import CLOTHES, SIZE, STYLE, draw_scales, label_columns, square_around

# m, of a soft minimum over the vertices: the pelvis moves smoothly when another one becomes the lowest.
_SOFTNESS = 0.001
# What casts a shadow on the floor: round cones between two joints, radii in m.
_CASTERS = (
    ("L5_S1_IVDjnt", "T1_head_neck", 0.14, 0.13),
    ("C7_skull", "C7_skull", 0.11, 0.11),
    ("hip_r", "knee_r", 0.08, 0.06),
    ("hip_l", "knee_l", 0.08, 0.06),
    ("knee_r", "ankle_r", 0.06, 0.05),
    ("knee_l", "ankle_l", 0.06, 0.05),
    ("shoulder2", "radiocarpal", 0.05, 0.04),
    ("shoulder2_l", "radiocarpal_l", 0.05, 0.04),
)


class PeopleSubject(NamedTuple):
    """Scale factors, style of motion and surface: the same in all takes and cameras."""

    scales: Float[Tensor, "body 3"]
    style: Style
    person: DressedSubject
    people: People


class PeopleTake(NamedTuple):
    """One subject's action over time, in the world."""

    pose: Pose  # R_ground_root = R_world_root
    points: Points
    vertices: Float[Tensor, "time vertex 3"]
    normals: Float[Tensor, "time vertex 3"]


def draw_subject(skeleton: Skeleton, people: People, seed: int, number: int) -> PeopleSubject:
    """Subject `number` of a data set of this seed; `skeleton` in float64. Sizes and style are scene.py's."""
    unique = draw_scales(skeleton, seed_generator(seed, number, SIZE))
    scales = skeleton.spread_scales(unique)
    person = draw_person(people, skeleton, scales, seed_generator(seed, number, CLOTHES))
    return PeopleSubject(scales, draw_style((seed, number, STYLE)), person, people)


def put_on_floor(skeleton: Skeleton, subject: PeopleSubject, motion: Motion) -> PeopleTake:
    """The motion on the floor: the lowest vertex is `hop` (m) above it."""
    pose = Pose(motion.angles, subject.scales.expand(len(motion.hop), -1, -1), motion.R_world_root)
    vertices, normals = pose_surface(subject.person.surface, subject.people.template, skeleton, pose)
    bottom = vertices[:, _worn(subject), 2]
    lowest = -_SOFTNESS * torch.logsumexp(-bottom / _SOFTNESS, -1)
    root = torch.cat([motion.xy, (motion.hop - lowest)[:, None]], -1)[:, None]
    return PeopleTake(pose, Points(*(part + root for part in skeleton(pose))), vertices + root, normals)


def render_take(
    take: PeopleTake,
    subject: PeopleSubject,
    full: Camera,
    px: int,
    margin: float,
    room: torch.Generator,
    device: str = "cpu",
) -> tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"]]:
    """Labels (columns of a record) and images of a take by the camera `full`; as scene.render_take."""
    box = _bound(full, take.vertices[:, _worn(subject)])
    crop = crop_camera(full, box, px, zoom=1 / margin)
    dressed = subject.person.dressed
    mesh = Mesh(take.vertices, take.normals, dressed.triangles, dressed.texels)
    shadow, walls, light, camera = (
        apply(lambda tensor: tensor.to(device, torch.float32), value)
        for value in (
            _cast_shadow(subject.people, take),
            draw_room(room, plausible=True),
            draw_light(room),
            crop,
        )
    )
    mesh = Mesh(*(field.to(device) for field in mesh))
    images = render_mesh(mesh, shadow, walls, light, camera, px, px).cpu()
    return label_columns(take.pose, take.points, crop, box), images


def _worn(subject: PeopleSubject) -> Tensor:
    """Vertices that a triangle is drawn between."""
    return subject.person.dressed.triangles.unique()


def _bound(camera: Camera, vertices: Float[Tensor, "time vertex 3"]) -> Float[Tensor, "time 4"]:
    """The square around the subject in the video frame (x0, y0, x1, y1, px), wider than the surface."""
    px = pixels(camera, to_camera(camera, vertices))
    return square_around(px.amin(-2), px.amax(-2))


def _cast_shadow(people: People, take: PeopleTake) -> Cones:
    start, end = (
        take.points.joints[:, [people.joints.index(caster[i]) for caster in _CASTERS]] for i in (0, 1)
    )
    radii = (start.new_tensor([c[i] for c in _CASTERS]).expand(start.shape[:-1]) for i in (2, 3))
    R = torch.eye(3, dtype=start.dtype).expand(*start.shape[:-1], 3, 3)
    return Cones(start, end, *radii, R, start)
