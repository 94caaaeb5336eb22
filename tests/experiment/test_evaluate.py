"""results.json says what the answers are: against numpy and against answers whose errors are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.evaluation import evaluate
from d3ke_lib.experiment.evaluation.evaluate import MEAN_POSE, Method
from d3ke_lib.experiment.run import artifacts, log_table, stored_predictions
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile

CONFIG = EvaluationConfig(draws=200, batch=8, timing_batches=1)
BACKBONES = ("resnext50_32x4d", "resnext101_32x8d")


@pytest.fixture(scope="module")
def truth(toy_records):
    return FrameSet(toy_records, "test", default_skeleton()).labels()


def off_by(truth, degrees: float):
    """An answer whose every angle is too large by so much, all else right."""
    pose = truth.pose._replace(angles=truth.pose.angles + np.radians(degrees))
    return pose, truth.points


def test_scores_are_a_subject_s_means(truth):
    answer = stored_predictions.points_of(default_skeleton(), truth.pose)
    per_subject = torch.tensor([{5: 1.0, 6: 2.0, 7: 6.0}[s] for s in truth.subject.tolist()])
    pose = truth.pose._replace(angles=truth.pose.angles + torch.deg2rad(per_subject)[:, None])
    scores = evaluate.score((pose, answer), truth, default_skeleton())
    np.testing.assert_allclose(scores["angle_mae_deg"], [1, 2, 6], rtol=1e-4)
    np.testing.assert_allclose(scores["angle_rmse_deg"], [1, 2, 6], rtol=1e-4)
    np.testing.assert_allclose(scores["angle_mae_deg/hip"], [1, 2, 6], rtol=1e-4)
    np.testing.assert_allclose(scores["mpblpe_mm"], 0, atol=1e-2)
    assert "angle_mse_deg2" not in scores


def test_rmse_is_the_root_of_the_mean_square_not_a_mean_of_roots(truth):
    error = torch.tensor([0.0, 4.0])[torch.arange(len(truth.time)) % 2]
    pose = truth.pose._replace(angles=truth.pose.angles + torch.deg2rad(error)[:, None])
    scores = evaluate.score((pose, truth.points), truth, default_skeleton())
    np.testing.assert_allclose(scores["angle_mae_deg"], 2, rtol=1e-3)
    np.testing.assert_allclose(scores["angle_rmse_deg"], 8**0.5, rtol=1e-3)


def test_coordinates(truth):
    found = evaluate.by_coordinate(off_by(truth, 3)[0], truth, default_skeleton())
    assert list(found) == list(default_skeleton().coordinates)
    knee = found["knee_angle_r"]
    assert knee["mae_deg"] == pytest.approx(3, rel=1e-3)
    assert knee["bias_deg"] == pytest.approx(3, rel=1e-3)
    assert knee["r"] == pytest.approx(1, abs=1e-4)
    assert len(knee["by_subject_deg"]) == 3


def test_mean_pose_is_the_best_constant_in_squared_error(toy_records):
    train = FrameSet(toy_records, "train", default_skeleton()).labels()
    pose, points = evaluate.mean_pose(train, len(train.time))

    def squared(angles, joints) -> tuple[float, float]:
        true = evaluate.relative(train.points)
        return ((angles - train.pose.angles) ** 2).mean(), ((joints - true.joints) ** 2).mean()

    best = squared(pose.angles, points.joints)
    moved = squared(pose.angles + 0.01, points.joints + 0.01)
    assert best[0] < moved[0]
    assert best[1] < moved[1]
    torch.testing.assert_close(pose.R_ground_root[0], toy.FACING, atol=1e-5, rtol=0)


def test_mean_rotation_is_a_rotation_even_of_scattered_ones(truth):
    turns = torch.linalg.qr(torch.randn(len(truth.time), 3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turns = turns * torch.linalg.det(turns).sign()[:, None, None]
    scattered = replace(truth, pose=truth.pose._replace(R_ground_root=turns))
    R = evaluate.mean_pose(scattered, 1)[0].R_ground_root[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(R) > 0


def test_comparisons_are_paired_and_of_means_over_seeds(truth):
    answers = {
        Method("frame", "resnext50_32x4d", 0): off_by(truth, 4),
        Method("frame", "resnext50_32x4d", 1): off_by(truth, 6),
        Method("frame", "resnext101_32x8d", 0): off_by(truth, 3),
        Method("frame", "resnext101_32x8d", 1): off_by(truth, 3),
    }
    scores = {method: evaluate.score(answer, truth, default_skeleton()) for method, answer in answers.items()}
    found = evaluate.results(truth, answers, scores, default_skeleton(), CONFIG)
    between = found["comparisons"][0]
    assert (between["first"], between["second"]) == ("frame/resnext50_32x4d", "frame/resnext101_32x8d")
    angle = between["metrics"]["angle_mae_deg"]
    assert angle["mean"] == pytest.approx(-2, rel=1e-3)
    assert angle["n"] == 3
    assert found["settings"]["frame/resnext50_32x4d"]["seeds"]["angle_mae_deg"] == pytest.approx(
        [4, 6], rel=1e-3
    )
    # The training scores given here are the test scores: no network overfits.
    assert found["overfitting"]["frame/resnext50_32x4d"]["gap"]["mean"] == pytest.approx(0, abs=1e-9)


def test_every_pair_is_named_once():
    methods = [Method("frame", b, s) for b in BACKBONES for s in (0, 1)]
    methods += [Method("temporal", b, s, "tcn") for b in BACKBONES for s in (0, 1)]
    pairs = evaluate.pairs(methods)
    assert len(pairs) == len(set(pairs)) == 6
    assert ("frame/resnext50_32x4d", "temporal/tcn.resnext50_32x4d") in pairs
    assert ("temporal/tcn.resnext50_32x4d", "temporal/tcn.resnext101_32x8d") in pairs


def test_numbers_are_json_and_short():
    value = {"a": np.float32(1 / 3), "b": [np.int64(2), None, "x"], "c": np.array([1e-9, 123456789.0])}
    assert evaluate.rounded(value) == {"a": 0.333333, "b": [2, None, "x"], "c": [1e-9, 123457000.0]}
    assert json.dumps(evaluate.rounded(value))


# --- the whole pipeline on toy records ---


@pytest.fixture(scope="module")
def evaluated(toy_records, tmp_path_factory):
    """A profile of two backbones and a refiner, all toys, through every stage."""
    profile = Profile("toy", DataConfig(), toy.FRAME, toy.TEMPORAL, CONFIG, seeds=(0, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("D3KE_OUT", str(tmp_path_factory.mktemp("out")))
        toy.shrink(patch)
        patch.setattr(pipeline, "data", lambda experiment: toy_records)
        path = pipeline.evaluate(profile)
        again = path.stat().st_mtime_ns
        assert pipeline.evaluate(profile).stat().st_mtime_ns == again  # done once
        return profile, path


def test_results_have_every_method_setting_and_cost(evaluated):
    results = artifacts.read_json(evaluated[1])
    runs = {f"frame/{b}.{s}" for b in BACKBONES for s in (0, 1)}
    refined = {f"temporal/transformer.{b}.{s}" for b in BACKBONES for s in (0, 1)}
    assert set(results["methods"]) == {MEAN_POSE} | runs | refined
    assert set(results["settings"]) == {name.rpartition(".")[0] for name in runs | refined} | {MEAN_POSE}
    assert set(results["overfitting"]) == {f"frame/{b}" for b in BACKBONES}
    assert set(results["cost"]["training"]) == runs | refined
    assert results["synthetic"] is True
    assert results["subjects"] == toy.SPLITS["test"]
    assert results["data"]["counts"]["test"]["subjects"] == 3
    assert len(results["comparisons"]) == 1 + 1 + 2 + 2


def test_every_summary_is_its_subjects_mean_within_its_interval(evaluated):
    results = artifacts.read_json(evaluated[1])
    for method in results["methods"].values():
        for name, summary in method["summary"].items():
            assert name in results["metrics"]
            assert summary["mean"] == pytest.approx(np.mean(method["subjects"][name]), rel=1e-4)
            assert summary["low"] <= summary["mean"] <= summary["high"]


def test_results_name_no_machine_and_no_path(evaluated):
    text = evaluated[1].read_text()
    assert "/tmp" not in text
    assert "/home" not in text
    assert str(artifacts.REPOSITORY) not in text


def test_test_answers_are_there_for_the_figures(evaluated):
    _, path = evaluated
    for run in ("frame/resnext50_32x4d.0", "temporal/transformer.resnext101_32x8d.1"):
        folder = path.parent / run
        identity = stored_predictions.identity(artifacts.read_json(folder / "run.json"))
        pose = stored_predictions.load(folder, "test", toy.SPLITS["test"], identity, default_skeleton())
        assert len(pose.angles) == 36


def test_logs_become_tables(evaluated):
    table = log_table.table(evaluated[1].parent / "frame" / "resnext50_32x4d.0", "a run")
    assert {"lr", "total", "joint", "per_second", "validation/angle_mae_deg"} <= set(table.quantity)
    totals = table[table.quantity == "total"]
    assert totals["thousand items"].tolist() == [step * 4 / 1000 for step in totals.step]


def test_costs_are_the_network_s(evaluated):
    cost = artifacts.read_json(evaluated[1])["cost"]
    frame = cost["networks"]["frame/resnext50_32x4d"]
    # One convolution 3·8·8 → 2048 and one 2048 → 126, both on a map of 2 × 2 (2 × 2 cells of 16 px).
    assert frame["parameters"] == 3 * 64 * 2048 + 2048 + 2 * 2048 + 2048 * 126 + 126
    convolutions = 4 * (3 * 64 * 2048 + 2048 * 126)
    assert convolutions <= frame["multiply_adds"] < 1.2 * convolutions  # the rest: the skeleton's products
    assert cost["training"]["frame/resnext50_32x4d.0"]["items"] == 32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pipeline.data("tiny"), "unknown profile 'tiny'; known: smoke, demo, gpu"),
        (lambda: pipeline.frame("smoke", "vgg16"), "unknown backbone 'vgg16'; known: resnet50"),
        (lambda: pipeline.temporal("smoke", "resnet50", "gru"), "unknown temporal network 'gru'"),
        (lambda: pipeline.evaluate("smoke", "gru"), "unknown temporal network 'gru'"),
    ],
)
def test_unknown_names_end_before_anything_is_made(call, message, tmp_path, monkeypatch):
    monkeypatch.setenv("D3KE_OUT", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        call()
    assert list(tmp_path.iterdir()) == []
