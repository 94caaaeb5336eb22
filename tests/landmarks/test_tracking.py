"""Regions, the detector's decoding and the tracking of persons, with networks whose outputs are known."""

import numpy as np
import pytest

from d3ke_lib.data.video import VideoError
from d3ke_lib.landmarks import person_detector, tracking
from d3ke_lib.landmarks.landmark_network import Observation
from d3ke_lib.landmarks.names import MIRRORED, NAMES
from d3ke_lib.landmarks.networks import LandmarkNetworks
from d3ke_lib.landmarks.regions import Region, cut, fits, region_between, to_frame
from d3ke_lib.landmarks.tracking import detect_landmarks, detect_people

FRAME = np.zeros((120, 200, 3), np.uint8)


def test_names_are_in_the_networks_order() -> None:
    assert len(NAMES) == 33
    assert (NAMES[0], NAMES[11], NAMES[24], NAMES[32]) == (
        "nose", "left_shoulder", "right_hip", "right_foot_index",
    )  # fmt: skip
    assert MIRRORED[11] == 12
    assert MIRRORED[0] == 0


# --- regions ----------------------------------------------------------------------------------------------


def test_a_region_is_upright_towards_the_second_point() -> None:
    region = region_between(np.array([50.0, 80.0]), np.array([50.0, 40.0]))
    assert region == Region((50.0, 80.0), 100.0, pytest.approx(0))
    to_the_right = region_between(np.array([50.0, 80.0]), np.array([90.0, 80.0]))
    assert to_the_right.rotation == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("rotation", [0.0, 0.6, -2.0])
def test_what_is_cut_lies_where_the_region_says(rotation: float) -> None:
    """A blurred spot, found again in the cut and brought back to the frame."""
    x, y = np.meshgrid(np.arange(200) + 0.5, np.arange(120) + 0.5)
    spot = np.exp(-((x - 92) ** 2 + (y - 55) ** 2) / 20)
    frame = np.repeat((255 * spot).astype(np.uint8)[..., None], 3, -1)
    region = Region((100.0, 60.0), 64.0, rotation)
    image = cut(frame, region, 64, replicate=True)[..., 0].astype(float)
    cells = np.arange(64) + 0.5
    at = np.array([(image.sum(0) * cells).sum(), (image.sum(1) * cells).sum()]) / image.sum()
    # Whole pixel numbers instead of centres, as mediapipe samples: up to a pixel off.
    np.testing.assert_allclose(to_frame(region, at / 64), [92, 55], atol=1.3)


@pytest.mark.parametrize("center", [(-30.0, 60.0), (230.0, -20.0), (500.0, 500.0)])
def test_a_region_beyond_the_frame_is_an_image_all_the_same(center: tuple[float, float]) -> None:
    frame = np.full_like(FRAME, 90)
    image = cut(frame, Region(center, 80.0, 0.3), 32, replicate=True)
    assert image.shape == (32, 32, 3)


def test_a_region_that_holds_nobody_is_not_looked_at() -> None:
    assert fits(Region((100.0, 60.0), 150.0, 0.0), FRAME)
    assert not fits(Region((100.0, 60.0), 1e5, 0.0), FRAME)
    assert not fits(Region((900.0, 60.0), 100.0, 0.0), FRAME)


# --- detector ---------------------------------------------------------------------------------------------


def detection(x: float, y: float, size: float = 0.2) -> np.ndarray:
    return np.array([[x, y], [size, size], [x, y], [x, y - size], [x, y], [x, y]])


def test_anchors_are_the_networks() -> None:
    anchors = person_detector._anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[:3], [[0.5 / 28] * 2, [0.5 / 28] * 2, [1.5 / 28, 0.5 / 28]])
    np.testing.assert_allclose(anchors[-6:], 6.5 / 7)


def test_overlapping_detections_are_averaged_by_their_scores() -> None:
    points = np.stack([detection(0.3, 0.3), detection(0.32, 0.3), detection(0.8, 0.5)])
    merged = person_detector.suppress(points, np.array([0.9, 0.6, 0.7]))
    assert len(merged) == 2
    assert merged[0][0] == pytest.approx([0.3 * 0.6 + 0.32 * 0.4, 0.3])
    assert merged[1][0] == pytest.approx([0.8, 0.5])


# --- tracking ---------------------------------------------------------------------------------------------


class Stage:
    """Persons at known positions in every frame; frames carry their number in the first pixel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *people: dict[int, tuple[float, float]]) -> None:
        self.people, self.detections = people, 0
        monkeypatch.setattr(tracking, "detect_regions", self.detect)
        monkeypatch.setattr(tracking, "observe", self.observe)

    def detect(self, _: object, frame: np.ndarray) -> list[Region]:
        self.detections += 1
        index = int(frame[0, 0, 0])
        return [Region(person[index], 60.0, 0.0) for person in self.people if index in person]

    def observe(self, _: object, frame: np.ndarray, region: Region) -> Observation | None:
        index = int(frame[0, 0, 0])
        here = [person[index] for person in self.people if index in person]
        near = [c for c in here if np.hypot(c[0] - region.center[0], c[1] - region.center[1]) < 15]
        if not near:
            return None
        center = np.array(near[0])
        image = center + np.linspace(-20, 20, 33)[:, None] * [0.3, 1.0]
        return Observation(image, np.zeros((33, 3)), np.ones(33), np.stack([center, center - [0, 24]]))

    def people_in(self, frames: int, **options: object) -> list[tracking.Landmarks]:
        return detect_people(LandmarkNetworks(None, None), self.video(frames), **options)

    def video(self, frames: int) -> list[np.ndarray]:
        return [np.full_like(FRAME, i) for i in range(frames)]


def walk(first: int, last: int, x: float, y: float = 60.0, speed: float = 1.0) -> dict:
    return {i: (x + speed * (i - first), y) for i in range(first, last)}


def test_the_detector_runs_only_where_it_has_to(monkeypatch) -> None:
    stage = Stage(monkeypatch, walk(0, 60, 50.0))
    (person,) = stage.people_in(60)
    assert person.valid.all()
    assert stage.detections == 4  # twice per second for those who enter
    np.testing.assert_allclose(person.image.mean(1)[:, 0], 50 + np.arange(60))


def test_who_is_seen_longest_comes_first(monkeypatch) -> None:
    stage = Stage(monkeypatch, walk(0, 40, 30.0), walk(10, 100, 150.0, speed=0.2))
    first, second = stage.people_in(100)
    assert first.valid.sum() == 85  # found at the detector's next run, frame 15
    assert np.flatnonzero(second.valid).tolist() == list(range(40))
    assert np.isnan(second.image[40:]).all()
    frames = stage.video(100)
    chosen = detect_landmarks(LandmarkNetworks(None, None), frames, person=2)
    np.testing.assert_array_equal(chosen.image, second.image)
    with pytest.raises(VideoError, match=r"PERSON: expected at most 2 .*, found 3"):
        detect_landmarks(LandmarkNetworks(None, None), frames, person=3)


def test_who_is_lost_for_a_moment_is_the_same_person(monkeypatch) -> None:
    (person,) = Stage(monkeypatch, walk(0, 20, 50.0) | walk(30, 60, 55.0)).people_in(60)
    assert np.flatnonzero(~person.valid).tolist() == list(range(20, 30))


def test_who_comes_back_much_later_is_somebody_else(monkeypatch) -> None:
    assert len(Stage(monkeypatch, walk(0, 20, 50.0) | walk(90, 120, 50.0)).people_in(120)) == 2


def test_two_tracks_never_follow_one_person(monkeypatch) -> None:
    """The second person walks up to the first and vanishes behind them."""
    stage = Stage(monkeypatch, walk(0, 90, 100.0, speed=0.0), walk(0, 40, 60.0))
    first, second = stage.people_in(90)
    assert first.valid.all()
    assert not second.valid[45:].any()


def test_a_box_says_who_is_meant(monkeypatch) -> None:
    stage = Stage(monkeypatch, walk(0, 60, 40.0, speed=0.1), walk(0, 30, 150.0, speed=0.1))
    box = np.array([120.0, 20.0, 190.0, 110.0])
    (person,) = stage.people_in(60, box=box)
    assert person.image[0, :, 0].mean() == pytest.approx(150)
    with pytest.raises(VideoError, match="no person was found in BOX"):
        detect_landmarks(LandmarkNetworks(None, None), stage.video(5), box=np.array([0.0, 0, 9, 9]))


def test_nobody_is_said(monkeypatch) -> None:
    with pytest.raises(VideoError, match="no person was found"):
        detect_landmarks(LandmarkNetworks(None, None), Stage(monkeypatch).video(5))
