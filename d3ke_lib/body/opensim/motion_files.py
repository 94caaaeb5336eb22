"""OpenSim's tables: coordinates over time in .mot and .sto, markers over time in .trc.

SI and radians inside. In a file that is in degrees the columns of rotational coordinates are, and no others:
what a column is, a model says. The rules are OpenSim's (checked against it in tests/body/test_files.py). What
OpenSim reads although it contradicts its own header is read with a `UserWarning` that says so.
"""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from d3ke_lib.body.opensim.model import Axis, Body, Joint
from d3ke_lib.body.opensim.motion_tables import (
    check_table,
    check_unique,
    few,
    increasing_rows,
    number_text,
    parse_numbers,
    read_lines,
    warn,
    warn_of_count,
)
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.files import write_text

_TRC_KEYS = ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"]
_TRC_KEYS += ["OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"]
_METRES = {"m": 1.0, "mm": 1e-3, "cm": 1e-2, "meters": 1.0, "millimeters": 1e-3, "centimeters": 1e-2}
_ROW_COUNTS, _COLUMN_COUNTS = ("nrows", "nr", "datarows"), ("ncolumns", "nc", "datacolumns")


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


def read_mot(path: Path, model: Body | None = None) -> Motion:
    """Coordinates of a .mot or .sto file in rad and m; labels are names or paths (/jointset/…/name/value).

    `model` says which columns are rotations. Without one those named as coordinates of our own body are
    taken for these; in a file in degrees all other columns stay as they are, with a warning that names them.
    Raises FileNotFoundError, or ValueError naming file, line, what was expected and what was found.
    """
    lines = read_lines(path)
    header, first = _mot_header(path, lines)
    rows = [(n, line.split()) for n, line in enumerate(lines[first + 1 :], first + 2) if line.strip()]
    labels = _mot_labels(path, lines, first, len(rows[0][1]) if rows else None)
    width = len(labels) + 1
    table = parse_numbers(path, rows, width, f"{width} numbers (time and {len(labels)} columns)")
    warn_of_count(path, header, _ROW_COUNTS, len(table))
    warn_of_count(path, header, _COLUMN_COUNTS, width)
    table = increasing_rows(path, table, [n for n, _ in rows], 0)
    rotational, unknown = _rotational(labels, model)
    degrees = _is_in_degrees(path, header, bool(rotational.any()))
    if degrees and unknown and model is None:
        warn(f"{path}: in degrees, but no model says which of these are, left as they are: {few(unknown)}")
    return Motion(table[:, 0], labels, table[:, 1:] * _factors(rotational & degrees, np.deg2rad(1.0)))


def write_mot(path: Path, motion: Motion, degrees: bool = True, model: Body | None = None) -> None:
    """Write coordinates (rad, m) as a .mot that OpenSim opens; `degrees`: how angles stand in the file.

    `model` says which columns are rotations (our own body where None). Raises ValueError for columns of
    which that is not known, unequal shapes, labels that a file cannot hold, and times that do not increase.
    """
    check_table(path, motion.time, motion.labels, motion.values)
    rotational, unknown = _rotational(motion.labels, model)
    if degrees and unknown and model is None:
        raise ValueError(f"{path}: expected a model that says whether these are angles: {few(unknown)}")
    values = motion.values * _factors(rotational & degrees, np.rad2deg(1.0))
    head = [Path(path).stem, "version=1", f"nRows={len(motion.time)}", f"nColumns={len(motion.labels) + 1}"]
    head += [f"inDegrees={'yes' if degrees else 'no'}", "endheader", "\t".join(("time", *motion.labels))]
    rows = ["\t".join(map(number_text, (t, *row))) for t, row in zip(motion.time, values)]
    write_text(path, "\n".join(head + rows) + "\n")


def rotational_coordinates(model: Body) -> frozenset[str]:
    """The coordinates that OpenSim counts as angles: those that rotate an axis one to one.

    Others are translations, or "coupled" (in a file they are never converted), as OpenSim's
    `Coordinate.getMotionType` has it.
    """
    return frozenset(
        c.name
        for joint in model.joints
        for c in joint.coordinates
        if _last_direct(joint, c.name) in joint.rotations
    )


def _last_direct(joint: Joint, coordinate: str) -> Axis | None:
    """Of the axes that move one to one with the coordinate the last: the one that decides in OpenSim."""
    slides = [axis for axis in joint.translations if not axis.function.scaled]
    axes = [axis for axis in (*joint.rotations, *slides) if axis.coordinate == coordinate]
    direct = [a for a in axes if a.function.is_linear and abs(a.function.line[0]) == 1.0]
    return direct[-1] if direct else None


def read_trc(path: Path) -> Trajectories:
    """Markers of a .trc file in m (the header's unit is converted); an empty or NaN cell becomes NaN.

    Raises FileNotFoundError, or ValueError naming file, line, what was expected and what was found.
    """
    lines = read_lines(path)
    header = _trc_header(path, lines)
    labels = _trc_labels(path, lines, int(header["NumMarkers"]))
    width = 2 + 3 * len(labels)
    rows = [(n, _cells(line, width)) for n, line in enumerate(lines[5:], 6) if line.strip()]
    table = parse_numbers(path, rows, width, f"{width} cells (frame, time, 3 × {len(labels)} markers)")
    warn_of_count(path, header, ("NumFrames",), len(table))
    table = increasing_rows(path, table, [n for n, _ in rows], 1)
    positions = table[:, 2:].reshape(len(table), len(labels), 3) * _METRES[header["Units"]]
    return Trajectories(table[:, 1], labels, positions)


def write_trc(path: Path, markers: Trajectories, rate: float | None = None, units: str = "m") -> None:
    """Write markers (m) as a .trc; `rate` in Hz is needed only for a single frame, `units` is m, cm or mm."""
    check_table(path, markers.time, markers.labels, markers.positions)
    if units not in _METRES:
        raise ValueError(f"{path}: units: expected one of {', '.join(_METRES)}, found {units!r}")
    rate = rate or _rate(path, markers.time)
    count, names = len(markers.time), markers.labels
    facts = [
        number_text(rate),
        number_text(rate),
        str(count),
        str(len(names)),
        units,
        number_text(rate),
        "1",
        str(count),
    ]
    head = [f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}", "\t".join(_TRC_KEYS), "\t".join(facts)]
    head += ["Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t"]
    head += ["\t\t" + "\t".join(f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"), ""]
    flat = markers.positions.reshape(count, -1) / _METRES[units]
    rows = [
        "\t".join((str(n), *map(number_text, (t, *row))))
        for n, (t, row) in enumerate(zip(markers.time, flat), 1)
    ]
    write_text(path, "\n".join(head + rows) + "\n")


def _mot_header(path: Path, lines: list[str]) -> tuple[dict[str, str], int]:
    """Values by their key in lower case, and the index of the label line."""
    header = {}
    for at, line in enumerate(lines):
        key, _, value = re.sub(r"[\s=]+", " ", line.strip(), count=1).partition(" ")
        if key.lower() == "endheader":
            labels = (i for i in range(at + 1, len(lines)) if lines[i].strip())
            return header, next(labels, at + 1)
        header[key.lower()] = value
    raise ValueError(f"{path}:{len(lines)}: expected a line 'endheader', found none")


def _is_in_degrees(path: Path, header: dict[str, str], has_rotations: bool) -> bool:
    """OpenSim's rule; before version 1 a .mot is SIMM's, in degrees whether or not the header says so."""
    found = header.get("indegrees", "").lower()
    if found not in ("", "yes", "no", "y", "n"):
        raise ValueError(f"{path}: header: expected inDegrees=yes or inDegrees=no, found {found}")
    is_old = int(re.match(r"\d*", header.get("version", ""))[0] or 0) < 1
    if is_old and Path(path).suffix.lower() == ".mot":
        if found.startswith("n") and has_rotations:
            raise ValueError(
                f"{path}: expected inDegrees=yes or a version, found inDegrees=no without one: "
                "OpenSim reads such a .mot in degrees"
            )
        return True
    if found:
        return found.startswith("y")
    if is_old and header.get("angles") in ("are in degrees.", "are in radians."):
        return header["angles"] == "are in degrees."
    if has_rotations:
        warn(f"{path}: header: expected inDegrees=yes or inDegrees=no, found neither: read in radians")
    return False


def _mot_labels(path: Path, lines: list[str], first: int, width: int | None) -> tuple[str, ...]:
    """`width`: cells of the first row; labels with spaces in them are separated by tabs."""
    line = lines[first] if first < len(lines) else ""
    labels = line.split()
    if width not in (None, len(labels)):
        cells = [cell.strip() for cell in line.split("\t") if cell.strip()]
        labels = cells if len(cells) == width else labels
    if not labels or labels[0].lower() != "time":
        raise ValueError(f"{path}:{first + 1}: expected labels that begin with 'time', found {labels[:3]}")
    check_unique(f"{path}:{first + 1}", labels)
    return tuple(labels[1:])


@cache
def _our_body() -> Body:
    return load_osim(BODY_FILE)


def _rotational(labels: tuple[str, ...], model: Body | None) -> tuple[Bool[np.ndarray, " label"], list[str]]:
    """Which columns are angles (or their speeds), and the labels that name no coordinate."""
    body = model or _our_body()
    names = {c.name for c in body.coordinates}
    rotational = rotational_coordinates(body)
    found = [_coordinate(label, names) for label in labels]
    unknown = [label for label, name in zip(labels, found) if name is None]
    return np.array([name in rotational for name in found], bool), unknown


def _coordinate(label: str, names: Collection[str]) -> str | None:
    """The coordinate that a label means by its name, or by a path that ends in …/name or …/name/value."""
    parts = label.split("/")
    return next((name for name in (label, parts[-1], *parts[-2:-1]) if name in names), None)


def _trc_header(path: Path, lines: list[str]) -> dict[str, str]:
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise ValueError(f"{path}:1: expected a header of 5 lines from 'PathFileType', found {lines[:1]}")
    keys, values = lines[1].split(), lines[2].split()
    if keys[: len(_TRC_KEYS)] != _TRC_KEYS:
        raise ValueError(f"{path}:2: expected the keys {' '.join(_TRC_KEYS)}, found {' '.join(keys)}")
    if len(values) != len(keys):
        raise ValueError(f"{path}:3: expected {len(keys)} values, found {len(values)}")
    header = dict(zip(keys, values))
    for key in ("NumFrames", "NumMarkers"):
        if not header[key].isdigit():
            raise ValueError(f"{path}:3: {key}: expected a whole number, found {header[key]!r}")
    if header["Units"] not in _METRES:
        raise ValueError(f"{path}:3: Units: expected one of {', '.join(_METRES)}, found {header['Units']!r}")
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
    check_unique(f"{path}:4", labels)
    return tuple(labels)


def _cells(line: str, width: int) -> list[str]:
    """Tab-separated cells, an empty one standing for missing values; empty ones past the last fall away."""
    cells = [cell.strip() or "nan" for cell in line.split("\t")]
    surplus = cells[width:]
    return cells[:width] if all(cell == "nan" for cell in surplus) else cells


def _factors(angles: Bool[np.ndarray, " label"], factor: float) -> Float[np.ndarray, " label"]:
    return np.where(angles, factor, 1.0)


def _rate(path: Path, time: np.ndarray) -> float:
    if len(time) < 2:
        raise ValueError(f"{path}: rate: expected a frame rate with {len(time)} frames, found none")
    return float(np.round((len(time) - 1) / (time[-1] - time[0]), 6))
