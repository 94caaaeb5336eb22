"""Every trained run of a profile on the test subjects → what results.json says.

Predictions are stored with the runs, so that figures are drawn from the same ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data import records
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.evaluate import Method, Scores, results, score, with_points
from d3ke_lib.experiment.evaluation.references import predict_references
from d3ke_lib.experiment.run import stored_predictions
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
    train, test = (FrameSet(data, split, skeleton) for split in ("train", "test"))
    truth = test.labels()
    references = predict_references(train.labels(), train.actions, truth, test.actions)
    subjects = stored_predictions.subjects_of(data, "test")
    found = {Method(name): prediction for name, prediction in references.items()}
    for method, run in runs.items():
        identity = _store_predictions(profile, run, method, data, "test", subjects, skeleton)
        pose = stored_predictions.load(run.folder, "test", subjects, identity, skeleton)
        found[method] = with_points(pose, skeleton)
    trained = _score_training(profile, data, runs, skeleton)
    return {
        **results(truth, found, trained, skeleton),
        **provenance(),
        "profile": to_values(profile),
        "fingerprint": identify(profile, data, runs),
        "synthetic": isinstance(profile.data, DataConfig),
        "data": {"records": records_hash(data), "counts": records.load_manifest(data)["counts"]},
        "cost": _measure_costs(profile, runs, skeleton),
    }


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


def _score_training(profile: Profile, data: Path, runs: Runs, skeleton: Skeleton) -> dict[Method, Scores]:
    """The frame networks on the training subjects whose predictions the refiners learnt from."""
    subjects = stored_predictions.subjects_of(data, "train", profile.temporal.subjects)
    truth = FrameSet(data, "train", skeleton, subjects=subjects).labels()
    found = {}
    for method, run in runs.items():
        if method.kind == "frame":
            identity = _store_predictions(profile, run, method, data, "train", subjects, skeleton)
            pose = stored_predictions.load(run.folder, "train", subjects, identity, skeleton)
            found[method] = score(with_points(pose, skeleton), truth, skeleton)
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
