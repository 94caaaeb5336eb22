"""From a video to OpenSim's files by landmarks, with a detector whose landmarks are known."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.motion_files import read_mot, read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import video as videos
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.video import VideoError
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.video import accuracy, by_landmarks, outputs
from d3ke_lib.experiment.video.prediction import Prediction, assume_camera
from d3ke_lib.experiment.video.request import OUTPUTS, Request
from d3ke_lib.landmarks import Landmarks
from d3ke_lib.landmarks.lifter import Lifter
from d3ke_lib.landmarks.motions import draw_motions
from d3ke_lib.landmarks.sites import landmark_skeleton

FRAMES, SIZE = 60, (320, 240)
HIDDEN, ABSENT = slice(10, 14), slice(30, 50)  # a gap of 0.13 s and one of 0.67 s


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return default_skeleton()


@pytest.fixture(scope="module")
def walker(skeleton: Skeleton) -> Landmarks:
    """A walker 4 m away, not seen in HIDDEN and ABSENT."""
    pose = draw_motions(skeleton, 8, ["walking"]).window(
        skeleton, torch.tensor([0]), torch.arange(FRAMES)[None]
    )
    R = torch.tensor([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    pose = Pose(*(part[0] for part in pose))._replace(R_ground_root=R @ pose.R_ground_root[0])
    in_camera = landmark_skeleton(skeleton.body)(pose).markers + torch.tensor([0.3, 0.1, 4.0])
    image = pixels(assume_camera(SIZE), in_camera).double().numpy()
    world = (in_camera - in_camera[:, [23, 24]].mean(1, keepdim=True)).double().numpy()
    found = Landmarks(image, world, np.full((FRAMES, 33), 0.95), np.ones(FRAMES, bool))
    for gap in (HIDDEN, ABSENT):
        found.valid[gap] = False
        for part in found[:3]:
            part[gap] = np.nan
    return found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = (np.full((SIZE[1], SIZE[0], 3), 60 + i, np.uint8) for i in range(FRAMES))
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4", frames, 30.0)


@pytest.fixture
def detector(walker: Landmarks, skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(_: object, frames: Iterable, *__: object) -> list[Landmarks]:
        assert sum(1 for _ in frames) == FRAMES
        return [walker]

    monkeypatch.setattr(by_landmarks, "load_networks", lambda *_: None)
    monkeypatch.setattr(by_landmarks, "detect_people", detect)
    monkeypatch.setattr(by_landmarks, "load_lifter", lambda *_: (Lifter(skeleton, 0).eval(), {}))


def predict(clip: Path, skeleton: Skeleton, method: str, **asked: object) -> Prediction:
    return by_landmarks.predict_by_landmarks(
        Request(clip, None, None, Path(), method=method, **asked), skeleton
    )


@pytest.mark.parametrize("method", ["lifted", "landmarks"])
def test_the_files_of_a_prediction(detector, clip, skeleton, tmp_path: Path, method: str) -> None:
    found = predict(clip, skeleton, method)
    folder = outputs.write_prediction(found, skeleton, tmp_path / method).parent
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS)
    with (folder / "angles.csv").open() as file:
        rows = list(csv.DictReader(file))
    person = np.array([row["person"] for row in rows])
    assert np.flatnonzero(person == "hidden").tolist() == list(range(FRAMES))[HIDDEN]
    assert np.flatnonzero(person == "absent").tolist() == list(range(FRAMES))[ABSENT]
    assert [row["knee_angle_r_deg"] != "" for row in rows] == (person != "absent").tolist()
    motion, markers = read_mot(folder / "angles.mot"), read_trc(folder / "markers.trc")
    assert len(motion.time) == len(markers.time) == FRAMES - 20
    alone = Skeleton(load_osim(folder / "person.osim")).double()
    own = alone.generic_scales.expand(len(motion.time), -1, 3)
    points = alone(Pose(torch.tensor(motion.values), own)).markers
    chosen = [alone.markers.index(name) for name in markers.labels]
    np.testing.assert_allclose(points[:, chosen].numpy(), markers.positions, atol=1e-6)
    page = (folder / "index.html").read_text()
    assert f"METHOD={method}" in page
    assert "absent from 20" in page
    assert "http" not in page
    assert '"sides":{"right":' in page
    assert len(videos.probe(folder / "overlay.mp4").times) == FRAMES


def test_the_skeleton_lies_over_the_person(detector, clip, skeleton, walker: Landmarks) -> None:
    found = predict(clip, skeleton, "landmarks")
    sites = landmark_skeleton(skeleton.body)(found.pose).markers + found.positions[:, None]
    distance = np.linalg.norm(pixels(found.camera, sites).numpy() - walker.image[found.rows], axis=-1)
    assert np.nanmedian(distance) < 4  # px, of a person of 140
    assert found.facts["landmarks"].startswith("BlazePose")


def test_what_is_wrong_names_the_file(detector, clip, skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VideoError, match=r"walk\.mp4: PERSON: expected at most 1 .*, found 2"):
        predict(clip, skeleton, "lifted", person=2)
    monkeypatch.setattr(by_landmarks, "detect_people", lambda *_: [])
    with pytest.raises(VideoError, match=r"walk\.mp4: no person was found"):
        predict(clip, skeleton, "landmarks")


def test_one_frame_is_enough(detector, skeleton, walker: Landmarks, tmp_path: Path, monkeypatch) -> None:
    path = write_video(tmp_path / "one.mp4", [np.full((240, 320, 3), 90, np.uint8)], 30.0)
    single = Landmarks(*(part[:1] for part in walker))
    monkeypatch.setattr(by_landmarks, "detect_people", lambda _, frames, *__: [single for _ in frames])
    for method in ("lifted", "landmarks"):
        found = predict(path, skeleton, method)
        outputs.write_prediction(found, skeleton, tmp_path / method)
        assert len(read_mot(tmp_path / method / "angles.mot").time) == 1


def test_every_output_says_how_far_off_the_method_was_on_a_real_person(tmp_path: Path) -> None:
    record = tmp_path / "real_trial.json"
    assert accuracy.warning("lifted", record).endswith("accuracy on real video unknown")
    record.write_text(
        '{"methods": {"lifted": {"mae": {"mean": 8.2}}, "frame/a.0": {"mae": {"mean": 18.1}},'
        ' "temporal/t.a.0": {"mae": {"mean": 21.4}}, "landmarks": {"valid": 0.0}}}'
    )
    assert accuracy.warning("lifted", record).endswith("mean error 8° on one real person (12 coordinates)")
    assert "18–21°" in accuracy.warning("d3ke", record)
    assert accuracy.warning("landmarks", record).endswith("accuracy on real video unknown")
