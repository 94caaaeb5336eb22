"""Exported networks predict what the runs' predict; the card says what they were trained on and how good."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy
from export_weights import export

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.resolved import Experiment
from d3ke_lib.experiment.run import artifacts, config, forward
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.experiment.run.train_temporal import subjects_for, train_temporal
from d3ke_lib.experiment.video import request
from d3ke_lib.experiment.video.networks import load_networks
from d3ke_lib.files import D3keError, sha256
from d3ke_lib.nets import load_network

SKELETON = default_skeleton()
FRAME = Method("frame", "resnext50_32x4d", 0)
TEMPORAL = Method("temporal", "resnext50_32x4d", 0, "transformer")

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def experiment(toy_records, tmp_path_factory) -> Experiment:
    """A profile with a frame and a temporal run of toys, not evaluated."""
    profile = replace(config.PROFILES["smoke"], frame=toy.FRAME, temporal=toy.TEMPORAL)
    made = Experiment(profile, replace(settings.read(), out=tmp_path_factory.mktemp("out")), SKELETON)
    frame = made.folder / FRAME.name
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        train_frame(replace(toy.FRAME, camera_input=True), toy_records, frame, 0, SKELETON)
        for split, subjects in subjects_for(toy.TEMPORAL, toy_records).items():
            forward.predict_frames(frame, toy_records, split, subjects, SKELETON)
        temporal = made.folder / TEMPORAL.name
        train_temporal(replace(toy.TEMPORAL, epochs=1), toy_records, frame, temporal, 0, SKELETON)
    return made


def test_files_and_runs_hold_the_same_networks(experiment):
    files = [export(experiment, method) for method in (FRAME, TEMPORAL)]
    assert [path.name for path in files] == [
        "resnext50_32x4d.0.safetensors",
        "transformer.resnext50_32x4d.0.safetensors",
    ]
    ours = load_networks(*(experiment.folder / method.name for method in (FRAME, TEMPORAL)))
    found = load_networks(*files)
    assert (found.config, found.refining, found.rate) == (ours.config, ours.refining, ours.rate)
    for name in ("frame", "refiner"):
        theirs = getattr(found, name).state_dict()
        assert all(torch.equal(theirs[key], value) for key, value in getattr(ours, name).state_dict().items())
    assert found.names == ("frame/resnext50_32x4d.0", "temporal/transformer.resnext50_32x4d.0")


def test_networks_that_do_not_belong_together_are_refused(experiment, toy_records, tmp_path):
    file = export(experiment, TEMPORAL)
    train_frame(toy.FRAME, toy_records, tmp_path / "another", 1, SKELETON)
    with pytest.raises(D3keError, match="refines another frame network than"):
        load_networks(tmp_path / "another", file)
    with pytest.raises(D3keError, match="expected a frame network of poses, found temporal of pose"):
        load_networks(file, None)


def test_the_card_says_what_how_and_how_good(experiment, tmp_path):
    path = export(experiment, FRAME)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert sha256(path) in card
    assert "8 steps in" in card
    assert "| camera_input | True |" in card
    assert "Not evaluated on the test subjects." in card
    for title in ("Network", "Data", "Recipe", "Metrics by group", "Limits", "Licence"):
        assert f"\n## {title}\n" in card
    estimate = {"mean": 5.4321, "low": 5.0, "high": 6.0, "n": 3}
    results = {
        "metrics": {"angle_mae_deg": "°"},
        "methods": {FRAME.name: {"summary": {"angle_mae_deg/knee": estimate}}},
    }
    artifacts.write_json(experiment.folder / "results.json", results)
    card = export(experiment, FRAME).with_suffix(".md").read_text(encoding="utf-8")
    (experiment.folder / "results.json").unlink()
    assert "| angle_mae_deg/knee | ° | 5.43 | 5 to 6 |" in card
    _, about = load_network(path, SKELETON)
    assert about["metrics"]["angle_mae_deg/knee"]["mean"] == 5.4321


def test_a_run_that_is_not_there_is_named(experiment, tmp_path):
    with pytest.raises(D3keError, match=r"resnext101_32x8d\.0: expected a finished run, found none; make it"):
        export(experiment, Method("frame", "resnext101_32x8d", 0))
    wrong = tmp_path / "weights.pth"
    with pytest.raises(D3keError, match=r"WEIGHTS: expected a \.safetensors file .*, found .*weights\.pth"):
        request._check_weights(wrong)
    shutil.copy(export(experiment, FRAME), tmp_path / "copy.safetensors")
    assert request._check_weights(Path(tmp_path / "copy.safetensors")).name == "copy.safetensors"
