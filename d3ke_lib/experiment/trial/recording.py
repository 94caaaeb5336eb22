"""The recordings that the package Pose2Sim (BSD 3-Clause) ships: four calibrated, synchronised cameras.

Its wheel is a download (`d3ke_lib.wheels`), checked by its hash and never installed; nothing of it becomes
part of this repository.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

from d3ke_lib.data import video as videos
from d3ke_lib.data.video import Video
from d3ke_lib.experiment.trial.calibration import CalibratedCamera, check_video, read_calibration
from d3ke_lib.files import D3keError, write_bytes
from d3ke_lib.wheels import fetch_wheel

PACKAGE, VERSION = "pose2sim", "0.10.49"
SHA256 = "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1"
TRIALS = {"one": "Demo_SinglePerson", "two": "Demo_MultiPerson"}  # by number of persons
_CALIBRATION = "Calib.qca.txt"
_LICENCE = "licenses/LICENSE"
_UNEVEN = 0.1  # of a frame's duration, between cameras' time stamps


class Recording(NamedTuple):
    """Synchronised videos of equal length and rate, one per camera."""

    name: str
    cameras: tuple[CalibratedCamera, ...]
    videos: tuple[Video, ...]

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.videos[0].fps


def fetch_recording(persons: str, folder: Path) -> Recording:
    """One of TRIALS, its wheel fetched into `folder` where it is not there yet, its files unpacked there.

    Raises D3keError as `fetch_wheel` and `open_recording`.
    """
    wheel, home = fetch_wheel(PACKAGE, VERSION, SHA256, folder), folder / TRIALS[persons]
    with zipfile.ZipFile(wheel) as archive:
        inside = f"Pose2Sim/{TRIALS[persons]}/"
        for name in archive.namelist():
            target = home / Path(name).name
            wanted = name.startswith(inside) and name.endswith((".mp4", f"/{_CALIBRATION}"))
            if (wanted or name.endswith(_LICENCE)) and not target.is_file():
                write_bytes(target, archive.read(name))
    return open_recording(home)


def open_recording(folder: Path) -> Recording:
    """`folder` with Calib.qca.txt and one <camera>.mp4 for each of its cameras.

    Raises D3keError for a calibration or video that is missing, unreadable or does not fit the others.
    """
    if not (folder / _CALIBRATION).is_file():
        raise D3keError(f"{folder / _CALIBRATION}: expected the cameras' calibration, found no file")
    cameras = read_calibration(folder / _CALIBRATION)
    found = []
    for camera in cameras:
        found.append(videos.probe(folder / f"{camera.name}.mp4"))
        check_video(camera, found[-1].size, found[-1].path)
    _check_synchronous(found)
    return Recording(folder.name, cameras, tuple(found))


def _check_synchronous(found: list[Video]) -> None:
    first = found[0]
    for other in found[1:]:
        if len(other.times) != len(first.times):
            raise D3keError(
                f"{other.path}: expected {len(first.times)} frames as {first.path.name}, "
                f"found {len(other.times)}"
            )
        if (apart := abs(other.times - first.times).max()) * first.fps > _UNEVEN:
            raise D3keError(
                f"{other.path}: expected the times of {first.path.name}, found {1e3 * apart:.0f} ms between"
            )
