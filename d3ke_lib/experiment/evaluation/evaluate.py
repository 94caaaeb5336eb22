"""Every method on the held-out test subjects → results.json, which tables, figures and claims read.

schema        2
synthetic     true: rendered subjects, not recordings
profile       the whole configuration; fingerprint, git, machine: what was run, by which code, on what
data          records (SHA-256 of the manifest), counts (files, subjects, frames per split)
subjects      test subjects, in the order of every list below
metrics       name → unit
methods       a reference's name, "frame/<backbone>.<seed>", "temporal/<refiner>.<backbone>.<seed>" →
    kind, refiner, backbone, seed
    summary      metric → estimate (stats.Estimate: mean, low, high, …) over subjects
    subjects     metric → one value per test subject
    coordinates  coordinate → mae_deg, rmse_deg, bias_deg, low_deg, high_deg (limits of agreement), r,
                 by_subject_deg (MAE)
settings      the same without seed → summary: metric → estimate over subjects and runs, and
              seeds: metric → values
comparisons   list of first, second (settings), metrics: metric → estimate of second − first,
              subjects, runs: metric → differences by subject, by run; negative: the second is better
overfitting   "frame/<backbone>" → train, test (estimates of angle_mae_deg), gap: test − train;
              difference: its gap less that of the first backbone, runs: the same by run
cost          see cost.py
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.experiment.evaluation import stats
from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, MEAN_POSE
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.nets import metrics

SCHEMA = 2
_ANGLE = "angle_mae_deg"
Scores = dict[str, Float[np.ndarray, " subject"]]
TrainingScores = dict[
    str, Float[np.ndarray, " trained"]
]  # of other subjects than Scores, and as many as chosen
_Runs = dict[str, Float[np.ndarray, "run subject"]]  # metric → every run of a setting


class Method(NamedTuple):
    """What predicts; `kind` is frame, temporal or the name of a reference."""

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


# --- one method ---------------------------------------------------------------------------------------------


def with_points(pose: Pose, skeleton: Skeleton) -> tuple[Pose, Points]:
    return pose, stored_predictions.points_of(skeleton, pose)


def score(prediction: tuple[Pose, Points], truth: Batch, skeleton: Skeleton) -> Scores:
    """Every metric, one value per subject, in the order of their numbers."""
    frames = metrics.per_frame(prediction, (truth.pose, truth.points), skeleton)
    subjects = truth.subject.numpy()
    scores = {name: stats.by_subject(value.numpy(), subjects)[1] for name, value in frames.items()}
    rmse = np.sqrt(scores.pop("angle_mse_deg2"))
    return {**scores, "angle_rmse_deg": rmse}


def describe_method(
    method: Method, prediction: tuple[Pose, Points], truth: Batch, skeleton: Skeleton
) -> dict[str, Any]:
    """An entry of `methods`; see the schema."""
    scores = score(prediction, truth, skeleton)
    return {
        **method._asdict(),
        "summary": {name: _estimate(values[None]) for name, values in scores.items()},
        "subjects": scores,
        "coordinates": by_coordinate(prediction[0], truth, skeleton),
    }


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


def _estimate(runs: Float[np.ndarray, "run subject"]) -> dict[str, Any]:
    means = runs.mean(0)
    return stats.estimate(float(means.mean()), [means], [runs.mean(1)])._asdict()


# --- methods together ---------------------------------------------------------------------------------------


def summarise(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """settings and comparisons, from the kind, refiner, backbone, seed and subjects of every method."""
    runs = _by_setting(
        {Method(*(one[key] for key in Method._fields)): one["subjects"] for one in methods.values()}
    )
    settings = {
        setting: {
            "summary": {name: _estimate(values) for name, values in found.items()},
            "seeds": {name: values.mean(1) for name, values in found.items()},
        }
        for setting, found in runs.items()
    }
    named = dict.fromkeys(
        Method(one["kind"], one["backbone"], None, one["refiner"]) for one in methods.values()
    )
    comparisons = [
        {"first": first.setting, "second": second.setting, **_compare(first, second, runs)}
        for first, second in pairs(list(named))
        if first.setting in runs and second.setting in runs
    ]
    return {"settings": settings, "comparisons": comparisons}


def _by_setting(scores: Mapping[Method, Mapping[str, Any]]) -> dict[str, _Runs]:
    settings: dict[str, list[Mapping[str, Any]]] = {}
    for method, values in scores.items():
        settings.setdefault(method.setting, []).append(values)
    return {
        setting: {name: np.array([each[name] for each in members]) for name in members[0]}
        for setting, members in settings.items()
    }


def pairs(methods: Sequence[Method]) -> list[tuple[Method, Method]]:
    """What is compared, (first, second), without seeds.

    Backbones; each frame network and its refinements; the refined first backbone and the other backbones
    alone; the mean pose and frame networks; the mean pose of the action and every network.
    """
    backbones = list(dict.fromkeys(method.backbone for method in methods if method.backbone))
    refiners = list(dict.fromkeys(method.refiner for method in methods if method.refiner))
    frame = {backbone: Method("frame", backbone) for backbone in backbones}
    refined = {(r, b): Method("temporal", b, None, r) for r in refiners for b in backbones}
    between = [(frame[backbones[0]], frame[other]) for other in backbones[1:]]
    between += [(refined[r, backbones[0]], refined[r, other]) for r in refiners for other in backbones[1:]]
    refining = [(frame[b], refined[r, b]) for b in backbones for r in refiners]
    crossed = [(refined[r, backbones[0]], frame[other]) for r in refiners for other in backbones[1:]]
    learned = [(Method(MEAN_POSE), network) for network in frame.values()]
    told = [(Method(ACTION_MEAN), network) for network in (*frame.values(), *refined.values())]
    return [*between, *refining, *crossed, *learned, *told]


def _compare(first: Method, second: Method, runs: Mapping[str, _Runs]) -> dict[str, Any]:
    """Paired by subject, and by run where the second refines the first; see the schema."""
    one, other = runs[first.setting], runs[second.setting]
    refines = first.kind == "frame" and second.kind == "temporal" and first.backbone == second.backbone
    return {
        "metrics": {name: stats.compare(one[name], other[name], refines)._asdict() for name in one},
        "subjects": {name: other[name].mean(0) - one[name].mean(0) for name in one},
        "runs": {name: (other[name] - one[name]).mean(1) for name in one},
    }


def overfitting(train: Mapping[Method, TrainingScores], test: Mapping[Method, Scores]) -> dict[str, Any]:
    """How much larger the error is for unseen subjects than for those trained on, in plain crops."""
    seen = {setting: found[_ANGLE] for setting, found in _by_setting(train).items()}
    unseen = {setting: found[_ANGLE] for setting, found in _by_setting(test).items() if setting in seen}
    first = next(iter(seen))

    def row(setting: str) -> dict[str, Any]:
        groups = seen[setting], unseen[setting]
        more = [now - then for now, then in zip(groups, (seen[first], unseen[first]), strict=True)]
        gaps = [_gap(seen[name], unseen[name]) for name in (first, setting)]
        return {
            "train": _estimate(groups[0]),
            "test": _estimate(groups[1]),
            "gap": _gap_estimate(groups, gaps[1:]),
            "difference": None if setting == first else _gap_estimate(more, gaps),
            "runs": [] if setting == first else gaps[1] - gaps[0],
        }

    return {setting: row(setting) for setting in seen}


def _gap(seen: np.ndarray, unseen: np.ndarray) -> Float[np.ndarray, " run"]:
    return unseen.mean(1) - seen.mean(1)


def _gap_estimate(groups: Sequence[np.ndarray], runs: Sequence[np.ndarray]) -> dict[str, Any]:
    means = [group.mean(0) for group in groups]
    return stats.estimate(float(means[1].mean() - means[0].mean()), means, runs)._asdict()


def _unit_of(metric: str) -> str:
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
    predictions: Mapping[Method, tuple[Pose, Points]],
    train: Mapping[Method, Scores],
    skeleton: Skeleton,
) -> dict[str, Any]:
    """What of results.json follows from the predictions for the test frames and the scores in training."""
    methods = {
        method.name: describe_method(method, prediction, truth, skeleton)
        for method, prediction in predictions.items()
    }
    test = {method: methods[method.name]["subjects"] for method in predictions}
    return rounded(
        {
            "schema": SCHEMA,
            "subjects": sorted(set(truth.subject.tolist())),
            "metrics": {name: _unit_of(name) for name in next(iter(test.values()))},
            "methods": methods,
            **summarise(methods),
            "overfitting": overfitting(train, test),
        }
    )
