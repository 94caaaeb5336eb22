"""The moving person's box against where the person was drawn."""

import numpy as np
import pytest

from d3ke_lib.data.person_tracking import MARGIN, area_of, box_by_motion, shared_area
from d3ke_lib.data.video import VideoError


def walk(frames: int = 60, seed: int = 0, second: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A noisy scene in which a person-sized block crosses, and its boxes; with `second` two blocks."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(60, 120, (90, 160, 3))
    film = scene + rng.integers(-6, 7, (frames, 90, 160, 3))
    boxes = np.array([[2 * i + 8, 30, 2 * i + 24, 78] for i in range(frames)], float)
    for i, (picture, (x0, y0, x1, y1)) in enumerate(zip(film, boxes.astype(int))):
        picture[y0:y1, x0:x1] = 210
        if second:
            picture[4:18, 150 - 2 * i - 6 : 150 - 2 * i] = 220
    return film.clip(0, 255).astype(np.uint8), boxes


def overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    shared = np.array([shared_area(a, b) for a, b in zip(found, true)])
    total = np.array([area_of(a) + area_of(b) for a, b in zip(found, true)])
    return shared / (total - shared)


@pytest.mark.parametrize("second", [False, True])
def test_box_follows_the_person(second: bool) -> None:
    film, boxes = walk(second=second)
    track = box_by_motion(film, 30.0)
    assert track.start == 0
    assert len(track.boxes) == 60
    grown = boxes + MARGIN * 48 * np.array([-1, -1, 1, 1])
    assert overlaps(track.boxes, grown).min() > 0.85
    assert overlaps(track.boxes, grown).mean() > 0.95
    assert (track.boxes >= 0).all()
    assert (track.boxes <= [160, 90, 160, 90]).all()


def test_only_frames_with_the_person_are_given() -> None:
    film, _ = walk(40)
    empty = film[0].copy()
    empty[30:78] = film[-1][30:78]
    empty[30:78, 86:102] = film[0][30:78, 86:102]
    track = box_by_motion(np.concatenate([np.stack([empty] * 30), film]), 30.0)
    assert abs(track.start - 30) <= 1


def test_a_person_cut_in_two_by_a_shirt_like_the_wall_stays_one() -> None:
    film, boxes = walk()
    background = np.median(film, axis=0).astype(np.uint8)
    for i in range(25, 32):  # the middle of the body looks like the wall
        x0, _, x1, _ = boxes[i].astype(int)
        film[i, 44:60, x0:x1] = background[44:60, x0:x1]
    assert overlaps(box_by_motion(film, 30.0).boxes, boxes).min() > 0.6


def test_no_motion_and_a_moving_camera_ask_for_a_box() -> None:
    still = np.repeat(walk(1)[0], 20, axis=0)
    with pytest.raises(VideoError, match="nothing the size of a person moves: give BOX=x,y,w,h"):
        box_by_motion(still, 30.0)
    shaken = np.random.default_rng(0).integers(0, 255, (20, 90, 160, 3)).astype(np.uint8)
    with pytest.raises(VideoError, match=r"moving camera.*give BOX"):
        box_by_motion(shaken, 30.0)
