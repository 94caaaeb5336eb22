"""Points → poses by scaling and inverse kinematics: what follows the networks of a multi-step pipeline.

    <run>/inverse/predictions/<split>/subject_003.safetensors  as a frame network's: see stored_predictions

A subject has one size; poses are found frame by frame, as OpenSim's tools do, because refining over time is
the temporal network's part. Without beliefs only the ranges hold, as in OpenSim; with them (`learn_beliefs`)
coordinates stand about their mean in training, which keeps errors of points from ending in extreme angles.
As in D3KE's labels shoulder1_r2 follows elv_angle: markers show only its sum with shoulder_rot.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik import joint_scaling
from d3ke_lib.body.ik.solve import Prior, solve
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.record_jobs import run_jobs
from d3ke_lib.experiment.run import artifacts, run_folder, schedule, stored_predictions
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import D3keError

FOLDER = "inverse"  # within the run's
_FOLLOWS = {"shoulder1_r2": "elv_angle", "shoulder1_r2_l": "elv_angle_l"}
# Crop cameras look along z with y down; OpenSim's root is far from gimbal lock where y is up.
_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
# How far markers of weight 1 are taken to be off, m (weight 20, bony landmarks: less by √20).
_NOISES = (0.01, 0.03, 0.1, 0.3, 1.0)
_TRIALS = 96  # validation frames that choose among them
_LEAST = math.radians(0.5)  # of a coordinate's standard deviation
_ALONE = 4  # subjects: as long as processes take to start
_ROUNDS = 1  # more change sizes by less than they are off


class Beliefs(NamedTuple):
    """What training labels say before points are seen: of poses, and how much scale factors vary."""

    prior: Prior
    spread: float  # standard deviation of scale factors, share of the file's


def coupled_skeleton(skeleton: Skeleton) -> Skeleton:
    """The skeleton without the coordinates that follow another, which its couplers then move."""
    spec, body = skeleton.spec, skeleton.body
    known = {coupler.dependent for coupler in body.couplers}
    if missing := [name for name in _FOLLOWS if name not in known]:
        raise D3keError(f"{body.source}: expected couplers of {missing}, found none")
    couplers = tuple(replace(c, enforced=c.enforced or c.dependent in _FOLLOWS) for c in body.couplers)
    free = tuple(name for name in spec.coordinates if name not in _FOLLOWS)
    return Skeleton(replace(body, couplers=couplers), replace(spec, coordinates=free))


def learn_beliefs(skeleton: Skeleton, coupled: Skeleton, train: Batch, noise: float) -> Beliefs:
    """Mean and standard deviation of the labels' coordinates and scale factors; noise: see _NOISES."""
    angles = train.pose.angles[:, _columns(skeleton, coupled)]
    deviation = angles.std(0).clamp(min=_LEAST)
    ratios = skeleton.unique_scales(train.pose.scales) / skeleton.unique_scales(skeleton.generic_scales)
    # An infinite acceleration: frames are independent.
    prior = Prior(1.0, noise, math.inf, mean=angles.mean(0), deviation=deviation)
    return Beliefs(prior, float((ratios - 1).square().mean().sqrt()))


def choose_noise(
    skeleton: Skeleton, coupled: Skeleton, train: Batch, predicted: Points, truth: Batch
) -> float:
    """The noise whose beliefs give the least angle error for some predicted points of validation subjects."""
    some = schedule.spread(len(predicted.markers), _TRIALS)
    markers, angles = predicted.markers[some], truth.pose.angles[some]

    def error(noise: float) -> float:
        beliefs = learn_beliefs(skeleton, coupled, train, noise)
        pose = find_poses(skeleton, coupled, markers, skeleton.generic_scales, beliefs)
        return float((pose.angles - angles).abs().mean())

    return min(_NOISES, key=error)


def find_scales(
    coupled: Skeleton, markers: Float[Tensor, "frame marker 3"], beliefs: Beliefs | None = None
) -> Float[Tensor, "body 3"]:
    """One subject's scale factors from markers in camera axes, m. Without beliefs they follow the markers."""
    known = {} if beliefs is None else {"prior": beliefs.prior, "spread": beliefs.spread}
    noise = {} if beliefs is None else {"noise": beliefs.prior.noise}
    return joint_scaling.find_scales(coupled, markers @ _UPRIGHT.T, rounds=_ROUNDS, **known, **noise)


def find_poses(
    skeleton: Skeleton,
    coupled: Skeleton,
    markers: Float[Tensor, "frame marker 3"],
    scales: Float[Tensor, "*frame body 3"],
    beliefs: Beliefs | None = None,
) -> Pose:
    """Poses of `skeleton` in camera axes from markers in camera axes, m, wherever the pelvis is."""
    prior = None if beliefs is None else beliefs.prior
    found, _ = solve(coupled, markers @ _UPRIGHT.T, scales=scales, prior=prior)
    angles = skeleton.angle_middle.repeat(len(markers), 1)
    angles[:, _columns(skeleton, coupled)] = found.angles
    for coupler in skeleton.body.couplers:
        if coupler.dependent in _FOLLOWS:
            driver = angles[:, skeleton.coordinates.index(coupler.independent)]
            angles[:, skeleton.coordinates.index(coupler.dependent)] = coupler.function(driver)
    return Pose(angles, found.scales, _UPRIGHT.T @ found.R_ground_root)


def _columns(skeleton: Skeleton, coupled: Skeleton) -> list[int]:
    return [skeleton.coordinates.index(name) for name in coupled.coordinates]


# --- of a whole run -----------------------------------------------------------------------------------------


def solve_points(run: Path, data: Path, split: str, subjects: Sequence[int], skeleton: Skeleton) -> None:
    """Stores the missing poses of these subjects from the points that `run` has stored for them.

    Beliefs come from the training labels, their noise from the run's points of the validation subjects, which
    must be stored as well (forward.py). Raises D3keError where they are not, and where the run predicts no
    points.
    """
    about = artifacts.read_json(run / run_folder.RESULT)
    if not predicts_points(about):
        raise D3keError(
            f"{run}: expected a network with the head points, found {about['config'].get('head')}"
        )
    source = stored_predictions.identity(about)
    identity = _identify(source)
    missing = stored_predictions.find_missing(run / FOLDER, split, subjects, identity)
    if not missing:
        return
    coupled = coupled_skeleton(skeleton)
    beliefs = _learn_from_run(run, data, source, skeleton, coupled)
    with run_folder.progress(f"inverse kinematics on {split}", len(missing), unit="subject") as bar:
        how = (run, split, source, identity, skeleton, beliefs)
        workers = len(os.sched_getaffinity(0)) if len(missing) > _ALONE else 1
        solved = (
            run_jobs(_solve_subject, missing, workers, *how)
            if workers > 1
            else (_solve_subject(*how, subject) for subject in missing)
        )
        for _ in solved:
            bar.update()


def _solve_subject(
    run: Path, split: str, source: str, identity: str, skeleton: Skeleton, beliefs: Beliefs, subject: int
) -> None:
    """Stores one subject's poses."""
    coupled = coupled_skeleton(skeleton)
    markers = stored_predictions.load(run, split, [subject], source, skeleton).markers
    pose = find_poses(skeleton, coupled, markers, find_scales(coupled, markers, beliefs), beliefs)
    path = stored_predictions.path_of(run / FOLDER, split, subject)
    stored_predictions.write(path, pose, identity, skeleton)


def predicts_points(about: Mapping[str, Any]) -> bool:
    """Whether the network of a run.json predicts points instead of poses."""
    return about["config"].get("head") == "points"


def load_poses(run: Path, split: str, subjects: Sequence[int], skeleton: Skeleton) -> Pose:
    """The stored poses of any finished run: those it predicted, or those that `solve_points` has found.

    Raises D3keError where a file is missing or was written by another network, other records or code.
    """
    about = artifacts.read_json(run / run_folder.RESULT)
    source = stored_predictions.identity(about)
    where = (run / FOLDER, split, subjects, _identify(source))
    if not predicts_points(about):
        where = (run, split, subjects, source)
    return stored_predictions.load(*where, skeleton)


def _identify(source: str) -> str:
    return fingerprint(source, code_hash(__name__))


def _learn_from_run(run: Path, data: Path, source: str, skeleton: Skeleton, coupled: Skeleton) -> Beliefs:
    subjects = stored_predictions.subjects_of(data, "validation")
    predicted = stored_predictions.load(run, "validation", subjects, source, skeleton)
    train, validation = (FrameSet(data, split, skeleton).labels() for split in ("train", "validation"))
    noise = choose_noise(skeleton, coupled, train, predicted, validation)
    return learn_beliefs(skeleton, coupled, train, noise)
