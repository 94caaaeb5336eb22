"""Each metric against values worked out by hand or by numpy and scipy, the groups against the names."""

import math

import numpy as np
import pytest
import scipy.spatial
import torch
from scipy.spatial.transform import Rotation

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.nets import metrics

JOINTS = (*D3KE.joints, *D3KE.leaf_joints)


@pytest.fixture(scope="module")
def skeleton(body_path) -> Skeleton:
    return Skeleton(load_osim(body_path), D3KE)


def some(seed: int, frames: int = 4) -> tuple[Pose, Points]:
    rng = np.random.default_rng(seed)
    pose = Pose(
        torch.tensor(rng.normal(size=(frames, 69))),
        torch.tensor(rng.uniform(0.8, 1.2, (frames, 48, 3))),
        torch.tensor(Rotation.random(frames, random_state=seed).as_matrix()),
    )
    return pose, Points(*(torch.tensor(rng.normal(size=(frames, n, 3))) for n in (50, 65)))


def test_every_coordinate_is_in_one_group():
    found = [i for prefixes in metrics.GROUPS.values() for i in metrics.members(D3KE.coordinates, prefixes)]
    assert sorted(found) == list(range(69))
    assert len(metrics.members(D3KE.coordinates, metrics.GROUPS["shoulder"])) == 8


def test_joint_sets_share_no_joint_and_leave_out_the_pelvis():
    found = [i for prefixes in metrics.JOINT_SETS.values() for i in metrics.members(JOINTS, prefixes)]
    assert sorted(found) == list(range(1, 50))


def test_markers_are_22_joints_of_smpl_43_on_the_skin_and_30_bony():
    assert list(metrics.SMPL_JOINTS) == list(D3KE.markers[:22])
    assert sum(weight == 20 for weight in D3KE.marker_ik_weight) == 30


def test_angle_errors_by_hand():
    true = torch.zeros(2, 3)
    predicted = torch.tensor([[math.pi / 2, 0, 0], [0, -math.pi, 0]])
    expected = torch.tensor([[90.0, 0, 0], [0, -180, 0]])
    torch.testing.assert_close(metrics.angle_errors_deg(predicted, true), expected)


def test_position_errors_by_hand():
    true = torch.zeros(1, 2, 3)
    predicted = torch.tensor([[[0.003, 0.004, 0], [0, 0, 1.0]]])
    torch.testing.assert_close(metrics.position_errors_mm(predicted, true), torch.tensor([[5.0, 1000.0]]))


def test_scale_errors_by_hand():
    true = torch.full((1, 2, 3), 2.0)
    predicted = true.clone()
    predicted[0, 0] += torch.tensor([0.1, -0.2, 0.3])
    assert metrics.scale_errors(predicted, true).item() == pytest.approx(0.3)
    assert metrics.scale_errors_percent(predicted, true).item() == pytest.approx(100 * 0.6 / 2 / 6)


@pytest.mark.parametrize("degrees", [0.0, 1e-3, 1.0, 90.0, 179.9, 180.0])
def test_rotation_error_is_the_angle_between(degrees):
    start = Rotation.random(5, random_state=1)
    axis = np.array([0.6, 0.0, 0.8])
    turned = start * Rotation.from_rotvec(np.radians(degrees) * axis)
    error = metrics.rotation_error_deg(torch.tensor(turned.as_matrix()), torch.tensor(start.as_matrix()))
    np.testing.assert_allclose(error.numpy(), degrees, atol=2e-6)


def test_procrustes_against_scipy_and_invariance():
    true, predicted = some(1)[1].joints, some(2)[1].joints
    ours = metrics.procrustes_errors_mm(predicted, true).square().sum(-1) / 1e6
    for i in range(len(true)):
        centred = true[i] - true[i].mean(0)
        # scipy reflects too: compare only where it does not
        turn, _ = scipy.linalg.orthogonal_procrustes(predicted[i] - predicted[i].mean(0), centred)
        if np.linalg.det(turn) > 0:
            disparity = scipy.spatial.procrustes(true[i].numpy(), predicted[i].numpy())[2]
            assert ours[i].item() == pytest.approx(disparity * centred.square().sum().item(), rel=1e-6)
    turn = torch.tensor(Rotation.random(4, random_state=3).as_matrix())
    moved = 1.7 * true @ turn + torch.tensor([1.0, 2.0, 3.0])
    assert metrics.procrustes_errors_mm(moved, true).max() < 1e-6
    mirrored = true * torch.tensor([-1.0, 1, 1])
    assert metrics.procrustes_errors_mm(mirrored, true).mean() > 100


def test_per_frame_against_numpy(skeleton):
    (pose, points), (true_pose, true_points) = some(1), some(2)
    found = metrics.per_frame((pose, points), (true_pose, true_points), skeleton)
    assert all(value.shape == (4,) for value in found.values())
    degrees = np.degrees((pose.angles - true_pose.angles).numpy())
    np.testing.assert_allclose(found["angle_mae_deg"], np.abs(degrees).mean(1))
    np.testing.assert_allclose(found["angle_mse_deg2"], (degrees**2).mean(1))
    delta = points.markers - points.joints[:, :1] - true_points.markers + true_points.joints[:, :1]
    distance = 1e3 * np.linalg.norm(delta.numpy(), axis=-1)
    bony = np.array(D3KE.marker_ik_weight) == 20
    np.testing.assert_allclose(found["mpblpe_mm"], distance[:, bony].mean(1))
    np.testing.assert_allclose(found["smpl_mm"], distance[:, :22].mean(1))
    np.testing.assert_allclose(found["surface_mm"], distance[:, 22:].mean(1))
    hips = np.abs(degrees[:, [27, 28, 29, 36, 37, 38]]).mean(1)
    np.testing.assert_allclose(found["angle_mae_deg/hip"], hips)


def test_where_the_camera_stands_changes_nothing(skeleton):
    prediction, (true_pose, true_points) = some(1), some(2)
    far = Points(*(points + torch.tensor([0.3, -1.0, 5.0]) for points in true_points))
    near = metrics.per_frame(prediction, (true_pose, true_points), skeleton)
    moved = metrics.per_frame(prediction, (true_pose, far), skeleton)
    for name, value in near.items():
        torch.testing.assert_close(moved[name], value)


def test_a_perfect_prediction_has_no_error(skeleton):
    truth = some(5)
    for name, value in metrics.per_frame(truth, truth, skeleton).items():
        assert value.abs().max() < 1e-6, name


def test_shapes_that_differ_are_refused():
    with pytest.raises((AssertionError, TypeError)):
        metrics.position_errors_mm(torch.zeros(2, 3, 3), torch.zeros(2, 1, 3))
