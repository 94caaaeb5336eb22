"""Records: what was written is what is read, and damage is named."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from example_records import example, save
from hypothesis import given, settings
from hypothesis import strategies as st

from d3ke_lib.data import records
from d3ke_lib.data.schema import COLUMNS, RecordError, names_of
from d3ke_lib.files import sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two subjects, two cameras, a manifest."""
    for subject in (3, 4):
        for camera in ("PG1", "PG2"):
            save(tmp_path, subject=subject, camera=camera)
    records.write_manifest(tmp_path, {"seed": 1}, {"train": [3], "test": [4]})
    return tmp_path


@settings(max_examples=10, deadline=None, derandomize=True)
@given(frames=st.integers(1, 12), subject=st.integers(1, 999))
def test_round_trip(tmp_path_factory, frames, subject):
    columns, metadata = example(frames, subject)
    path = tmp_path_factory.mktemp("records") / records.file_name(subject, "PG1")
    records.write(path, columns, metadata)
    record = records.read(path)
    assert record.metadata == metadata
    assert len(record) == frames
    for name in COLUMNS:
        if name != "image":
            np.testing.assert_array_equal(record.column(name), columns[name], err_msg=name)
    assert [record.jpeg(row) for row in range(frames)] == columns["image"]


def test_records_without_the_parts_of_mixtures_are_read(tmp_path):
    columns, metadata = example()
    del columns["parts"]
    path = tmp_path / records.file_name(3, "PG1")
    records.write(path, columns, metadata)
    assert records.read(path).column("parts").tolist() == [""] * len(columns["frame"])


def test_same_content_gives_the_same_bytes(tmp_path):
    first, second = save(tmp_path / "a"), save(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_jpeg_keeps_the_image():
    ramp = torch.linspace(40, 200, 32).expand(3, 32, 32).round().to(torch.uint8)
    (jpeg,) = records.encode(ramp[None])
    assert (records.decode(jpeg).float() - ramp.float()).abs().max() <= 3
    with pytest.raises(RecordError, match="expected a JPEG"):
        records.decode(jpeg[:1])


def test_names_come_from_the_skeleton():
    class Stick:
        coordinates, bodies, joints, markers = ("a", "b"), ("pelvis",), ("hip",), ()

    assert names_of(Stick()) == {
        "coordinates": ["a", "b"],
        "bodies": ["pelvis"],
        "joints": ["hip"],
        "markers": [],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"angles": np.zeros((9, 4))}, r"angles: expected shape \(9, 5\), found \(9, 4\)"),
        ({"joints": np.full((9, 6, 3), np.nan)}, "joints: expected finite numbers, found"),
        ({"time": np.zeros(8)}, "as many rows"),
        ({"depth": np.zeros(9)}, r"unknown columns \['depth'\]"),
    ],
)
def test_wrong_columns_are_named(tmp_path, changes, message):
    with pytest.raises(RecordError, match=message):
        save(tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_missing_column_and_wrong_name(tmp_path):
    columns, metadata = example()
    with pytest.raises(RecordError, match=r"expected the name subject_003_PG1\.arrow"):
        records.write(tmp_path / "subject_004_PG1.arrow", columns, metadata)
    del columns["box"]
    with pytest.raises(RecordError, match=r"missing columns \['box'\]"):
        records.write(tmp_path / "subject_003_PG1.arrow", columns, metadata)


def test_manifest_counts_and_splits(folder):
    manifest = records.verify(folder)
    assert manifest == json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"]["train"] == {"files": 2, "subjects": 1, "frames": 18}
    assert manifest["files"]["subject_004_PG2.arrow"]["split"] == "test"
    manifest = records.write_manifest(folder, {}, {"train": [3]})
    assert manifest["files"]["subject_004_PG2.arrow"]["split"] is None
    assert manifest["counts"]["none"]["subjects"] == 1


def test_subject_twice_or_without_file(folder):
    with pytest.raises(RecordError, match="subject 3: expected one split, found train and test"):
        records.write_manifest(folder, {}, {"train": [3], "test": [3]})
    with pytest.raises(RecordError, match=r"found none for \[9\]"):
        records.write_manifest(folder, {}, {"train": [3, 9]})


@settings(max_examples=10, deadline=None, derandomize=True)
@given(where=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(tmp_path_factory, where, bit):
    folder = tmp_path_factory.mktemp("records")
    path = save(folder, frames=2)
    manifest = records.write_manifest(folder, {}, {"train": [3]})
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        records.verify(folder)
    expected, found = manifest["files"][path.name]["sha256"], sha256(path)
    assert str(caught.value) == f"{path}: sha256: expected {expected}, found {found}"


def test_truncated_file(folder):
    path = folder / "subject_003_PG1.arrow"
    size = path.stat().st_size
    os.truncate(path, size // 2)
    with pytest.raises(RecordError, match=rf"{path.name}: bytes: expected {size}, found {size // 2}"):
        records.load_manifest(folder)
    with pytest.raises(RecordError, match=rf"{path.name}: damaged or cut short at {size // 2} bytes"):
        records.read(path)


def test_missing_and_extra_file(folder):
    (folder / "subject_003_PG1.arrow").rename(folder / "subject_005_PG1.arrow")
    with pytest.raises(RecordError) as caught:
        records.verify(folder)
    assert "subject_003_PG1.arrow: bytes: expected" in str(caught.value)
    assert "found no file" in str(caught.value)
    assert "subject_005_PG1.arrow: bytes: expected none (not in the manifest)" in str(caught.value)
    with pytest.raises(RecordError, match="found none"):
        records.read(folder / "subject_003_PG1.arrow")


def test_verify_of_some_names_hashes_only_those(folder):
    path = folder / "subject_004_PG1.arrow"
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    records.verify(folder, ["subject_003_PG1.arrow"])
    with pytest.raises(RecordError, match=path.name):
        records.verify(folder)


def test_unfinished_and_damaged_manifest(tmp_path):
    with pytest.raises(RecordError, match=r"manifest\.json: expected a manifest, found none"):
        records.load_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"version": 1, "fil')
    with pytest.raises(RecordError, match="expected JSON, found 19 bytes"):
        records.load_manifest(tmp_path)


def test_unknown_version(folder, monkeypatch):
    monkeypatch.setattr(records, "VERSION", 2)
    with pytest.raises(RecordError, match="version: expected 2, found 1"):
        records.read(folder / "subject_003_PG1.arrow")
    with pytest.raises(RecordError, match="version: expected 2, found 1"):
        records.load_manifest(folder)


def test_foreign_arrow_file_and_garbage(tmp_path):
    import pyarrow as pa

    path = tmp_path / "subject_003_PG1.arrow"
    table = pa.table({"x": [1]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(RecordError, match="version: expected 1, found None"):
        records.read(path)
    path.write_bytes(b"not arrow at all" * 10)
    with pytest.raises(RecordError, match="damaged"):
        records.read(path)


def test_killed_writer_leaves_the_old_file(tmp_path, monkeypatch):
    """Dying before the rename, the worst moment, changes nothing that a reader or the manifest sees."""
    path = save(tmp_path)
    before = path.read_bytes()

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, frames=3)
    assert path.read_bytes() == before
    assert list(records.write_manifest(tmp_path, {}, {"train": [3]})["files"]) == [path.name]
    save(tmp_path, frames=3)
    assert len(records.read(path)) == 3
    assert [file.name for file in tmp_path.glob("*.partial")] == []
