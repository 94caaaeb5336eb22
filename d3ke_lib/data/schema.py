"""The row of a record file: columns, their types and shapes, and the metadata of the whole file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

VERSION = 1

# Column -> (Arrow type, shape of a row). A name in a shape stands for the number of names in the metadata.
# Metres, radians, pixels, seconds; "camera" is the crop's camera (pinhole), root is the pelvis.
COLUMNS: dict[str, tuple[pa.DataType, tuple[str | int, ...]]] = {
    "image": (pa.large_binary(), ()),  # JPEG, px x px, RGB: the crop with its margin
    "subject": (pa.int32(), ()),
    "action": (pa.string(), ()),
    "parts": (pa.string(), ()),  # of a mixture: half of the body → action → weight, as JSON; else empty
    "frame": (pa.int32(), ()),  # number of the video frame
    "time": (pa.float64(), ()),  # s, since the motion began
    "angles": (pa.float32(), ("coordinates",)),  # rad
    "scales": (pa.float32(), ("bodies", 3)),  # factors as .osim writes them
    "R_camera_root": (pa.float32(), (3, 3)),
    "joints": (pa.float32(), ("joints", 3)),  # m, camera frame, absolute
    "markers": (pa.float32(), ("markers", 3)),  # m, camera frame, absolute
    "valid_angles": (pa.bool_(), ("coordinates",)),
    "valid_joints": (pa.bool_(), ("joints",)),
    "valid_markers": (pa.bool_(), ("markers",)),
    "focal": (pa.float32(), (2,)),  # px of the stored crop
    "center": (pa.float32(), (2,)),  # px of the stored crop
    "R_camera_world": (pa.float32(), (3, 3)),  # x_camera = R x_world + t: Camera.R, Camera.t
    "t_camera_world": (pa.float32(), (3,)),
    "box": (pa.float32(), (4,)),  # x0 y0 x1 y1, px of the full frame
}
OPTIONAL = frozenset({"parts"})  # columns that a file may lack
_NAMES = ("coordinates", "bodies", "joints", "markers")


class RecordError(ValueError):
    """A record file or manifest is missing, damaged, or does not match its metadata."""


@runtime_checkable
class Named(Protocol):
    """What of a Skeleton the format depends on: names, in the order of the labels."""

    coordinates: tuple[str, ...]
    bodies: tuple[str, ...]
    joints: tuple[str, ...]
    markers: tuple[str, ...]


@dataclass(frozen=True)
class Metadata:
    """What holds for every row of a file.

    px: side of the stored crop; margin: the stored crop covers margin x the side of the network's crop
    (same direction); names: of coordinates, bodies, joints, markers in label order;
    config: whatever made the file, as JSON values.
    """

    subject: int
    camera: str
    px: int
    margin: float
    names: Mapping[str, Sequence[str]]
    config: Mapping[str, Any]
    version: int = VERSION


def file_name(subject: int, camera: str) -> str:
    return f"subject_{subject:03d}_{camera}.arrow"


def names_of(skeleton: Named) -> dict[str, list[str]]:
    return {kind: list(getattr(skeleton, kind)) for kind in _NAMES}


def row_shape(shape: tuple[str | int, ...], names: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    return tuple(len(names[size]) if isinstance(size, str) else size for size in shape)


def to_arrow(path: Path, name: str, values: Any, names: Mapping[str, Sequence[str]]) -> pa.Array:
    """One column as Arrow, checked against `COLUMNS`."""
    kind, shape = COLUMNS[name]
    if name == "image":
        return pa.array(list(values), kind)
    array = np.asarray(values)
    expected = (len(array), *row_shape(shape, names))
    if array.shape != expected:
        raise RecordError(f"{path}: {name}: expected shape {expected}, found {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise RecordError(f"{path}: {name}: expected finite numbers, found {array[row]} in row {row}")
    if not shape:
        return pa.array(array.tolist(), kind)
    flat = np.ascontiguousarray(array, kind.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind), int(np.prod(expected[1:])))


def check_columns(path: Path, found: pa.Schema, names: Mapping[str, Sequence[str]]) -> None:
    """Raises RecordError where a file's columns are not those of `COLUMNS`."""
    for name, (kind, shape) in COLUMNS.items():
        if name in OPTIONAL and name not in found.names:
            continue
        expected = pa.list_(kind, int(np.prod(row_shape(shape, names)))) if shape else kind
        there = found.field(name).type if name in found.names else "none"
        if there != expected:
            raise RecordError(f"{path}: column {name}: expected {expected}, found {there}")
