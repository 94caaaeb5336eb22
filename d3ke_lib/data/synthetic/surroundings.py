"""What is around a subject in one take: the room, its light and furniture, somebody behind, and the camera.

Everything is drawn from streams of the take, so that all looks see one room; who stands behind differs, and
the look that is held out has another room. World: z up, the floor at 0, m; float64.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.people.cast import People
from d3ke_lib.data.renderer.appearance import draw_light, draw_room
from d3ke_lib.data.renderer.backdrop import Backdrop
from d3ke_lib.data.renderer.room import Room
from d3ke_lib.data.renderer.shade import Light
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.backgrounds import choose_background, draw_backdrop
from d3ke_lib.data.synthetic.cameras import HELD_OUT_LOOK, LOOKS, place_camera
from d3ke_lib.data.synthetic.mixtures import vary_motion
from d3ke_lib.data.synthetic.people_take import PeopleSubject, PeopleTake, draw_subject, put_on_floor
from d3ke_lib.data.synthetic.props import Prop, draw_clutter, seat

# Purposes of the random streams (seed, subject, take, purpose, …), after those of scene.py.
_ROOM, _CAMERA, _FURNITURE, _BYSTANDER = range(10, 14)
_SITTING = ("sitting_down", "crossing_legs_sitting")
_SEAT_HEIGHTS = (0.25, 0.62)  # m
_THIGH = 0.25  # m from the pelvis' joint down to a level thigh's lower side, at most
_SHARE_BEHIND = 0.25  # of takes and looks, somebody stands behind the subject
_BYSTANDERS, _FIRST_BYSTANDER = 6, 1_000_000  # how many there are, and the number of the first
_IDLE = ("phone_talking", "crossing_arms", "checking_watch", "pointing", "clapping", "waving", "walking")
_ARM = 1.1  # m around the pelvis' path that no furniture enters


class Scenery(NamedTuple):
    """One take as one look sees it, but for the subject."""

    camera: Camera  # of the full frame
    room: Room | Backdrop
    light: Light
    props: list[Prop]
    bystander: tuple[PeopleSubject, PeopleTake] | None


class TakeKey(NamedTuple):
    """Which take: the action, its number in the data set (seed, subject, take), and its times, s."""

    action: str
    seed: tuple[int, ...]
    t: Float[Tensor, " time"]
    backgrounds: tuple[Path, ...] = ()  # photographs instead of rooms


def set_scene(
    skeleton: Skeleton, take: PeopleTake, subject: PeopleSubject, key: TakeKey, look: str
) -> Scenery:
    """Draws what `look` sees of the take. Raises ValueError for an unknown look."""
    held_out = look == HELD_OUT_LOOK
    looks = [each for each in LOOKS if (each == HELD_OUT_LOOK) == held_out]
    path = take.points.joints[:, 0, :2]
    cameras = {
        each: place_camera(each, path, seed_generator(*key.seed, _CAMERA, LOOKS.index(each)))
        for each in {*looks, look}
    }
    camera = cameras[look]
    bystander = _draw_bystander(skeleton, take, subject.people, key, look, camera)
    stream = seed_generator(*key.seed, _ROOM, int(held_out))
    room, light = draw_room(stream, held_out), draw_light(stream)
    inside = [_eye(cameras[each]) for each in looks] + [path]
    if bystander:
        inside.append(bystander[1].points.joints[..., :2].flatten(0, 1))
    room = _enclose(room, torch.cat(inside))
    props = [] if key.backgrounds else _furnish(take, key, room, camera, bystander)
    seated = (
        _find_seat(take, subject, seed_generator(*key.seed, _FURNITURE)) if key.action in _SITTING else None
    )
    if key.backgrounds:
        file = choose_background(key.backgrounds, held_out, seed_generator(*key.seed, _ROOM, 2 + held_out))
        room, light = draw_backdrop(file, camera, seed_generator(*key.seed, _ROOM, 4, LOOKS.index(look)))
    return Scenery(camera, room, light, props + ([seated] if seated else []), bystander)


def _eye(camera: Camera) -> Float[Tensor, "1 2"]:
    return -torch.stack([(camera.R[:, i] * camera.t).sum() for i in range(2)])[None]


def _enclose(room: Room, points: Float[Tensor, "point 2"]) -> Room:
    """The room, its walls moved out to leave 0.5 m around all points."""
    low, high = (points.amin(0) - 0.5).float(), (points.amax(0) + 0.5).float()
    return room._replace(low=torch.minimum(room.low, low), high=torch.maximum(room.high, high))


def _depths(camera: Camera, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Along the camera's axis, m."""
    return sum(camera.R[2, i] * points[..., i] for i in range(3)) + camera.t[2]


def _furnish(
    take: PeopleTake, key: TakeKey, room: Room, camera: Camera, bystander: tuple | None
) -> list[Prop]:
    """Furniture that is all behind the subject, so that it hides nothing of it."""
    path = take.points.joints[:, 0, :2]
    free = float(path.norm(dim=-1).max()) + _ARM
    pieces = draw_clutter(
        seed_generator(*key.seed, _FURNITURE, 1), free, room.low.tolist(), room.high.tolist()
    )
    behind = float(_depths(camera, take.vertices).max()) + 0.1
    others = bystander[1].points.joints[:, 0, :2] if bystander else path[:0]
    return [
        piece
        for piece in pieces
        if _depths(camera, piece.vertices).min() > behind and _apart(piece, others) > 0.8
    ]


def _apart(piece: Prop, path: Float[Tensor, "time 2"]) -> float:
    at = path.new_tensor(piece.caster[0][:2])
    return min(((path - at).norm(dim=-1)).tolist(), default=math.inf)


def _find_seat(take: PeopleTake, subject: PeopleSubject, generator: Generator) -> Prop | None:
    """What carries who sits in the frame in which the pelvis is lowest; None if it is not low enough."""
    pelvis = take.points.joints[:, 0]
    lowest = int(pelvis[:, 2].argmin())
    at, forward = pelvis[lowest, :2], take.pose.R_ground_root[lowest, :2, 0]
    forward = forward / forward.norm()
    template, bodies = subject.people.template, subject.people.bodies
    main = template.body.gather(1, template.weight.argmax(1, keepdim=True))[:, 0]
    carried = torch.tensor([name.startswith(("pelvis", "femur")) for name in bodies])[main]
    carried &= torch.zeros_like(carried).index_fill(0, subject.worn, True)
    under = take.vertices[lowest, carried]
    under = under[_along(under, at, forward) < 0.2]
    height = float(under[:, 2].min())
    if not _SEAT_HEIGHTS[0] < height < _SEAT_HEIGHTS[1] or pelvis[lowest, 2] - height > _THIGH:
        return None
    sitting = take.vertices[pelvis[:, 2] < pelvis[lowest, 2] + 0.05][:, subject.worn].flatten(0, 1)
    sitting = sitting[(sitting[:, 2] > height) & (sitting[:, 2] < height + 0.45)]
    back = -float(_along(sitting, at, forward).min())
    return seat(at, forward, height - 0.004, min(back + 0.02, 0.4), generator)


def _along(points: Float[Tensor, "point 3"], at: Tensor, forward: Tensor) -> Float[Tensor, " point"]:
    return (points[:, 0] - at[0]) * forward[0] + (points[:, 1] - at[1]) * forward[1]


def _draw_bystander(
    skeleton: Skeleton, take: PeopleTake, people: People, key: TakeKey, look: str, camera: Camera
) -> tuple[PeopleSubject, PeopleTake] | None:
    """In a share of takes, somebody beyond the subject and partly hidden by it."""
    stream = (*key.seed, _BYSTANDER, LOOKS.index(look))
    generator = seed_generator(*stream)
    draw = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    if draw[0] > _SHARE_BEHIND:
        return None
    number, idle = (int(torch.randint(n, (), generator=generator)) for n in (_BYSTANDERS, len(_IDLE)))
    other = _cast_bystander(skeleton, people, key.seed[0], number)
    motion = vary_motion(_IDLE[idle], other.style, key.t, stream)
    motion = motion._replace(xy=motion.xy - motion.xy.mean(0))
    stood = put_on_floor(skeleton, other, motion)
    forward, right = (_horizontal(camera.R[i]) for i in (2, 0))
    side = (1 if draw[1] < 0.5 else -1) * (0.35 + 0.8 * draw[2])
    middle = take.points.joints[:, 0, :2].mean(0) + side * right
    stood = stood.shifted(middle)
    missing = _depths(camera, take.vertices).max() - _depths(camera, stood.vertices).min()
    slope = (camera.R[2, 0] ** 2 + camera.R[2, 1] ** 2).sqrt()
    return other, stood.shifted((missing / slope + 0.3 + 1.7 * draw[3]) * forward)


def _horizontal(axis: Float[Tensor, "3"]) -> Float[Tensor, "2"]:
    return axis[:2] / (axis[0] ** 2 + axis[1] ** 2).sqrt()


@lru_cache(maxsize=_BYSTANDERS)
def _cast_bystander(skeleton: Skeleton, people: People, seed: int, number: int) -> PeopleSubject:
    """One of a few people who only ever stand behind others."""
    return draw_subject(skeleton, people, seed, _FIRST_BYSTANDER + number)


def list_casters(people: People, take: PeopleTake, scenery: Scenery) -> tuple[Sequence[Tensor], list[float]]:
    """Ends (frame, 3) of everything that casts a shadow, in pairs, and their radii."""
    ends, radii = _body_casters(people, take, _CASTERS)
    if scenery.bystander:
        more = _body_casters(people, scenery.bystander[1], _CASTERS[:3])
        ends, radii = ends + more[0], radii + more[1]
    for prop in scenery.props:
        a, b, radius = prop.caster
        ends = [*ends, *(take.vertices.new_tensor(end).expand(len(take.vertices), 3) for end in (a, b))]
        radii = [*radii, radius, radius]
    return ends, radii


# Round cones between two joints, radii in m; the first ones are enough for somebody far away.
_CASTERS = (
    ("L5_S1_IVDjnt", "C7_skull", 0.14, 0.11),
    ("knee_r", "mtp_r", 0.06, 0.05),
    ("knee_l", "mtp_l", 0.06, 0.05),
    ("hip_r", "knee_r", 0.09, 0.07),
    ("hip_l", "knee_l", 0.09, 0.07),
    ("shoulder2", "radiocarpal", 0.05, 0.04),
    ("shoulder2_l", "radiocarpal_l", 0.05, 0.04),
)


def _body_casters(people: People, take: PeopleTake, casters: tuple) -> tuple[list[Tensor], list[float]]:
    ends = [take.points.joints[:, people.joints.index(name)] for caster in casters for name in caster[:2]]
    return ends, [radius for caster in casters for radius in caster[2:]]
