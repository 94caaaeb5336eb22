"""BMLmovi's and AMASS' files as plain values, checked: frame ranges, fits, camera parameters.

Every error names the file, what was expected and what was found.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.io
from jaxtyping import Float, Int
from scipy.io.matlab import MatReadError

from d3ke_lib.data.bmlmovi import smplh
from d3ke_lib.data.bmlmovi.folder_tree import SEXES, BmlmoviError

MOCAP_HZ, VIDEO_HZ = 120.0, 30.0
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError)


class Ranges(NamedTuple):
    """A V3D file's ranges: video frames of each motion, `first` inclusive, `stop` exclusive, from 0."""

    sex: str | None
    names: tuple[str, ...]  # of the motions
    frames: Int[np.ndarray, "motion 2"]  # (first, stop)


class Fit(NamedTuple):
    """AMASS' fit of one motion: SMPL-H poses (rad, m) at 120 Hz, one shape, the sex of its model."""

    path: Path
    sex: str
    betas: Float[np.ndarray, " beta"]
    poses: Float[np.ndarray, "frame axis_angle"]
    trans: Float[np.ndarray, "frame 3"]


# -- V3D ---------------------------------------------------------------------------------------------------


def read_ranges(path: Path, subject: int) -> Ranges:
    """`Subject_N_F` → `move` → `flags30`: one row per motion: first and last video frame, counted from 1.

    Raises BmlmoviError: cut short, MATLAB's newer format, other names, empty ranges.
    """
    name = f"Subject_{subject}_F"
    record = _variable(path, name)
    move = _field(path, record, f"{name}.move")
    flags = np.atleast_2d(np.asarray(_field(path, move, f"{name}.move.flags30"), object))
    frames = _ranges(path, flags)
    return Ranges(_sex(path, record), _motion_names(move, len(frames)), frames)


def _variable(path: Path, name: str) -> Any:
    try:
        found = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True, variable_names=[name])
        there = [entry[0] for entry in scipy.io.whosmat(path)]
    except NotImplementedError:
        raise BmlmoviError(f"{path}: expected a MATLAB file up to version 7, found version 7.3") from None
    except (*UNREADABLE, TypeError, MatReadError) as error:
        size = path.stat().st_size if path.is_file() else 0
        raise BmlmoviError(
            f"{path}: expected a whole MATLAB file, found {size} bytes ({type(error).__name__}: {error})"
        ) from None
    if name not in found:
        raise BmlmoviError(f"{path}: expected the variable {name}, found {', '.join(there) or 'none'}")
    return found[name]


def _field(path: Path, record: Any, name: str) -> Any:
    """A field of a struct, also where a cell of one holds it (as published: `move{1, 1}`)."""
    if isinstance(record, np.ndarray) and record.size:
        record = record.flat[0]
    there = getattr(record, "_fieldnames", None) or []
    field = name.rsplit(".", 1)[-1]
    if field not in there:
        raise BmlmoviError(f"{path}: expected the field {name}, found {', '.join(there) or 'none'}")
    value = getattr(record, field)
    one = isinstance(value, np.ndarray) and value.dtype == object and value.size == 1
    return value.flat[0] if one else value


def _ranges(path: Path, flags: np.ndarray) -> Int[np.ndarray, "motion 2"]:
    try:
        numbers = flags.astype(float)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 2 or numbers.shape[1] != 2 or not len(numbers):
        raise BmlmoviError(f"{path}: flags30: expected (motions, 2) frame numbers, found shape {flags.shape}")
    for motion, (first, last) in enumerate(numbers, 1):
        whole = np.isfinite((first, last)).all() and first == int(first) and last == int(last)
        if not whole or not 1 <= first <= last:
            raise BmlmoviError(
                f"{path}: flags30, motion {motion}: expected 1 <= first <= last, found {first:g} to {last:g}"
            )
    return numbers.astype(np.int64) - [[1, 0]]


def _sex(path: Path, record: Any) -> str | None:
    subject = getattr(record, "subject", None)
    if isinstance(subject, np.ndarray) and subject.size:
        subject = subject.flat[0]
    found = getattr(subject, "sex", None)
    if found is None:
        return None
    if str(found).lower() not in SEXES:
        raise BmlmoviError(f"{path}: subject.sex: expected male or female, found {found!r}")
    return str(found).lower()


def _motion_names(move: Any, count: int) -> tuple[str, ...]:
    """`motions_list` where there is one of the right length, else motion_01, …"""
    if isinstance(move, np.ndarray):
        move = move.flat[0]
    listed = np.atleast_1d(getattr(move, "motions_list", np.array([])))
    if len(listed) != count:
        return tuple(f"motion_{number:02d}" for number in range(1, count + 1))
    return tuple(str(name).strip() for name in listed)


# -- AMASS -------------------------------------------------------------------------------------------------


def read_fit(path: Path) -> Fit:
    """One `Subject_N_F_k_poses.npz`. Raises BmlmoviError: cut short, another model's poses, another rate."""
    values = _npz(path, ("poses", "betas", "trans", "gender", "mocap_framerate"))
    poses, betas, trans = (np.asarray(values[key], np.float64) for key in ("poses", "betas", "trans"))
    sex, rate = _text(values["gender"]), float(values["mocap_framerate"])
    if sex not in SEXES:
        raise BmlmoviError(f"{path}: gender: expected male or female, found {sex!r}")
    if abs(rate - MOCAP_HZ) > 0.5:
        raise BmlmoviError(f"{path}: mocap_framerate: expected {MOCAP_HZ:g} Hz, found {rate:g}")
    if betas.shape != (smplh.BETAS,):
        raise BmlmoviError(f"{path}: betas: expected {smplh.BETAS} (SMPL-H), found shape {betas.shape}")
    _check_poses(path, poses, trans)
    return Fit(path, sex, betas, poses, trans)


def _check_poses(path: Path, poses: np.ndarray, trans: np.ndarray) -> None:
    if poses.ndim != 2 or poses.shape[1] != smplh.POSE or not len(poses):
        known = {72: " (SMPL's)", 165: " (SMPL-X's)"}.get(poses.shape[-1] if poses.ndim else 0, "")
        raise BmlmoviError(
            f"{path}: poses: expected (frames, {smplh.POSE}) of SMPL-H, found {poses.shape}{known}"
        )
    if trans.shape != (len(poses), 3):
        raise BmlmoviError(f"{path}: trans: expected {(len(poses), 3)}, found {trans.shape}")
    if not (np.isfinite(poses).all() and np.isfinite(trans).all()):
        raise BmlmoviError(f"{path}: expected finite poses and trans, found infinite or NaN values")


def fit_frames(path: Path) -> int:
    """How many frames a fit has, from the header of its poses alone. Raises BmlmoviError."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("poses.npy") as file:
            version = np.lib.format.read_magic(file)
            old = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            return int(read(file)[0][0])
    except (*UNREADABLE, IndexError) as error:
        raise BmlmoviError(f"{path}: expected a whole .npz, found {_bytes(path)} ({error})") from None


def _npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            there = list(file.files)
            values = {name: file[name] for name in names if name in there}
    except UNREADABLE as error:
        raise BmlmoviError(f"{path}: expected a whole .npz, found {_bytes(path)} ({error})") from None
    if missing := [name for name in names if name not in values]:
        raise BmlmoviError(f"{path}: expected {', '.join(missing)}; found only {', '.join(there)}")
    return values


def _bytes(path: Path) -> str:
    return f"{path.stat().st_size} bytes" if path.is_file() else "no file"


def _text(value: np.ndarray) -> str:
    """AMASS writes a string, bytes, or bytes written as a string ("b'male'")."""
    found = value.item() if value.ndim == 0 else value.flat[0]
    text = found.decode() if isinstance(found, bytes) else str(found)
    return text.removeprefix("b'").removesuffix("'").lower()
