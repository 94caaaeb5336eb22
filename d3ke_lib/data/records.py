"""The one on-disk format: a write-once Arrow IPC file per subject and camera, and a manifest of their hashes.

A folder of records is `subject_003_PG1.arrow`, ..., `manifest.json`. One row is one video frame: the crop
with its margin as JPEG, and its labels in the frame of the crop's camera. Nothing in it is pickled.
A file appears whole or not at all, so that its existence means it is finished.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg

from d3ke_lib import files
from d3ke_lib.data.schema import (
    COLUMNS,
    OPTIONAL,
    VERSION,
    Metadata,
    RecordError,
    check_columns,
    file_name,
    row_shape,
    to_arrow,
)

MANIFEST = "manifest.json"
_METADATA = b"d3ke"  # key of our JSON among the Arrow schema's metadata


@dataclass(frozen=True)
class Record:
    """One file, memory-mapped: only the rows that are read leave the disk."""

    path: Path
    metadata: Metadata
    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> np.ndarray:
        """All rows (frames, *shape), not writable; strings as objects. Not for `image`: see `jpeg`.

        An optional column that the file lacks is read as empty strings.
        """
        kind, shape = COLUMNS[name]
        if name in OPTIONAL and name not in self.table.column_names:
            return np.full(len(self), "", dtype=object)
        values = self.table.column(name).combine_chunks()
        if not shape:
            return values.to_numpy(zero_copy_only=False)
        sizes = row_shape(shape, self.metadata.names)
        return values.flatten().to_numpy(zero_copy_only=kind != pa.bool_()).reshape(-1, *sizes)

    def jpeg(self, row: int) -> bytes:
        return self.table.column("image")[row].as_py()


def encode(images: UInt8[Tensor, "frame 3 height width"], quality: int = 92) -> list[bytes]:
    """RGB crops as JPEG; the same bytes for the same pixels and torchvision."""
    return [encode_jpeg(image, quality).numpy().tobytes() for image in images.cpu()]


def decode(jpeg: bytes) -> UInt8[Tensor, "3 height width"]:
    """RGB pixels of one JPEG; raises RecordError where it is damaged."""
    try:
        return decode_jpeg(torch.frombuffer(bytearray(jpeg), dtype=torch.uint8))
    except RuntimeError as error:
        raise RecordError(f"image: expected a JPEG, found {len(jpeg)} other bytes ({error})") from error


def write(path: Path, columns: Mapping[str, Any], metadata: Metadata) -> None:
    """Write one file of `COLUMNS`: images as a list of JPEG bytes, the rest as arrays (frames, *shape).

    The same columns and metadata give the same bytes. Raises RecordError for a missing or unknown column,
    a wrong shape, a number that is not finite, or a name that does not fit subject and camera.
    """
    if path.name != file_name(metadata.subject, metadata.camera):
        raise RecordError(f"{path}: expected the name {file_name(metadata.subject, metadata.camera)}")
    missing, unknown = set(COLUMNS) - set(columns) - OPTIONAL, set(columns) - set(COLUMNS)
    if missing or unknown:
        raise RecordError(f"{path}: missing columns {sorted(missing)}, unknown columns {sorted(unknown)}")
    written = [name for name in COLUMNS if name in columns]
    arrays = [to_arrow(path, name, columns[name], metadata.names) for name in written]
    counts = {name: len(array) for name, array in zip(written, arrays)}
    if len(set(counts.values())) != 1 or not counts["frame"]:
        raise RecordError(f"{path}: expected as many rows in every column and at least one, found {counts}")
    schema = pa.schema(
        [(name, array.type) for name, array in zip(written, arrays)],
        metadata={_METADATA: json.dumps(vars(metadata), sort_keys=True).encode()},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        # One batch, so that a column is one buffer and reading it copies nothing.
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    files.write_bytes(path, sink.getvalue())


def read(path: Path) -> Record:
    """Open one file without reading its pixels.

    Raises RecordError: missing, cut short, foreign, another version or other columns.
    """
    if not path.is_file():
        raise RecordError(f"{path}: expected a record file, found none")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        size = path.stat().st_size
        raise RecordError(f"{path}: damaged or cut short at {size} bytes ({error})") from error
    values = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    _check_version(path, values)
    metadata = Metadata(**values)
    check_columns(path, table.schema, metadata.names)
    return Record(path, metadata, table)


def _check_version(path: Path, values: Mapping[str, Any]) -> None:
    if values.get("version") != VERSION:
        raise RecordError(f"{path}: version: expected {VERSION}, found {values.get('version')}")


def write_manifest(
    folder: Path, config: Mapping[str, Any], splits: Mapping[str, Iterable[int]]
) -> dict[str, Any]:
    """Write and return the folder's manifest.json: every record file with size, hash, frames and split.

    splits: split -> subjects. A subject in no split is kept with split null; one in two splits, or one
    without a file, is a RecordError: no subject is left out silently.
    """
    split_of = _split_by_subject(splits)
    paths = sorted(folder.glob("*.arrow"))
    entries = {path.name: _describe_file(path, split_of) for path in paths}
    missing = set(split_of) - {entry["subject"] for entry in entries.values()}
    if missing:
        raise RecordError(
            f"{folder}: expected a file for every subject of a split, found none for {sorted(missing)}"
        )
    manifest = {"version": VERSION, "config": config, "files": entries, "counts": _count_by_split(entries)}
    files.write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return manifest


def _split_by_subject(splits: Mapping[str, Iterable[int]]) -> dict[int, str]:
    split_of: dict[int, str] = {}
    for split, subjects in splits.items():
        for subject in subjects:
            if split_of.setdefault(subject, split) != split:
                raise RecordError(
                    f"subject {subject}: expected one split, found {split_of[subject]} and {split}"
                )
    return split_of


def _describe_file(path: Path, split_of: Mapping[int, str]) -> dict[str, Any]:
    """One file's entry in the manifest."""
    record = read(path)
    subject = record.metadata.subject
    return {
        "sha256": files.sha256(path),
        "bytes": path.stat().st_size,
        "frames": len(record),
        "subject": subject,
        "camera": record.metadata.camera,
        "split": split_of.get(subject),
    }


def _count_by_split(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Per split: files, subjects, frames. Subjects in no split count as `none`."""
    splits = sorted({entry["split"] or "none" for entry in entries.values()})
    members = {
        split: [entry for entry in entries.values() if (entry["split"] or "none") == split]
        for split in splits
    }
    return {
        split: {
            "files": len(group),
            "subjects": len({entry["subject"] for entry in group}),
            "frames": sum(entry["frames"] for entry in group),
        }
        for split, group in members.items()
    }


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, after checking that its files, and no others, are there with its sizes (no hashing)."""
    path = folder / MANIFEST
    if not path.is_file():
        raise RecordError(f"{path}: expected a manifest, found none (an unfinished or foreign folder)")
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise RecordError(
            f"{path}: expected JSON, found {path.stat().st_size} bytes that are none"
        ) from error
    _check_version(path, manifest)
    found = {file.name: file.stat().st_size for file in folder.glob("*.arrow")}
    expected = {name: file["bytes"] for name, file in manifest["files"].items()}
    _raise_differences(folder, expected, found, "bytes")
    return manifest


def verify(folder: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The manifest, after checking presence and size of every file and the SHA-256 of `names` (default: all).

    Raises one RecordError naming every file that differs, with expected and found hash or size.
    """
    manifest = load_manifest(folder)
    entries = manifest["files"]
    expected = {name: entries[name]["sha256"] for name in (entries if names is None else names)}
    _raise_differences(folder, expected, {name: files.sha256(folder / name) for name in expected}, "sha256")
    return manifest


def _raise_differences(
    folder: Path, expected: Mapping[str, object], found: Mapping[str, object], what: str
) -> None:
    wrong = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    if wrong:
        lines = [
            f"{folder / name}: {what}: expected {expected.get(name, 'none (not in the manifest)')}, "
            f"found {found.get(name, 'no file')}"
            for name in wrong
        ]
        raise RecordError("\n".join(lines))
