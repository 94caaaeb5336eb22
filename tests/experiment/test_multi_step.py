"""The multi-step pipeline: points from a network, refined by another, poses by inverse kinematics."""

import os
import pickle
from dataclasses import replace

import pytest
import torch
import toy

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import measure
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.evaluation.measure import Trained
from d3ke_lib.experiment.run import artifacts, forward, inverse_kinematics, run_folder, stored_predictions
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.experiment.run.train_temporal import train_temporal
from d3ke_lib.files import D3keError
from d3ke_lib.nets.losses import relative

SKELETON = default_skeleton()
FRAME = replace(toy.FRAME, head="points")
TEMPORAL = replace(toy.TEMPORAL, head="points", epochs=1)
EVALUATION = EvaluationConfig(batch=16, timing_batches=1)


@pytest.fixture(scope="module")
def points_run(toy_records, tmp_path_factory):
    """A trained network with the head points, and its predictions of training and validation subjects."""
    folder = tmp_path_factory.mktemp("multi_step") / "frame"
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        train_frame(FRAME, toy_records, folder, 1, SKELETON)
        for split, subjects in {"train": [1, 2], "validation": [4]}.items():
            forward.predict_frames(folder, toy_records, split, subjects, SKELETON)
    return folder


def test_the_head_points_is_trained_by_positions_alone(points_run):
    lines = [line for line in artifacts.read_log(points_run / run_folder.LOG) if "total" in line]
    for line in lines:
        assert line["body"] == line["angle"] == 0
        assert line["total"] == pytest.approx(line["joint"] + 2 * line["marker"], rel=1e-5)
    assert lines[-1]["total"] < lines[0]["total"]
    assert set(artifacts.read_json(points_run / run_folder.RESULT)["validation"]) == {
        "mpblpe_mm",
        "mpjpe_mm",
        "smpl_mm",
        "surface_mm",
        "pa_mpjpe_mm",
    }


def test_stored_points_are_the_network_s_relative_to_the_pelvis(points_run, toy_records, small_networks):
    net, config = forward.load_frame_net(points_run, SKELETON)
    frames = FrameSet(toy_records, "validation", SKELETON)
    direct = stored_predictions.predict(net, frames, torch.arange(len(frames)), config.px, "fp32", batch=5)
    identity = stored_predictions.identity(artifacts.read_json(points_run / run_folder.RESULT))
    stored = stored_predictions.load(points_run, "validation", [4], identity, SKELETON)
    assert isinstance(stored, Points)
    for one, other in zip(direct, stored, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    assert (stored.joints[:, 0] == 0).all()


@pytest.mark.parametrize("kind", ["transformer", "tcn", "lstm"])
def test_points_are_refined_over_time(points_run, toy_records, tmp_path, small_networks, kind):
    config = replace(TEMPORAL, kind=kind)
    train_temporal(config, toy_records, points_run, tmp_path / kind, 1, SKELETON)
    forward.predict_windows(tmp_path / kind, points_run, toy_records, "validation", [4], SKELETON)
    identity = stored_predictions.identity(artifacts.read_json(tmp_path / kind / run_folder.RESULT))
    refined = stored_predictions.load(tmp_path / kind, "validation", [4], identity, SKELETON)
    assert isinstance(refined, Points)
    assert refined.markers.shape == (len(FrameSet(toy_records, "validation")), 65, 3)


def test_a_refiner_of_poses_refuses_points(points_run, toy_records, tmp_path, small_networks):
    with pytest.raises(D3keError, match="expected a network with the head pose, found points"):
        train_temporal(toy.TEMPORAL, toy_records, points_run, tmp_path / "run", 1, SKELETON)


def test_poses_are_stored_once_and_loaded_as_a_network_s(points_run, toy_records, monkeypatch):
    inverse_kinematics.solve_points(points_run, toy_records, "validation", [4], SKELETON)
    pose = inverse_kinematics.load_poses(points_run, "validation", [4], SKELETON)
    assert isinstance(pose, Pose)
    assert (pose.scales == pose.scales[0]).all()
    low, high = SKELETON.ranges.unbind(-1)
    assert ((pose.angles >= low - 1e-5) & (pose.angles <= high + 1e-5)).all()
    monkeypatch.setattr(inverse_kinematics, "find_poses", lambda *_: pytest.fail("solved again"))
    inverse_kinematics.solve_points(points_run, toy_records, "validation", [4], SKELETON)


def test_many_subjects_are_solved_in_processes_with_the_same_poses(points_run, toy_records, monkeypatch):
    alone = inverse_kinematics.load_poses(points_run, "validation", [4], SKELETON)
    stored_predictions.path_of(points_run / inverse_kinematics.FOLDER, "validation", 4).unlink()
    monkeypatch.setattr(inverse_kinematics, "_ALONE", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(inverse_kinematics, "run_jobs", through_pickle)
    inverse_kinematics.solve_points(points_run, toy_records, "validation", [4], SKELETON)
    for one, other in zip(alone, inverse_kinematics.load_poses(points_run, "validation", [4], SKELETON)):
        assert torch.equal(one, other)


def through_pickle(task, jobs, workers, *constants):
    """What run_jobs does, without the processes."""
    assert workers == 2
    for job in jobs:
        there, known, what = pickle.loads(pickle.dumps((task, constants, job)))  # noqa: S301 (our own)
        yield there(*known, what)


def test_multi_step_is_evaluated_as_any_other_method(points_run, toy_records, small_networks):
    profile = Profile("toy", DataConfig(train=3, validation=1, test=3), FRAME, TEMPORAL, EVALUATION)
    method = Method("frame", "resnext50_32x4d@points", 1)
    run = Trained(points_run, artifacts.read_json(points_run / run_folder.RESULT), points_run)
    predictions = dict(measure.predict_runs(profile, toy_records, {method: run}, SKELETON))
    pose, points = predictions[method]
    truth = FrameSet(toy_records, "test", SKELETON).labels()
    assert pose.angles.shape == truth.pose.angles.shape
    torch.testing.assert_close(points.markers, SKELETON(pose).markers, atol=1e-5, rtol=0)


def test_a_network_that_predicts_poses_is_refused(toy_records, tmp_path, small_networks):
    train_frame(replace(toy.FRAME, images=4, validations=1), toy_records, tmp_path / "run", 1, SKELETON)
    with pytest.raises(D3keError, match="expected a network with the head points, found pose"):
        inverse_kinematics.solve_points(tmp_path / "run", toy_records, "validation", [4], SKELETON)


def test_true_points_give_the_true_pose(toy_records):
    """In camera axes, the pelvis joint at the origin; the mirrored redundancy of the shoulders is gone."""
    truth = FrameSet(toy_records, "test", SKELETON, subjects=[5]).labels()
    following = [SKELETON.coordinates.index(name) for name in ("shoulder1_r2", "shoulder1_r2_l")]
    drivers = [SKELETON.coordinates.index(name) for name in ("elv_angle", "elv_angle_l")]
    angles = truth.pose.angles.clone()
    angles[:, following] = -angles[:, drivers]
    true = truth.pose._replace(angles=angles)
    points = relative(SKELETON(true))
    coupled = inverse_kinematics.coupled_skeleton(SKELETON)
    found = inverse_kinematics.find_poses(SKELETON, coupled, points.markers, true.scales[0])
    assert torch.rad2deg(found.angles - angles).abs().mean() < 2
    torch.testing.assert_close(found.angles[:, following], -found.angles[:, drivers])
    there = relative(SKELETON(found))
    # Two markers without a weight follow the shoulders and say nothing.
    seen = SKELETON.marker_weights > 0
    torch.testing.assert_close(there.markers[:, seen], points.markers[:, seen], atol=2e-3, rtol=0)
    torch.testing.assert_close(found.R_ground_root, true.R_ground_root, atol=0.02, rtol=0)


def test_beliefs_keep_errors_of_points_from_ending_in_extreme_angles(toy_records):
    train, truth = (FrameSet(toy_records, split, SKELETON).labels() for split in ("train", "test"))
    coupled = inverse_kinematics.coupled_skeleton(SKELETON)
    draws = torch.Generator().manual_seed(0)
    markers = truth.points.markers + 0.05 * torch.randn(truth.points.markers.shape, generator=draws)
    noisy = Points(truth.points.joints, markers)
    noise = inverse_kinematics.choose_noise(SKELETON, coupled, train, noisy, truth)
    exact = inverse_kinematics.choose_noise(SKELETON, coupled, train, truth.points, truth)
    assert exact < noise
    beliefs = inverse_kinematics.learn_beliefs(SKELETON, coupled, train, noise)

    def error(*known: inverse_kinematics.Beliefs) -> float:
        how = (SKELETON, coupled, markers, SKELETON.generic_scales, *known)
        found = inverse_kinematics.find_poses(*how)
        return float(torch.rad2deg(found.angles - truth.pose.angles).abs().mean())

    assert error(beliefs) < 0.6 * error()


def test_a_body_without_the_coupler_is_named():
    body = replace(SKELETON.body, couplers=())
    with pytest.raises(D3keError, match=r"expected couplers of .*shoulder1_r2"):
        inverse_kinematics.coupled_skeleton(Skeleton(body, SKELETON.spec))
