"""BMLmovi's files in a folder of downloads, known by their published names wherever they lie.

BMLmovi/videos/F_PG1_Subject_1_L.avi          BMLmovi/v3d/F_v3d_Subject_1.mat
BMLmovi/cameras/cameraParams_PG1.npz          AMASS/BMLmovi/Subject_1_F_MoSh/Subject_1_F_1_poses.npz
smplh/male/model.npz   smplh/female/model.npz
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from d3ke_lib.data.schema import RecordError

SEXES = ("male", "female")
CAMERAS = ("PG1", "PG2")
_VIDEO = re.compile(r"F_(PG[12])_Subject_(\d+)_L\.avi")
_RANGES = re.compile(r"F_v3d_Subject_(\d+)\.mat")
_FIT = re.compile(r"Subject_(\d+)_F_(\d+)_poses\.npz")
_CAMERA = re.compile(r"(cameraParams|Extrinsics)_(PG[12])\.(npz|mat|pkl)")
_MODEL = re.compile(r"model\.npz")
_ARCHIVE = re.compile(r".*\.(zip|tar|tgz|gz|bz2|xz|7z|rar)")
# Published with these, and not needed.
_KNOWN = re.compile(
    r"shape\.npz|.*LICENSE.*|README.*|.*\.(txt|md|pdf|html)"
    r"|F_amass_Subject_\d+\.mat|[SI]\d?_.*|imu_Subject_\d+.*|.*_stagei+\.npz|neutral_.*"
)


class BmlmoviError(RecordError):
    """A download is missing or not what it should be; the message names the file, expected and found."""


class Downloads(NamedTuple):
    """Files by kind; `unexpected`: of other names; `doubled`: of a name that was found before."""

    raw: Path
    videos: dict[tuple[int, str], Path]  # (subject, camera)
    ranges: dict[int, Path]  # subject
    fits: dict[int, dict[int, Path]]  # subject → motion (from 1) → file
    models: dict[str, Path]  # sex
    cameras: dict[tuple[str, str], Path]  # (cameraParams | Extrinsics, camera)
    archives: list[Path]
    doubled: list[Path]
    unexpected: list[Path]

    @property
    def subjects(self) -> list[int]:
        """Subjects with any file."""
        return sorted({*self.ranges, *self.fits, *(subject for subject, _ in self.videos)})


def find_downloads(raw: Path) -> Downloads:
    """Looks through the whole folder; opens no file. Raises BmlmoviError where there is no such folder."""
    if not raw.is_dir():
        raise BmlmoviError(f"{raw}: expected the folder of the downloads (RAW=…), found none")
    tree = Downloads(raw, {}, {}, {}, {}, {}, [], [], [])
    for path in _walk(raw):
        _sort_in(tree, path)
    return tree


def _walk(raw: Path) -> Iterator[Path]:
    """In an order that does not depend on the disk; also below links to folders."""
    for folder, folders, names in os.walk(raw, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in ("__MACOSX", "VOC", "VOCdevkit"))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _sort_in(tree: Downloads, path: Path) -> None:
    name = path.name
    if match := _VIDEO.fullmatch(name):
        _add(tree, tree.videos, (int(match[2]), match[1]), path)
    elif match := _RANGES.fullmatch(name):
        _add(tree, tree.ranges, int(match[1]), path)
    elif match := _FIT.fullmatch(name):
        _add(tree, tree.fits.setdefault(int(match[1]), {}), int(match[2]), path)
    elif match := _CAMERA.fullmatch(name):
        if match[3] != "pkl":  # pickles are never opened; the .npz holds the same numbers
            _add(tree, tree.cameras, (match[1], match[2]), path)
    elif _MODEL.fullmatch(name) and (sex := _sex(path)):
        _add(tree, tree.models, sex, path)
    elif _ARCHIVE.fullmatch(name):
        tree.archives.append(path)
    elif not _KNOWN.fullmatch(name) and not _MODEL.fullmatch(name):
        tree.unexpected.append(path)


def _sex(path: Path) -> str | None:
    """The nearest folder called male or female; None: a neutral model, which no subject needs."""
    return next((part for part in reversed(path.parent.parts) if part in SEXES), None)


def _add(tree: Downloads, where: dict, key: object, path: Path) -> None:
    """Of several files of one name the first is used, .npz rather than .mat; the others are `doubled`."""
    if key in where and not (where[key].suffix == ".mat" and path.suffix == ".npz"):
        same_camera = where[key].suffix != path.suffix
        if not same_camera:
            tree.doubled.append(path)
        return
    where[key] = path
