"""Frames by split, orders that repeat, windows that stop where the motion does."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from example_records import NAMES, SIZES, example, save
from hypothesis import given, settings
from hypothesis import strategies as st

from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data import records
from d3ke_lib.data.datasets import (
    FrameSet,
    TemporalSet,
    _select_moving,
    epoch_order,
    sequences,
    stream,
    window_offsets,
)
from d3ke_lib.data.schema import RecordError

MOTIONS = {"walking": 5, "jumping": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Subjects 3 and 5 in train, 4 in test; two views; two motions of 5 and 4 frames each."""
    folder = tmp_path_factory.mktemp("records")
    for subject in (3, 4, 5):
        for camera in ("PG1", "PG2"):
            save(folder, subject=subject, camera=camera, motions=MOTIONS)
    records.write_manifest(folder, {"seed": 1}, {"train": [3, 5], "test": [4]})
    return folder


def test_split_and_order(folder):
    frames = FrameSet(folder, "train")
    labels = frames.labels()
    assert len(frames) == 36
    assert frames.cameras == ("PG1", "PG2")
    assert frames.actions == ("jumping", "walking")
    assert labels.subject.tolist() == [3] * 18 + [5] * 18
    assert labels.view.tolist() == ([0] * 9 + [1] * 9) * 2
    assert labels.action.tolist() == ([1] * 5 + [0] * 4) * 4
    assert labels.index.tolist() == list(range(36))
    assert labels.image is None
    assert len(FrameSet(folder, None)) == 54
    assert set(FrameSet(folder, "train", subjects=[5]).labels().subject.tolist()) == {5}


def test_load_gives_what_was_written(folder):
    columns, _ = example(subject=4, motions=MOTIONS)
    frames = FrameSet(folder, "test")
    batch = frames.load([7, 2])
    for i, row in enumerate((7, 2)):
        assert torch.equal(batch.image[i], records.decode(columns["image"][row]))
        np.testing.assert_array_equal(batch.pose.angles[i], columns["angles"][row])
        np.testing.assert_array_equal(batch.pose.R_ground_root[i], columns["R_camera_root"][row])
        np.testing.assert_array_equal(batch.points.markers[i], columns["markers"][row])
        np.testing.assert_array_equal(batch.valid.joints[i], columns["valid_joints"][row])
        np.testing.assert_array_equal(batch.camera.focal[i], columns["focal"][row])
        np.testing.assert_array_equal(batch.R_camera_world[i], columns["R_camera_world"][row])
    assert batch.frame.tolist() == [7, 2]
    assert batch.margin.tolist() == [2, 2]
    assert torch.equal(batch.camera.R, torch.eye(3).expand(2, 3, 3))


def test_every_starts_anew_with_each_motion(folder):
    assert FrameSet(folder, "test", every=2).labels().frame.tolist() == [0, 2, 4, 5, 7] * 2
    frames = FrameSet(folder, "test", every=2)
    assert torch.equal(frames.load([3]).image, FrameSet(folder, "test").load([5]).image)


def test_moved_is_measured_in_the_world(tmp_path):
    """A camera that turns while the body stands still moves nothing; 3 cm of one marker do."""
    columns, metadata = example(frames=4)
    angle = np.linspace(0, 1, 4)
    turn = np.zeros((4, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = -np.sin(angle), np.sin(angle), 1
    world = np.repeat(columns["markers"][:1], 4, 0)
    world[2:, 1, 0] += 0.03
    columns["R_camera_world"] = turn
    columns["markers"] = np.einsum("tij,tmj->tmi", turn, world) + columns["t_camera_world"][:, None]
    records.write(tmp_path / "subject_003_PG1.arrow", columns, metadata)
    records.write_manifest(tmp_path, {}, {"train": [3]})
    assert FrameSet(tmp_path, "train", moved=0.02).labels().frame.tolist() == [0, 2]
    assert FrameSet(tmp_path, "train", moved=0.04).labels().frame.tolist() == [0]


def test_moving_counts_from_the_last_kept():
    creep = np.zeros((6, 2, 3))
    creep[:, 1, 2] = 0.015 * np.arange(6)
    assert _select_moving(creep, 0.02) == [0, 2, 4]


def test_damage_is_found_on_opening(tmp_path):
    path = save(tmp_path)
    manifest = records.write_manifest(tmp_path, {}, {"train": [3]})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        FrameSet(tmp_path, "train")
    assert path.name in str(caught.value)
    assert manifest["files"][path.name]["sha256"] in str(caught.value)


def test_unknown_split_subject_and_skeleton(folder):
    with pytest.raises(RecordError, match=r"split: expected one of \['test', 'train'\], found 'valid'"):
        FrameSet(folder, "valid")
    with pytest.raises(RecordError, match=r"subjects \[4\]: expected files in split 'train'"):
        FrameSet(folder, "train", subjects=[3, 4])

    class Other:
        coordinates, bodies, joints = (tuple(NAMES[kind]) for kind in ("coordinates", "bodies", "joints"))
        markers = ("nose",)

    with pytest.raises(RecordError, match=r"subject_003_PG1\.arrow: markers: expected \['nose'\]"):
        FrameSet(folder, "train", Other())


def test_files_that_do_not_belong_together(tmp_path):
    save(tmp_path, subject=3)
    save(tmp_path, subject=4, px=24)
    records.write_manifest(tmp_path, {}, {"train": [3, 4]})
    with pytest.raises(RecordError, match=r"subject_004_PG1\.arrow: px: expected 16, found 24"):
        FrameSet(tmp_path, "train")


@pytest.mark.parametrize("cache_bytes", [0, 10 * 3 * 16 * 16, 2**30])
def test_cache_changes_nothing(folder, cache_bytes):
    plain, cached = FrameSet(folder, "train"), FrameSet(folder, "train", cache_bytes=cache_bytes)
    order = [3, 35, 9, 10, 3]
    for _ in range(2):
        assert torch.equal(cached.load(order).image, plain.load(order).image)


@pytest.mark.parametrize("index", [-1, 18])
def test_frames_that_are_not_there(folder, index):
    with pytest.raises(IndexError, match="expected 0 to 17"):
        FrameSet(folder, "test", cache_bytes=2**12).load([0, index])


def test_damaged_image_is_named(tmp_path):
    columns, metadata = example()
    columns["image"][4] = records.encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))[0]
    records.write(tmp_path / "subject_003_PG1.arrow", columns, metadata)
    records.write_manifest(tmp_path, {}, {"train": [3]})
    frames = FrameSet(tmp_path, "train")
    frames.load([3])
    with pytest.raises(
        RecordError, match=r"subject_003_PG1\.arrow: image 4: expected 16 px, found \(3, 8, 8\)"
    ):
        frames.load([4])


# --- order ------------------------------------------------------------------------------------------------


@settings(derandomize=True)
@given(n=st.integers(1, 200), seed=st.integers(0, 2**40), epoch=st.integers(0, 999))
def test_epoch_order_is_a_permutation_of_seed_and_epoch_alone(n, seed, epoch):
    order = epoch_order(n, seed, epoch)
    torch.rand(3)
    assert torch.equal(order, epoch_order(n, seed, epoch))
    assert order.sort().values.tolist() == list(range(n))
    if n > 20:
        assert not torch.equal(order, epoch_order(n, seed, epoch + 1))
        assert not torch.equal(order, epoch_order(n, seed + 1, epoch))


def test_stream_order_does_not_depend_on_threads(folder):
    frames = FrameSet(folder, "train", cache_bytes=2**12)
    order = epoch_order(len(frames), 1, 0).split(5)
    expected = [frames.load(indices) for indices in order]
    for workers, ahead in ((1, 0), (1, 4), (4, 2), (4, 100)):
        found = list(stream(frames, order, workers, ahead))
        assert [b.index.tolist() for b in found] == [b.index.tolist() for b in expected]
        assert all(torch.equal(a.image, b.image) for a, b in zip(found, expected))


def test_stream_resumes_in_the_middle(folder):
    frames = FrameSet(folder, "train")
    order = epoch_order(len(frames), 1, 3).split(5)
    whole = [b.index.tolist() for b in stream(frames, order)]
    assert [b.index.tolist() for b in stream(frames, order[4:])] == whole[4:]


def test_stream_passes_errors_on_and_stops(folder):
    frames = FrameSet(folder, "test")
    running = threading.active_count()
    with pytest.raises(IndexError):
        list(stream(frames, [torch.tensor([0]), torch.tensor([99])]))
    pieces = stream(frames, [torch.tensor([i % 9]) for i in range(1000)])
    next(pieces)
    pieces.close()
    time.sleep(0.05)
    assert threading.active_count() == running


# --- windows ------------------------------------------------------------------------------------------------


def test_a_window_of_even_length_has_no_middle():
    assert window_offsets(5).tolist() == [-2, -1, 0, 1, 2]
    assert window_offsets(4, causal=True).tolist() == [-3, -2, -1, 0]
    with pytest.raises(ValueError, match="expected an odd number of frames"):
        window_offsets(6)


def test_sequences_are_motions(folder):
    labels = FrameSet(folder, "train").labels()
    assert sequences(labels) == [(0, 5), (5, 9), (9, 14), (14, 18), (18, 23), (23, 27), (27, 32), (32, 36)]
    assert sequences(labels[:1]) == [(0, 1)]


def test_the_same_action_again_is_another_motion(folder):
    labels = FrameSet(folder, "test").labels()[:9]
    labels = replace(labels, action=torch.zeros(9, dtype=torch.int64))
    assert sequences(labels) == [(0, 5), (5, 9)]


def predictions(frames: int) -> tuple[Pose, Points]:
    angles = torch.arange(frames, dtype=torch.float32)[:, None].expand(-1, SIZES["coordinates"])
    pose = Pose(angles, torch.rand(frames, SIZES["bodies"], 3), torch.eye(3).repeat(frames, 1, 1))
    points = Points(torch.randn(frames, SIZES["joints"], 3), torch.randn(frames, SIZES["markers"], 3))
    return pose, points


def test_temporal_windows_stay_in_their_motion_and_are_relative(folder):
    labels = FrameSet(folder, "train").labels()
    pose, points = predictions(36)
    temporal = TemporalSet(pose, points, labels, window=5)
    assert len(temporal) == 36
    indices = torch.tensor([4, 5, 35])
    window, seen, target = temporal.load(indices)
    rows = torch.tensor([[2, 3, 4, 4, 4], [5, 5, 5, 6, 7], [33, 34, 35, 35, 35]])
    assert torch.equal(window.angles[..., 0], rows.float())
    assert torch.equal(window.R_ground_root, pose.R_ground_root[rows])
    assert torch.equal(seen.joints[..., 0, :], torch.zeros(3, 5, 3))
    torch.testing.assert_close(seen.markers, points.markers[rows] - points.joints[rows][..., :1, :])
    assert torch.equal(target.index, indices)
    *_, target = temporal.load(indices, whole=True)
    assert torch.equal(target.index, rows)
    assert target.points.joints.shape == (3, 5, SIZES["joints"], 3)


def test_temporal_causal_and_lengths(folder):
    labels = FrameSet(folder, "test").labels()
    pose, points = predictions(18)
    window, *_ = TemporalSet(pose, points, labels, window=4, causal=True).load(torch.tensor([6]))
    assert window.angles[0, :, 0].tolist() == [5, 5, 5, 6]
    with pytest.raises(ValueError, match="expected 17 frames, found 18"):
        TemporalSet(pose, points, labels[:17])
