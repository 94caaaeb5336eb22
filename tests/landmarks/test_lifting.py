"""Landmarks on the body, the detector's errors, cameras, and poses found again from landmarks."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.mixtures import MIXTURE
from d3ke_lib.experiment.video import landmark_methods, lifter_training
from d3ke_lib.experiment.video.lifter_training import LifterConfig, load_lifter
from d3ke_lib.experiment.video.position import estimate_positions_by_landmarks
from d3ke_lib.experiment.video.prediction import assume_camera
from d3ke_lib.files import D3keError
from d3ke_lib.landmarks import Landmarks
from d3ke_lib.landmarks.detector_noise import observe
from d3ke_lib.landmarks.features import COUNT, crop_normalise, to_features
from d3ke_lib.landmarks.lifter import WINDOW, Lifter
from d3ke_lib.landmarks.motions import SEEN, UNSEEN, View, draw_motions, draw_views, seen_by
from d3ke_lib.landmarks.names import MIRRORED, NAMES
from d3ke_lib.landmarks.sites import DetectorNoise, landmark_markers, landmark_skeleton, load_noise

NOTHING = {
    field.name: value
    for field, value in zip(
        dataclasses.fields(DetectorNoise),
        (
            [0.0] * 33, [0.0] * 33, [[0.0] * 3] * 33, [[0.0] * 3] * 33, [0.0] * 33, 1.0, 0.0, 1.0,
            {"arms": 0.0, "legs": 0.0, "all": 0.0}, 0.0, [1.0, 0.0], [0.0] * 3, 0.5,
        ),
    )
}  # fmt: skip
TINY = LifterConfig(motions=2, steps=2, batch=4)


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return default_skeleton()


@pytest.fixture(scope="module")
def points(skeleton: Skeleton) -> torch.Tensor:
    """A mixture's landmarks relative to the pelvis joint, and a camera 4 m away: (1, time, 33, 3)."""
    motions = draw_motions(skeleton, 3, [MIXTURE])
    pose = motions.window(skeleton, torch.tensor([0]), torch.arange(WINDOW)[None])
    view = View(torch.tensor([[[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]]), torch.tensor([[0.0, 0, 4]]))
    return seen_by(view, landmark_skeleton(skeleton.body)(pose).markers)


# --- sites ------------------------------------------------------------------------------------------------


def test_landmarks_lie_where_their_names_say(skeleton: Skeleton) -> None:
    rest = skeleton.rest()
    sites = landmark_skeleton(skeleton.body)(rest).markers
    joints = skeleton(rest).joints
    for name, joint, reach in (
        ("right_knee", "knee_r", 0.05),
        ("left_ankle", "ankle_l", 0.05),
        ("right_hip", "hip_r", 0.05),
        ("left_elbow", "elbow_l", 0.05),
        ("right_shoulder", "shoulder2", 0.08),
        ("left_wrist", "radiocarpal_l", 0.06),
    ):
        distance = sites[NAMES.index(name)] - joints[skeleton.joints.index(joint)]
        assert distance.norm() < reach, name
    nose, ear = sites[NAMES.index("nose")], sites[NAMES.index("left_ear")]
    assert nose[0] > ear[0] + 0.04  # x is forward


def test_every_landmark_is_fixed_to_a_body_of_ours(skeleton: Skeleton) -> None:
    sites = landmark_markers()
    assert tuple(site.name for site in sites) == NAMES
    assert {site.body for site in sites} <= {*skeleton.bodies}


def test_left_and_right_are_mirror_images(skeleton: Skeleton) -> None:
    """In a pose of equal sides, at the generic size: z is to the right."""
    sites = landmark_skeleton(skeleton.body)(skeleton.rest()).markers
    mirrored = sites[list(MIRRORED)] * sites.new_tensor([1, 1, -1])
    torch.testing.assert_close(sites, mirrored, atol=0.02, rtol=0)


# --- the detector's errors --------------------------------------------------------------------------------


def noise_of(**changed: object) -> DetectorNoise:
    return DetectorNoise(**{**NOTHING, **changed})


def test_without_errors_landmarks_are_projections(points: torch.Tensor) -> None:
    seen = observe(points, noise_of(), seed_generator(0))
    torch.testing.assert_close(seen.image, points[..., :2] / points[..., 2:])
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    torch.testing.assert_close(seen.world, points - points[:, :, hips].mean(2, keepdim=True))
    assert (seen.visibility > 0).all()


def test_errors_have_the_sizes_asked_for(points: torch.Tensor) -> None:
    many = points.expand(400, -1, -1, -1)
    slow, fast = [0.02] * 33, [0.01] * 33
    seen = observe(many, noise_of(image_slow=slow, image_fast=fast), seed_generator(0))
    exact = many[..., :2] / many[..., 2:]
    error = (seen.image - exact) / crop_normalise(exact)[1][..., None, None]
    assert float(error.std()) == pytest.approx(math.hypot(0.02, 0.01), rel=0.05)
    step = error[:, 1:] - error[:, :-1]
    assert float(step.std()) == pytest.approx(0.01 * math.sqrt(2 * (1 - 0.5)), rel=0.05)  # correlation 0.5
    scaled = observe(many, noise_of(world_scale=[0.9, 0.0]), seed_generator(0)).world
    torch.testing.assert_close(scaled, 0.9 * observe(many, noise_of(), seed_generator(0)).world)


def test_swapped_sides_and_gaps(points: torch.Tensor) -> None:
    many = points.expand(600, -1, -1, -1)
    exact = observe(many, noise_of(), seed_generator(0))
    swaps = {"arms": 0.0, "legs": 0.1, "all": 0.0}
    seen = observe(many, noise_of(swaps=swaps), seed_generator(0))
    knee = NAMES.index("left_knee")
    changed = (seen.image[:, :, knee] - exact.image[:, :, MIRRORED[knee]]).norm(dim=-1) < 1e-6
    assert float(changed.double().mean()) == pytest.approx(0.1, abs=0.03)
    torch.testing.assert_close(seen.image[:, :, 13], exact.image[:, :, 13])  # an elbow
    gaps = observe(many, noise_of(missing=0.05), seed_generator(0))
    lost = (gaps.visibility == 0).all(-1)
    assert float(lost.double().mean()) == pytest.approx(0.05, abs=0.02)
    assert not lost[:, [0, -1]].any()
    torch.testing.assert_close(gaps.image[~lost], exact.image[~lost])


def test_the_measured_errors_are_a_detectors() -> None:
    noise = load_noise()
    assert all(0.005 < value < 0.1 for value in (*noise.image_slow, *noise.image_fast))
    assert noise.world_slow[NAMES.index("left_wrist")][2] > noise.world_slow[NAMES.index("left_wrist")][0]
    assert 0.8 < noise.world_scale[0] < 1.2


# --- motions and cameras ----------------------------------------------------------------------------------


def test_cameras_look_at_the_person() -> None:
    view = draw_views(500, seed_generator(1))
    eye = torch.eye(3).expand(500, 3, 3)
    torch.testing.assert_close(view.R @ view.R.mT, eye, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.det(view.R), torch.ones(500), atol=1e-5, rtol=0)
    assert (view.t[:, 2] > 1.5).all()
    assert (view.t[:, :2].abs() < 0.15 * view.t[:, 2:]).all()
    up = view.R @ torch.tensor([0.0, 0.0, 1.0])
    assert (up[:, 1] < -0.5).all()  # the world's up is the image's: y points down


def test_training_never_sees_what_is_held_out(skeleton: Skeleton) -> None:
    assert not {*SEEN} & {*UNSEEN}
    assert {"kicking", "throwing", "crawling"} <= {*UNSEEN}
    actions = lifter_training.draw_actions(400, seed_generator(5))
    assert not {*actions} & {*UNSEEN}
    assert 0.6 < actions.count(MIXTURE) / 400 < 0.8
    first, again = (draw_motions(skeleton, 1, [MIXTURE, SEEN[0]]) for _ in range(2))
    assert torch.equal(first.angles, again.angles)
    assert skeleton.ranges.dtype == torch.float32  # the caller's skeleton stays as it is


# --- poses from landmarks ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def followed(skeleton: Skeleton) -> tuple[landmark_methods.Followed, Pose, torch.Tensor]:
    """A walker's exact landmarks from 4 m away, the true poses in the camera, the pelvis' position."""
    motions = draw_motions(skeleton, 8, ["walking"])
    frames = torch.arange(0, 90)[None]
    pose = motions.window(skeleton, torch.tensor([0]), frames)
    R = torch.tensor([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    pose = Pose(*(part[0] for part in pose))._replace(R_ground_root=R @ pose.R_ground_root[0])
    position = torch.tensor([0.3, 0.1, 4.0]) + torch.linspace(0, 0.5, 90)[:, None] * torch.tensor([1.0, 0, 0])
    in_camera = landmark_skeleton(skeleton.body)(pose).markers + position[:, None]
    camera = assume_camera((800, 600))
    hips = in_camera[:, [23, 24]].mean(1, keepdim=True)
    landmarks = Landmarks(
        pixels(camera, in_camera).double().numpy(), (in_camera - hips).double().numpy(),
        np.full((90, 33), 0.99), np.ones(90, bool),
    )  # fmt: skip
    person = landmark_methods.follow(landmarks, np.arange(90) / 30, camera)
    world = (in_camera - hips) @ person.crops.R.mT  # what the detector gives is in the crop's axes
    return person._replace(world=world), pose, position


OBSERVABLE = ("hip_flexion_r", "knee_angle_l", "elbow_flexion", "hip_adduction_l", "ankle_angle_r")


def test_inverse_kinematics_finds_the_walkers_pose(skeleton: Skeleton, followed) -> None:
    person, true, position = followed
    found = landmark_methods.fit(skeleton, person, 30.0)
    columns = [skeleton.coordinates.index(name) for name in OBSERVABLE]
    error = torch.rad2deg((found.angles - true.angles)[:, columns].abs()).mean(0)
    assert (error < torch.tensor([9.0, 6.0, 8.0, 3.0, 6.0])).all(), error
    angle = torch.linalg.matrix_norm(found.R_ground_root - true.R_ground_root).mean()
    assert angle < 0.3
    torch.testing.assert_close(found.scales, found.scales[:1].expand_as(found.scales))
    sites = landmark_skeleton(skeleton.body)
    camera = assume_camera((800, 600))
    place = estimate_positions_by_landmarks(sites, found, person.image, person.visibility, camera, 30.0)
    torch.testing.assert_close(place[10:-10], position[10:-10], atol=0.2, rtol=0)
    flat = pixels(camera, sites(found).markers + place[:, None])
    assert (flat - person.image).norm(dim=-1)[10:-10].median() < 6.0  # px, of a person of 350


def test_frames_of_an_absence_get_no_pose(followed) -> None:
    person, _, _ = followed
    landmarks = Landmarks(
        person.image.double().numpy(),
        person.world.double().numpy(),
        np.full((90, 33), 0.9),
        np.ones(90, bool),
    )
    for gap in (slice(20, 30), slice(50, 80)):
        landmarks.valid[gap] = False
        for part in landmarks[:3]:
            part[gap] = np.nan
    found = landmark_methods.follow(landmarks, np.arange(90) / 30, assume_camera((800, 600)))
    assert found.rows.tolist() == [*range(50), *range(80, 90)]
    assert np.flatnonzero(~found.seen).tolist() == list(range(20, 30))
    assert (found.visibility[20:30] == 0).all()
    assert [*landmark_methods.stretches(found.rows)] == [slice(0, 50), slice(50, 60)]
    assert found.image.isfinite().all()


def test_nobody_at_all_is_said() -> None:
    empty = Landmarks(*(np.full((4, 33, n), np.nan) for n in (2, 3)), np.zeros((4, 33)), np.zeros(4, bool))
    with pytest.raises(ValueError, match="expected a frame with a person, found none"):
        landmark_methods.follow(empty, np.arange(4) / 30, assume_camera((80, 60)))


@pytest.mark.parametrize("rate", [30.0, 60.0, 12.5])
def test_the_lifters_window_has_the_spacing_of_its_training(followed, rate: float) -> None:
    times = np.arange(90) / rate
    rows = torch.from_numpy(times)[:, None].float()
    windows = landmark_methods._windows(rows, times, times[40:42])
    wanted = times[40] + (np.arange(WINDOW) - WINDOW // 2) / 30
    np.testing.assert_allclose(windows[0, :, 0], wanted.clip(0, times[-1]), atol=1e-5)


def test_the_lifter_is_trained_once_and_checked(skeleton: Skeleton, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lifter_training, "_validate", lambda *_: {"mixtures": 1.0})
    lifter, about = load_lifter(TINY, tmp_path)
    monkeypatch.setattr(lifter_training, "train_lifter", lambda *_: 1 / 0)
    again, same = load_lifter(TINY, tmp_path)
    assert same == about
    rows = torch.randn(3, WINDOW, COUNT, generator=seed_generator(0))
    torch.testing.assert_close(lifter(rows)[0].angles, again(rows)[0].angles)
    low, high = skeleton.ranges.unbind(-1)
    angles = lifter(1e3 * rows)[0].angles
    assert ((angles >= low - 1e-5) & (angles <= high + 1e-5)).all()  # ranges by construction
    path = tmp_path / "lifter.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(D3keError, match=r"lifter\.safetensors: expected weights of SHA-256 .*: delete it"):
        load_lifter(TINY, tmp_path)


def test_training_is_the_same_twice(skeleton: Skeleton) -> None:
    first, again = (lifter_training.train_lifter(TINY, skeleton) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.net.parameters(), again.net.parameters()))


def test_a_moved_and_enlarged_person_has_the_same_features() -> None:
    image = torch.rand(5, 33, 2, generator=seed_generator(1))
    world, visibility = torch.zeros(5, 33, 3), torch.ones(5, 33)
    here, there = (to_features(part, world, visibility) for part in (image, 300 * image + 70))
    torch.testing.assert_close(here, there, atol=1e-4, rtol=0)


def test_a_lifter_takes_sequences_longer_than_its_window(skeleton: Skeleton) -> None:
    lifter = Lifter(skeleton, 0).eval()
    rows = torch.randn(1, WINDOW + 4, COUNT, generator=seed_generator(2))
    together = lifter(rows)[0].angles
    apart = torch.cat([lifter(rows[:, i : i + WINDOW])[0].angles for i in range(5)], 1)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
