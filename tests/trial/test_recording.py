"""Recordings of several cameras: what belongs together, and what does not."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import views

from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.trial import recording
from d3ke_lib.files import D3keError


def write(folder: Path, name: str, frames: int = 3, fps: float = 60.0, size: tuple[int, int] = (1088, 1920)):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    return write_video(folder / f"{name}.mp4", [image] * frames, fps)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    views.write_calibration(tmp_path / "Calib.qca.txt")
    for name in ("cam1", "cam2", "cam3", "cam4"):
        write(tmp_path, name)
    return tmp_path


def test_cameras_and_videos_by_name(folder: Path) -> None:
    found = recording.open_recording(folder)
    assert [camera.name for camera in found.cameras] == [video.path.stem for video in found.videos]
    assert found.rate == pytest.approx(60.0)


def test_what_does_not_fit_is_named(folder: Path) -> None:
    write(folder, "cam3", frames=4)
    with pytest.raises(D3keError, match=r"cam3\.mp4: expected 3 frames as cam1\.mp4, found 4"):
        recording.open_recording(folder)
    write(folder, "cam3", fps=25.0)
    with pytest.raises(D3keError, match=r"cam3\.mp4: expected the times of cam1\.mp4"):
        recording.open_recording(folder)
    write(folder, "cam3", size=(1920, 1088))
    with pytest.raises(D3keError, match=r"cam3\.mp4: expected 1088×1920 px"):
        recording.open_recording(folder)
    (folder / "cam3.mp4").unlink()
    with pytest.raises(D3keError, match=r"cam3\.mp4: no such file"):
        recording.open_recording(folder)
    (folder / "Calib.qca.txt").unlink()
    with pytest.raises(D3keError, match="expected the cameras' calibration"):
        recording.open_recording(folder)


def test_only_the_trial_is_unpacked(folder: Path, tmp_path: Path, monkeypatch) -> None:
    wheel = tmp_path / "wheel.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in folder.glob("cam*.mp4"):
            archive.write(path, f"Pose2Sim/Demo_SinglePerson/videos/{path.name}")
        archive.write(folder / "Calib.qca.txt", "Pose2Sim/Demo_SinglePerson/calibration/Calib.qca.txt")
        archive.writestr("Pose2Sim/Demo_MultiPerson/videos/cam1.mp4", b"another")
        archive.writestr("Pose2Sim/calibration.py", "raise SystemExit")
        archive.writestr("pose2sim-0.dist-info/licenses/LICENSE", "BSD 3-Clause")
    monkeypatch.setattr(recording, "fetch_wheel", lambda *_: wheel)
    found = recording.fetch_recording("one", tmp_path / "out")
    home = tmp_path / "out" / "Demo_SinglePerson"
    assert {path.name for path in home.iterdir()} == {
        "Calib.qca.txt", "LICENSE", *(f"cam{i}.mp4" for i in range(1, 5))
    }  # fmt: skip
    assert found.videos[0].path == home / "cam1.mp4"
    assert (home / "cam1.mp4").read_bytes() != b"another"
