"""Training learns, stops at nothing it should not, and goes on after any stop as if there had been none."""

import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy

from d3ke_lib import files
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import augment, datasets, records
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.run import (
    artifacts,
    devices,
    forward,
    run_folder,
    schedule,
    stored_predictions,
    temporal_windows,
)
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import Phase, Resolution
from d3ke_lib.experiment.run.train_frame import identify, train_frame
from d3ke_lib.experiment.run.train_temporal import subjects_for, train_temporal
from d3ke_lib.nets import losses

pytestmark = pytest.mark.usefixtures("small_networks")
TIMES = ("seconds", "core_seconds", "per_second")
SKELETON = default_skeleton()


class Killed(BaseException):
    """Stands for SIGKILL where starting a process for each point would take too long."""


def log_of(folder: Path) -> list[dict]:
    """The log without what differs between any two runs."""
    lines = artifacts.read_log(folder / run_folder.LOG)
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(toy_records, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    return folder


def test_a_finished_run_has_weights_a_log_and_no_checkpoint(undisturbed):
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        run_folder.LOG,
        run_folder.MODEL,
        run_folder.RESULT,
    ]
    result = artifacts.read_json(undisturbed / run_folder.RESULT)
    assert result["step"] == 8
    assert result["config"]["batch"] == 4
    log = log_of(undisturbed)
    assert [line["step"] for line in log if "total" in line] == [2, 3, 4, 6, 8]
    assert [line["step"] for line in log if "validation" in line] == [4, 8]
    assert result["validation"] == log[-1]["validation"]
    assert {"angle_mae_deg", "mpblpe_mm", "pelvis_deg"} <= set(result["validation"])


def test_total_is_the_weighted_sum_of_the_terms(undisturbed):
    for line in log_of(undisturbed):
        if "total" in line:
            expected = line["joint"] + 2 * line["marker"] + 0.1 * line["body"] + 0.06 * line["angle"]
            assert line["total"] == pytest.approx(expected, rel=1e-5)


def test_a_finished_run_is_returned_and_not_repeated(undisturbed, toy_records, monkeypatch):
    monkeypatch.setattr(
        "d3ke_lib.experiment.run.train_frame.build_frame", lambda *_: pytest.fail("trained again")
    )
    result = train_frame(toy.FRAME, toy_records, undisturbed, 1, SKELETON)
    assert result == artifacts.read_json(undisturbed / run_folder.RESULT)
    how = replace(toy.FRAME, workers=1, checkpoint_every=5)
    assert train_frame(how, toy_records, undisturbed, 1, SKELETON) == result


# --- stopped and resumed ---


def stop_after_step(monkeypatch, step: int) -> None:
    record = run_folder.record_losses

    def stopping(run, *values) -> None:
        record(run, *values)
        if run.step == step:
            raise Killed

    monkeypatch.setattr(run_folder, "record_losses", stopping)


def stop_before_replacing(monkeypatch, name: str, times: int) -> None:
    os_replace = os.replace
    seen = []

    def stopping(source, target) -> None:
        seen.append(Path(target).name)
        if seen.count(name) == times:
            raise Killed
        os_replace(source, target)

    monkeypatch.setattr(os, "replace", stopping)


STOPS = {
    "before any checkpoint": lambda patch: stop_after_step(patch, 2),
    "between checkpoints": lambda patch: stop_after_step(patch, 5),
    "after the last step": lambda patch: stop_after_step(patch, 8),
    "first checkpoint unfinished": lambda patch: stop_before_replacing(patch, run_folder.CHECKPOINT, 1),
    "second checkpoint unfinished": lambda patch: stop_before_replacing(patch, run_folder.CHECKPOINT, 2),
    "weights unfinished": lambda patch: stop_before_replacing(patch, run_folder.MODEL, 1),
    "weights without run.json": lambda patch: stop_before_replacing(patch, run_folder.RESULT, 1),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_resumed_run_equals_an_undisturbed_one(undisturbed, toy_records, tmp_path, monkeypatch, stop):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        STOPS[stop](patch)
        with pytest.raises(Killed):
            train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    assert not (folder / run_folder.RESULT).exists()
    result = train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    assert result["weights_sha256"] == artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]
    assert log_of(folder) == log_of(undisturbed)
    assert sorted(p.name for p in folder.iterdir()) == [run_folder.LOG, run_folder.MODEL, run_folder.RESULT]


KILLED = """
import os, signal, sys
from pathlib import Path
import toy, torch
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.run import run_folder
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.nets import backbone
torch.set_num_threads(int(sys.argv[3]))
backbone.build = toy.small_backbone
save = run_folder.save
def save_and_be_killed(run):
    save(run)
    run.log.write('{"step": half a li')  # what a kill leaves of a line
    run.log.flush()
    os.kill(os.getpid(), signal.SIGKILL)
run_folder.save = save_and_be_killed
train_frame(toy.FRAME, Path(sys.argv[1]), Path(sys.argv[2]), 1, default_skeleton())
"""


def test_kill_9_then_resume_equals_an_undisturbed_run(undisturbed, toy_records, tmp_path):
    folder = tmp_path / "run"
    paths = [str(artifacts.REPOSITORY), str(Path(toy.__file__).parent)]
    command = [sys.executable, "-c", KILLED, str(toy_records), str(folder), str(torch.get_num_threads())]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (folder / run_folder.CHECKPOINT).exists()
    result = train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    assert result["weights_sha256"] == artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]
    assert log_of(folder) == log_of(undisturbed)


def test_stopped_twice_with_an_average_of_the_weights(toy_records, tmp_path, monkeypatch):
    config = replace(toy.FRAME, ema=0.7)
    for step in (4, 7):
        with monkeypatch.context() as patch:
            stop_after_step(patch, step)
            with pytest.raises(Killed):
                train_frame(config, toy_records, tmp_path / "a", 1, SKELETON)
    stopped = train_frame(config, toy_records, tmp_path / "a", 1, SKELETON)
    straight = train_frame(config, toy_records, tmp_path / "b", 1, SKELETON)
    assert stopped["weights_sha256"] == straight["weights_sha256"]


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
import toy, torch
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.run import run_folder
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.nets import backbone
torch.set_num_threads(int(sys.argv[3]))
backbone.build = toy.small_backbone
record = run_folder.record_losses
def record_and_be_interrupted(run, *values):
    record(run, *values)
    if run.step == 5:
        os.kill(os.getpid(), signal.SIGINT)
run_folder.record_losses = record_and_be_interrupted
try:
    train_frame(toy.FRAME, Path(sys.argv[1]), Path(sys.argv[2]), 1, default_skeleton())
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupt_loses_no_step(undisturbed, toy_records, tmp_path):
    folder = tmp_path / "run"
    paths = [str(artifacts.REPOSITORY), str(Path(toy.__file__).parent)]
    command = [sys.executable, "-c", INTERRUPTED, str(toy_records), str(folder), str(torch.get_num_threads())]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False)
    assert ended.returncode == 130
    assert artifacts.read_checkpoint(folder / run_folder.CHECKPOINT).state["step"] == 5
    result = train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    assert result["weights_sha256"] == artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]


def test_seconds_of_cores_are_kept_over_a_stop_and_pauses_are_not_counted(toy_records, tmp_path, monkeypatch):
    """Two cores work in every step, 0.5 s each; nothing is counted between the stop and the resumption."""
    spent, record = [100.0], run_folder.record_losses

    def working(run, *values) -> None:
        record(run, *values)
        spent[0] += 1.0
        if run.step == 5 and spent[0] < 200:
            raise Killed

    monkeypatch.setattr(run_folder, "record_losses", working)
    monkeypatch.setattr(devices, "processor_seconds", lambda: spent[0])
    with pytest.raises(Killed):
        train_frame(toy.FRAME, toy_records, tmp_path, 1, SKELETON)
    spent[0] = 1000.0
    result = train_frame(toy.FRAME, toy_records, tmp_path, 1, SKELETON)
    lines = artifacts.read_log(tmp_path / run_folder.LOG)
    assert {line["step"]: line["core_seconds"] for line in lines if "total" in line} == {
        step: float(step) for step in (2, 3, 4, 6, 8)
    }
    assert result["core_seconds"] == cost.training_cost(tmp_path)["core_seconds"] == 8.0


def test_all_threads_of_a_process_count():
    before, began = devices.processor_seconds(), time.perf_counter()
    threads = [threading.Thread(target=hashlib.sha256, args=(bytes(40_000_000),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.02 < devices.processor_seconds() - before < 2.5 * (time.perf_counter() - began)


@pytest.mark.parametrize("damage", ["cut short", "changed"])
def test_damaged_weights_are_trained_again(undisturbed, toy_records, tmp_path, damage):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    content = bytearray((folder / run_folder.MODEL).read_bytes())
    if damage == "cut short":
        del content[-100:]
    else:
        content[-100] ^= 1
    (folder / run_folder.MODEL).write_bytes(content)
    result = train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    expected = artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]
    assert result["weights_sha256"] == expected
    assert artifacts.digest(artifacts.read_tensors(folder / run_folder.MODEL)[0]) == expected


def test_a_damaged_checkpoint_is_refused_by_name(toy_records, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after_step(patch, 5)
        with pytest.raises(Killed):
            train_frame(toy.FRAME, toy_records, tmp_path, 1, SKELETON)
    path = tmp_path / run_folder.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(D3keError, match=r"checkpoint.safetensors is not a whole .*: delete it"):
        train_frame(toy.FRAME, toy_records, tmp_path, 1, SKELETON)


# --- what is read ---


def test_training_reads_no_test_subject(toy_records, tmp_path, monkeypatch):
    opened, read, digest = set(), records.read, files.sha256

    def watched(function):
        def watching(path):
            opened.update({path.name} if path.suffix == ".arrow" else ())
            return function(path)

        return watching

    monkeypatch.setattr(records, "read", watched(read))
    monkeypatch.setattr(files, "sha256", watched(digest))
    frame = tmp_path / "frame"
    trained = train_frame(toy.FRAME, toy_records, frame, 1, SKELETON)
    for split, subjects in subjects_for(toy.TEMPORAL, toy_records).items():
        forward.predict_frames(frame, toy_records, split, subjects, SKELETON)
    refined = train_temporal(toy.TEMPORAL, toy_records, frame, tmp_path / "temporal", 1, SKELETON)
    assert refined["frame"] == trained["weights_sha256"]
    allowed = (*toy.SPLITS["train"], *toy.SPLITS["validation"])
    assert opened == {f"subject_{number:03d}_PG1.arrow" for number in allowed}
    assert [p.name for p in sorted((frame / "predictions" / "train").iterdir())] == [
        "subject_001.safetensors",
        "subject_002.safetensors",
    ]


def test_damaged_records_stop_a_run(tmp_path):
    data = toy.make_records(tmp_path / "data")
    path = data / "subject_001_PG1.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(records.RecordError, match="subject_001_PG1"):
        train_frame(toy.FRAME, data, tmp_path / "run", 1, SKELETON)


# --- what is learnt ---


def test_one_batch_is_learnt_by_heart(toy_records, tmp_path):
    config = replace(
        toy.FRAME,
        batch=8,
        images=8 * 60,
        every=6,
        augment=replace(toy.FRAME.augment, view=None, color=None, occluder=None),
        phases=(Phase(1.0, 3e-3, 1e-3),),
        log_every=10,
        validations=1,
        checkpoint_every=100,
    )
    data = toy.make_records(tmp_path / "data", {"train": [1, 2, 3, 8], "validation": [4]})
    assert len(datasets.FrameSet(data, "train", every=6)) == 8
    train_frame(config, data, tmp_path / "run", 0, SKELETON)
    totals = [line["total"] for line in log_of(tmp_path / "run") if "total" in line]
    assert totals[-1] < 0.35 * totals[0]


def test_another_seed_gives_other_weights(undisturbed, toy_records, tmp_path):
    other = train_frame(toy.FRAME, toy_records, tmp_path / "run", 2, SKELETON)
    assert other["weights_sha256"] != artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]


def test_optimiser_and_masking_are_switches(undisturbed, toy_records, tmp_path):
    result = artifacts.read_json(undisturbed / run_folder.RESULT)
    unmasked = train_frame(replace(toy.FRAME, mask_angles=False), toy_records, tmp_path / "a", 1, SKELETON)
    assert unmasked["weights_sha256"] == result["weights_sha256"]  # all toy labels are valid
    adam = train_frame(replace(toy.FRAME, optimizer="adam"), toy_records, tmp_path / "b", 1, SKELETON)
    assert adam["weights_sha256"] != result["weights_sha256"]


def test_camera_values_are_a_switch(undisturbed, toy_records, tmp_path):
    run = tmp_path / "run"
    result = train_frame(replace(toy.FRAME, camera_input=True), toy_records, run, 1, SKELETON)
    assert result["weights_sha256"] != artifacts.read_json(undisturbed / run_folder.RESULT)["weights_sha256"]
    net, config = forward.load_frame_net(run, SKELETON)
    assert config.camera_input
    assert net.camera_head.weight.abs().max() > 0
    forward.predict_frames(run, toy_records, "validation", [4], SKELETON)


def test_growing_resolution_is_used(toy_records, tmp_path, monkeypatch):
    sides, crop = [], augment.augment
    monkeypatch.setattr(
        augment, "augment", lambda batch, px, *rest: sides.append(px) or crop(batch, px, *rest)
    )
    config = replace(toy.FRAME, resolutions=(Resolution(0.5, 16), Resolution(1.0, 32)))
    train_frame(config, toy_records, tmp_path / "run", 1, SKELETON)
    assert sides == [16] * 4 + [32] * 4


# --- what goes wrong ---


def test_a_loss_that_is_not_finite_names_its_step(toy_records, tmp_path, monkeypatch):
    total, calls = losses.total, []

    def broken(terms, weights):
        calls.append(1)
        return total(terms, weights) * (float("nan") if len(calls) == 5 else 1)

    monkeypatch.setattr("d3ke_lib.experiment.run.train_frame.total", broken)
    with pytest.raises(D3keError, match="loss of step 5 is not finite"):
        train_frame(toy.FRAME, toy_records, tmp_path / "run", 1, SKELETON)
    assert artifacts.read_checkpoint(tmp_path / "run" / run_folder.CHECKPOINT).state["step"] == 3


def test_another_configuration_sets_the_old_run_aside(toy_records, tmp_path):
    folder = tmp_path / "run"
    first = train_frame(toy.FRAME, toy_records, folder, 1, SKELETON)
    second = train_frame(replace(toy.FRAME, images=16), toy_records, folder, 1, SKELETON)
    assert second["step"] == 4
    assert artifacts.read_json(tmp_path / "run.old" / run_folder.RESULT) == first


def test_other_records_make_another_run(toy_records, tmp_path):
    one = identify(toy.FRAME, toy_records, 1)
    other = toy.make_records(tmp_path / "data", {"train": [1, 2], "validation": [4]})
    two = identify(toy.FRAME, other, 1)
    assert one["fingerprint"] != two["fingerprint"]


def test_too_few_frames_for_a_batch(toy_records, tmp_path):
    with pytest.raises(D3keError, match="one batch is 64 images; there are 36"):
        train_frame(replace(toy.FRAME, batch=64), toy_records, tmp_path / "run", 1, SKELETON)


def test_a_checkpoint_of_another_network_names_the_keys(toy_records, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after_step(patch, 5)
        with pytest.raises(Killed):
            train_frame(toy.FRAME, toy_records, tmp_path / "run", 1, SKELETON)
    smaller = torch.nn.Sequential(torch.nn.Conv2d(3, 2048, 8, stride=16))
    monkeypatch.setattr("d3ke_lib.nets.backbone.build", lambda *_, **__: smaller)
    with pytest.raises(ValueError, match=r"backbone\.1\.weight"):
        train_frame(toy.FRAME, toy_records, tmp_path / "run", 1, SKELETON)


# --- the temporal networks ---


@pytest.fixture(scope="module")
def predicted(undisturbed, toy_records) -> Path:
    """The undisturbed frame run with its predictions for training and validation."""
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        for split, subjects in subjects_for(toy.TEMPORAL, toy_records).items():
            forward.predict_frames(undisturbed, toy_records, split, subjects, SKELETON)
    return undisturbed


@pytest.mark.parametrize("kind", ["transformer", "tcn", "lstm"])
def test_temporal_runs_resume_too(predicted, toy_records, tmp_path, monkeypatch, kind):
    """The TCN and the LSTM have dropout: their draws, too, belong to the step."""
    config = replace(toy.TEMPORAL, kind=kind)
    straight = train_temporal(config, toy_records, predicted, tmp_path / "a", 1, SKELETON)
    assert straight["step"] == 6
    with monkeypatch.context() as patch:
        stop_after_step(patch, 5)
        with pytest.raises(Killed):
            train_temporal(config, toy_records, predicted, tmp_path / "b", 1, SKELETON)
    torch.rand(7)  # what else draws from torch's generator changes nothing
    resumed = train_temporal(config, toy_records, predicted, tmp_path / "b", 1, SKELETON)
    assert resumed["weights_sha256"] == straight["weights_sha256"]
    assert log_of(tmp_path / "a") == log_of(tmp_path / "b")


@pytest.mark.parametrize("kind", ["transformer", "tcn", "lstm"])
def test_a_causal_refiner_is_trained_and_predicts_from_the_past_alone(predicted, toy_records, tmp_path, kind):
    config = replace(toy.TEMPORAL, kind=kind, causal=True)
    run = tmp_path / "run"
    train_temporal(config, toy_records, predicted, run, 1, SKELETON)
    net, read = forward.load_temporal_net(run, SKELETON)
    assert read == config
    how = (config.window, toy_records, predicted, "validation", [4], SKELETON)
    made, labels = temporal_windows.open_windows(*how, causal=True)
    target = temporal_windows.target_frame(kind, config.window, causal=True)
    before = stored_predictions.refine(net, made, torch.arange(3), target)
    pose, points, truth = made.load(torch.arange(3), whole=True)
    assert torch.equal(
        truth.pose.angles[:, temporal_windows.target_in(config.window, True)], labels[:3].pose.angles
    )
    assert torch.equal(pose.angles[0], pose.angles[0, :1].expand_as(pose.angles[0]))  # nothing after frame 0
    for one, other in zip(net(pose, points)[0], before):
        torch.testing.assert_close(one[:, target], other)


def test_amsgrad_is_the_tcn_s_unless_said(predicted, toy_records, tmp_path, monkeypatch):
    found, adam = [], torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *a, **k: found.append(k["amsgrad"]) or adam(*a, **k))
    for kind, amsgrad in (("tcn", None), ("lstm", None), ("tcn", False)):
        config = replace(toy.TEMPORAL, kind=kind, epochs=1, amsgrad=amsgrad)
        train_temporal(config, toy_records, predicted, tmp_path / f"{kind}{amsgrad}", 1, SKELETON)
    assert found == [True, False, False]


def test_predictions_are_computed_once_for_the_same_weights(predicted, toy_records, tmp_path, monkeypatch):
    result = artifacts.read_json(predicted / run_folder.RESULT)
    path = stored_predictions.path_of(predicted, "train", 1)
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(forward, "load_frame_net", lambda *_: pytest.fail("computed again"))
    forward.predict_frames(predicted, toy_records, "train", [1, 2], SKELETON)
    assert path.stat().st_mtime_ns == before
    assert stored_predictions.find_missing(
        predicted, "train", [1, 2, 3], stored_predictions.identity(result)
    ) == [3]
    assert stored_predictions.find_missing(predicted, "train", [1, 2], "another") == [1, 2]
    with pytest.raises(D3keError, match="another network"):
        stored_predictions.load(predicted, "train", [1], "another", SKELETON)


def test_stored_predictions_are_the_network_s(predicted, toy_records):
    net, config = forward.load_frame_net(predicted, SKELETON)
    frames = datasets.FrameSet(toy_records, "train", subjects=[1, 2])
    direct = stored_predictions.predict(net, frames, torch.arange(len(frames)), config.px, "fp32", batch=5)
    identity = stored_predictions.identity(artifacts.read_json(predicted / run_folder.RESULT))
    stored = stored_predictions.load(predicted, "train", [2, 1], identity, SKELETON)
    for one, other in zip(direct, stored):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


# --- schedules ---


def test_learning_rate_reaches_both_ends_of_every_phase():
    phases = (Phase(28 / 30, 5e-4, 3.33e-5), Phase(2 / 30, 3.33e-6, 1e-6))
    rates = [schedule.learning_rate(phases, 0, step, 300) for step in range(300)]
    assert (rates[0], rates[279]) == (pytest.approx(5e-4), pytest.approx(3.33e-5))
    assert (rates[280], rates[299]) == (pytest.approx(3.33e-6), pytest.approx(1e-6))
    ratios = [b / a for a, b in itertools.pairwise(rates[:280])]
    assert max(ratios) == pytest.approx(min(ratios))
    warm = [schedule.learning_rate(phases, 9, step, 300) for step in range(12)]
    assert warm[0] == pytest.approx(rates[0] / 10)
    assert warm[9:] == pytest.approx(rates[9:12])


def test_every_frame_is_seen_once_an_epoch_and_resume_skips_nothing():
    whole = list(schedule.pieces(10, 3, seed=5, first=0, steps=7))
    assert [len(piece) for piece in whole] == [3] * 7
    first = torch.cat(whole[:3])
    assert len(set(first.tolist())) == 9
    assert not torch.equal(first, torch.cat(whole[3:6]))
    for a, b in zip(whole[4:], schedule.pieces(10, 3, seed=5, first=4, steps=7), strict=True):
        assert torch.equal(a, b)


def test_milestones_and_spread():
    assert schedule.milestones(8, 2) == {4, 8}
    assert schedule.milestones(3, 10) == {1, 2, 3}
    assert schedule.spread(10, 4).tolist() == [0, 2, 5, 7]
    assert schedule.spread(3, 4).tolist() == [0, 1, 2]


def test_logs_are_plain_json(undisturbed):
    for line in (undisturbed / run_folder.LOG).read_text().splitlines():
        assert json.loads(line)["step"] > 0
