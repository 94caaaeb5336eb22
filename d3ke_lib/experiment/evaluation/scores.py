"""Errors of one method by subject, for all test frames and for each condition, and by coordinate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.experiment.evaluation import stats
from d3ke_lib.experiment.evaluation.frame_errors import (
    FLEXIONS,
    Truth,
    errors_by_frame,
    log_size,
    yaw_errors_deg,
)
from d3ke_lib.nets import metrics

ANGLE, SKILL = "angle_mae_deg", "skill_percent"
# What is given for each condition too.
BY_CONDITION = (
    *(ANGLE, "moving_mae_deg", "humerus_deg", "mpblpe_mm", "mpjpe_mm", "pelvis_deg", "turned_percent", SKILL),
    *(f"flexion_mae_deg/{name}" for name in FLEXIONS),
)
ALL = "all"
YAW_BINS = 24  # of 15°, from −180°
Scores = dict[str, Float[np.ndarray, " subject"]]  # metric → one value per subject, by number


def score(
    prediction: tuple[Pose, Points],
    truth: Truth,
    skeleton: Skeleton,
    constant: Mapping[str, Scores] | None = None,
) -> dict[str, Scores]:
    """Condition (ALL first) → metric → subjects.

    constant: the mean pose's scores, for the skill: 100 · (1 − MAE / MAE of the mean pose), in per cent.
    """
    frames = {name: value.numpy() for name, value in errors_by_frame(prediction, truth, skeleton).items()}
    subjects = truth.labels.subject.numpy()
    found = {ALL: _all_frames(frames, prediction[0], subjects)}
    for name, mask in truth.conditions.items():
        some = mask.numpy()
        chosen = {metric: frames[metric][some] for metric in BY_CONDITION if metric in frames}
        found[name] = _means(chosen, subjects[some])
    for name, reference in (constant or {}).items():
        found[name][SKILL] = 100 * (1 - found[name][ANGLE] / reference[ANGLE])
    return found


def _all_frames(frames: Mapping[str, np.ndarray], pose: Pose, subjects: np.ndarray) -> Scores:
    """With the two that are not means over frames: a root, and a subject's spread, whose truth is 0."""
    found = _means(frames, subjects)
    found["angle_rmse_deg"] = np.sqrt(found.pop("angle_mse_deg2"))
    found["size_sd_percent"] = _by_subject(log_size(pose.scales).numpy(), subjects, lambda v: 100 * v.std())
    return found


def _means(frames: Mapping[str, np.ndarray], subjects: np.ndarray) -> Scores:
    """Means over finite frames. A metric that some subject has no frame of is left out."""
    found, everyone = {}, len(np.unique(subjects))
    for name, values in frames.items():
        finite = np.isfinite(values)
        means = stats.by_subject(values[finite], subjects[finite])[1] if finite.any() else []
        if len(means) == everyone:
            found[name] = means
    return found


def _by_subject(values: np.ndarray, subjects: np.ndarray, reduce: Any) -> Float[np.ndarray, " subject"]:
    return np.array([reduce(values[subjects == subject].astype(float)) for subject in np.unique(subjects)])


def sizes(pose: Pose, subjects: np.ndarray) -> Float[np.ndarray, " subject"]:
    """A subject's overall size, the geometric mean of its scale factors: the median over its frames."""
    return np.exp(_by_subject(log_size(pose.scales).numpy(), subjects, np.median))


def by_coordinate(pose: Pose, truth: Batch, skeleton: Skeleton) -> dict[str, dict[str, Any]]:
    """Errors, agreement and correlation of each coordinate."""
    predicted, true = (torch.rad2deg(angles).numpy() for angles in (pose.angles, truth.pose.angles))
    subjects = truth.subject.numpy()
    absolute = stats.by_subject(np.abs(predicted - true), subjects)[1]
    squared = stats.by_subject((predicted - true) ** 2, subjects)[1]
    found = {}
    for i, name in enumerate(skeleton.coordinates):
        agreement = stats.agreement(predicted[:, i], true[:, i])
        found[name] = {
            "mae_deg": absolute[:, i].mean(),
            "rmse_deg": np.sqrt(squared[:, i]).mean(),
            "bias_deg": agreement.bias,
            "low_deg": agreement.low,
            "high_deg": agreement.high,
            "r": stats.correlation(predicted[:, i], true[:, i]),
        }
    return found


def yaw_histograms(pose: Pose, truth: Truth) -> dict[str, list[float]]:
    """Camera → share of frames (%) by the pelvis' signed yaw error, in YAW_BINS bins from −180° to 180°."""
    labels, found = truth.labels, {}
    yaw = yaw_errors_deg(pose.R_ground_root, labels.pose.R_ground_root, truth.up).numpy()
    for number, camera in enumerate(truth.cameras):
        own = yaw[labels.view.numpy() == number]
        found[camera] = (100 * np.histogram(own, YAW_BINS, (-180, 180))[0] / max(1, len(own))).tolist()
    return found


def angle_by_subject(pose: Pose, truth: Batch) -> Scores:
    """The angle MAE alone."""
    error = metrics.angle_errors_deg(pose.angles, truth.pose.angles).abs().mean(-1)
    return {ANGLE: stats.by_subject(error.numpy(), truth.subject.numpy())[1]}
