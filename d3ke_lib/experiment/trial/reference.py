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
from d3ke_lib.body.opensim.model import Body, Coordinate
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import body_file
from d3ke_lib.experiment.studies.opensim_oracle import opensim_inverse
from d3ke_lib.experiment.trial.association import Views
from d3ke_lib.experiment.trial.calibration import CalibratedCamera
from d3ke_lib.experiment.trial.triangulation import Triangulated, triangulate
from d3ke_lib.files import write_text
from d3ke_lib.landmarks.multi_step import fit_skeleton
from d3ke_lib.landmarks.names import NAMES
from d3ke_lib.landmarks.sites import landmark_skeleton

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
# Landmarks of arms, trunk and legs; the face and the fingers say nothing of OBSERVABLE.
MARKERS = tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
    for side in ("left", "right")
)
_NOISE = 0.015  # m, of a triangulated landmark
_PRIOR = {"noise": _NOISE, "acceleration": 10.0, "spread": 0.7}  # as the landmarks of one camera have it
_SIZE = 0.08
_ROUNDS = 3  # between sizes and poses; more change nothing here
_REACH = {"elbow_x": 0.05, "sternoclavicular_": 0.35, "acromioclavicular_": 0.35}  # rad


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
    skeleton = reference_skeleton()
    whole = triangulate(cameras, views.px, views.visibility)
    pose, residuals = _fit_points(skeleton, whole.points, rate)
    fewer = []
    for left_out in range(len(cameras)):
        rows = [view for view in range(len(cameras)) if view != left_out]
        points = triangulate([cameras[i] for i in rows], views.px[rows], views.visibility[rows]).points
        fewer.append(observable_deg(skeleton, _fit_points(skeleton, points, rate)[0]))
    left_out = np.stack(fewer)
    return Reference(whole, pose, residuals, observable_deg(skeleton, pose), _jackknife(left_out), left_out)


def _jackknife(left_out: Float[np.ndarray, "view frame coord"]) -> Float[np.ndarray, "frame coord"]:
    """Standard error of what all views give, from what all but one give."""
    views = len(left_out)
    return np.sqrt((views - 1) / views * ((left_out - left_out.mean(0)) ** 2).sum(0))


def reference_skeleton() -> Skeleton:
    """The body that landmarks are fitted with: what no landmark decides stays near 0.

    Elbows do not bend sideways, which the direction of the forearm could not tell from flexion; the shoulder
    girdle moves little, which the shoulder's position could not tell from the spine.
    """
    body = default_skeleton().body
    joints = (replace(j, coordinates=tuple(map(_narrowed, j.coordinates))) for j in body.joints)
    return fit_skeleton(replace(body, joints=tuple(joints)))


def _narrowed(coordinate: Coordinate) -> Coordinate:
    reach = next((rad for stem, rad in _REACH.items() if coordinate.name.startswith(stem)), None)
    return coordinate if reach is None else replace(coordinate, range=(-reach, reach))


def _fit_points(
    skeleton: Skeleton, points: Float[Tensor, "frame 33 3"], rate: float
) -> tuple[Pose, Residuals]:
    """Scale factors (one set for all frames) and a smooth motion through BlazePose's landmarks, m in ground.

    NaN: not known. Raises ValueError where no frame has a landmark.
    """
    return solve_with_scales(
        skeleton,
        points,
        weights=_weights(),
        prior=Prior(rate, **_PRIOR),
        spread=_SIZE,
        noise=_NOISE,
        rounds=_ROUNDS,
    )


def _weights() -> Float[Tensor, " marker"]:
    return torch.tensor([float(name in MARKERS) for name in NAMES])


def observable_deg(skeleton: Skeleton, pose: Pose) -> Float[np.ndarray, "frame coord"]:
    """OBSERVABLE of a pose over time, degrees."""
    columns = [skeleton.coordinates.index(name) for name in OBSERVABLE]
    return torch.rad2deg(pose.angles[:, columns]).double().numpy()


def compare_with_opensim(reference: Reference, rate: float) -> dict[str, object]:
    """OpenSim's own inverse kinematics on the same markers and scaled model, without our prior.

    RMS of what is left of the markers (mm) of both, and the median difference of OBSERVABLE, degrees: where
    two coordinates share what one marker sees, both solutions fit alike and the coordinates may differ.
    """
    skeleton, points = landmark_skeleton(default_skeleton().body).double(), reference.triangulated.points
    rows = [NAMES.index(name) for name in MARKERS]
    scales = reference.pose.scales
    with TemporaryDirectory() as folder:
        path = Path(folder) / "person.osim"
        markers = Path(folder) / "markers.xml"
        _write_marker_set(markers, skeleton.body)
        write_osim(path, body_file(), dict(zip(skeleton.bodies, scales[0].numpy())), markers=markers)
        whole = Skeleton(load_osim(path)).double()
        labels, values, _ = opensim_inverse(path, MARKERS, points[:, rows].numpy(), rate)
    start = torch.from_numpy(values[:, [labels.index(name) for name in skeleton.coordinates]])
    own, residuals = solve(skeleton, points, weights=_weights(), scales=scales, start=start)
    theirs = np.rad2deg(values[:, [labels.index(name) for name in OBSERVABLE]])
    apart = np.abs(observable_deg(skeleton, own) - theirs)
    angles = torch.from_numpy(values[:, [labels.index(name) for name in whole.coordinates]])
    found = whole(Pose(angles, whole.generic_scales.expand(len(angles), -1, 3))).markers
    found = found[:, [whole.markers.index(name) for name in MARKERS]]
    distance = (found - points[:, rows]).norm(dim=-1)
    return {
        "ours_rms_mm": 1e3 * float(residuals.rms.square().mean().sqrt()),
        "opensim_rms_mm": 1e3 * float(distance.square().nanmean().sqrt()),
        "difference_deg": dict(zip(OBSERVABLE, np.median(apart, 0).tolist())),
    }


def _write_marker_set(path: Path, body: Body) -> None:
    """The landmarks as an OpenSim MarkerSet."""
    markers = "".join(
        f'<Marker name="{each.name}"><socket_parent_frame>/bodyset/{each.body}</socket_parent_frame>'
        f"<location>{' '.join(map(str, each.location))}</location></Marker>"
        for each in body.markers
    )
    collection = f'<MarkerSet name="landmarks"><objects>{markers}</objects></MarkerSet>'
    write_text(path, f'<OpenSimDocument Version="40000">{collection}</OpenSimDocument>')
