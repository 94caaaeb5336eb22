"""A dressed subject performs an action: its surface and points over time, in the world.

World: z up, the floor at 0, m; float64.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.people.cast import DressedSubject, People, draw_person
from d3ke_lib.data.people.subject import pose_surface
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.mixtures import draw_wide_style
from d3ke_lib.data.synthetic.motion import Motion, Style
from d3ke_lib.data.synthetic.scene import CLOTHES, SIZE, STYLE, draw_scales

# m, of a soft minimum over the vertices: the pelvis moves smoothly when another one becomes the lowest.
_SOFTNESS = 0.001
_EXPOSURE = 9  # purpose of a random stream, after those of scene.py
_SHARE_BLURRED, _EXPOSURES = 0.35, (1 / 200, 1 / 50)  # of takes; s
# Actions in which the feet stay where they are and the pelvis moves; in the others it is the other way round.
_PLANTED = ("sitting_down",)


class PeopleSubject(NamedTuple):
    """Scale factors, style of motion and surface: the same in all takes and cameras."""

    scales: Float[Tensor, "body 3"]
    style: Style
    person: DressedSubject
    people: People

    @property
    def worn(self) -> Int[Tensor, " vertex"]:
        """Vertices that a triangle is drawn between."""
        return self.person.dressed.triangles.unique()


class PeopleTake(NamedTuple):
    """One subject's action over time, in the world, at the middle of each exposure."""

    pose: Pose  # R_ground_root = R_world_root
    points: Points
    vertices: Float[Tensor, "time vertex 3"]
    normals: Float[Tensor, "time vertex 3"]
    moved: Float[Tensor, "time vertex 3"] | None = None  # during the exposure; None: it is very short

    def shifted(self, xy: Float[Tensor, "2"]) -> "PeopleTake":
        """The same elsewhere on the floor."""
        by = torch.cat([xy, xy.new_zeros(1)])
        points = Points(*(part + by for part in self.points))
        return self._replace(points=points, vertices=self.vertices + by)


def draw_subject(skeleton: Skeleton, people: People, seed: int, number: int) -> PeopleSubject:
    """Subject `number` of a data set of this seed; `skeleton` in float64. Sizes and style are scene.py's."""
    unique = draw_scales(skeleton, seed_generator(seed, number, SIZE))
    scales = skeleton.spread_scales(unique)
    person = draw_person(people, skeleton, scales, seed_generator(seed, number, CLOTHES))
    return PeopleSubject(scales, draw_wide_style((seed, number, STYLE)), person, people)


def draw_exposure(seed: tuple[int, ...]) -> float:
    """Seconds; 0 for most takes, whose exposure is too short for anything to move."""
    share, long = torch.rand(2, generator=seed_generator(*seed, _EXPOSURE), dtype=torch.float64).tolist()
    return _EXPOSURES[0] + (_EXPOSURES[1] - _EXPOSURES[0]) * long if share < _SHARE_BLURRED else 0.0


def list_instants(t: Float[Tensor, " time"], exposure: float) -> Float[Tensor, " instant"]:
    """When the motion must be known: in the middle of each exposure and, after each of them, at its end."""
    return torch.stack([t, t + exposure / 2], 1).flatten() if exposure else t


def perform(
    skeleton: Skeleton, subject: PeopleSubject, motion: Motion, action: str, exposure: float
) -> PeopleTake:
    """The motion, given at `list_instants`, on the floor: the lowest vertex is `hop` (m) above it."""
    if action in _PLANTED:
        motion = _plant_feet(skeleton, subject, motion)
    take = put_on_floor(skeleton, subject, motion)
    if not exposure:
        return take
    moved = 2 * (take.vertices[1::2] - take.vertices[::2])
    pose, points = Pose(*(part[::2] for part in take.pose)), Points(*(part[::2] for part in take.points))
    return PeopleTake(pose, points, take.vertices[::2], take.normals[::2], moved)


def put_on_floor(skeleton: Skeleton, subject: PeopleSubject, motion: Motion) -> PeopleTake:
    """The motion on the floor: the lowest vertex is `hop` (m) above it."""
    pose = Pose(motion.angles, subject.scales.expand(len(motion.hop), -1, -1), motion.R_world_root)
    vertices, normals = pose_surface(subject.person.surface, subject.people.template, skeleton, pose)
    bottom = vertices[:, subject.worn, 2]
    lowest = -_SOFTNESS * torch.logsumexp(-bottom / _SOFTNESS, -1)
    root = torch.cat([motion.xy, (motion.hop - lowest)[:, None]], -1)[:, None]
    return PeopleTake(pose, Points(*(part + root for part in skeleton(pose))), vertices + root, normals)


def _plant_feet(skeleton: Skeleton, subject: PeopleSubject, motion: Motion) -> Motion:
    """The motion with the middle of the ankles, not the pelvis, on its path."""
    pose = Pose(motion.angles, subject.scales.expand(len(motion.hop), -1, -1), motion.R_world_root)
    joints = skeleton(pose).joints
    ankles = [skeleton.joints.index(name) for name in ("ankle_r", "ankle_l")]
    return motion._replace(xy=motion.xy - (joints[:, ankles, :2].mean(1) - joints[:, 0, :2]))
