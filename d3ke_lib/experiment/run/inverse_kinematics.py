"""Points → poses by scaling and inverse kinematics: what follows the networks of a multi-step pipeline.

    <run>/inverse/predictions/<split>/subject_003.safetensors  as a frame network's: see stored_predictions

Sizes are those of a subject in one video (subject and camera), poses are found frame by frame, as OpenSim's
tools do; refining over time is the temporal network's part. As in D3KE's labels shoulder1_r2 follows
elv_angle: markers show only the sum of shoulder_rot and shoulder1_r2.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.joint_scaling import solve_with_scales
from d3ke_lib.body.ik.solve import Prior, solve
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.run import artifacts, run_folder, stored_predictions
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import D3keError

FOLDER = "inverse"  # within the run's
_FOLLOWS = {"shoulder1_r2": "elv_angle", "shoulder1_r2_l": "elv_angle_l"}
# Crop cameras look along z with y down; OpenSim's root is far from gimbal lock where y is up.
_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
# How far a network's markers are off, m, and scale factors from the file's; with less noise than that, sizes
# follow the network's errors.
_NOISE, _SPREAD = 0.03, 0.08


def coupled_skeleton(skeleton: Skeleton) -> Skeleton:
    """The skeleton without the coordinates that follow another, which its couplers then move."""
    spec, body = skeleton.spec, skeleton.body
    known = {coupler.dependent for coupler in body.couplers}
    if missing := [name for name in _FOLLOWS if name not in known]:
        raise D3keError(f"{body.source}: expected couplers of {missing}, found none")
    couplers = tuple(replace(c, enforced=c.enforced or c.dependent in _FOLLOWS) for c in body.couplers)
    free = tuple(name for name in spec.coordinates if name not in _FOLLOWS)
    return Skeleton(replace(body, couplers=couplers), replace(spec, coordinates=free))


def find_scales(coupled: Skeleton, markers: Float[Tensor, "frame marker 3"]) -> Float[Tensor, "body 3"]:
    """One subject's scale factors from markers in camera axes, m."""
    upright = markers @ _UPRIGHT.T
    return solve_with_scales(coupled, upright, noise=_NOISE, spread=_SPREAD)[0].scales[0]


def find_poses(
    skeleton: Skeleton,
    coupled: Skeleton,
    markers: Float[Tensor, "frame marker 3"],
    scales: Float[Tensor, "*frame body 3"],
    prior: Prior | None = None,
) -> Pose:
    """Poses of `skeleton` in camera axes from markers in camera axes, m, wherever the pelvis is."""
    found, _ = solve(coupled, markers @ _UPRIGHT.T, scales=scales, prior=prior)
    angles = skeleton.angle_middle.repeat(len(markers), 1)
    angles[:, [skeleton.coordinates.index(name) for name in coupled.coordinates]] = found.angles
    for coupler in skeleton.body.couplers:
        if coupler.dependent in _FOLLOWS:
            driver = angles[:, skeleton.coordinates.index(coupler.independent)]
            angles[:, skeleton.coordinates.index(coupler.dependent)] = coupler.function(driver)
    return Pose(angles, found.scales, _UPRIGHT.T @ found.R_ground_root)


def solve_points(run: Path, data: Path, split: str, subjects: Sequence[int], skeleton: Skeleton) -> str:
    """Stores the missing poses of these subjects from the points that `run` has stored for them.

    Returns their identity: load(run / FOLDER, split, subjects, identity, skeleton) gives them. Raises
    D3keError where the run predicts no points, or their predictions are missing (forward.py makes them).
    """
    about = artifacts.read_json(run / run_folder.RESULT)
    if about["config"].get("head") != "points":
        raise D3keError(
            f"{run}: expected a network with the head points, found {about['config'].get('head')}"
        )
    source = stored_predictions.identity(about)
    identity = fingerprint(source, code_hash(__name__))
    coupled = coupled_skeleton(skeleton)
    missing = stored_predictions.find_missing(run / FOLDER, split, subjects, identity)
    with run_folder.progress(f"inverse kinematics on {split}", len(missing), unit="subject") as bar:
        for subject in missing:
            points = stored_predictions.load(run, split, [subject], source, skeleton)
            labels = FrameSet(data, split, skeleton, subjects=[subject]).labels()
            pose = solve_views(skeleton, coupled, points, labels)
            path = stored_predictions.path_of(run / FOLDER, split, subject)
            stored_predictions.write(path, pose, identity, skeleton)
            bar.update()
    return identity


def solve_views(skeleton: Skeleton, coupled: Skeleton, points: Points, labels: Batch) -> Pose:
    """Poses of one subject's frames, with a size for every camera; `labels` say which frame is whose."""
    parts = []
    for view in labels.view.unique_consecutive():
        markers = points.markers[labels.view == view]
        parts.append(find_poses(skeleton, coupled, markers, find_scales(coupled, markers)))
    return stored_predictions.concatenate(parts)
