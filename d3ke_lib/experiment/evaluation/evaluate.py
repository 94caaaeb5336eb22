"""Every method on the held-out test subjects → results.json, which tables, figures and claims read.

schema        2
synthetic     true: rendered subjects, not recordings
profile       the whole configuration; fingerprint, git, machine: what was run, by which code, on what
data          records (SHA-256 of the manifest), counts (files, subjects, frames per split)
subjects      test subjects, in the order of every list below; sizes: the true overall size of each
metrics       name → unit
moving        coordinates whose standard deviation over the training frames exceeds `threshold_deg`
conditions    name → number of test frames: seen and unseen actions, mixtures, each camera
methods       a reference's name, "frame/<backbone>.<seed>", "temporal/<refiner>.<backbone>.<seed>", where
              <backbone> may be followed by @<variant> of its training →
    kind, refiner, backbone, seed
    summary      metric → estimate (stats.Estimate: mean, low, high, …) over subjects
    subjects     metric → one value per test subject
    conditions   condition → the same of some metrics
    coordinates  coordinate → mae_deg, rmse_deg, bias_deg, low_deg, high_deg (limits of agreement), r
    yaw          camera → share of frames (%) in 24 bins of the pelvis' signed yaw error, from −180°
    sizes        predicted overall size of each subject (median over its frames)
settings      the same without seed → summary: metric → estimate over subjects and runs; conditions:
              condition → the same; seeds: metric → values; runs: their number
comparisons   list of first, second (settings), metrics: metric → estimate of second − first,
              conditions: condition → the same of the angle MAE; subjects, runs: metric → differences by
              subject, by run that both have; negative: the second is better
overfitting   "frame/<backbone>" → train, test (estimates of angle_mae_deg), gap: test − train;
              difference: its gap less that of the first backbone, runs: the same by run
cost          see cost.py
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.experiment.evaluation import scores
from d3ke_lib.experiment.evaluation.comparisons import (
    TrainingScores,
    estimate_mean,
    overfitting,
    summarise,
)
from d3ke_lib.experiment.evaluation.frame_errors import Truth
from d3ke_lib.experiment.evaluation.methods import Method
from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.evaluation.scores import ALL
from d3ke_lib.experiment.run import stored_predictions

SCHEMA = 2


def with_points(pose: Pose, skeleton: Skeleton) -> tuple[Pose, Points]:
    return pose, stored_predictions.points_of(skeleton, pose)


def _describe_method(
    method: Method,
    prediction: tuple[Pose, Points],
    truth: Truth,
    skeleton: Skeleton,
    constant: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An entry of `methods`; constant: that of the mean pose."""
    reference = {ALL: constant["subjects"], **constant["conditions"]} if constant else None
    found = scores.score(prediction, truth, skeleton, reference)
    everything = found.pop(ALL)
    return {
        **method._asdict(),
        "summary": {name: estimate_mean(values[None]) for name, values in everything.items()},
        "subjects": everything,
        "conditions": found,
        "coordinates": scores.by_coordinate(prediction[0], truth.labels, skeleton),
        "yaw": scores.yaw_histograms(prediction[0], truth),
        "sizes": scores.sizes(prediction[0], truth.labels.subject.numpy()),
    }


def _unit_of(metric: str) -> str:
    """The unit that a metric's name ends in."""
    units = {"deg": "°", "mm": "mm", "percent": "%", "sum": "scale factors", "mps2": "m/s²"}
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
    truth: Truth,
    predictions: Iterable[tuple[Method, tuple[Pose, Points]]],
    train: Mapping[Method, TrainingScores],
    skeleton: Skeleton,
) -> dict[str, Any]:
    """What of results.json follows from the predictions for the test frames and the scores in training.

    The predictions are taken one by one, the mean pose first: only one is held in memory.
    """
    methods: dict[Method, dict[str, Any]] = {}
    for method, prediction in predictions:
        constant = methods.get(Method(MEAN_POSE))
        methods[method] = _describe_method(method, prediction, truth, skeleton, constant)
    test = {method: found["subjects"] for method, found in methods.items()}
    subjects = truth.labels.subject
    return rounded(
        {
            "schema": SCHEMA,
            "subjects": sorted(set(subjects.tolist())),
            "sizes": scores.sizes(truth.labels.pose, subjects.numpy()),
            "metrics": {name: _unit_of(name) for found in test.values() for name in found},
            "conditions": {name: int(frames.sum()) for name, frames in truth.conditions.items()},
            "methods": {method.name: found for method, found in methods.items()},
            **summarise(methods.values()),
            "overfitting": overfitting(train, test),
        }
    )
