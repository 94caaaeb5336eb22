"""The expected time multiplies what trials take: numbers of frames are right, every stage is in it."""

import dataclasses
import json
import time
from pathlib import Path

import expected_time
import pytest
import stage_times
import torch
import toy

from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import config
from d3ke_lib.experiment.run.artifacts import REPOSITORY
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile

PROFILE = Profile("toy", DataConfig(px=46), toy.FRAME, toy.TEMPORAL, EvaluationConfig(batch=8), seeds=(0, 1))


@pytest.fixture
def trials(monkeypatch) -> None:
    """Trials that cost nothing: small networks, no rendering, imports of ten seconds."""
    toy.shrink(monkeypatch)
    images = torch.zeros(12, 3, toy.STORED, toy.STORED, dtype=torch.uint8)
    monkeypatch.setattr(
        expected_time.synthetic, "make_takes", lambda _, job, *__: iter([{job[1][0]: ({}, images)}])
    )
    monkeypatch.setattr(expected_time, "import_seconds", lambda: 10.0)


def test_recordings_are_counted_as_synthetic_frames():
    profile = next(each for each in config.PROFILES.values() if isinstance(each.data, BmlmoviConfig))
    stand_in = expected_time.stand_in(profile, 700_000)
    subjects = sum(len(found) for found in profile.data.splits.values())
    assert abs(stand_in.data.count_frames(range(1, subjects + 1)) - 700_000) < subjects * 29 * 2


@pytest.mark.usefixtures("trials")
def test_every_notebook_is_expected():
    minutes = expected_time.calibrate(PROFILE)
    notebooks = {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    assert {stage.partition(".")[0] for stage in minutes} == notebooks | {"report"}
    assert {stage for stage in minutes if "." in stage} == {
        f"{stage}.{backbone}"
        for stage in ("04_frame", "05_temporal.transformer")
        for backbone in ("resnext50_32x4d", "resnext101_32x8d")
    }
    assert all(value > 0.05 for value in minutes.values())  # each starts a Python at least


@pytest.mark.usefixtures("trials")
def test_time_grows_with_the_work():
    longer = dataclasses.replace(toy.FRAME, images=1000 * toy.FRAME.images)
    short, long = (expected_time.frame_seconds(each, PROFILE)[0] for each in (toy.FRAME, longer))
    assert long > 20 * short


def test_load_on_the_machine_changes_little():
    """Processor time of one thread: a sleep, as of a process that waits for its turn, is not counted."""
    _, seconds = expected_time.timed(lambda: time.sleep(0.2), torch.device("cpu"))
    assert seconds < 0.05


def test_the_table_ends_with_the_sum():
    text = expected_time.table({"02_data": 1.5, "04_frame.x": 2.25}, runs=2)
    assert text.splitlines() == [
        "02_data         1.5 min",
        "04_frame.x      2.2 min × 2 runs",
        "all             6.0 min",
    ]


# --- what is left, by what earlier stages took ------------------------------------------------------------


@pytest.fixture
def stages(tmp_path, monkeypatch) -> list[Path]:
    """Three stages of a call of make, expected to take 1, 10 and 20 minutes."""
    names = ("02_data", "04_frame.resnext50_32x4d.7", "05_temporal.tcn.resnext50_32x4d.7")
    listed = [tmp_path / "notebooks" / f"{name}.ipynb" for name in names]
    minutes = {
        "02_data": 1.0,
        "04_frame.resnext50_32x4d": 10.0,
        "05_temporal.transformer.resnext50_32x4d": 20.0,
    }
    (tmp_path / "expected_time.json").write_text(json.dumps({"minutes": minutes}))
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("D3KE_STAGES", " ".join(map(str, listed)))
    return listed


def carry_out(stage: Path, minutes: float) -> None:
    stage.write_text(json.dumps({"metadata": {"papermill": {"duration": 60 * minutes}}}))


def test_stages_are_counted_and_timed(stages):
    assert stage_times.position(stages[0]) == "stage 1 of 3, about 60 s; 31 min left for all: "
    carry_out(stages[0], 5.0)  # a small stage says nothing of the machine
    assert stage_times.position(stages[1]) == "stage 2 of 3, about 10 min; 30 min left for all: "
    carry_out(stages[1], 28.0)  # 33 minutes instead of 11
    assert stage_times.position(stages[2]) == "stage 3 of 3, about 60 min; 60 min left for all: "


def test_without_make_or_expectation_nothing_is_promised(stages, monkeypatch):
    (stages[0].parents[1] / "expected_time.json").unlink()
    assert stage_times.position(stages[0]) == "stage 1 of 3: "
    monkeypatch.delenv("D3KE_STAGES")
    assert stage_times.position(stages[0]) == ""
