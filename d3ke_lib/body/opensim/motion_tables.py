"""What OpenSim's tables have in common: text lines, rows of numbers, increasing times, unique labels."""

import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np


def read_lines(path: Path) -> list[str]:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: expected UTF-8, found byte {data[error.start]:#x}") from None


def parse_numbers(path: Path, rows: list[tuple[int, list[str]]], width: int, expected: str) -> np.ndarray:
    table = np.empty((len(rows), width))
    for row, (line, cells) in zip(table, rows):
        if len(cells) != width:
            raise ValueError(f"{path}:{line}: expected {expected}, found {len(cells)}")
        try:
            row[:] = [float(cell) for cell in cells]
        except ValueError as error:
            raise ValueError(f"{path}:{line}: expected {expected}, found {error}") from error
    return table


def warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


def warn_of_count(path: Path, header: dict[str, str], keys: tuple[str, ...], found: int) -> None:
    for key in keys:
        if header.get(key, str(found)) != str(found):
            warn(f"{path}: header {key}: expected {header[key]}, found {found}: all are read")


def increasing_rows(path: Path, table: np.ndarray, lines: list[int], time: int) -> np.ndarray:
    """Of consecutive rows of one time the last, as OpenSim; the times (column `time`) must not decrease."""
    again = np.flatnonzero(np.diff(table[:, time]) == 0)
    if len(again):
        same = np.array_equal(table[again, time:], table[again + 1, time:], equal_nan=True)
        kind = "copies of" if same else "other values than"
        warn(
            f"{path}:{lines[again[0] + 1]}: expected every time once, found {len(again)} rows of the "
            f"same time as the row before, {kind} it: the row before is dropped"
        )
        table, lines = np.delete(table, again, 0), np.delete(lines, again).tolist()
    _check_increasing(path, table[:, time], lines)
    return table


def _check_increasing(path: Path, time: np.ndarray, lines: list[int]) -> None:
    if not np.isfinite(time).all():
        wrong = int(np.flatnonzero(~np.isfinite(time))[0])
        raise ValueError(f"{path}:{lines[wrong]}: expected a finite time, found {time[wrong]}")
    wrong = np.flatnonzero(np.diff(time) <= 0)
    if len(wrong):
        at = int(wrong[0]) + 1
        raise ValueError(f"{path}:{lines[at]}: expected a time after {time[at - 1]:g} s, found {time[at]:g}")


def check_table(path: Path, time: np.ndarray, labels: tuple[str, ...], values: np.ndarray) -> None:
    if values.shape[:2] != (len(time), len(labels)):
        raise ValueError(f"{path}: expected values ({len(time)}, {len(labels)}, …), found {values.shape}")
    wrong = [label for label in labels if not label or label.split() != [label]]
    if wrong:
        raise ValueError(f"{path}: expected labels without spaces, found {wrong[0]!r}")
    check_unique(str(path), labels)
    _check_increasing(path, time, list(range(1, len(time) + 1)))


def check_unique(where: str, labels: Collection[str]) -> None:
    twice = sorted({label for label in labels if list(labels).count(label) > 1})
    if twice:
        raise ValueError(f"{where}: expected every label once, found more than once: {', '.join(twice)}")


def few(labels: Collection[str], shown: int = 4) -> str:
    more = f", … {len(labels) - shown} more" if len(labels) > shown else ""
    return ", ".join(list(labels)[:shown]) + more


def number_text(value: float) -> str:
    return format(float(value), ".12g")
