"""results.json holds the predictions' errors: against numpy and predictions whose errors are known."""

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
from d3ke_lib.experiment.evaluation import comparisons, evaluate, frame_errors, measure, references, scores
from d3ke_lib.experiment.evaluation.action_means import Told
from d3ke_lib.experiment.evaluation.methods import Method, pairs
from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.report.method_names import methods_of
from d3ke_lib.experiment.run import artifacts, log_table, stored_predictions
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile
from d3ke_lib.nets.losses import relative

CONFIG = EvaluationConfig(batch=8, timing_batches=1)
BACKBONES = ("resnext50_32x4d", "resnext101_32x8d")


@pytest.fixture(scope="module")
def truth(toy_records):
    return FrameSet(toy_records, "test", default_skeleton()).labels()


@pytest.fixture(scope="module")
def described(truth):
    """With the first action in both conditions, and coordinates of which every second one moves."""
    moving = torch.arange(69) % 2 == 0
    masks = {"seen actions": truth.action == 0, "unseen actions": truth.action == 1}
    return frame_errors.describe_truth(truth, ("PG1",), moving, masks, default_skeleton())


def off_by(truth, degrees: float):
    """A prediction whose every angle is too large by so much, all else right."""
    pose = truth.pose._replace(angles=truth.pose.angles + np.radians(degrees))
    return pose, truth.points


def score_all(prediction, described) -> dict:
    return scores.score(prediction, described, default_skeleton())[scores.ALL]


def test_scores_are_a_subject_s_means(truth, described):
    points = stored_predictions.points_of(default_skeleton(), truth.pose)
    per_subject = torch.tensor([{5: 1.0, 6: 2.0, 7: 6.0}[s] for s in truth.subject.tolist()])
    pose = truth.pose._replace(angles=truth.pose.angles + torch.deg2rad(per_subject)[:, None])
    found = score_all((pose, points), described)
    for name in ("angle_mae_deg", "angle_rmse_deg", "angle_mae_deg/hip", "moving_mae_deg"):
        np.testing.assert_allclose(found[name], [1, 2, 6], rtol=1e-4)
    np.testing.assert_allclose(found["flexion_mae_deg/elbow"], [1, 2, 6], rtol=1e-4)
    np.testing.assert_allclose(found["mpblpe_mm"], 0, atol=1e-2)
    assert "angle_mse_deg2" not in found


def test_rmse_is_the_root_of_the_mean_square_not_a_mean_of_roots(truth, described):
    error = torch.tensor([0.0, 4.0])[torch.arange(len(truth.time)) % 2]
    pose = truth.pose._replace(angles=truth.pose.angles + torch.deg2rad(error)[:, None])
    found = score_all((pose, truth.points), described)
    np.testing.assert_allclose(found["angle_mae_deg"], 2, rtol=1e-3)
    np.testing.assert_allclose(found["angle_rmse_deg"], 8**0.5, rtol=1e-3)


def test_coordinates(truth):
    found = scores.by_coordinate(off_by(truth, 3)[0], truth, default_skeleton())
    assert list(found) == list(default_skeleton().coordinates)
    knee = found["knee_angle_r"]
    assert knee["mae_deg"] == pytest.approx(3, rel=1e-3)
    assert knee["bias_deg"] == pytest.approx(3, rel=1e-3)
    assert knee["r"] == pytest.approx(1, abs=1e-4)


def predict_references(records) -> tuple:
    """Their predictions for the training frames themselves, and those frames."""
    train = FrameSet(records, "train", default_skeleton())
    return predict(train.labels(), train.actions, train.labels(), train.actions), train.labels()


def predict(train, train_actions, test, test_actions) -> dict:
    return references.predict_references(
        train, test, tell(train, train_actions), tell(test, test_actions), default_skeleton()
    )


def tell(labels, names) -> Told:
    return Told([names[number] for number in labels.action.tolist()], [""] * len(labels.time))


def test_mean_and_median_are_the_best_constants(toy_records):
    found, train = predict_references(toy_records)
    mean, median = (found[name] for name in (MEAN_POSE, references.MEDIAN_POSE))

    def errors(prediction, power: int) -> tuple[float, float]:
        angles = (prediction[0].angles - train.pose.angles).abs() ** power
        return angles.mean(), ((prediction[1].joints - relative(train.points).joints).abs() ** power).mean()

    for ours, power, other in ((mean, 2, median), (median, 1, mean)):
        assert all(a < b for a, b in zip(errors(ours, power), errors(other, power), strict=True))
    torch.testing.assert_close(mean[0].R_ground_root[0], toy.FACING, atol=1e-5, rtol=0)


def test_the_action_mean_is_a_table_of_means(toy_records):
    found, train = predict_references(toy_records)
    pose, points = found[references.ACTION_MEAN]
    for action in range(len(toy.ACTIONS)):
        own = train.action == action
        expected = train.pose.angles[own].mean(0)
        torch.testing.assert_close(pose.angles[own], expected.expand(int(own.sum()), -1))
        joints = relative(train.points).joints[own].mean(0)
        torch.testing.assert_close(points.joints[own], joints.expand(int(own.sum()), -1, -1))


def test_an_action_that_training_lacks_gets_the_mean_pose(toy_records):
    train = FrameSet(toy_records, "train", default_skeleton())
    test = FrameSet(toy_records, "test", default_skeleton()).labels()
    found = predict(train.labels(), train.actions, test, ("juggle", train.actions[1]))
    unknown = test.action == 0
    table, mean = (found[name][0].angles for name in (references.ACTION_MEAN, MEAN_POSE))
    torch.testing.assert_close(table[unknown], mean[unknown])
    assert not torch.isclose(table[~unknown], mean[~unknown]).all()


def test_mean_rotation_is_a_rotation_even_of_scattered_ones(truth):
    turns = torch.linalg.qr(torch.randn(len(truth.time), 3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turns = turns * torch.linalg.det(turns).sign()[:, None, None]
    scattered = replace(truth, pose=truth.pose._replace(R_ground_root=turns))
    found = predict(scattered, toy.ACTIONS, truth, toy.ACTIONS)
    R = found[MEAN_POSE][0].R_ground_root[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(R) > 0


def test_comparisons_are_paired_and_of_means_over_seeds(truth, described):
    small, large = (Method("frame", backbone) for backbone in BACKBONES)
    predictions = {
        small._replace(seed=0): off_by(truth, 4),
        small._replace(seed=1): off_by(truth, 6),
        large._replace(seed=0): off_by(truth, 3),
        large._replace(seed=1): off_by(truth, 3),
    }
    trained = {m: scores.angle_by_subject(pose, truth) for m, (pose, _) in predictions.items()}
    found = evaluate.results(described, predictions.items(), trained, default_skeleton())
    between = found["comparisons"][0]
    assert (between["first"], between["second"]) == ("frame/resnext50_32x4d", "frame/resnext101_32x8d")
    angle = between["metrics"]["angle_mae_deg"]
    assert angle["mean"] == pytest.approx(-2, rel=1e-3)
    assert angle["n"] == 3
    assert angle["se_runs"] == pytest.approx(1, rel=1e-3)  # variances 2 and 0, pooled 1, over 2 runs each
    assert between["runs"]["angle_mae_deg"] == pytest.approx([-1, -3], rel=1e-3)
    assert between["conditions"]["unseen actions"]["angle_mae_deg"]["mean"] == pytest.approx(-2, rel=1e-3)
    setting = found["settings"]["frame/resnext50_32x4d"]
    assert setting["seeds"]["angle_mae_deg"] == pytest.approx([4, 6], rel=1e-3)
    assert setting["runs"] == 2
    # The training scores given here are the test scores: no network overfits.
    assert found["overfitting"]["frame/resnext50_32x4d"]["gap"]["mean"] == pytest.approx(0, abs=1e-9)


def entry(method: Method, angle: list[float]) -> dict:
    """What `summarise` needs of a method."""
    subjects = {"angle_mae_deg": np.array(angle)}
    return {**method._asdict(), "subjects": subjects, "conditions": {}}


def test_runs_are_compared_by_the_seeds_that_both_have():
    frame, refined = Method("frame", "a"), Method("temporal", "a", refiner="tcn")
    runs = [entry(frame._replace(seed=s), [5.0 + s, 6.0 + s]) for s in (0, 1, 2)]
    runs += [entry(refined._replace(seed=s), [4.0 + s, 5.0 + 3 * s]) for s in (2, 1)]
    found = comparisons.summarise(runs)["comparisons"][0]
    assert found["runs"]["angle_mae_deg"].tolist() == [0, 1]  # seeds 1 and 2
    assert found["metrics"]["angle_mae_deg"]["mean"] == pytest.approx(0.5)


def test_a_variant_is_a_network_of_its_own():
    trained = [Method("frame", backbone, 0) for backbone in ("a", "b", "a@longer")]
    named = [(first.setting, second.setting) for first, second in pairs(trained)]
    assert named[0] == ("frame/a", "frame/b")
    assert {("frame/a", "frame/a@longer"), ("frame/a@longer", "frame/b")} <= {*named}
    assert (references.ACTION_MEAN, "frame/a@longer") in named


def test_every_pair_is_named_once():
    methods = [Method("frame", b, s) for b in BACKBONES for s in (0, 1)]
    methods += [Method("temporal", b, s, "tcn") for b in BACKBONES for s in (0, 1)]
    names = [(first.setting, second.setting) for first, second in pairs(methods)]
    assert len(names) == len(set(names)) == 2 + 2 + 1 + 3 * 4
    assert names[0] == ("frame/resnext50_32x4d", "frame/resnext101_32x8d")
    assert ("frame/resnext50_32x4d", "temporal/tcn.resnext50_32x4d") in names
    assert ("temporal/tcn.resnext50_32x4d", "temporal/tcn.resnext101_32x8d") in names
    assert ("temporal/tcn.resnext50_32x4d", "frame/resnext101_32x8d") in names
    assert ("mean pose of the action", "temporal/tcn.resnext101_32x8d") in names


def test_a_summary_derived_anew_is_the_recorded_one(evaluated):
    results = artifacts.read_json(evaluated[1])
    ordered = {name: results["methods"][name] for name in methods_of(results)}
    again = evaluate.rounded(comparisons.summarise(ordered.values()))
    for first, second in zip(again["comparisons"], results["comparisons"], strict=True):
        assert (first["first"], first["second"]) == (second["first"], second["second"])
        for name, found in first["metrics"].items():
            assert found == pytest.approx(second["metrics"][name], rel=1e-3, abs=1e-4)


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
    assert set(results["methods"]) == {*references.REFERENCES} | runs | refined
    assert set(results["settings"]) == {name.rpartition(".")[0] for name in runs | refined} | {
        *references.REFERENCES
    }
    assert set(results["overfitting"]) == {f"frame/{b}" for b in BACKBONES}
    assert set(results["cost"]["training"]) == runs | refined
    assert results["synthetic"] is True
    assert results["subjects"] == toy.SPLITS["test"]
    assert results["data"]["counts"]["test"]["subjects"] == 3
    assert results["moving"]["threshold_deg"] == 5
    assert "knee_angle_r" in results["moving"]["coordinates"]
    assert len(results["comparisons"]) == 1 + 1 + 2 + 1 + 3 * 4


def test_every_summary_is_its_subjects_mean_within_its_interval(evaluated):
    results = artifacts.read_json(evaluated[1])
    for method in results["methods"].values():
        for name, summary in method["summary"].items():
            assert name in results["metrics"]
            assert summary["mean"] == pytest.approx(np.mean(method["subjects"][name]), rel=1e-4)
            assert summary["low"] <= summary["mean"] <= summary["high"]


def test_fewer_test_subjects_may_be_evaluated(toy_records, evaluated):
    profile, path = evaluated
    few = replace(profile, evaluation=replace(CONFIG, subjects=2))
    found = measure.measure(few, toy_records, {}, default_skeleton())
    assert found["subjects"] == toy.SPLITS["test"][:2]
    whole = artifacts.read_json(path)["methods"][MEAN_POSE]["subjects"]["angle_mae_deg"]
    assert found["methods"][MEAN_POSE]["subjects"]["angle_mae_deg"] == pytest.approx(whole[:2], rel=1e-4)
    with pytest.raises(ValueError, match="2 or more, found 1"):
        EvaluationConfig(subjects=1)


def test_results_name_no_machine_and_no_path(evaluated):
    text = evaluated[1].read_text()
    assert "/tmp" not in text
    assert "/home" not in text
    assert str(artifacts.REPOSITORY) not in text


def test_test_predictions_are_there_for_the_figures(evaluated):
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
