"""OpenSim's files: coordinates in .mot/.sto, markers in .trc, a scaled model as .osim (read by osim.py).

SI and radians inside. On disk angles are in degrees or radians, as the header says, and translations always
in metres. The readers are strict: what does not agree with its own header is an error that names the line.
"""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.files import write_text

__all__ = [
    "Motion",
    "Trajectories",
    "read_mot",
    "read_trc",
    "write_mot",
    "write_osim",
    "write_text",
    "write_trc",
]
TRANSLATIONS = frozenset({"pelvis_tx", "pelvis_ty", "pelvis_tz"})
TRC_KEYS = ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"]
TRC_KEYS += ["OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"]
METRES = {"m": 1.0, "mm": 1e-3, "cm": 1e-2}


class Motion(NamedTuple):
    """Coordinates over time: `values` (time, coord) in rad, translations in m; `time` in s."""

    time: Float[np.ndarray, " time"]
    labels: tuple[str, ...]
    values: Float[np.ndarray, "time coord"]


class Trajectories(NamedTuple):
    """Markers over time: `positions` (time, marker, 3) in m, NaN where a marker is missing; `time` in s."""

    time: Float[np.ndarray, " time"]
    labels: tuple[str, ...]
    positions: Float[np.ndarray, "time marker 3"]


def read_mot(path: Path, translations: Collection[str] = TRANSLATIONS) -> Motion:
    """Coordinates of a .mot or .sto file, in rad; `translations` names the columns in metres.

    Raises FileNotFoundError, or ValueError naming file, line, what was expected and what was found.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    header, first = _mot_header(path, lines)
    labels = _mot_labels(path, lines, first)
    rows = [(n, line.split()) for n, line in enumerate(lines[first + 1 :], first + 2) if line.strip()]
    table = _numbers(
        path, rows, len(labels) + 1, f"{len(labels) + 1} numbers (time and {len(labels)} columns)"
    )
    _agree(path, header, "nrows", len(table))
    _agree(path, header, "ncolumns", len(labels) + 1)
    time, values = table[:, 0], table[:, 1:]
    _increasing(path, time, [n for n, _ in rows])
    return Motion(time, labels, values * _factors(labels, translations, header["indegrees"], np.deg2rad(1.0)))


def write_mot(
    path: Path, motion: Motion, degrees: bool = True, translations: Collection[str] = TRANSLATIONS
) -> None:
    """Write coordinates (rad, m) as a .mot that OpenSim opens; `degrees`: how angles stand in the file."""
    _check_table(path, motion.time, motion.labels, motion.values)
    values = motion.values * _factors(motion.labels, translations, degrees, np.rad2deg(1.0))
    head = [Path(path).stem, "version=1", f"nRows={len(motion.time)}", f"nColumns={len(motion.labels) + 1}"]
    head += [f"inDegrees={'yes' if degrees else 'no'}", "endheader", "\t".join(("time", *motion.labels))]
    rows = ["\t".join(map(_text, (t, *row))) for t, row in zip(motion.time, values)]
    write_text(path, "\n".join(head + rows) + "\n")


def read_trc(path: Path) -> Trajectories:
    """Markers of a .trc file in m (the header's unit is converted); an empty or NaN cell becomes NaN.

    Raises FileNotFoundError, or ValueError naming file, line, what was expected and what was found.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    header = _trc_header(path, lines)
    labels = _trc_labels(path, lines, int(header["NumMarkers"]))
    width = 2 + 3 * len(labels)
    rows = [(n, _cells(line, width)) for n, line in enumerate(lines[5:], 6) if line.strip()]
    table = _numbers(path, rows, width, f"{width} cells (frame, time, 3 × {len(labels)} markers)")
    if len(table) != int(header["NumFrames"]):
        raise ValueError(f"{path}: NumFrames: expected {header['NumFrames']} frames, found {len(table)}")
    _increasing(path, table[:, 1], [n for n, _ in rows])
    positions = table[:, 2:].reshape(len(table), len(labels), 3) * METRES[header["Units"]]
    return Trajectories(table[:, 1], labels, positions)


def write_trc(path: Path, markers: Trajectories, rate: float | None = None, units: str = "m") -> None:
    """Write markers (m) as a .trc; `rate` in Hz is needed only for a single frame, `units` is m, cm or mm."""
    _check_table(path, markers.time, markers.labels, markers.positions)
    if units not in METRES:
        raise ValueError(f"{path}: units: expected one of {', '.join(METRES)}, found {units!r}")
    rate = rate or _rate(path, markers.time)
    count, names = len(markers.time), markers.labels
    facts = [_text(rate), _text(rate), str(count), str(len(names)), units, _text(rate), "1", str(count)]
    head = [f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}", "\t".join(TRC_KEYS), "\t".join(facts)]
    head += ["Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t"]
    head += ["\t\t" + "\t".join(f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"), ""]
    flat = markers.positions.reshape(count, -1) / METRES[units]
    rows = [
        "\t".join((str(n), *map(_text, (t, *row)))) for n, (t, row) in enumerate(zip(markers.time, flat), 1)
    ]
    write_text(path, "\n".join(head + rows) + "\n")


def _mot_header(path: Path, lines: list[str]) -> tuple[dict, int]:
    """Keys in lower case (OpenSim ignores case; `inDegrees` as bool) and the index of the label line."""
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise ValueError(f"{path}:{len(lines)}: expected a line 'endheader', found none")
    pairs = [line.split("=", 1) for line in lines[:end] if "=" in line and "'" not in line]
    header = {key.strip().lower(): value.strip() for key, value in pairs}
    found = header.get("indegrees", "none").lower()
    if found not in ("yes", "no"):
        raise ValueError(f"{path}: header: expected inDegrees=yes or inDegrees=no, found {found}")
    return header | {"indegrees": found == "yes"}, end + 1


def _mot_labels(path: Path, lines: list[str], first: int) -> tuple[str, ...]:
    labels = lines[first].split() if first < len(lines) else []
    if not labels or labels[0].lower() != "time":
        raise ValueError(f"{path}:{first + 1}: expected labels that begin with 'time', found {labels[:3]}")
    _unique(f"{path}:{first + 1}", labels)
    return tuple(labels[1:])


def _trc_header(path: Path, lines: list[str]) -> dict[str, str]:
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise ValueError(f"{path}:1: expected a header of 5 lines from 'PathFileType', found {lines[:1]}")
    keys, values = lines[1].split(), lines[2].split()
    if keys[: len(TRC_KEYS)] != TRC_KEYS:
        raise ValueError(f"{path}:2: expected the keys {' '.join(TRC_KEYS)}, found {' '.join(keys)}")
    if len(values) != len(keys):
        raise ValueError(f"{path}:3: expected {len(keys)} values, found {len(values)}")
    header = dict(zip(keys, values))
    for key in ("NumFrames", "NumMarkers"):
        if not header[key].isdigit():
            raise ValueError(f"{path}:3: {key}: expected a whole number, found {header[key]!r}")
    if header["Units"] not in METRES:
        raise ValueError(f"{path}:3: Units: expected one of {', '.join(METRES)}, found {header['Units']!r}")
    return header


def _trc_labels(path: Path, lines: list[str], count: int) -> tuple[str, ...]:
    cells = [cell.strip() for cell in lines[3].split("\t")]
    if cells[:2] != ["Frame#", "Time"]:
        raise ValueError(f"{path}:4: expected labels that begin with Frame#, Time, found {cells[:2]}")
    labels = [cell for cell in cells[2:] if cell]
    if len(labels) != count:
        raise ValueError(f"{path}:4: expected {count} markers as NumMarkers says, found {len(labels)}")
    if lines[4].split()[:1] != ["X1"]:
        raise ValueError(f"{path}:5: expected the axes X1, Y1, Z1, …, found {lines[4].split()[:3]}")
    _unique(f"{path}:4", labels)
    return tuple(labels)


def _cells(line: str, width: int) -> list[str]:
    """Tab-separated cells, an empty one standing for missing values; empty ones past the last fall away."""
    cells = [cell.strip() or "nan" for cell in line.split("\t")]
    surplus = cells[width:]
    return cells[:width] if all(cell == "nan" for cell in surplus) else cells


def _numbers(path: Path, rows: list[tuple[int, list[str]]], width: int, expected: str) -> np.ndarray:
    table = np.empty((len(rows), width))
    for row, (line, cells) in zip(table, rows):
        if len(cells) != width:
            raise ValueError(f"{path}:{line}: expected {expected}, found {len(cells)}")
        try:
            row[:] = [float(cell) for cell in cells]
        except ValueError as error:
            raise ValueError(f"{path}:{line}: expected {expected}, found {error}") from error
    return table


def _agree(path: Path, header: dict, key: str, found: int) -> None:
    if key in header and header[key] != str(found):
        raise ValueError(f"{path}: header {key}: expected {header[key]}, found {found}")


def _increasing(path: Path, time: np.ndarray, lines: list[int]) -> None:
    if not np.isfinite(time).all():
        wrong = int(np.flatnonzero(~np.isfinite(time))[0])
        raise ValueError(f"{path}:{lines[wrong]}: expected a finite time, found {time[wrong]}")
    wrong = np.flatnonzero(np.diff(time) <= 0)
    if len(wrong):
        at = int(wrong[0]) + 1
        raise ValueError(f"{path}:{lines[at]}: expected a time after {time[at - 1]:g} s, found {time[at]:g}")


def _check_table(path: Path, time: np.ndarray, labels: tuple[str, ...], values: np.ndarray) -> None:
    if values.shape[:2] != (len(time), len(labels)):
        raise ValueError(f"{path}: expected values ({len(time)}, {len(labels)}, …), found {values.shape}")
    wrong = [label for label in labels if not label or label.split() != [label]]
    if wrong:
        raise ValueError(f"{path}: expected labels without spaces, found {wrong[0]!r}")
    _unique(str(path), labels)
    _increasing(path, time, list(range(1, len(time) + 1)))


def _unique(where: str, labels: Collection[str]) -> None:
    twice = sorted({label for label in labels if list(labels).count(label) > 1})
    if twice:
        raise ValueError(f"{where}: expected every label once, found more than once: {', '.join(twice)}")


def _factors(
    labels: tuple[str, ...], translations: Collection[str], degrees: bool, factor: float
) -> Float[np.ndarray, " coord"]:
    return np.array([factor if degrees and label not in translations else 1.0 for label in labels])


def _rate(path: Path, time: np.ndarray) -> float:
    if len(time) < 2:
        raise ValueError(f"{path}: rate: expected a frame rate with {len(time)} frames, found none")
    return float(np.round((len(time) - 1) / (time[-1] - time[0]), 6))


def _text(value: float) -> str:
    return format(float(value), ".12g")
