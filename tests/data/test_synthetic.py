"""Synthetic records: exact labels, believable people, and the same bytes however they are made."""

import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from d3ke_lib.body.pose import Pose
from d3ke_lib.data import records
from d3ke_lib.data.camera import calibrated, project
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.records import RecordError
from d3ke_lib.data.renderer.body_surface import pose_surface
from d3ke_lib.data.schema import file_name
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic import people_take, scene
from d3ke_lib.data.synthetic.generate import DataConfig, load_body, make
from d3ke_lib.data.synthetic.mixtures import vary_motion
from d3ke_lib.data.synthetic.motion import ACTIONS
from d3ke_lib.files import sha256

pytestmark = pytest.mark.usefixtures("people_folder")
VIEWS = {"train_cameras": ("PG1", "PG2"), "test_cameras": ("PG1", "PG2")}
TINY = DataConfig(
    train=1, validation=0, test=1, actions=("walking", "kicking"), seconds=0.3, fps=10.0, px=32, **VIEWS
)
TAKES = (2, 3)  # walking and a mixture; of the test subject kicking, too


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """TINY, made by two workers."""
    out = tmp_path_factory.mktemp("records")
    make(TINY, out, workers=2)
    return out


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.suffix != ".partial"}


@cache
def person(subject: int):
    return people_take.draw_subject(load_body()[0], synthetic._load_people(), 0, subject)


def take(action: str, subject: int = 1, frames: int = 12):
    """A take and how far above the floor its subject hops."""
    t = torch.arange(frames, dtype=torch.float64) / 4
    moved = vary_motion(action, person(subject).style, t, (0, subject))
    return people_take.put_on_floor(load_body()[0], person(subject), moved), moved.hop


# -- files ----------------------------------------------------------------------------------------------


def test_a_file_for_every_subject_and_camera_with_its_split(made):
    manifest = records.load_manifest(made)
    assert {name: file["split"] for name, file in manifest["files"].items()} == {
        "subject_001_PG1.arrow": "train",
        "subject_001_PG2.arrow": "train",
        "subject_002_PG1.arrow": "test",
        "subject_002_PG2.arrow": "test",
    }
    assert manifest["counts"]["train"] == {"files": 2, "subjects": 1, "frames": 2 * 3 * TAKES[0]}
    assert manifest["counts"]["test"]["frames"] == 2 * 3 * TAKES[1]
    frames = FrameSet(made, "test", load_body()[0])
    batch = frames.load(range(6))
    assert batch.image.shape == (6, 3, 32, 32)
    assert frames.actions == ("kicking", "mixture", "walking")
    assert batch.frame.tolist() == list(range(6))


def test_one_worker_resuming_makes_the_same_bytes(made, tmp_path):
    """A file is missing, one was being written when the maker was killed, and there is no manifest."""
    expected = hashes(made)
    for name in list(expected)[2:4]:
        (tmp_path / name).write_bytes((made / name).read_bytes())
    kept = (tmp_path / "subject_002_PG1.arrow").stat().st_mtime_ns
    (tmp_path / ".subject_001_PG1.arrow.4194305.partial").write_bytes(b"half")
    make(TINY, tmp_path, workers=1)
    assert hashes(tmp_path) == expected
    assert not list(tmp_path.glob(".*.partial"))
    assert (tmp_path / "subject_002_PG1.arrow").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_killed_while_working_then_resumed(made, tmp_path):
    code = f"""
from pathlib import Path
from d3ke_lib.data.synthetic.generate import DataConfig, make
if __name__ == "__main__":
    make({TINY!r}, Path({str(tmp_path / "out")!r}), workers=1)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    maker = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.02)
    maker.kill()
    maker.wait()
    left = {path.name: sha256(path) for path in (tmp_path / "out").glob("*.arrow")}
    assert left
    assert left.items() <= hashes(made).items()
    make(TINY, tmp_path / "out", workers=1)
    assert hashes(tmp_path / "out") == hashes(made)


def test_rendering_in_one_process_gives_the_same_images(made, tmp_path):
    """The way of a GPU, on the CPU."""
    todo = [(1, ("PG1", "PG2")), (2, ("PG1",))]
    assert len(list(synthetic._run_on_device(TINY, tmp_path, todo, workers=2, device="cpu"))) == 2
    for job in ((1, "PG1"), (1, "PG2"), (2, "PG1")):
        one, other = (records.read(folder / file_name(*job)) for folder in (made, tmp_path))
        for name in ("angles", "joints", "markers", "R_camera_root", "box", "action", "frame"):
            assert (one.column(name) == other.column(name)).all() or np.allclose(
                one.column(name), other.column(name), atol=1e-6
            )
        images = [records.decode(r.jpeg(3)).float() for r in (one, other)]
        assert (images[0] - images[1]).abs().mean() < 1


def test_a_folder_made_otherwise_is_refused(made):
    with pytest.raises(RecordError, match=r"seed: expected 5, found 0"):
        make(replace(TINY, seed=5), made)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actions", ("flying",)),
        ("train_cameras", ("PG1", "PG1")),
        ("test_cameras", ()),
        ("px", 0),
        ("margin", 0.5),
    ],
)
def test_impossible_configurations_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        replace(TINY, **{field: value})


def test_splits_are_disjoint_and_numbered_from_one():
    splits = DataConfig(train=4, validation=2, test=3).splits
    assert splits == {"train": [1, 2, 3, 4], "validation": [5, 6], "test": [7, 8, 9]}


# -- labels ---------------------------------------------------------------------------------------------


def test_labelled_points_are_the_labelled_poses_points(made):
    skeleton, _ = load_body()
    batch = FrameSet(made, None, skeleton).labels()
    pose = Pose(*(part.double() for part in batch.pose))
    points = skeleton(pose)
    root = batch.points.joints[:, :1].double()
    torch.testing.assert_close(points.joints + root, batch.points.joints.double(), atol=5e-6, rtol=0)
    torch.testing.assert_close(points.markers + root, batch.points.markers.double(), atol=5e-6, rtol=0)


def test_both_cameras_see_the_same_motion(made):
    views = [records.read(made / file_name(1, camera)) for camera in ("PG1", "PG2")]
    assert np.array_equal(views[0].column("angles"), views[1].column("angles"))
    world = [
        np.einsum(
            "fij,fpi->fpj",
            v.column("R_camera_world"),
            v.column("joints") - v.column("t_camera_world")[:, None],
        )
        for v in views
    ]
    np.testing.assert_allclose(world[0], world[1], atol=1e-5)
    roots = [v.column("R_camera_world").swapaxes(1, 2) @ v.column("R_camera_root") for v in views]
    np.testing.assert_allclose(roots[0], roots[1], atol=1e-5)


def test_box_holds_the_person_and_the_crop_shows_it_with_its_margin(made):
    for path in made.glob("*.arrow"):
        record = records.read(path)
        points = np.concatenate([record.column("joints"), record.column("markers")], 1)
        seen = (
            points[..., :2] / points[..., 2:] * record.column("focal")[:, None]
            + record.column("center")[:, None]
        )
        half = 32 / 1.4 / 2
        assert np.abs(seen - 16).max() < half + 0.5
        assert np.abs(seen - 16).max(axis=(1, 2)).min() > 0.7 * half
        box = record.column("box")
        np.testing.assert_allclose(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1], rtol=1e-5)
        full = calibrated(record.metadata.camera)
        world = np.einsum(
            "fij,fpi->fpj", record.column("R_camera_world"), points - record.column("t_camera_world")[:, None]
        )
        inside = project(full, torch.from_numpy(world)).numpy()
        assert (inside > box[:, None, :2]).all()
        assert (inside < box[:, None, 2:]).all()


# -- people ---------------------------------------------------------------------------------------------


def test_statures_are_believable_and_scales_inside_d3kes_range():
    skeleton, surface = load_body()
    unique = torch.stack([scene.draw_scales(skeleton, seed_generator(0, i)) for i in range(300)])
    assert ((unique - skeleton.scale_middle).abs() <= skeleton.scale_half + 1e-9).all()
    assert (unique.std(0)[skeleton.scale_half > 0.01] > 0.01).all()
    scales = skeleton.spread_scales(unique)
    upright = torch.eye(3, dtype=torch.float64).expand(300, 3, 3)
    pose = Pose(torch.zeros(300, len(skeleton.coordinates), dtype=torch.float64), scales, upright)
    cones = pose_surface(surface, skeleton, pose, torch.zeros(300, 3, dtype=torch.float64))
    top = torch.maximum(cones.a[..., 1] + cones.ra, cones.b[..., 1] + cones.rb).amax(-1)
    bottom = torch.minimum(cones.a[..., 1] - cones.ra, cones.b[..., 1] - cones.rb).amin(-1)
    stature = top - bottom
    assert 1.66 < stature.mean() < 1.78
    assert 0.06 < stature.std() < 0.12
    assert stature.min() > 1.45
    assert stature.max() < 2.0


def test_left_and_right_are_nearly_alike():
    skeleton, _ = load_body()
    other = scene._opposite(skeleton)
    assert torch.equal(other[other], torch.arange(51))
    unique = torch.stack([scene.draw_scales(skeleton, seed_generator(1, i)) for i in range(100)])
    change = (unique - skeleton.scale_middle) / skeleton.scale_half
    paired = (other != torch.arange(51)).nonzero()[:, 0]
    assert (change[:, paired] - change[:, other[paired]]).abs().mean() < 0.1


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_sinks_into_the_floor_or_floats(action):
    moved, hop = take(action, subject=3, frames=4)
    bottom = moved.vertices[:, person(3).person.dressed.triangles.unique(), 2].amin(-1)
    assert (bottom - hop).min() > -0.001
    assert (bottom - hop).max() < 0.02
