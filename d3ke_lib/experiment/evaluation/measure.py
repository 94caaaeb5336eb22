"""Every trained run of a profile on the test subjects → what results.json says.

Predictions are stored with the runs, so that figures are drawn from the same ones.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data import records
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.action_means import Prediction, Told
from d3ke_lib.experiment.evaluation.comparisons import TrainingScores
from d3ke_lib.experiment.evaluation.conditions import find_conditions
from d3ke_lib.experiment.evaluation.evaluate import Method, results, with_points
from d3ke_lib.experiment.evaluation.frame_errors import MOVING_DEG, describe_truth, find_moving
from d3ke_lib.experiment.evaluation.references import predict_references
from d3ke_lib.experiment.evaluation.scores import angle_by_subject
from d3ke_lib.experiment.run import inverse_kinematics, stored_predictions
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint, to_values
from d3ke_lib.experiment.run.config import Profile
from d3ke_lib.experiment.run.forward import (
    load_frame_net,
    load_temporal_net,
    predict_frames,
    predict_windows,
)
from d3ke_lib.experiment.run.identity import provenance, records_hash


class Trained(NamedTuple):
    """A finished run."""

    folder: Path
    result: dict[str, Any]  # the content of run.json
    source: Path  # the frame run whose predictions it refines; a frame run's own folder


Runs = Mapping[Method, Trained]


def identify(profile: Profile, data: Path, runs: Runs) -> str:
    """The fingerprint of the results: of configuration, records, weights and the code of the evaluation."""
    weights = [run.result["weights_sha256"] for run in runs.values()]
    return fingerprint(profile, weights, records_hash(data), code_hash(__name__))


def measure(profile: Profile, data: Path, runs: Runs, skeleton: Skeleton) -> dict[str, Any]:
    """The content of results.json (evaluate.py describes it)."""
    subjects = stored_predictions.subjects_of(data, "test", profile.evaluation.subjects)
    train, test = FrameSet(data, "train", skeleton), FrameSet(data, "test", skeleton, subjects=subjects)
    moving = find_moving(train.labels().pose.angles)
    conditions = find_conditions(test, train.actions)
    truth = describe_truth(test.labels(), test.cameras, moving, conditions, skeleton)
    predictions = _predict(profile, data, runs, train, test, skeleton)
    names = [name for name, moves in zip(skeleton.coordinates, moving.tolist(), strict=True) if moves]
    return {
        **results(truth, predictions, _score_training(profile, data, runs, skeleton), skeleton),
        **provenance(),
        "profile": to_values(profile),
        "fingerprint": identify(profile, data, runs),
        "synthetic": isinstance(profile.data, DataConfig),
        "moving": {"threshold_deg": MOVING_DEG, "coordinates": names},
        "data": {"records": records_hash(data), "counts": records.load_manifest(data)["counts"]},
        "cost": _measure_costs(profile, runs, skeleton),
    }


def _predict(
    profile: Profile, data: Path, runs: Runs, train: FrameSet, test: FrameSet, skeleton: Skeleton
) -> Iterator[tuple[Method, Prediction]]:
    """Predictions for the test frames, those of the references first."""
    told = (_tell(data, frames) for frames in (train, test))
    labels = (train.labels(), test.labels())
    references = predict_references(*labels, *told, skeleton)
    yield from ((Method(name), prediction) for name, prediction in references.items())
    yield from predict_runs(profile, data, runs, skeleton)


def predict_runs(
    profile: Profile, data: Path, runs: Runs, skeleton: Skeleton
) -> Iterator[tuple[Method, Prediction]]:
    """Predictions of trained runs for the test frames; what is stored already is not computed again."""
    subjects = stored_predictions.subjects_of(data, "test", profile.evaluation.subjects)
    for method, run in runs.items():
        _store_predictions(profile, run, method, data, "test", subjects, skeleton)
        if inverse_kinematics.predicts_points(run.result):
            validation = stored_predictions.subjects_of(data, "validation")
            _store_predictions(profile, run, method, data, "validation", validation, skeleton)
            inverse_kinematics.solve_points(run.folder, data, "test", subjects, skeleton)
        pose = inverse_kinematics.load_poses(run.folder, "test", subjects, skeleton)
        yield method, with_points(pose, skeleton)


def _tell(data: Path, frames: FrameSet) -> Told:
    """What the mean pose of the action is told of the frames."""
    actions = [frames.actions[number] for number in frames.labels().action.tolist()]
    entries, subjects = records.load_manifest(data)["files"], set(frames.labels().subject.tolist())
    files = [name for name, entry in sorted(entries.items()) if entry["subject"] in subjects]
    tables = [records.read(data / name).table for name in files]
    parts = [
        text or ""
        for table in tables
        for text in (table["parts"].to_pylist() if "parts" in table.column_names else [""] * len(table))
    ]
    return Told(actions, parts)


def _store_predictions(
    profile: Profile,
    run: Trained,
    method: Method,
    data: Path,
    split: str,
    subjects: list[int],
    skeleton: Skeleton,
) -> str:
    """Stores what is missing of a run's predictions; returns their identity."""
    batch = profile.evaluation.batch
    identity = predict_frames(run.source, data, split, subjects, skeleton, batch)
    if method.kind == "frame":
        return identity
    return predict_windows(run.folder, run.source, data, split, subjects, skeleton)


def _score_training(
    profile: Profile, data: Path, runs: Runs, skeleton: Skeleton
) -> dict[Method, TrainingScores]:
    """The frame networks on the training subjects whose predictions the refiners learnt from."""
    subjects = stored_predictions.subjects_of(data, "train", profile.temporal.subjects)
    truth = FrameSet(data, "train", skeleton, subjects=subjects).labels()
    found = {}
    for method, run in runs.items():
        if method.kind == "frame" and not inverse_kinematics.predicts_points(run.result):
            identity = _store_predictions(profile, run, method, data, "train", subjects, skeleton)
            pose = stored_predictions.load(run.folder, "train", subjects, identity, skeleton)
            found[method] = angle_by_subject(pose, truth)
    return found


def _measure_costs(profile: Profile, runs: Runs, skeleton: Skeleton) -> dict[str, Any]:
    """Setting → its network's cost on this machine; run → its training's on the machine it ran on."""
    networks: dict[str, Any] = {}
    for method, run in runs.items():
        if method.setting in networks:
            continue
        if method.kind == "frame":
            loaded = load_frame_net(run.folder, skeleton)
            networks[method.setting] = cost.frame_cost(*loaded, profile.evaluation)
        else:
            loaded = load_temporal_net(run.folder, skeleton)
            networks[method.setting] = cost.temporal_cost(*loaded, profile.evaluation)
    training = {method.name: cost.training_cost(run.folder) for method, run in runs.items()}
    return {"networks": networks, "training": training}
