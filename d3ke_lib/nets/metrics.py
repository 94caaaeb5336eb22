"""Errors, named as the paper names them: prediction and truth → one number per frame and item.

Nothing is masked and angles are compared as they are, not modulo 360°: so does D3KE (code). Points are
compared after the pelvis joint (the first) is moved to the origin, in the camera's frame, without alignment,
unless the name says Procrustes. Degrees and millimetres appear here and nowhere below.
"""

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.nets.losses import relative

GROUPS: dict[str, tuple[str, ...]] = {  # coordinates whose name starts so
    "lumbar": ("L5_S1_", "L4_L5_", "T12_L1_"),
    "thorax": ("T11_T12_", "T10_T11_", "T9_T10_", "T8_T9_", "T1_T2_", "ribs_bending"),
    "neck and head": ("T1_head_neck_", "skull_"),
    "hip": ("hip_",),
    "knee": ("knee_",),
    "ankle and foot": ("ankle_", "subtalar_", "mtp_"),
    "shoulder girdle": ("sternoclavicular_", "acromioclavicular_"),
    "shoulder": ("elv_angle", "shoulder_elv", "shoulder1_r2", "shoulder_rot"),
    "elbow and forearm": ("elbow_", "pro_sup"),
}
JOINT_SETS: dict[str, tuple[str, ...]] = {  # joints whose name starts so
    "spine": ("L", "T"),
    "head": ("C7_", "skull_"),
    "legs": ("hip", "knee", "ankle", "subtalar", "mtp"),
    "arms": ("sterno", "acromio", "shoulder", "elbow", "radio"),
}
# fmt: off
SMPL_JOINTS = (  # the 22 of the 65 markers that are joints of SMPL-H; the other 43 lie on the skin
    "ROOT", "LHIPJ", "RHIPJ", "Spine1", "LKJC", "RKJC", "Spine2", "LAJC", "RAJC", "Spine3", "LFOOT", "RFOOT",
    "NECK", "LCOL", "RCOL", "HEAD", "LSHOULDER", "RSHOULDER", "LELC", "RELC", "LWRIST", "RWRIST",
)
# fmt: on


def members(names: tuple[str, ...], prefixes: tuple[str, ...]) -> list[int]:
    return [index for index, name in enumerate(names) if name.startswith(prefixes)]


# --- one function a metric ---


def angle_errors_deg(
    predicted: Float[Tensor, "*batch coord"], true: Float[Tensor, "*batch coord"]
) -> Float[Tensor, "*batch coord"]:
    """Signed error of each coordinate, predicted − true; radians in, degrees out."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    return torch.rad2deg(predicted - true)


def position_errors_mm(
    predicted: Float[Tensor, "*batch point 3"], true: Float[Tensor, "*batch point 3"]
) -> Float[Tensor, "*batch point"]:
    """Distance of each point to its true position; metres in, millimetres out."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    return 1e3 * (predicted - true).norm(dim=-1)


def rotation_error_deg(
    predicted: Float[Tensor, "*batch 3 3"], true: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch"]:
    """Angle of the rotation between the two; by chord length, exact near 0 where the arc cosine is not."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    return torch.rad2deg(roma.rotmat_geodesic_distance(predicted, true))


def scale_errors(
    predicted: Float[Tensor, "*batch body 3"], true: Float[Tensor, "*batch body 3"]
) -> Float[Tensor, "*batch"]:
    """D3KE's body-scale error: |Δ| summed over the axes, mean over the bodies; scale factors, no unit."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    return (predicted - true).abs().sum(-1).mean(-1)


def scale_errors_percent(
    predicted: Float[Tensor, "*batch body 3"], true: Float[Tensor, "*batch body 3"]
) -> Float[Tensor, "*batch"]:
    """|Δ| / true, mean over bodies and axes, in per cent."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    return 100 * ((predicted - true) / true).abs().mean((-2, -1))


def procrustes_errors_mm(
    predicted: Float[Tensor, "*batch point 3"], true: Float[Tensor, "*batch point 3"]
) -> Float[Tensor, "*batch point"]:
    """Distances after the best similarity (rotation, size, translation) of each frame's prediction."""
    assert predicted.shape == true.shape, (predicted.shape, true.shape)
    R, t, size = roma.rigid_points_registration(predicted, true, compute_scaling=True)
    return position_errors_mm(size[..., None, None] * predicted @ R.mT + t[..., None, :], true)


# --- all of them ---


def per_frame(
    predicted: tuple[Pose, Points], true: tuple[Pose, Points], skeleton: SkeletonLayer
) -> dict[str, Float[Tensor, " frame"]]:
    """Every scalar metric of the report for each frame. The names end in their unit; `scale_sum` has none.

    `angle_mse_deg2` is there to be averaged before its root is taken: a mean of roots is not an RMSE.
    """
    (pose, points), (true_pose, true_points) = predicted, true
    angle = angle_errors_deg(pose.angles, true_pose.angles)
    return {
        "angle_mae_deg": angle.abs().mean(-1),
        "angle_mse_deg2": angle.square().mean(-1),
        **points_per_frame(points, true_points, skeleton),
        "scale_sum": scale_errors(pose.scales, true_pose.scales),
        "scale_percent": scale_errors_percent(pose.scales, true_pose.scales),
        "pelvis_deg": rotation_error_deg(pose.R_ground_root, true_pose.R_ground_root),
        **{
            f"angle_mae_deg/{name}": angle[:, members(skeleton.coordinates, prefixes)].abs().mean(-1)
            for name, prefixes in GROUPS.items()
        },
        **_by_joint_set(relative(points), relative(true_points), skeleton),
    }


def points_per_frame(
    predicted: Points, true: Points, skeleton: SkeletonLayer
) -> dict[str, Float[Tensor, " frame"]]:
    """Those of the metrics that compare positions, mm; over all joints or markers of a kind."""
    predicted, true = relative(predicted), relative(true)
    marker = position_errors_mm(predicted.markers, true.markers)
    smpl = [name in SMPL_JOINTS for name in skeleton.markers]
    surface = [not joint_like for joint_like in smpl]
    bony = (skeleton.marker_weights == skeleton.marker_weights.max()).tolist()
    return {
        "mpblpe_mm": marker[:, bony].mean(-1),
        "mpjpe_mm": position_errors_mm(predicted.joints, true.joints).mean(-1),
        "smpl_mm": marker[:, smpl].mean(-1),
        "surface_mm": marker[:, surface].mean(-1),
        "pa_mpjpe_mm": procrustes_errors_mm(predicted.joints, true.joints).mean(-1),
    }


def _by_joint_set(
    predicted: Points, true: Points, skeleton: SkeletonLayer
) -> dict[str, Float[Tensor, " frame"]]:
    joint = position_errors_mm(predicted.joints, true.joints)
    return {
        f"mpjpe_mm/{name}": joint[:, members(skeleton.joints, prefixes)].mean(-1)
        for name, prefixes in JOINT_SETS.items()
    }
