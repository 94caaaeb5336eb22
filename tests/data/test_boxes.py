"""The moving persons' boxes against where they were drawn."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from d3ke_lib.data.person_tracking import MARGIN, box_by_motion, boxes_by_motion, intersection_over_union
from d3ke_lib.data.video import Thumbnails, VideoError, probe
from d3ke_lib.data.video_writing import write_video


def walk(frames: int = 60, seed: int = 0, second: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A noisy scene in which a person-sized block crosses, and its boxes; with `second` two blocks."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(60, 120, (90, 160, 3))
    film = scene + rng.integers(-6, 7, (frames, 90, 160, 3))
    boxes = np.array([[2 * i + 8, 30, 2 * i + 24, 78] for i in range(frames)], float)
    for i, (image, (x0, y0, x1, y1)) in enumerate(zip(film, boxes.astype(int))):
        image[y0:y1, x0:x1] = 210
        if second:
            image[4:18, 150 - 2 * i - 6 : 150 - 2 * i] = 220
    return film.clip(0, 255).astype(np.uint8), boxes


def overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.array([intersection_over_union(a, b) for a, b in zip(found, true, strict=True)])


def with_arms(apart: range, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A body (one region in every frame) whose arms are regions of their own in frames `apart`, then join."""
    film = np.full((24, 180, 240, 3), 100, np.uint8)
    bodies = np.array([[30 + 7 * i, 40, 54 + 7 * i, 150] for i in range(24)], float)[::side]
    for i, x in enumerate(bodies[:, 0].astype(int)):
        film[i, 40:150, x : x + 24] = 220
        if i in apart:
            film[i, 50:90, x + 36 : x + 44] = 220
            film[i, 50:90, x - 20 : x - 12] = 220
        elif i >= apart.stop:
            film[i, 50:90, max(0, x - 14) : x + 38] = 220
    return film, bodies


@pytest.mark.parametrize("second", [False, True])
def test_box_follows_the_person(second: bool) -> None:
    film, boxes = walk(second=second)
    track = box_by_motion(film, 30.0)
    assert track.start == 0
    assert track.seen.all()
    grown = boxes + MARGIN * 48 * np.array([-1, -1, 1, 1])
    assert overlaps(track.boxes, grown).min() > 0.85
    assert overlaps(track.boxes, grown).mean() > 0.95
    assert (track.boxes >= 0).all()
    assert (track.boxes <= [160, 90, 160, 90]).all()


def test_several_persons_come_by_how_much_they_move() -> None:
    film, boxes = walk(second=True)
    tracks = boxes_by_motion(film, 30.0)
    assert len(tracks) == 2
    assert overlaps(tracks[0].boxes, boxes).min() > 0.7
    small = np.array([[144 - 2 * i, 4, 150 - 2 * i, 18] for i in range(60)], float)
    assert overlaps(tracks[1].boxes, small[tracks[1].start :][: len(tracks[1].boxes)]).mean() > 0.6


def test_only_frames_with_the_person_are_given() -> None:
    film, _ = walk(40)
    empty = film[0].copy()
    empty[30:78] = film[-1][30:78]
    empty[30:78, 86:102] = film[0][30:78, 86:102]
    track = box_by_motion(np.concatenate([np.stack([empty] * 30), film]), 30.0)
    assert abs(track.start - 30) <= 1


def test_frames_in_which_the_person_is_hidden_are_marked() -> None:
    film, boxes = walk()
    background = np.median(film, axis=0).astype(np.uint8)
    film[25:28] = background
    track = box_by_motion(film, 30.0)
    assert np.flatnonzero(~track.seen).tolist() == [25, 26, 27]
    assert overlaps(track.boxes, boxes).min() > 0.7


def test_a_person_cut_in_two_by_a_shirt_like_the_wall_stays_one() -> None:
    film, boxes = walk()
    background = np.median(film, axis=0).astype(np.uint8)
    for i in range(25, 32):  # the middle of the body looks like the wall
        x0, _, x1, _ = boxes[i].astype(int)
        film[i, 44:60, x0:x1] = background[44:60, x0:x1]
    assert overlaps(box_by_motion(film, 30.0).boxes, boxes).min() > 0.6


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("apart", [range(3, 5), range(3, 4), range(8, 12), range(1, 20)])
def test_a_body_keeps_its_track_when_arms_come_off_and_join_again(apart: range, side: int) -> None:
    film, bodies = with_arms(apart, side)
    track = box_by_motion(film, 25.0)
    assert (track.start, len(track.boxes)) == (0, 24)
    assert track.seen.all()
    covered = np.maximum(track.boxes[:, :2], bodies[:, :2]), np.minimum(track.boxes[:, 2:], bodies[:, 2:])
    assert ((covered[1] - covered[0]).prod(-1) > 0.9 * 24 * 110).all()


def test_a_body_keeps_its_track_when_a_long_piece_in_front_joins_it() -> None:
    """A coat held out, nearly as long as the body: alone it would pass for the person who goes on."""
    film = np.full((24, 180, 240, 3), 100, np.uint8)
    for i in range(24):
        x = 10 + 7 * i
        film[i, 40:150, x : x + 24] = 220
        if i >= 3:
            film[i, 50:130, x + (36 if i < 7 else 24) : x + 44] = 220
    track = box_by_motion(film, 25.0)
    assert (track.start, len(track.boxes)) == (0, 24)


@pytest.mark.parametrize("fps", [2.0, 5.0, 12.5, 24.0])
def test_low_frame_rates_need_no_smoothing_window(fps: float) -> None:
    film, boxes = walk()
    assert overlaps(box_by_motion(film[::2], fps).boxes, boxes[::2]).min() > 0.6


@pytest.mark.parametrize(("frames", "fps", "least"), [(2, 25.0, 10), (1, 30.0, 12), (4, 1.0, 5)])
def test_too_short_names_the_least_length(frames: int, fps: float, least: int) -> None:
    film, _ = walk()
    with pytest.raises(VideoError, match=rf"too short .* least {least} frames .*, found {frames}: give BOX"):
        box_by_motion(film[:frames], fps)


@pytest.mark.parametrize("frames", range(10, 15))
def test_every_length_from_the_least_on_gives_boxes(frames: int) -> None:
    film, boxes = walk()
    chosen = np.arange(frames) * 4
    track = box_by_motion(film[chosen], 25.0)
    assert overlaps(track.boxes, boxes[chosen[track.start :][: len(track.boxes)]]).min() > 0.4


def test_no_motion_and_a_moving_camera_ask_for_a_box() -> None:
    still = np.repeat(walk(1)[0], 20, axis=0)
    with pytest.raises(VideoError, match="nothing the size of a person moves: give BOX=x,y,w,h"):
        box_by_motion(still, 30.0)
    shaken = np.random.default_rng(0).integers(0, 255, (20, 90, 160, 3)).astype(np.uint8)
    with pytest.raises(VideoError, match=r"moving camera.*give BOX"):
        box_by_motion(shaken, 30.0)


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    film, _ = walk()
    path = write_video(tmp_path / "a.mp4", (film[i % 60] for i in range(400)), 30.0)
    video = probe(path)
    tracemalloc.start()
    box_by_motion(Thumbnails(video), video.fps)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6 < film[0].nbytes * 400  # the background's median of 41 frames, not all frames


def test_the_shared_case_is_followed_to_its_end(shared: Path) -> None:
    track = box_by_motion(Thumbnails(probe(shared / "cases/videos/base.mp4"), longest=320), 25.0)
    assert (track.start, len(track.boxes)) == (0, 30)
    np.testing.assert_allclose(track.boxes[0], [42, 43, 113, 209], atol=8)
