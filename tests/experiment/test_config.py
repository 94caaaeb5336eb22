"""Configurations survive JSON unchanged; what is misspelt, impossible or mistyped is refused by name."""

import json
import re
from dataclasses import FrozenInstanceError, replace

import pytest

from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import codec, config
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import FrameConfig, Phase, Profile, Resolution, TemporalConfig
from d3ke_lib.nets.losses import LossWeights


@pytest.mark.parametrize("profile", config.PROFILES.values(), ids=config.PROFILES)
def test_profiles_round_trip(profile):
    assert codec.from_values(Profile, codec.to_values(profile)) == profile


def test_defaults_are_the_paper():
    frame, temporal = FrameConfig(), TemporalConfig()
    assert (frame.backbone, frame.px, frame.batch, frame.epochs) == ("resnext50_32x4d", 256, 64, 30)
    assert [(p.start, p.end) for p in frame.phases] == [(5e-4, 3.33e-5), (3.33e-6, 1e-6)]
    assert frame.loss == LossWeights(1.0, 2.0, 0.1, 0.06)
    assert (frame.weight_decay, frame.center_striding, frame.every) == (1e-3, True, 2)
    assert (temporal.window, temporal.batch, temporal.epochs) == (243, 128, 50)
    assert temporal.phases == (Phase(1.0, 1e-3, 5e-6),)


def test_absent_fields_are_the_defaults():
    assert codec.from_values(FrameConfig, {"batch": 2}) == FrameConfig(batch=2)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (FrameConfig, {"bacth": 2}, "no field bacth; known: backbone, px, batch"),
        (FrameConfig, {"loss": {"angel": 1.0}}, "LossWeights has no field angel"),
        (FrameConfig, {"batch": "2"}, "FrameConfig.batch: expected int, found '2'"),
        (FrameConfig, {"batch": True}, "FrameConfig.batch: expected int, found True"),
        (FrameConfig, {"precision": "fp16"}, "FrameConfig.precision: unknown 'fp16'; known: fp32, bf16"),
        (FrameConfig, {"backbone": "vgg"}, "unknown backbone 'vgg'; known: resnet50"),
        (FrameConfig, {"weight_decay": float("nan")}, "FrameConfig.weight_decay"),
        (FrameConfig, {"phases": [{"share": 1.0}]}, "Phase"),
        (TemporalConfig, {"norm_momentum": [0.1]}, "expected 2 values, found 1"),
        (TemporalConfig, {"kind": "gru"}, "unknown temporal network 'gru'; known: transformer, tcn, lstm"),
    ],
)
def test_wrong_values_are_named(kind, values, message):
    with pytest.raises(D3keError, match=message):
        codec.from_values(kind, values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch must be 1 or more"),
        ({"phases": (Phase(0.5, 1e-3, 1e-4),)}, "shares must sum to 1"),
        ({"phases": (Phase(1.0, 1e-3, 0.0),)}, "above 0"),
        ({"resolutions": (Resolution(0.5, 48),)}, "must grow to 1.0"),
    ],
)
def test_impossible_values_are_refused(change, message):
    with pytest.raises(D3keError, match=message):
        replace(FrameConfig(), **change)


def test_unknown_profile_lists_the_known():
    with pytest.raises(D3keError, match="unknown profile 'tiny'; known: smoke, demo, gpu"):
        config.profile("tiny")


@pytest.mark.parametrize(("text", "seeds"), [("4", (4,)), ("0 1 2", (0, 1, 2)), ("7,3", (7, 3))])
def test_seeds_of_the_environment_are_taken(monkeypatch, text, seeds):
    monkeypatch.setenv("D3KE_SEEDS", text)
    assert config.profile("demo") == replace(config.DEMO, seeds=seeds)


@pytest.mark.parametrize("text", ["x", "1 1", "-1", "1.5 2", " "])
def test_wrong_seeds_are_refused(monkeypatch, text):
    monkeypatch.setenv("D3KE_SEEDS", text)
    with pytest.raises(D3keError, match=re.escape(f"each once, such as 0 1 2; found {text!r}")):
        config.profile("demo")


def test_configurations_are_frozen():
    with pytest.raises(FrozenInstanceError):
        FrameConfig().batch = 3


def test_fingerprint_is_of_what_comes_out():
    base = FrameConfig()
    stored = json.loads(json.dumps(codec.to_values(base)))
    assert codec.fingerprint(base) == codec.fingerprint(codec.from_values(FrameConfig, stored))
    assert codec.fingerprint(base) == codec.fingerprint(replace(base, workers=9, checkpoint_every=5))
    for change in ({"batch": 2}, {"loss": LossWeights(angle=0.01)}, {"weights": None}, {"ema": 0.9}):
        assert codec.fingerprint(base) != codec.fingerprint(replace(base, **change))
    assert codec.fingerprint(base, 1) != codec.fingerprint(base, 2)


def test_smoke_has_subjects_for_a_bootstrap_and_motions_longer_than_a_window():
    smoke = config.profile("smoke")
    assert smoke.data.test >= 3
    assert smoke.data.seconds * smoke.data.fps > smoke.temporal.window
    assert "resnext101_32x8d" in smoke.backbones


def test_every_profile_crops_exactly():
    for profile in config.PROFILES.values():
        assert profile.data.px / profile.data.margin == pytest.approx(profile.frame.px)
        assert (profile.data.px - profile.frame.px) % 2 == 0
    assert codec.to_values(DataConfig())["px"] == 360
