"""Qualisys' calibration: a file written here, its camera's geometry, and what is refused."""

import re
from pathlib import Path

import pytest
import torch
import views

from d3ke_lib.experiment.trial.calibration import check_video, project, read_calibration, to_plane
from d3ke_lib.files import D3keError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return views.write_calibration(tmp_path / "Calib.qca.txt")


def test_cameras_look_where_they_were_put(path: Path) -> None:
    for camera, position in zip(read_calibration(path), views.POSITIONS, strict=True):
        assert torch.allclose(camera.centre, position, atol=1e-6)
        ahead = project(camera, views.TARGET[None])
        assert torch.allclose(ahead, camera.camera.center, atol=1.0)  # each is aimed at the target
        above = project(camera, (views.TARGET + torch.tensor([0.0, 0.3, 0.0]))[None])
        assert above[0, 1] < ahead[0, 1] - 50  # up in the world is up in the image
        assert torch.linalg.det(camera.camera.R) > 0.99


def test_distortion_is_undone(path: Path) -> None:
    camera = read_calibration(path)[0]
    ground = views.TARGET + 0.8 * torch.rand(50, 3, dtype=torch.float64)
    seen = ground @ camera.camera.R.T + camera.camera.t
    plane = to_plane(camera, project(camera, ground))
    assert torch.allclose(plane, seen[:, :2] / seen[:, 2:], atol=1e-9)
    assert camera.tangential.abs().min() > 0


def test_projection_is_opencvs_formula(path: Path) -> None:
    """x'' = x(1 + k1 r² + k2 r⁴) + 2 p1 x y + p2 (r² + 2x²), written out for one point."""
    camera = read_calibration(path)[0]
    point = views.TARGET + torch.tensor([0.3, 0.5, -0.2], dtype=torch.float64)
    x, y, z = (camera.camera.R @ point + camera.camera.t).tolist()
    x, y = x / z, y / z
    r2, (k1, k2), (p1, p2) = x * x + y * y, views.RADIAL, views.TANGENTIAL
    u = x * (1 + k1 * r2 + k2 * r2 * r2) + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * (1 + k1 * r2 + k2 * r2 * r2) + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    expected = [views.FOCAL * u + views.CENTER[0], views.FOCAL * v + views.CENTER[1]]
    assert project(camera, point[None])[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (r' r11="[^"]*"', ' r11="0.5"', "expected a rotation"),
        (r' r32="[^"]*"', "", "r32: expected a number, found ''"),
        (r' x="[^"]*"', ' x="2e9"', "expected a position in mm"),
        (r' focalLengthU="[^"]*"', ' focalLengthU="1680"', "1/64 px"),
        (r' centerPointV="[^"]*"', ' centerPointV="9999999"', "principal point"),
        (r"<intrinsic [^>]*>", "", "expected <intrinsic>"),
        (r"<calibration", "<other", "expected Qualisys' calibration"),
        (r"</?cameras>", "", "expected <calibration> with <cameras>"),
        (r'serial="cam2"', 'serial="cam1"', "names of their own"),
    ],
)
def test_wrong_files_are_named(path: Path, old: str, new: str, said: str) -> None:
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=0 if "cameras" in old else 1))
    with pytest.raises(D3keError, match=re.escape(said)) as caught:
        read_calibration(path)
    assert str(path) in str(caught.value)


def test_videos_of_another_size(path: Path) -> None:
    camera = read_calibration(path)[0]
    width, height = camera.size
    check_video(camera, (width - 8, height), Path("a.mp4"))  # padding that is cut off again
    for size in ((width - 16, height), (height, width), (width + 1, height)):
        with pytest.raises(D3keError, match=r"a\.mp4: expected 1088×1920 px, as camera cam1"):
            check_video(camera, size, Path("a.mp4"))
