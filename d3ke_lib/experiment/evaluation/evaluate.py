"""Every method on the held-out test subjects → results.json, which tables, figures and claims read.

schema        1
synthetic     true: rendered people, not recordings
profile       the whole configuration; fingerprint, git, machine: what was run, by which code, on what
data          records (SHA-256 of the manifest), counts (files, subjects, frames a split)
subjects      test subjects, in the order of every list below
metrics       name → unit
methods       "mean pose", "frame/<backbone>.<seed>", "temporal/<refiner>.<backbone>.<seed>" →
    kind, refiner, backbone, seed
    summary      metric → mean, low, high (95 %, bootstrap over subjects), sd, n
    subjects     metric → one value a test subject
    coordinates  coordinate → mae_deg, rmse_deg, bias_deg, low_deg, high_deg (limits of agreement), r,
                 by_subject_deg (MAE)
settings      the same without seed → summary (of each subject's mean over seeds), seeds: metric → values
comparisons   list of first, second (settings), metrics: metric → mean, low, high of second − first, p, n,
              and subjects: metric → differences; negative: the second is better
overfitting   "frame/<backbone>" → train, test (summaries of angle_mae_deg), gap: test − train with low, high;
              difference: its gap less that of the first backbone
cost          see cost.py
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.experiment.evaluation import stats
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.experiment.run.config import EvaluationConfig
from d3ke_lib.nets import metrics
from d3ke_lib.nets.losses import relative

SCHEMA = 1
MEAN_POSE = "mean pose"
Scores = dict[str, Float[np.ndarray, " subject"]]
TrainingScores = dict[
    str, Float[np.ndarray, " trained"]
]  # of other people, and as many as there are answers of


class Method(NamedTuple):
    """What made an answer; `kind` is mean pose, frame or temporal."""

    kind: str
    backbone: str | None = None
    seed: int | None = None
    refiner: str | None = None

    @property
    def setting(self) -> str:
        """Its name without the seed."""
        network = ".".join(part for part in (self.refiner, self.backbone) if part)
        return f"{self.kind}/{network}" if network else self.kind

    @property
    def name(self) -> str:
        """Its run's folder within the profile's, where it has one."""
        return self.setting if self.seed is None else f"{self.setting}.{self.seed}"


# --- answers ------------------------------------------------------------------------------------------------


def mean_pose(train: Batch, frames: int) -> tuple[Pose, Points]:
    """The constant answer that knows the training labels and sees no picture, `frames` times.

    Angles and scales: their means. Points: the mean place of each relative to the pelvis joint, in the
    camera's frame; not the skeleton's for the mean angles, which would be worse. Pelvis: the rotation
    nearest to the mean matrix (chordal mean).
    """
    points = relative(train.points)
    u, _, vh = torch.linalg.svd(train.pose.R_ground_root.mean(0))
    mirror = torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(u @ vh))]))
    pose = (train.pose.angles.mean(0), train.pose.scales.mean(0), u @ mirror @ vh)

    def repeated(value: Tensor) -> Tensor:
        return value.expand(frames, *value.shape)

    return (
        Pose(*map(repeated, pose)),
        Points(repeated(points.joints.mean(0)), repeated(points.markers.mean(0))),
    )


# --- one method ---------------------------------------------------------------------------------------------


def score(answer: tuple[Pose, Points], truth: Batch, skeleton: Skeleton) -> Scores:
    """Every metric, one value a subject, in the order of their numbers."""
    frames = metrics.per_frame(answer, (truth.pose, truth.points), skeleton)
    subjects = truth.subject.numpy()
    scores = {name: stats.by_subject(value.numpy(), subjects)[1] for name, value in frames.items()}
    rmse = np.sqrt(scores.pop("angle_mse_deg2"))
    return {**scores, "angle_rmse_deg": rmse}


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
            "by_subject_deg": absolute[:, i],
        }
    return found


def summary(scores: Scores, config: EvaluationConfig) -> dict[str, dict[str, float]]:
    return {
        name: stats.estimate(values, config.draws, config.seed)._asdict() for name, values in scores.items()
    }


# --- methods together ---------------------------------------------------------------------------------------


def over_seeds(scores: Mapping[Method, Scores]) -> dict[str, Scores]:
    """Setting → each subject's mean over the seeds."""
    settings: dict[str, list[Scores]] = {}
    for method, values in scores.items():
        settings.setdefault(method.setting, []).append(values)
    return {
        setting: {name: np.mean([each[name] for each in members], axis=0) for name in members[0]}
        for setting, members in settings.items()
    }


def pairs(methods: Sequence[Method]) -> list[tuple[str, str]]:
    """Settings to compare, (first, second): backbones; frame network and refiner; mean and frame network."""
    found = dict.fromkeys(methods)
    backbones = list(dict.fromkeys(method.backbone for method in found if method.backbone))
    refiners = list(dict.fromkeys(method.refiner for method in found if method.refiner))
    kinds = [("frame", None), *(("temporal", refiner) for refiner in refiners)]
    between = [
        (Method(kind, backbones[0], None, refiner), Method(kind, other, None, refiner))
        for kind, refiner in kinds
        for other in backbones[1:]
    ]
    refined = [
        (Method("frame", backbone), Method("temporal", backbone, None, refiner))
        for backbone in backbones
        for refiner in refiners
    ]
    learned = [(Method(MEAN_POSE), Method("frame", backbone)) for backbone in backbones]
    return [(first.setting, second.setting) for first, second in (*between, *refined, *learned)]


def compare(first: Scores, second: Scores, config: EvaluationConfig) -> dict[str, Any]:
    """Paired by subject; see the schema."""
    differences = {name: second[name] - first[name] for name in first}
    tested = {
        name: stats.difference(first[name], second[name], config.draws, config.seed)._asdict()
        for name in first
    }
    return {"metrics": tested, "subjects": differences}


def overfitting(
    train: Mapping[str, TrainingScores], test: Mapping[str, Scores], config: EvaluationConfig
) -> dict[str, Any]:
    """How much worse people never seen are than people trained on, in plain crops of both."""
    metric, first = "angle_mae_deg", next(iter(train))

    def gap(seen: np.ndarray, unseen: np.ndarray) -> dict[str, float]:
        return stats.gap(seen, unseen, config.draws, config.seed)._asdict()

    def row(setting: str) -> dict[str, Any]:
        seen, unseen = train[setting][metric], test[setting][metric]
        more = gap(seen - train[first][metric], unseen - test[first][metric])
        return {
            "train": stats.estimate(seen, config.draws, config.seed)._asdict(),
            "test": stats.estimate(unseen, config.draws, config.seed)._asdict(),
            "gap": gap(seen, unseen),
            "difference": None if setting == first else more,
        }

    return {setting: row(setting) for setting in train}


def unit_of(metric: str) -> str:
    """The unit that a metric's name ends in."""
    units = {"deg": "°", "mm": "mm", "percent": "%", "sum": "scale factors"}
    return units[metric.partition("/")[0].rpartition("_")[2]]


def rounded(value: Any) -> Any:
    """Numbers of numpy and torch as JSON's, floats to six significant digits: more is noise."""
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}")
    return int(value) if isinstance(value, np.integer) else value


def results(
    truth: Batch,
    answers: Mapping[Method, tuple[Pose, Points]],
    train: Mapping[Method, Scores],
    skeleton: Skeleton,
    config: EvaluationConfig,
) -> dict[str, Any]:
    """What of results.json follows from the answers for the test frames and the scores in training."""
    scores = {method: score(answer, truth, skeleton) for method, answer in answers.items()}
    settings = over_seeds(scores)
    methods = {
        method.name: {
            **method._asdict(),
            "summary": summary(values, config),
            "subjects": values,
            "coordinates": by_coordinate(answers[method][0], truth, skeleton),
        }
        for method, values in scores.items()
    }
    comparisons = [
        {"first": first, "second": second, **compare(settings[first], settings[second], config)}
        for first, second in pairs(list(scores))
        if first in settings and second in settings
    ]
    seeds = {
        setting: {
            name: [
                float(values[name].mean()) for method, values in scores.items() if method.setting == setting
            ]
            for name in settings[setting]
        }
        for setting in settings
    }
    return rounded(
        {
            "schema": SCHEMA,
            "subjects": sorted(set(truth.subject.tolist())),
            "metrics": {name: unit_of(name) for name in next(iter(scores.values()))},
            "methods": methods,
            "settings": {
                name: {"summary": summary(values, config), "seeds": seeds[name]}
                for name, values in settings.items()
            },
            "comparisons": comparisons,
            "overfitting": overfitting(over_seeds(train), settings, config),
        }
    )


def answered(pose: Pose, skeleton: Skeleton) -> tuple[Pose, Points]:
    return pose, stored_predictions.points_of(skeleton, pose)
