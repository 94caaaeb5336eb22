"""Means composed of a mixture's parts, and the landmark bound, on labels made for it."""

import json
from dataclasses import replace

import pytest
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.evaluation import landmark_bound
from d3ke_lib.experiment.evaluation.action_means import Told, compose_means
from d3ke_lib.files import D3keError

KNEE, ELBOW = (default_skeleton().coordinates.index(name) for name in ("knee_angle_r", "elbow_flexion"))


@pytest.fixture(scope="module")
def train(toy_records):
    return FrameSet(toy_records, "train", default_skeleton()).labels()


def mixture(upper: dict, lower: dict) -> str:
    return json.dumps({"upper": upper, "lower": lower})


def with_angles(labels, knee: torch.Tensor, elbow: torch.Tensor):
    """Labels in which these two angles are as given and the others 0."""
    angles = torch.zeros_like(labels.pose.angles)
    angles[:, KNEE], angles[:, ELBOW] = knee, elbow
    return replace(labels, pose=labels.pose._replace(angles=angles))


def test_each_half_of_a_mixture_has_the_means_of_its_own_parts(train):
    pure = torch.arange(36) % 2  # action 0: both angles 0; action 1: knee 1, elbow 2
    labels = with_angles(train, pure.float(), 2.0 * pure)
    told = Told([("rest", "bend")[i] for i in pure.tolist()], [""] * 36)
    asked = Told(["mixture"], [mixture({"bend": 1.0}, {"rest": 3.0, "bend": 1.0})])
    pose, points = compose_means(labels, told, asked, default_skeleton())
    assert pose.angles[0, KNEE] == pytest.approx(0.25)
    assert pose.angles[0, ELBOW] == pytest.approx(2.0)
    assert points.joints.shape == (1, 50, 3)
    torch.testing.assert_close(pose.R_ground_root @ pose.R_ground_root.mT, torch.eye(3)[None])


def test_a_posture_that_only_mixtures_have_is_found_in_them(train):
    """Half of the frames are pure "rest" (0), the others blend it with "squat" (knee 1.2)."""
    share = torch.linspace(0.2, 0.8, 36).where(torch.arange(36) % 2 == 1, 0.0)
    labels = with_angles(train, 1.2 * share, torch.zeros(36))
    halves = [{"rest": 1 - s, "squat": s} for s in share.tolist()]
    parts = [mixture({"rest": 1.0}, half) if half["squat"] else "" for half in halves]
    told = Told(["mixture" if text else "rest" for text in parts], parts)
    asked = Told(["mixture"], [mixture({"rest": 1.0}, {"squat": 1.0})])
    pose, _ = compose_means(labels, told, asked, default_skeleton())
    assert pose.angles[0, KNEE] == pytest.approx(1.2, rel=1e-4)


@pytest.mark.parametrize(
    "text", ["{}", "walking", '{"upper": {}, "lower": {"a": 1}}', '{"upper": 1, "lower": 2}']
)
def test_parts_of_another_form_are_refused(train, text):
    told = Told(["rest"] * 36, [""] * 36)
    with pytest.raises(D3keError, match="parts of a mixture: expected"):
        compose_means(train, told, Told(["mixture"], [text]), default_skeleton())


def many(train, frames: int):
    """Frames of the toy with angles and camera of their own: enough to learn from."""
    skeleton, generator = default_skeleton(), torch.Generator().manual_seed(1)
    labels = train[torch.arange(frames) % len(train.time)]
    factors = torch.rand(frames, 1, generator=generator) * 2 - 1
    pose = labels.pose._replace(angles=skeleton.angle_middle + 0.5 * factors * skeleton.angle_half)
    points = skeleton(pose)
    far = type(points)(*(part + torch.tensor([0.0, 0.0, 4.0]) for part in points))
    return replace(labels, pose=pose, points=far)


def test_the_landmark_bound_learns_and_repeats_itself(train):
    skeleton, labels = default_skeleton(), many(train, 2000)
    seen, unseen = labels[torch.arange(1500)], labels[torch.arange(1500, 2000)]

    def error(noise_px: float) -> float:
        pose = landmark_bound.read_landmarks(seen, unseen, skeleton, noise_px)
        return float(torch.rad2deg((pose.angles - unseen.pose.angles).abs().mean()))

    constant = float(torch.rad2deg((unseen.pose.angles - seen.pose.angles.mean(0)).abs().mean()))
    exact, noisy = error(0.0), error(8.0)
    assert exact < 0.4 * constant
    assert exact < noisy
    assert exact == error(0.0)


def test_landmarks_are_pixels_of_the_crop(train):
    found = landmark_bound.project(train.points, train.camera.focal).unflatten(1, (115, 2))
    uv = train.camera.focal[0] * train.points.joints[0, 3, :2] / train.points.joints[0, 3, 2]
    torch.testing.assert_close(found[0, 3], uv)
    flat = found.flatten(1)
    noisy = landmark_bound.add_noise(flat, 2.0, torch.Generator().manual_seed(0))
    assert float((noisy - flat).std()) == pytest.approx(2.0, rel=0.05)
