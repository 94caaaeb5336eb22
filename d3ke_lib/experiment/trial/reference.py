"""The reference: landmarks seen by all cameras → markers in space → scale factors and inverse kinematics.

It has an uncertainty of its own, the jackknife over cameras: the whole chain again with each camera left out.
What all cameras have in common it cannot show: a detector that puts hips too high does so in every view.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.joint_scaling import solve_with_scales
from d3ke_lib.body.ik.solve import Prior, Residuals, solve
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.model import Body
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import D3KE, body_file
from d3ke_lib.experiment.studies.opensim_oracle import opensim_inverse
from d3ke_lib.experiment.trial.association import Views
from d3ke_lib.experiment.trial.calibration import CalibratedCamera
from d3ke_lib.experiment.trial.triangulation import Triangulated, triangulate

# Coordinates that landmarks of arms and legs determine, right and left.
OBSERVABLE = tuple(
    f"{stem}{side}"
    for stem, sides in (
        ("hip_flexion", ("_r", "_l")),
        ("hip_adduction", ("_r", "_l")),
        ("knee_angle", ("_r", "_l")),
        ("ankle_angle", ("_r", "_l")),
        ("shoulder_elv", ("", "_l")),
        ("elbow_flexion", ("", "_l")),
    )
    for side in sides
)
# Markers of our body at BlazePose's landmarks, by their number.
LANDMARKS = {
    "LSHOULDER": 11, "RSHOULDER": 12, "LELC": 13, "RELC": 14, "LWRIST": 15, "RWRIST": 16,
    "LHIPJ": 23, "RHIPJ": 24, "LKJC": 25, "RKJC": 26, "LAJC": 27, "RAJC": 28,
    "LHEE": 29, "RHEE": 30, "LTOE": 31, "RTOE": 32,
}  # fmt: skip
_NOISE = 0.015  # m, of a triangulated landmark
_SPINE = ("L5_S1_", "L4_L5_", "T12_L1_", "T11_T12_", "T10_T11_", "T9_T10_", "T8_T9_")


class Reference(NamedTuple):
    """Poses from all views; `angles_deg` and `se_deg` (jackknife) of OBSERVABLE."""

    triangulated: Triangulated
    pose: Pose
    residuals: Residuals
    angles_deg: Float[np.ndarray, "frame coord"]
    se_deg: Float[np.ndarray, "frame coord"]
    left_out_deg: Float[np.ndarray, "view frame coord"]


def make_reference(cameras: Sequence[CalibratedCamera], views: Views, rate: float) -> Reference:
    """What the views show together, and again with each of them left out; raises ValueError as `solve`."""
    skeleton = landmark_skeleton()
    whole = triangulate(cameras, views.px, views.visibility)
    pose, residuals = fit_landmarks(skeleton, whole.points, rate)
    fewer = []
    for left_out in range(len(cameras)):
        rows = [view for view in range(len(cameras)) if view != left_out]
        points = triangulate([cameras[i] for i in rows], views.px[rows], views.visibility[rows]).points
        fewer.append(observable_deg(skeleton, fit_landmarks(skeleton, points, rate)[0]))
    left_out = np.stack(fewer)
    return Reference(whole, pose, residuals, observable_deg(skeleton, pose), _jackknife(left_out), left_out)


def _jackknife(left_out: Float[np.ndarray, "view frame coord"]) -> Float[np.ndarray, "frame coord"]:
    """Standard error of what all views give, from what all but one give."""
    views = len(left_out)
    return np.sqrt((views - 1) / views * ((left_out - left_out.mean(0)) ** 2).sum(0))


def landmark_skeleton() -> Skeleton:
    """Our body in float64, its spine's ranges about 0: no landmark lies between hips and shoulders, and an
    unseen coordinate stands in the middle of its range."""
    return Skeleton(_with_neutral_spine(default_skeleton().body), D3KE).double()


def _with_neutral_spine(body: Body) -> Body:
    joints = []
    for joint in body.joints:
        coordinates = []
        for each in joint.coordinates:
            if each.name.startswith(_SPINE):
                reach = max(map(abs, each.range))
                each = replace(each, range=(-reach, reach))
            coordinates.append(each)
        joints.append(replace(joint, coordinates=tuple(coordinates)))
    return replace(body, joints=tuple(joints))


def fit_landmarks(
    skeleton: Skeleton, points: Float[Tensor, "frame 33 3"], rate: float
) -> tuple[Pose, Residuals]:
    """Scale factors (one set for all frames) and a smooth motion through BlazePose's landmarks, m in ground.

    NaN: not known. Raises ValueError where no frame has a landmark.
    """
    markers = _to_markers(skeleton, points)
    return solve_with_scales(
        skeleton, markers, weights=_weights(skeleton), prior=Prior(rate, noise=_NOISE), noise=_NOISE
    )


def _to_markers(skeleton: Skeleton, points: Float[Tensor, "frame 33 3"]) -> Float[Tensor, "frame marker 3"]:
    markers = points.new_full((len(points), len(skeleton.markers), 3), torch.nan)
    for name, landmark in LANDMARKS.items():
        markers[:, skeleton.markers.index(name)] = points[:, landmark]
    return markers


def _weights(skeleton: Skeleton) -> Float[Tensor, " marker"]:
    return torch.tensor([float(name in LANDMARKS) for name in skeleton.markers])


def observable_deg(skeleton: Skeleton, pose: Pose) -> Float[np.ndarray, "frame coord"]:
    """OBSERVABLE of a pose over time, degrees."""
    columns = [skeleton.coordinates.index(name) for name in OBSERVABLE]
    return torch.rad2deg(pose.angles[:, columns]).double().numpy()


def compare_with_opensim(reference: Reference, rate: float) -> dict[str, object]:
    """OpenSim's own inverse kinematics on the same markers and scaled model, without our prior.

    RMS of what is left of the markers (mm) of both, and the median difference of OBSERVABLE, degrees: where
    two coordinates share what one marker sees, both solutions fit alike and the coordinates may differ.
    """
    skeleton, points = landmark_skeleton(), reference.triangulated.points
    markers = _to_markers(skeleton, points)
    names = tuple(LANDMARKS)
    rows = [skeleton.markers.index(name) for name in names]
    scales = reference.pose.scales[0]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "person.osim"
        write_osim(path, body_file(), dict(zip(skeleton.bodies, scales.numpy())))
        labels, values, _ = opensim_inverse(path, names, markers[:, rows].numpy(), rate)
    start = torch.from_numpy(values[:, [labels.index(name) for name in skeleton.coordinates]])
    own, residuals = solve(skeleton, markers, weights=_weights(skeleton), scales=scales, start=start)
    theirs = np.rad2deg(values[:, [labels.index(name) for name in OBSERVABLE]])
    apart = np.abs(observable_deg(skeleton, own) - theirs)
    return {
        "ours_rms_mm": 1e3 * float(residuals.rms.square().mean().sqrt()),
        "difference_deg": dict(zip(OBSERVABLE, np.median(apart, 0).tolist())),
    }
