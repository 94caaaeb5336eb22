"""Our own body in SMPL-H's format: the arrays of a `model.npz`, made from data/body/d3ke_body.osim.

No surface of anybody's: each vertex is a point fixed to one segment of our OpenSim body, those of the marker
table where our markers are, the others on round cones. Skinning is rigid, pose correctives are zero, and a
beta stretches segments, so that the angles and scale factors that went in are what a perfect pipeline gives
back. Axes as SMPL-H's: in the T-pose y up, facing +z, the person's left at +x.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bmlmovi_fixture.shapes import selection as skeleton
from bmlmovi_fixture.shapes import shapes, spread_arms
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.bmlmovi.points import VERTICES
from d3ke_lib.data.renderer.body_surface import load_surface

COUNT, FACES, JOINTS, BETAS = 6890, 13776, 52, 16
FINGERS = tuple(
    wrist if f % 3 == 0 else 22 + 15 * (wrist - 20) + f - 1 for wrist in (20, 21) for f in range(15)
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, *FINGERS)
# SMPL-H's joint → the bodies that turn with it. Talus: its markers are on the ankle's axis, so they stay with
# the tibia; clavicles turn a little (their markers weigh 1 of 20).
PARTS: dict[int, tuple[str, ...]] = {
    0: ("pelvis", "lumbar5"),
    1: ("femur_l",),
    2: ("femur_r",),
    3: ("lumbar4", "lumbar3", "lumbar2", "lumbar1", "thoracic12"),
    4: ("tibia_l", "talus_l"),
    5: ("tibia_r", "talus_r"),
    6: ("thoracic11", "thoracic10"),
    7: ("calcn_l",),
    8: ("calcn_r",),
    9: ("thoracic9", *(f"thoracic{i}" for i in range(1, 9)), "thorax", "clavicle", "clavicle_l"),
    10: ("toes_l",),
    11: ("toes_r",),
    12: ("head_neck", *(f"cerv{i}" for i in range(1, 7))),
    13: ("scapula_l",),
    14: ("scapula",),
    15: ("skull", "jaw"),
    16: ("humerus_l",),
    17: ("humerus",),
    18: ("ulna_l",),
    19: ("ulna",),
    20: ("radius_l",),
    21: ("radius",),
}
PART_OF = {body: part for part, bodies in PARTS.items() for body in bodies}
# Where a part turns, if not at its first body's origin: (body, a marker on it).
TURNS_AT = {0: ("pelvis", "ROOT"), 7: ("talus_l", None), 8: ("talus_r", None)}
TURNS_AT |= {13: ("scapula_l", "LCOL"), 14: ("scapula", "RCOL")}
WRIST = (0.0, -0.2315, 0.0)  # m, radius: on the axis of pronation, 10 mm from our wrist's centre
# How tall a template is, and how many numbers of the same seed differ between models: only this.
STATURE = {"male": 1.03, "female": 0.96, "neutral": 0.99}
LIFT = (0.002, 0.21, -0.028)  # m: the template's origin is not the pelvis', as in SMPL-H
AROUND, REACH = 6, 0.01  # vertices that hold up a joint, and their distance from it, m
SIDES = 6  # of a tube
SLIM = 0.9  # of the surface's radii: tubes overlap, and their volumes shall add up to a person's
# m, in their frames: lowest vertices. The heel's are on the floor; the toes' stay above it at any scale.
HEEL, TOE = -0.04, -0.015
# SMPL-H's template axes → OpenSim's (x forward, y up, z right).
R_OSIM_TEMPLATE = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))


class Points(NamedTuple):
    """Points fixed to bodies (their rows), places in their frames (m, at the file's size), skinning parts."""

    body: Int[np.ndarray, " point"]
    local: Float[np.ndarray, "point 3"]
    part: Int[np.ndarray, " point"]


def arrays(sex: str) -> dict[str, np.ndarray]:
    """What a SMPL-H `model.npz` holds, by its keys: "male", "female" or "neutral"."""
    points, faces = vertices()
    mean = torch.full((len(shapes()),), STATURE[sex], dtype=torch.float64)
    template = placed(points, mean)
    offsets = [placed(points, mean + shapes()[:, i]) - template for i in range(BETAS)]
    weights = np.zeros((COUNT, JOINTS), np.float32)
    weights[np.arange(COUNT), points.part] = 1
    regressor = joint_regressor()
    parents = np.array([2**32 - 1, *PARENTS[1:]], np.uint32)
    return {
        "v_template": template,
        "shapedirs": np.stack(offsets, -1),
        "posedirs": np.zeros((COUNT, 3, 9 * (JOINTS - 1)), np.float32),
        "J_regressor": regressor,
        "J": regressor @ template,
        "weights": weights,
        "weights_prior": weights,
        "kintree_table": np.stack([parents, np.arange(JOINTS, dtype=np.uint32)]),
        "f": faces.astype(np.uint32),
        "bs_type": np.array("lrotmin"),
        "bs_style": np.array("lbs"),
    }


def scale_factors(sex: str, betas: Float[np.ndarray, " beta"]) -> Float[Tensor, "body 3"]:
    """The truth behind `betas`: factors as the .osim writes them."""
    ratio = STATURE[sex] + shapes() @ torch.from_numpy(betas)
    return scaled(skeleton(), ratio)


def rest_joints(sex: str, betas: Float[np.ndarray, " beta"]) -> Float[np.ndarray, "joint 3"]:
    """Joints of the T-pose, in the template's axes, m."""
    return placed(joint_points(), STATURE[sex] + shapes() @ torch.from_numpy(betas))


def scaled(skeleton: Skeleton, ratio: Float[Tensor, " unique"]) -> Float[Tensor, "body 3"]:
    return skeleton.generic_scales * ratio[skeleton.scale_index]


@cache
def rest_rotations() -> Float[Tensor, "body 3 3"]:
    """How the bodies stand in the T-pose (OpenSim's axes); no scale factor changes it."""
    return skeleton().frames(t_pose(torch.ones_like(skeleton().scale_middle)))[0]


def t_pose(ratio: Float[Tensor, " unique"]) -> Pose:
    angles = spread_arms(skeleton())
    return Pose(angles, scaled(skeleton(), ratio), torch.eye(3).to(angles))


def placed(points: Points, ratio: Float[Tensor, " unique"]) -> Float[np.ndarray, "point 3"]:
    """Points of the T-pose in the template's axes, m. Affine in `ratio` (to the file's scale factors)."""
    R, p = (part[points.body] for part in skeleton().frames(t_pose(ratio)))
    local = ratio[skeleton().scale_index][points.body] * torch.from_numpy(points.local)
    osim = (R @ local[:, :, None])[:, :, 0] + p
    return (osim @ torch.tensor(R_OSIM_TEMPLATE).to(osim)).numpy() + np.array(LIFT)


# -- which points ------------------------------------------------------------------------------------------


@cache
def joint_points() -> Points:
    """The 52 joints: 22 where parts turn, and fingers in rows below the wrists."""
    bodies = [TURNS_AT.get(part, (names[0], None))[0] for part, names in sorted(PARTS.items())]
    local = [turning_point(part) for part in range(len(bodies))]
    for side, hand in ((-1, "radius_l"), (1, "radius")):
        for finger in range(5):
            across = (0.03 - 0.015 * finger, 0.0, 0.004 * side)
            local += [np.add(WRIST, across) - (0, 0.08 + 0.025 * link, 0) for link in range(3)]
        bodies += [hand] * 15
    part = np.array([max(parent, 0) for parent in PARENTS])
    return Points(rows(bodies), np.stack(local).astype(float), part)


def turning_point(part: int) -> Float[np.ndarray, " 3"]:
    if PARTS[part][0].startswith("radius"):
        return np.array(WRIST)
    marker = TURNS_AT.get(part, (None, None))[1]
    return np.array(next((m.location for m in skeleton().body.markers if m.name == marker), (0.0, 0.0, 0.0)))


@cache
def supports() -> Points:
    """Six vertices around each joint; their mean is the joint at any scale."""
    joints = joint_points()
    around = np.concatenate([np.eye(3), -np.eye(3)]) * REACH
    local = (joints.local[:, None] + around).reshape(-1, 3)
    return Points(np.repeat(joints.body, AROUND), local, np.repeat(joints.part, AROUND))


def joint_regressor() -> Float[np.ndarray, "joint vertex"]:
    regressor = np.zeros((JOINTS, COUNT))
    for joint in range(JOINTS):
        regressor[joint, free_vertices()[AROUND * joint :][:AROUND]] = 1 / AROUND
    return regressor


def free_vertices() -> Int[np.ndarray, " vertex"]:
    """Numbers of the vertices that are no marker."""
    return np.setdiff1d(np.arange(COUNT), list(VERTICES.values()))


@cache
def vertices() -> tuple[Points, Int[np.ndarray, "face 3"]]:
    """All 6,890: markers under the table's numbers; then the joints' supports, tubes and, last, the soles."""
    free, around = free_vertices(), supports()
    dressing, faces = tubes(len(free) - len(around.body))
    rest = joined(around, dressing)
    body, local, part = np.empty(COUNT, int), np.empty((COUNT, 3)), np.empty(COUNT, int)
    for columns, numbers in ((marker_points(), list(VERTICES.values())), (rest, free)):
        body[numbers], local[numbers], part[numbers] = columns.body, columns.local, columns.part
    faces = free[len(around.body) + faces]
    closed = np.concatenate([faces, np.zeros((FACES - len(faces), 3), int)])
    return Points(body, local, part), closed


def marker_points() -> Points:
    """Our markers in the table's order; fingertips, which our body lacks, below the hands."""
    ours = {marker.name: marker for marker in skeleton().body.markers}
    bodies, local = [], []
    for i, name in enumerate(VERTICES):
        hand = "radius_l" if name.startswith("l") else "radius"
        marker = ours.get(name)
        bodies.append(marker.body if marker else hand)
        local.append(marker.location if marker else np.add(WRIST, (0.03 - 0.015 * (i % 5), -0.17, 0.0)))
    return Points(rows(bodies), np.array(local), parts(bodies))


def rows(bodies: Sequence[str]) -> Int[np.ndarray, " point"]:
    return np.array([skeleton().bodies.index(body) for body in bodies])


def parts(bodies: Sequence[str]) -> Int[np.ndarray, " point"]:
    return np.array([PART_OF[body] for body in bodies])


def joined(*several: Points) -> Points:
    return Points(*map(np.concatenate, zip(*several, strict=True)))


def tubes(count: int) -> tuple[Points, Int[np.ndarray, "face 3"]]:
    """A closed tube on each of the surface's cones; what is left of `count` lies under the heels."""
    surface = load_surface()
    rings = (count // len(surface.body) - 2) // SIDES // 2 * 2
    each = rings * SIDES + 2
    ends = (surface.a.double().numpy(), surface.b.double().numpy())
    radii = ((SLIM * surface.ra.double()).tolist(), (SLIM * surface.rb.double()).tolist())
    local = [
        raised(body, tube(*cone, rings)) for body, *cone in zip(surface.body, *ends, *radii, strict=True)
    ]
    faces = [tube_faces(rings) + i * each for i in range(len(local))]
    left = count - len(local) * each
    soles = np.tile([0.0, HEEL, 0.0], (left, 1))
    body = [name for name in surface.body for _ in range(each)] + (["calcn_r", "calcn_l"] * left)[:left]
    return Points(rows(body), np.concatenate([*local, soles]), parts(body)), np.concatenate(faces)


def raised(body: str, points: np.ndarray) -> np.ndarray:
    lowest = TOE if body.startswith("toes") else HEEL if body.startswith("calcn") else -math.inf
    return np.maximum(points, [-math.inf, lowest, -math.inf])


def tube(
    a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"], ra: float, rb: float, rings: int
) -> Float[np.ndarray, "vertex 3"]:
    """Rings from pole to pole around a → b (an even number), then the two poles."""
    length = np.linalg.norm(b - a)
    along = (b - a) / length if length > 1e-6 else np.array([0.0, 1.0, 0.0])
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    across /= np.linalg.norm(across)
    third = np.cross(along, across)
    polar = np.pi * np.arange(1, rings + 1) / (rings + 1)
    turn = 2 * np.pi * np.arange(SIDES) / SIDES
    rim = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * third
    first = (polar < np.pi / 2)[:, None]
    center, radius = np.where(first, a, b), np.where(first, ra, rb)
    ring = center - radius * np.cos(polar)[:, None] * along
    sides = ring[:, None] + (radius * np.sin(polar)[:, None])[:, :, None] * rim
    return np.concatenate([sides.reshape(-1, 3), [a - ra * along, b + rb * along]])


def tube_faces(rings: int) -> Int[np.ndarray, "face 3"]:
    """Triangles of `tube`, seen counter-clockwise from outside."""
    i, k = np.meshgrid(np.arange(rings - 1), np.arange(SIDES), indexing="ij")
    here, beside = i * SIDES + k, i * SIDES + (k + 1) % SIDES
    quads = np.stack([here, beside, beside + SIDES, here, beside + SIDES, here + SIDES], -1).reshape(-1, 3)
    side = np.arange(SIDES)
    last, bottom, top = (rings - 1) * SIDES, rings * SIDES, rings * SIDES + 1
    under = np.stack([np.full(SIDES, bottom), (side + 1) % SIDES, side], -1)
    over = np.stack([np.full(SIDES, top), last + side, last + (side + 1) % SIDES], -1)
    return np.concatenate([quads, under, over])
