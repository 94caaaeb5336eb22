"""The errors next to D3KE's mean over 69 coordinates, each against a value known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.evaluation import frame_errors, scores
from d3ke_lib.experiment.evaluation.conditions import MIXTURES, SEEN, UNSEEN, find_conditions


@pytest.fixture(scope="module")
def test(toy_records):
    return FrameSet(toy_records, "test", default_skeleton())


@pytest.fixture(scope="module")
def truth(test):
    moving = frame_errors.find_moving(test.labels().pose.angles)
    masks = {"first half": torch.arange(len(test)) % 12 < 6}
    return frame_errors.describe_truth(test.labels(), test.cameras, moving, masks, default_skeleton())


def errors(truth, **changes) -> dict:
    """Of the truth with some part of its pose changed."""
    labels = truth.labels
    prediction = labels.pose._replace(**changes), labels.points
    return frame_errors.errors_by_frame(prediction, truth, default_skeleton())


def turn(degrees: float, axis: torch.Tensor) -> torch.Tensor:
    return torch.tensor(Rotation.from_rotvec(math.radians(degrees) * axis.numpy()).as_matrix()).float()


def test_the_truth_has_no_error(truth):
    for name, values in errors(truth).items():
        assert values[values.isfinite()].abs().max() < 0.05, name


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 0.0, 45.0, 179.0])
def test_yaw_error_is_signed_and_about_the_vertical(truth, degrees):
    up = torch.nn.functional.normalize(torch.tensor([0.1, -0.9, 0.3]), dim=0)
    true = truth.labels.pose.R_ground_root
    found = frame_errors.yaw_errors_deg(turn(degrees, up) @ true, true, up.expand(len(true), 3))
    torch.testing.assert_close(found, torch.full_like(found, degrees), atol=0.05, rtol=0)


def test_a_tilt_is_no_yaw_error(truth):
    true, up = truth.labels.pose.R_ground_root, torch.tensor([0.0, -1.0, 0.0])
    tilted = turn(50, torch.tensor([1.0, 0.0, 0.0])) @ true
    assert frame_errors.yaw_errors_deg(tilted, true, up.expand(len(true), 3)).abs().max() < 0.01


def test_frames_that_face_the_wrong_way_are_counted(truth):
    R = truth.labels.pose.R_ground_root.clone()
    R[::4] = turn(120, torch.tensor([0.0, 1.0, 0.0])) @ R[::4]
    found = errors(truth, R_ground_root=R)["turned_percent"]
    assert found.mean() == pytest.approx(25)
    histogram = scores.yaw_histograms(Pose(*truth.labels.pose[:2], R), truth)
    assert list(histogram) == ["PG1"]
    assert sum(histogram["PG1"]) == pytest.approx(100)
    assert max(histogram["PG1"][11:13]) >= 50  # beside 0°


def test_only_the_humerus_direction_counts_not_the_rotation_about_it(truth):
    skeleton, pose = default_skeleton(), truth.labels.pose
    angles = pose.angles.clone()
    angles[:, skeleton.coordinates.index("elbow_flexion")] += 0.3
    angles[:, skeleton.coordinates.index("hip_flexion_r")] += 0.3
    assert errors(truth, angles=angles)["humerus_deg"].max() < 0.1
    angles[:, skeleton.coordinates.index("shoulder_elv")] += math.radians(20)
    found = errors(truth, angles=angles)["humerus_deg"]
    assert found.mean() == pytest.approx(10, rel=0.05)  # the mean over both arms, of which one is off


def test_direction_error_by_hand():
    x, y = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    found = [float(frame_errors.direction_errors_deg(x, other)) for other in (x, y, -x)]
    assert found == pytest.approx([0, 90, 180])


def test_size_and_proportions_are_apart(truth):
    scales = truth.labels.pose.scales
    larger = errors(truth, scales=1.1 * scales)
    np.testing.assert_allclose(larger["size_percent"], 100 * math.log(1.1), rtol=1e-4)
    assert larger["proportions_percent"].max() < 1e-3
    factors = torch.ones_like(scales)
    factors[:, ::2], factors[:, 1::2] = 1.1, 1 / 1.1  # 48 bodies: as many of each
    uneven = errors(truth, scales=factors * scales)
    assert uneven["size_percent"].max() < 0.5
    np.testing.assert_allclose(uneven["proportions_percent"], 100 * math.log(1.1), rtol=0.05)


def test_a_subjects_size_should_not_change(truth):
    scales = truth.labels.pose.scales * torch.tensor([0.9, 1.1])[torch.arange(36) % 2][:, None, None]
    prediction = truth.labels.pose._replace(scales=scales), truth.labels.points
    found = scores.score(prediction, truth, default_skeleton())[scores.ALL]
    spread = 100 * (math.log(1.1) - math.log(0.9)) / 2
    np.testing.assert_allclose(found["size_sd_percent"], spread, rtol=1e-3)


def test_acceleration_is_the_second_difference_within_a_motion(truth):
    labels = truth.labels
    frames = torch.arange(36) % 6
    shaken = 0.001 * torch.tensor([1.0, -1.0])[frames % 2]  # ± 1 mm from frame to frame, at 10 Hz
    joints = labels.points.joints.clone()
    joints[:, 1:, 0] += shaken[:, None]
    found = frame_errors.acceleration_errors(Points(joints, labels.points.markers), labels)
    ends = (frames == 0) | (frames == 5)
    assert found[ends].isnan().all()
    np.testing.assert_allclose(
        found[~ends], 0.4 * 49 / 50, rtol=1e-3
    )  # 4 · 1 mm / (0.1 s)²; joint 0 is still


def test_coordinates_move_by_the_stated_rule():
    angles = torch.deg2rad(torch.tensor([[0.0, 0.0], [9.0, 11.0]])).repeat(50, 1)
    assert frame_errors.find_moving(angles).tolist() == [False, True]


def test_skill_is_one_less_the_share_of_the_mean_poses_error(truth):
    def off(degrees: float) -> tuple:
        pose = truth.labels.pose
        return pose._replace(angles=pose.angles + math.radians(degrees)), truth.labels.points

    constant = scores.score(off(8), truth, default_skeleton())
    assert scores.SKILL not in constant[scores.ALL]
    found = scores.score(off(2), truth, default_skeleton(), constant)
    assert list(found) == ["all", "first half"]
    for each in found.values():
        np.testing.assert_allclose(each[scores.SKILL], 75, rtol=1e-3)
    assert set(found["first half"]) == set(scores.BY_CONDITION)


def test_conditions_are_actions_mixtures_and_cameras(test):
    assert find_conditions(test, ("bow",)).keys() == {SEEN, UNSEEN}
    assert find_conditions(test, ("bow", "wave")) == {}  # one camera, and nothing unseen
    found = find_conditions(test, ("bow",))[UNSEEN]
    assert [test.actions[i] for i in test.labels().action[found].unique()] == ["wave"]


def test_a_condition_that_a_subject_lacks_is_left_out(test, monkeypatch):
    labels = test.labels()
    some = torch.where(labels.subject == 5, 0, labels.action)  # subject 5 only bows
    monkeypatch.setattr(test, "labels", lambda: replace(labels, action=some))
    assert find_conditions(test, ("bow",)).keys() == {SEEN}


def test_mixtures_are_seen_and_a_condition_of_their_own(test, monkeypatch):
    monkeypatch.setattr(test, "actions", ("kicking", "mixture"))
    found = find_conditions(test, ("walking", "mixture"))
    assert found.keys() == {SEEN, UNSEEN, MIXTURES}
    assert torch.equal(found[MIXTURES], found[SEEN])
