"""Inverse kinematics: what forward kinematics made comes back; OpenSim's own solver is no better."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from d3ke_lib.body.ik.initialise import unwind
from d3ke_lib.body.ik.linkage import links, posed, transmission
from d3ke_lib.body.ik.normal_equations import axes_of, equations
from d3ke_lib.body.ik.solve import Prior, UnseenFrames, prepare, solve
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.motion_files import Trajectories, read_mot, write_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE

FRAMES, RATE = 24, 60.0


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return Skeleton(load_osim(BODY_FILE)).double()


def motion(skeleton: Skeleton, width: float, seed: int = 0) -> Tensor:
    """Every coordinate swings about the middle of its range; the root turns and walks."""
    draws = np.random.default_rng(seed)
    low, high = skeleton.ranges.unbind(-1)
    wide = high - low > 6.3
    middle = torch.where(wide, 0.0, (low + high) / 2)
    half = torch.where(wide, 1.0, (high - low) / 2)
    time = torch.arange(FRAMES, dtype=torch.float64)[:, None] / RATE
    rate, phase = (torch.from_numpy(draws.uniform(*r, len(low))) for r in ((0.2, 1.0), (0, 2 * math.pi)))
    return middle + width * half * torch.sin(2 * math.pi * rate * time + phase)


def markers_at(skeleton: Skeleton, angles: Tensor) -> Tensor:
    return skeleton(Pose(angles, skeleton.generic_scales)).markers


def rms(difference: Tensor) -> float:
    return float(difference.square().sum(-1).mean().sqrt())


@pytest.mark.parametrize("model", ["ours", "released"])
def test_normal_equations_equal_the_jacobians(model, request, skeleton):
    if model == "released":  # slides that scale, couplers, tilted frames
        path = request.getfixturevalue("shared") / "assets/d3ke/full_body_wo_hands.osim"
        skeleton = Skeleton(load_osim(path)).double()
    tied = {c.dependent for c in skeleton.body.couplers if c.enforced}
    free = torch.tensor([i for i, n in enumerate(skeleton.coordinates) if n not in tied])
    angles = 0.3 * torch.randn(2, len(skeleton.coordinates), dtype=torch.float64)
    scales = skeleton.generic_scales * (0.8 + 0.4 * torch.rand(2, len(skeleton.bodies), 3))
    target, weight = torch.randn(2, len(skeleton.markers), 3).double(), torch.rand(2, len(skeleton.markers))
    weight = weight.double()
    drive, link = transmission(skeleton, free.tolist(), angles[0]), links(skeleton, scales)
    axes = axes_of(skeleton, drive, [skeleton.coordinates[i] for i in free])
    at = posed(skeleton, drive, link, angles[:, free])
    found = equations(skeleton, axes, link, at, target.permute(2, 1, 0), weight.T)

    def markers(unknown: Tensor, angles: Tensor, scales: Tensor) -> Tensor:
        return skeleton(Pose(angles.index_copy(0, free, unknown), scales)).markers.flatten()

    for row in range(2):
        inputs = (angles[row, free], angles[row], scales[row])
        J = torch.func.jacrev(markers)(*inputs)
        W = weight[row].repeat_interleave(3)
        residual = target[row].flatten() - markers(*inputs)
        torch.testing.assert_close(found.hessian[row], J.T @ (W[:, None] * J), rtol=0, atol=1e-10)
        torch.testing.assert_close(found.descent[row], J.T @ (W * residual), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finds_the_pose_that_made_the_markers(skeleton, dtype):
    layer = Skeleton(skeleton.body).to(dtype)
    markers = markers_at(skeleton, motion(skeleton, 0.5)).to(dtype)
    pose, residuals = solve(layer, markers)
    assert pose.angles.dtype == dtype
    assert residuals.converged.all()
    assert residuals.rms.max() < 1e-4
    torch.testing.assert_close(markers_at(layer, pose.angles), markers, rtol=0, atol=3e-4)


def test_a_turned_and_distant_body(skeleton):
    about_y = torch.tensor([[-0.8, 0, 0.6], [0, 1.0, 0], [-0.6, 0, -0.8]], dtype=torch.float64)
    markers = markers_at(skeleton, motion(skeleton, 0.3)) @ about_y.T + torch.tensor([15.0, 1.0, -18.0])
    _, residuals = solve(skeleton, markers)
    assert residuals.converged.all()
    assert residuals.rms.max() < 1e-4


def test_a_spec_gets_its_root_rotation():
    layer = default_skeleton().double()
    low, high = layer.ranges.unbind(-1)
    angles = ((low + high) / 2 + 0.2 * (high - low) / 2).expand(3, -1)
    R = torch.linalg.qr(torch.randn(3, 3, 3, dtype=torch.float64))[0]
    R = R * torch.det(R)[:, None, None]
    pose = Pose(angles, layer.generic_scales.expand(3, -1, -1), R)
    place = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found, residuals = solve(layer, layer(pose).markers + place)
    assert residuals.rms.max() < 1e-4
    torch.testing.assert_close(found.R_ground_root, R, rtol=0, atol=1e-2)
    torch.testing.assert_close(residuals.root, place.expand(3, -1), rtol=0, atol=1e-2)
    torch.testing.assert_close(layer(found).markers, layer(pose).markers, rtol=0, atol=1e-2)


def opensim_solve(path, names, markers: Tensor, folder) -> tuple[tuple[str, ...], Tensor]:
    """OpenSim's own inverse kinematics, all weights 1, accuracy 1e-5."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    time = np.arange(len(markers)) / RATE
    write_trc(folder / "m.trc", Trajectories(time, tuple(names), markers.numpy()))
    tool, model = opensim.InverseKinematicsTool(), opensim.Model(str(path))
    model.initSystem()
    tool.setModel(model)
    tool.setMarkerDataFileName(str(folder / "m.trc"))
    tool.setOutputMotionFileName(str(folder / "ik.mot"))
    tool.setResultsDir(str(folder))
    tool.setStartTime(0.0)
    tool.setEndTime(time[-1] + 1e-6)
    tool.set_report_errors(False)
    tool.set_accuracy(1e-5)
    for name in names:
        task = opensim.IKMarkerTask()
        task.setName(name)
        task.setApply(True)
        task.setWeight(1.0)
        tool.getIKTaskSet().cloneAndAppend(task)
    tool.run()
    found = read_mot(folder / "ik.mot", load_osim(BODY_FILE))
    return found.labels, torch.from_numpy(found.values)


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_no_worse_than_opensim(skeleton, tmp_path, missing):
    truth = motion(skeleton, 0.4, seed=3)[:12]
    clean = markers_at(skeleton, truth)
    noisy = clean + 2e-3 * torch.randn_like(clean)
    noisy[torch.rand(noisy.shape[:2]) < missing] = torch.nan
    labels, values = opensim_solve(BODY_FILE, skeleton.markers, noisy, tmp_path)
    theirs = values[:, [labels.index(n) for n in skeleton.coordinates]]
    pose, _ = solve(skeleton, noisy, prior=Prior(RATE))
    assert rms(markers_at(skeleton, pose.angles) - clean) <= rms(markers_at(skeleton, theirs) - clean)
    assert (pose.angles - truth).square().mean() <= (theirs - truth).square().mean()


def test_missing_markers_weigh_nothing(skeleton):
    markers = markers_at(skeleton, motion(skeleton, 0.3))
    broken = markers.clone()
    broken[:, ::9] = torch.nan
    _, residuals = solve(skeleton, broken)
    assert residuals.distance[:, ::9].isnan().all()
    assert residuals.rms.max() < 1e-4
    broken[:, ::9] = 7.0  # far off, but without weight
    weights = torch.ones(len(skeleton.markers))
    weights[::9] = 0
    _, residuals = solve(skeleton, broken, weights=weights)
    assert residuals.rms.max() < 1e-4


def test_a_marker_without_one_component_is_missing(skeleton):
    markers = markers_at(skeleton, motion(skeleton, 0.3))[:4]
    markers[2, 7, 1] = torch.nan
    _, residuals = solve(skeleton, markers)
    assert torch.nonzero(residuals.distance.isnan()).tolist() == [[2, 7]]
    assert residuals.rms.max() < 1e-4


def test_not_converged_means_that_a_better_fit_exists(skeleton):
    """Of a subject of another size: residuals stay large, which is no reason not to converge."""
    markers = 1.08 * markers_at(skeleton, motion(skeleton, 0.4))
    for iterations, converged, least, most in ((6, False, 1e-4, 1.0), (40, True, -1e-6, 5e-3)):
        pose, early = solve(skeleton, markers, iterations=iterations)
        _, late = solve(skeleton, markers, start=pose.angles, iterations=200)
        saved = 1 - (late.rms / early.rms).square()
        assert (early.converged == converged).all()
        assert ((least < saved) & (saved < most)).all()
        assert early.rms.min() > 5e-3
        assert not early.outlying.any()


def test_a_frame_without_markers_is_reported(skeleton):
    markers = markers_at(skeleton, motion(skeleton, 0.3))
    markers[10] = torch.nan
    with pytest.warns(UnseenFrames, match="1 frames"):
        pose, residuals = solve(skeleton, markers)
    assert residuals.rms[10].isnan()
    assert torch.nonzero(~residuals.converged)[:, 0].tolist() == [10]
    assert pose.angles.isfinite().all()


def test_too_few_iterations_are_reported(skeleton):
    _, residuals = solve(skeleton, markers_at(skeleton, motion(skeleton, 0.5)), iterations=1)
    assert not residuals.converged.any()


def test_a_frame_that_cannot_be_met_is_reported(skeleton):
    markers = markers_at(skeleton, motion(skeleton, 0.3))
    markers[5] = markers[5][torch.randperm(len(skeleton.markers))]
    _, residuals = solve(skeleton, markers)
    assert torch.nonzero(residuals.outlying)[:, 0].tolist() == [5]


def test_couplers_bounds_and_locks_hold(skeleton):
    body = skeleton.body
    locked = next(c for c in body.coordinates if c.name == "knee_angle_r")
    joints = tuple(
        replace(j, coordinates=tuple(replace(c, locked=c is locked) for c in j.coordinates))
        for j in body.joints
    )
    layer = Skeleton(replace(body, joints=joints)).double()
    pose, _ = solve(layer, markers_at(skeleton, motion(skeleton, 1.3)), bounds="all")
    column = dict(zip(layer.coordinates, pose.angles.T, strict=True))
    assert (column["knee_angle_r"] == locked.default).all()
    for coupler in (c for c in body.couplers if c.enforced):
        expected = coupler.function(column[coupler.independent])
        torch.testing.assert_close(column[coupler.dependent], expected)
    tied = {c.dependent for c in body.couplers if c.enforced}
    for name, (low, high) in zip(layer.coordinates, layer.ranges.tolist(), strict=True):
        if name not in tied and name != locked.name:
            assert low - 1e-9 <= column[name].min()
            assert column[name].max() <= high + 1e-9


def test_windows_meet(skeleton, monkeypatch):
    monkeypatch.setattr("d3ke_lib.body.ik.solve._WINDOW", 16)
    monkeypatch.setattr("d3ke_lib.body.ik.solve._OVERLAP", 8)
    for prior in (None, Prior(RATE)):
        markers = markers_at(skeleton, motion(skeleton, 0.3))
        pose, residuals = solve(skeleton, markers, prior=prior)
        assert pose.angles.shape == (FRAMES, len(skeleton.coordinates))
        assert residuals.rms.max() < 1e-3


@pytest.mark.parametrize(
    ("markers", "weights", "message"),
    [
        (torch.zeros(2, 3, 3), None, "expected 102 markers"),
        (torch.full((2, 102, 3), torch.nan), None, "none of 2 frames"),
        (torch.zeros(2, 102, 3), -torch.ones(102), "weights"),
    ],
)
def test_bad_markers_are_named(skeleton, markers, weights, message):
    with pytest.raises(ValueError, match=message):
        solve(skeleton, markers, weights=weights)


def test_whole_turns_are_taken_out(skeleton):
    """Of a coordinate whose range is wider than one; never beyond the range, and no marker moves."""
    truth = motion(skeleton, 0.3)
    column = skeleton.coordinates.index("shoulder1_r2")
    truth[:, column] += 2
    wound = truth.clone()
    wound[5:9, column] -= 2 * math.pi
    assert (wound[:, column].abs() < skeleton.ranges[column, 1]).all()
    problem = prepare(skeleton, markers_at(skeleton, truth), None, None, "clamped", None)
    truth, wound = truth[:, problem.free], wound[:, problem.free]
    torch.testing.assert_close(unwind(problem, wound), truth)
    torch.testing.assert_close(unwind(problem, truth), truth)


def test_a_coordinate_that_no_marker_shows_stands_at_its_mean():
    layer = default_skeleton().double()
    mean = layer.angle_middle + 0.3 * layer.angle_half
    prior = Prior(RATE, 1e-3, math.inf, mean=mean, deviation=0.1 * layer.angle_half)
    markers = layer(layer.rest()).markers.expand(3, -1, -1).clone()
    arm = [i for i, name in enumerate(layer.markers) if name in ("RIWR", "ROWR")]
    markers[:, arm] = torch.nan
    found, _ = solve(layer, markers, prior=prior)
    hand, elbow = (layer.coordinates.index(name) for name in ("pro_sup", "elbow_flexion"))
    torch.testing.assert_close(found.angles[:, hand], mean[hand].expand(3), rtol=0, atol=0.05)
    assert (found.angles[:, elbow] - mean[elbow]).abs().max() > 0.1
