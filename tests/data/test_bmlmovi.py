"""From downloads to records: complete, resumed, killed, spread over processes, with bad and missing files."""

import hashlib
import json
import multiprocessing
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import small_bmlmovi

from d3ke_lib import files
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import subject as bmlmovi_subject
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig, BmlmoviError, IncompleteError
from d3ke_lib.data.bmlmovi.folder_tree import find_downloads
from d3ke_lib.data.datasets import FrameSet, sequences
from d3ke_lib.data.records import RecordError

CONFIG = BmlmoviConfig(train=(1,), validation=(), test=(2,), px=48)
FIRST_FRAMES = [*range(2, 9), *range(10, 16)]  # of small_bmlmovi.RANGES, from 0


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bmlmovi.write(tmp_path_factory.mktemp("raw"), {1: "male", 2: "female"})


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    bmlmovi.make(CONFIG, raw, out, workers=2)
    return out


def hashes(out: Path) -> dict[str, str]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.suffix != ".partial"]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def damaged(raw: Path, tmp_path: Path) -> Path:
    """A copy to damage; the models, which are large, are links."""
    (tmp_path / "raw").mkdir()
    for part in ("BMLmovi", "AMASS"):
        shutil.copytree(raw / part, tmp_path / "raw" / part)
    for sex in ("male", "female"):
        (tmp_path / "raw" / sex).mkdir()
        (tmp_path / "raw" / sex / "model.npz").symlink_to(raw / "smplh" / sex / "model.npz")
    return tmp_path / "raw"


def test_training_reads_what_is_made(made: Path) -> None:
    frames = FrameSet(made, "train", default_skeleton())
    labels = frames.labels()
    assert frames.actions == ("action 1", "action 2")
    assert [stop - start for start, stop in sequences(labels)] == [7, 6] * 2
    assert labels.frame.tolist() == FIRST_FRAMES * 2
    assert frames.load([0, 3]).image.shape == (2, 3, 48, 48)


@pytest.mark.parametrize("camera", ["PG1", "PG2"])
@pytest.mark.parametrize("subject", [1, 2])
def test_each_row_shows_the_frame_of_its_number(made: Path, subject: int, camera: str) -> None:
    """Frame i of the video is grey of level 14·i + subject: one frame early or late would be 14 off."""
    record = records.read(made / f"subject_{subject:03d}_{camera}.arrow")
    middle = slice(22, 26)
    levels = [
        records.decode(record.jpeg(row))[:, middle, middle].float().mean() for row in range(len(record))
    ]
    shown = (np.array(levels) - subject) / 14
    assert np.abs(shown - record.column("frame")).max() < 0.45


def test_labels_are_in_the_crops_camera_and_agree_with_the_skeleton(made: Path) -> None:
    skeleton = default_skeleton().double()
    labels = FrameSet(made, "test", skeleton).labels()
    pose = type(labels.pose)(*(part.double() for part in labels.pose))
    relative = labels.points.markers - labels.points.joints[:, :1]
    assert (skeleton(pose).markers - relative).abs().max() < 1e-5
    at = labels.points.markers[..., :2] / labels.points.markers[..., 2:]
    at = at * labels.camera.focal[:, None] + labels.camera.center[:, None]
    assert ((at > 0) & (at < 48)).all()


def test_both_cameras_have_the_same_person_in_the_world(made: Path) -> None:
    one, two = (records.read(made / f"subject_001_{camera}.arrow") for camera in ("PG1", "PG2"))
    for name in ("angles", "scales"):
        assert np.array_equal(one.column(name), two.column(name))
    world = [
        np.einsum(
            "fji,fmj->fmi",
            record.column("R_camera_world"),
            record.column("markers") - record.column("t_camera_world")[:, None],
        )
        for record in (one, two)
    ]
    assert np.abs(world[0] - world[1]).max() < 1e-4
    assert np.ptp(world[0][..., 2]) > 1.3  # z is up


def test_every_subject_has_a_report(made: Path) -> None:
    report = json.loads((made / bmlmovi._REPORT).read_text())
    assert sorted(report["subjects"]) == [
        f"subject_00{s}{c}" for s in (1, 2) for c in ("", "_PG1", "_PG2")
    ]  # fmt: skip
    assert report["missing"] == {}
    first = report["subjects"]["subject_002"]
    assert first["sex"] == "female"
    assert first["frames"] == 13
    assert first["rms_mm"]["mean"] < 20
    assert set(first["markers_mm"]) == set(D3KE.markers)


def test_manifest_says_where_it_comes_from(made: Path) -> None:
    manifest = records.verify(made)
    assert manifest["config"] == bmlmovi.describe(CONFIG)
    assert manifest["counts"]["train"] == {"files": 2, "subjects": 1, "frames": 26}


# -- again ----------------------------------------------------------------------


def test_finished_files_are_not_made_again_nor_looked_for(made: Path, tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.arrow")}
    (tmp_path / "nothing").mkdir()
    bmlmovi.make(CONFIG, tmp_path / "nothing", out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.arrow")} == before
    assert hashes(out) == hashes(made)


def test_one_worker_and_two_make_the_same_bytes(raw: Path, made: Path, tmp_path: Path) -> None:
    bmlmovi.make(CONFIG, raw, tmp_path / "out", workers=1)
    assert hashes(tmp_path / "out") == hashes(made)


@pytest.mark.parametrize("lost", ["*.arrow", "labels/*", "subjects/*_001*", "subject_002_PG1.arrow"])
def test_what_is_missing_is_made_again_with_the_same_bytes(
    raw: Path, made: Path, tmp_path: Path, lost: str
) -> None:
    out = shutil.copytree(made, tmp_path / "out")
    for path in out.glob(lost):
        path.unlink()
    (out / "subject_001_PG1.arrow.partial").write_bytes(b"half")
    bmlmovi.make(CONFIG, raw, out)
    expected = hashes(made)
    if lost == "subjects/*_001*" or lost == "labels/*":  # records say that the subject is finished
        expected = {name: expected[name] for name in hashes(out)}
        expected[bmlmovi._REPORT] = hashes(out)[bmlmovi._REPORT]
    assert hashes(out) == expected


class Stopped(BaseException):
    """As a kill: nothing catches it."""


def test_stopped_at_any_write_it_ends_with_the_same_bytes(
    raw: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts write one or two files whole and half of the next; then there is a new attempt."""
    out, tree, whole, stops = tmp_path / "out", find_downloads(raw), files.write_bytes, 0

    def once_and_a_half(path: Path, data: object) -> Path:
        left.pop() if left else half(path, data)
        return whole(path, data)

    def half(path: Path, data: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.{os.getpid()}.partial").write_bytes(memoryview(data)[: len(data) // 2])
        raise Stopped

    monkeypatch.setattr(files, "write_bytes", once_and_a_half)
    while len(list(out.glob("subject_001_*.arrow"))) < 2:
        left = ["write"] * (1 + stops % 2)
        try:
            bmlmovi_subject.make_subject(CONFIG, tree, out, 1)
        except Stopped:
            stops += 1
    assert stops == 5  # each file but the first was begun and cut off once
    assert hashes(out) == {name: sha for name, sha in hashes(made).items() if "subject_001" in name}


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bytes(raw: Path, made: Path, tmp_path: Path) -> None:
    """Workers die with the process that is killed as soon as a new file appears."""
    out, context = tmp_path / "out", multiprocessing.get_context("spawn")
    for count in (1, 3):
        process = context.Process(target=bmlmovi.make, args=(CONFIG, raw, out))
        process.start()
        while process.is_alive() and (not out.is_dir() or len(hashes(out)) < count):
            time.sleep(0.01)
        process.kill()
        process.join()
    bmlmovi.make(CONFIG, raw, out)
    assert hashes(out) == hashes(made)


def test_another_configuration_is_refused(raw: Path, made: Path) -> None:
    other = BmlmoviConfig(train=(1,), validation=(), test=(2,), px=52)
    with pytest.raises(RecordError, match=r"made from another configuration .*px: expected 52, found 48"):
        bmlmovi.make(other, raw, made)


# -- bad input ----------------------------------------------------------------------


def file_of(raw: Path, name: str) -> Path:
    return next(raw.rglob(name))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "video cut short": ("F_PG1_Subject_1_L.avi", cut, {"PG1"}, r"expected"),
    "no video": ("F_PG2_Subject_1_L.avi", Path.unlink, {"PG2"}, "expected F_PG2_Subject_1_L.avi, found none"),
    "no ranges": ("F_v3d_Subject_1.mat", Path.unlink, {"PG1", "PG2"}, "expected F_v3d_Subject_1.mat"),
    "fit cut short": ("Subject_1_F_2_poses.npz", cut, {"PG1", "PG2"}, "expected a whole .npz"),
    "another's ranges": (
        "F_v3d_Subject_1.mat",
        lambda path: small_bmlmovi.write_ranges(path, 3),
        {"PG1", "PG2"},
        "expected the variable Subject_1_F, found Subject_3_F",
    ),
    "video shorter than the ranges": (
        "F_PG1_Subject_1_L.avi",
        lambda path: small_bmlmovi.write_video(path, range(14)),
        {"PG1"},
        r"expected 16 frames or more \(flags30\), found 14",
    ),
    "fit of the other sex": (
        "Subject_1_F_1_poses.npz",
        lambda path: [small_bmlmovi.write_fit(p, 28, "female") for p in path.parent.glob("*poses.npz")],
        {"PG1", "PG2"},
        r"gender: expected male \(the V3D file's\), found female",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_file_fails_its_files_alone(damaged: Path, made: Path, tmp_path: Path, name: str) -> None:
    file, damage, lost, why = DAMAGES[name]
    damage(file_of(damaged, file))
    out = tmp_path / "out"
    if lost != {"PG1", "PG2"}:  # labels are there, from before the file was damaged
        shutil.copytree(made / "labels", out / "labels")
    failed = bmlmovi_subject.make_subject(CONFIG, find_downloads(damaged), out, 1)
    assert set(failed) == {f"subject_001_{camera}.arrow" for camera in lost}
    for message in failed.values():
        assert re.search(why, message), message
    for camera in {"PG1", "PG2"} - lost:
        path = f"subject_001_{camera}.arrow"
        assert hashes(out)[path] == hashes(made)[path]


@pytest.mark.parametrize("sex", ["male", "female"])
def test_a_model_of_the_wrong_sex_is_refused(damaged: Path, tmp_path: Path, sex: str) -> None:
    """Both folders hold the male model: nobody's labels can be trusted."""
    (damaged / "female/model.npz").unlink()
    shutil.copy(damaged / "male/model.npz", damaged / "female/model.npz")
    failed = bmlmovi_subject.make_subject(
        CONFIG, find_downloads(damaged), tmp_path / "out", {"male": 1, "female": 2}[sex]
    )
    assert all("found the same file as" in message for message in failed.values())
    assert len(failed) == 2


def test_an_incomplete_run_makes_the_rest_and_says_so(damaged: Path, made: Path, tmp_path: Path) -> None:
    whole = file_of(damaged, "F_PG1_Subject_1_L.avi").read_bytes()
    cut(file_of(damaged, "F_PG1_Subject_1_L.avi"))
    out = shutil.copytree(made, tmp_path / "out")
    for name in ("subject_001_PG1.arrow", "subjects/subject_001_PG1.json", records.MANIFEST):
        (out / name).unlink()
    with pytest.raises(IncompleteError, match=r"incomplete: 1 of 4 files .*PARTIAL=1") as raised:
        bmlmovi.make(CONFIG, damaged, out)
    assert "subject_001_PG1.arrow: " in str(raised.value)
    assert not (out / records.MANIFEST).exists()
    assert len(list(out.glob("*.arrow"))) == 3
    assert list(json.loads((out / bmlmovi._REPORT).read_text())["missing"]) == ["subject_001_PG1.arrow"]
    partial = bmlmovi.make(CONFIG, damaged, out, partial=True)
    assert partial["config"]["missing"][0].startswith("subject_001_PG1.arrow: ")
    assert partial["counts"]["train"]["files"] == 1
    file_of(damaged, "F_PG1_Subject_1_L.avi").write_bytes(whole)
    bmlmovi.make(CONFIG, damaged, out)
    assert hashes(out) == hashes(made)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_named(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(BmlmoviError, match=r"out: cannot write .*Permission denied"):
        bmlmovi.make(CONFIG, raw, out)


def test_a_full_disk_stops_at_once_and_is_said(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BmlmoviError, match=r"out: cannot write .*subject 1: .*No space left"):
        bmlmovi_subject.make_subject(CONFIG, find_downloads(raw), tmp_path / "out", 1)


# -- the published split ----------------------------------------------------------------------


def test_usable_of_the_published_subjects() -> None:
    config = BmlmoviConfig()
    assert [len(subjects) for subjects in config.splits.values()] == [66, 3, 15]
    assert config.files[6] == ("PG2",)
    assert sum(map(len, config.files.values())) == 2 * 84 - 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": ()},
        {"train": (1, 1)},
        {"train": (2,), "test": (2,)},
        {"cameras": ("PG3",)},
        {"margin": 0.5},
        {"boxes": "detector"},
        {"detector": "weights.pth"},
    ],
)
def test_configurations_that_are_none_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="BmlmoviConfig"):
        BmlmoviConfig(**({"train": (1,), "validation": (), "test": ()} | wrong))
