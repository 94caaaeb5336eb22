"""The recipes are those of the notes, number by number."""

import dataclasses

import pytest

from d3ke_lib.data.augment_pixels import OccluderConfig
from d3ke_lib.experiment.run import artifacts, recipes
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import SMOKE, Phase
from d3ke_lib.experiment.run.recipes import RECIPES


def test_the_default_is_the_paper():
    frame, temporal = RECIPES["paper"]
    assert dataclasses.astuple(frame.loss) == (1.0, 2.0, 0.1, 0.06)
    assert (frame.backbone, frame.px, frame.batch, frame.epochs) == ("resnext50_32x4d", 256, 64, 30)
    assert frame.phases == (Phase(28 / 30, 5e-4, 3.33e-5), Phase(2 / 30, 3.33e-6, 1e-6))
    assert (frame.weight_decay, frame.every, frame.moved, frame.weights) == (1e-3, 2, 0.02, "imagenet")
    view, occluder = frame.augment.view, frame.augment.occluder
    assert (view.shift, view.zoom, view.roll_deg) == (0.10, (0.75, 1.25), 20.0)
    assert occluder == OccluderConfig()
    assert occluder.probability == 0.7
    assert (temporal.window, temporal.batch, temporal.epochs) == (243, 128, 50)
    assert temporal.phases == (Phase(1.0, 1e-3, 5e-6),)
    assert temporal.norm_momentum == (0.1, 0.001)
    assert (temporal.norm, temporal.causal, temporal.weight_decay) == ("L2", False, 0.0)


def test_the_released_code_differs_in_lambda_4_alone():
    for paper, released in zip(RECIPES["paper"], RECIPES["released"]):
        assert released.loss.angle == 0.01
        assert dataclasses.replace(released, loss=paper.loss) == paper


def test_a_profile_under_a_recipe_keeps_its_data():
    ours = recipes.by("released", SMOKE)
    assert (ours.name, ours.data, ours.frame.px) == ("smoke_released", SMOKE.data, 256)
    with pytest.raises(D3keError, match="unknown recipe 'blog'; known: paper, released"):
        recipes.by("blog", SMOKE)


def test_every_switch_of_the_deviations_is_a_field():
    rows = artifacts.read_json(artifacts.REPOSITORY / "data" / "deviations.json")
    said = " ".join(row["ours"] for row in rows)
    fields = {f.name for config in RECIPES["paper"] for f in dataclasses.fields(config)}
    for switch in (
        "optimizer",
        "norm",
        "squash",
        "center_striding",
        "mask_angles",
        "causal",
        "amsgrad",
        "weights",
    ):
        assert switch in fields
        assert switch in said
