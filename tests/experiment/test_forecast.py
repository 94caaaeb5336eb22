"""A forecast multiplies what small trials took: the numbers of frames are right, every stage is in it."""

from dataclasses import replace

import pytest
import torch
import toy

from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import config
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile
from d3ke_lib.experiment.studies import expected_time
from d3ke_lib.experiment.studies.expected_time import Expected


def test_frames_of_the_demo():
    demo = config.profile("demo").data
    assert expected_time.frames(demo) == 108 * 21 * 2 * 20
    assert expected_time.frames(demo, 8) == 8 * 21 * 2 * 20


def test_the_trial_has_more_than_a_batch():
    for profile in config.PROFILES.values():
        if isinstance(profile.data, BmlmoviConfig):
            profile = expected_time.stand_in(profile, 700_000)
            assert abs(expected_time.frames(profile.data) - 700_000) < 84 * 21 * 2
        trial = expected_time.small_data(profile)
        assert profile.frame.batch < expected_time.frames(trial, trial.train) <= 2 * profile.frame.batch
        assert trial.validation == 1


@pytest.mark.usefixtures("small_networks")
def test_every_stage_is_expected_and_time_grows_with_the_work(tmp_path, monkeypatch):
    splits = {"train": [1], "validation": [2]}
    monkeypatch.setattr(expected_time.synthetic, "make", lambda _, out: toy.make_records(out, splits))
    pictures = torch.zeros(12, 3, toy.STORED, toy.STORED, dtype=torch.uint8)
    monkeypatch.setattr(expected_time.synthetic, "takes", lambda *_: iter([({}, pictures)]))
    profile = Profile(
        "toy", DataConfig(px=46), toy.FRAME, toy.TEMPORAL, EvaluationConfig(batch=8), seeds=(0, 1)
    )
    expected = expected_time.calibrate(profile, tmp_path)
    stages = [each.stage for each in expected]
    assert stages == [
        "data",
        "frame resnext50_32x4d",
        "answers resnext50_32x4d",
        "frame resnext101_32x8d",
        "answers resnext101_32x8d",
        "temporal transformer",
        "evaluation",
    ]
    assert all(each.minutes > 0 for each in expected)
    longer = replace(toy.FRAME, images=100 * toy.FRAME.images)
    before, _ = expected_time.frame_seconds(toy.FRAME, tmp_path / "data", tmp_path / "a", profile)
    after, _ = expected_time.frame_seconds(longer, tmp_path / "data", tmp_path / "a", profile)
    assert after > 10 * before


def test_the_table_ends_with_the_sum():
    text = expected_time.table([Expected("data", 1.5), Expected("frame x", 2.25)])
    assert text.splitlines() == ["data         1.5 min", "frame x      2.2 min", "all          3.8 min"]
