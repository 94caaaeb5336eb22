"""Errors of every test frame: D3KE's metrics and those that say what they hide.

D3KE's mean over 69 coordinates counts many that hardly move, and the plane of elevation four times, which is
undefined where an arm hangs down. Next to it: the coordinates that move, flexions, the direction of the
humerus, how often the pelvis faces the wrong way, size and proportions apart, and the acceleration.
"""

from collections.abc import Mapping
from typing import NamedTuple

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import sequences
from d3ke_lib.nets import metrics
from d3ke_lib.nets.losses import relative

MOVING_DEG = 5.0  # a coordinate moves where its standard deviation over the training frames is larger
FLEXIONS = {  # coordinates whose name starts so, on both sides
    "hip": ("hip_flexion",),
    "knee": ("knee_angle_r", "knee_angle_l"),
    "ankle": ("ankle_angle",),
    "shoulder": ("shoulder_elv",),
    "elbow": ("elbow_flexion",),
}
TURNED_DEG = 90.0
_ARMS = (
    ("humerus", "ulna"),
    ("humerus_l", "ulna_l"),
)  # the long axis goes from one body's origin to the other's
_CHUNK = 1024  # frames the skeleton takes at once


class Truth(NamedTuple):
    """The labels of frames and what errors need of them."""

    labels: Batch
    moving: Bool[Tensor, " coord"]
    humerus: Float[Tensor, "frame arm 3"]  # unit vectors in the thorax' frame
    up: Float[Tensor, "frame 3"]  # the world's vertical in the camera's frame
    conditions: Mapping[str, Bool[Tensor, " frame"]]  # name → its frames
    cameras: tuple[str, ...]  # that Batch.view counts in


def find_moving(angles: Float[Tensor, "frame coord"]) -> Bool[Tensor, " coord"]:
    return torch.rad2deg(angles.std(0)) > MOVING_DEG


def describe_truth(
    labels: Batch,
    cameras: tuple[str, ...],
    moving: Bool[Tensor, " coord"],
    conditions: Mapping[str, Bool[Tensor, " frame"]],
    skeleton: Skeleton,
) -> Truth:
    up = labels.R_camera_world[:, :, 2]
    return Truth(labels, moving, _humerus_directions(labels.pose, skeleton), up, conditions, cameras)


def errors_by_frame(
    prediction: tuple[Pose, Points], truth: Truth, skeleton: Skeleton
) -> dict[str, Float[Tensor, " frame"]]:
    """Every metric of `metrics.per_frame` and the further ones; acceleration is NaN at a motion's ends."""
    (pose, points), labels = prediction, truth.labels
    found = metrics.per_frame(prediction, (labels.pose, labels.points), skeleton)
    angle = metrics.angle_errors_deg(pose.angles, labels.pose.angles).abs()
    size, proportions = _size_errors_percent(pose.scales, labels.pose.scales)
    humerus = _humerus_directions(pose, skeleton)
    return {
        **found,
        "moving_mae_deg": angle[:, truth.moving].mean(-1),
        "humerus_deg": direction_errors_deg(humerus, truth.humerus).mean(-1),
        "turned_percent": 100.0 * (found["pelvis_deg"] > TURNED_DEG),
        "size_percent": size,
        "proportions_percent": proportions,
        "acceleration_mps2": acceleration_errors(points, labels),
        **{
            f"flexion_mae_deg/{name}": angle[:, metrics.members(skeleton.coordinates, prefixes)].mean(-1)
            for name, prefixes in FLEXIONS.items()
        },
    }


def _humerus_directions(pose: Pose, skeleton: Skeleton) -> Float[Tensor, "frame arm 3"]:
    """Unit vectors along both upper arms, from shoulder to elbow, in the thorax' frame."""
    starts, ends = ([skeleton.bodies.index(arm[i]) for arm in _ARMS] for i in (0, 1))
    thorax, found = skeleton.bodies.index("thorax"), []
    for angles, scales in zip(pose.angles.split(_CHUNK), pose.scales.split(_CHUNK), strict=True):
        R, p = skeleton.frames(Pose(angles, scales))
        along = (p[:, ends] - p[:, starts]) @ R[:, thorax]
        found.append(torch.nn.functional.normalize(along, dim=-1))
    return torch.cat(found)


def direction_errors_deg(
    predicted: Float[Tensor, "*batch 3"], true: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Angle between unit vectors; by the arc tangent, which is exact near 0 too."""
    across = torch.linalg.cross(predicted, true).norm(dim=-1)
    return torch.rad2deg(torch.atan2(across, (predicted * true).sum(-1)))


def yaw_errors_deg(
    predicted: Float[Tensor, "*batch 3 3"], true: Float[Tensor, "*batch 3 3"], up: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Signed rotation about `up` (the twist) that takes the true to the predicted rotation, −180 to 180."""
    q = roma.rotmat_to_unitquat(predicted @ true.mT)
    yaw = 2 * torch.rad2deg(torch.atan2((q[..., :3] * up).sum(-1), q[..., 3]))
    return (yaw + 180) % 360 - 180


def log_size(scales: Float[Tensor, "*batch body 3"]) -> Float[Tensor, "*batch"]:
    """Mean logarithm of all scale factors: of the overall size."""
    return _log(scales).mean((-2, -1))


def _log(scales: Float[Tensor, "*batch body 3"]) -> Float[Tensor, "*batch body 3"]:
    """Of factors of a hundredth or more: a network of a few steps may predict some below 0."""
    return scales.clamp(min=1e-2).log()


def _size_errors_percent(
    predicted: Float[Tensor, "*batch body 3"], true: Float[Tensor, "*batch body 3"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Of the overall size, and the mean over bodies and axes of what is left of the factors without it."""
    size = log_size(predicted) - log_size(true)
    rest = _log(predicted) - _log(true) - size[..., None, None]
    return 100 * size.abs(), 100 * rest.abs().mean((-2, -1))


def acceleration_errors(points: Points, labels: Batch) -> Float[Tensor, " frame"]:
    """Mean over the joints of |difference of accelerations|, m/s²; NaN in a motion's first and last frame.

    Of positions relative to the pelvis joint, in the world's axes.
    """
    inside = torch.zeros(len(labels.time), dtype=torch.bool)
    for start, stop in sequences(labels):
        inside[start + 1 : stop - 1] = True
    delta = relative(points).joints - relative(labels.points).joints
    world = delta @ labels.R_camera_world
    rows = inside.nonzero()[:, 0]
    step = ((labels.time[rows + 1] - labels.time[rows - 1]) / 2).to(world)
    second = (world[rows + 1] - 2 * world[rows] + world[rows - 1]) / step[:, None, None] ** 2
    found = torch.full((len(inside),), torch.nan, dtype=world.dtype)
    found[rows] = second.norm(dim=-1).mean(-1)
    return found
