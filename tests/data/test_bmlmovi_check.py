"""check-data on a complete, a partial and a damaged folder; the published cameras against D3KE's."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import small_bmlmovi
import torch

from d3ke_lib.data.bmlmovi import check as bmlmovi_check
from d3ke_lib.data.bmlmovi import folder_tree as bmlmovi_tree
from d3ke_lib.data.bmlmovi.cameras import _V3D_AMASS, compare_calibration
from d3ke_lib.data.bmlmovi.check import _check_chunks, check_data, format_report, is_complete
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig, BmlmoviError
from d3ke_lib.data.camera import calibrated

CONFIG = BmlmoviConfig(train=(1,), validation=(3,), test=(2,), px=48)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw")
    return small_bmlmovi.write(raw, {1: "male", 2: "female", 3: "male"})


@pytest.fixture
def raw(complete: Path, tmp_path: Path) -> Path:
    """A copy to damage; the models are links."""
    for part in ("BMLmovi", "AMASS"):
        shutil.copytree(complete / part, tmp_path / "raw" / part)
    (tmp_path / "raw" / "smplh").symlink_to(complete / "smplh")
    return tmp_path / "raw"


@pytest.mark.parametrize("deep", [False, True])
def test_a_complete_folder(complete: Path, deep: bool) -> None:
    report = check_data(complete, CONFIG, deep)
    assert is_complete(report)
    assert report["models"] == {"male": "ok", "female": "ok"}
    assert report["files"] == {"usable": 6, "of": 6}
    assert report["estimate"]["frames"] == 3 * 2 * 13
    assert report["subjects"][2]["cameras"] == {"PG1": small_bmlmovi.FRAMES, "PG2": small_bmlmovi.FRAMES}
    said = format_report(report, complete)
    assert "1 of 1 train, 1 of 1 validation, 1 of 1 test subjects; 6 of 6 files" in said
    assert "can do     everything" in said
    assert "!" not in said


def test_a_partial_folder(raw: Path) -> None:
    next(raw.rglob("F_PG2_Subject_1_L.avi")).unlink()
    next(raw.rglob("F_v3d_Subject_2.mat")).unlink()
    next(raw.rglob("Subject_3_F_2_poses.npz")).unlink()
    shutil.copy(next(raw.rglob("F_v3d_Subject_1.mat")), raw / "F_v3d_Subject_88.mat")
    (raw / "F_Subjects_46_90.tar").touch()
    report = check_data(raw, CONFIG)
    assert {s: found["usable"] for s, found in report["subjects"].items()} == {
        1: ["PG1"],
        2: [],
        3: ["PG1", "PG2"],
    }
    assert report["subjects"][3]["notes"] == ["motion 2: no fit"]
    assert report["subjects"][3]["frames"] == 7
    assert report["not_needed"]["subjects"] == [88]
    assert report["not_needed"]["archives"] == ["F_Subjects_46_90.tar"]
    said = format_report(report, raw)
    assert "expected F_PG2_Subject_1_L.avi, found none" in said
    assert "expected F_v3d_Subject_2.mat, found none" in said
    assert "nothing yet: no subject of test is usable" in said
    assert not is_complete(report)


def test_a_damaged_folder(raw: Path) -> None:
    video = next(raw.rglob("F_PG1_Subject_1_L.avi"))
    video.write_bytes(video.read_bytes()[:9000])
    fit = next(raw.rglob("Subject_2_F_1_poses.npz"))
    fit.write_bytes(fit.read_bytes()[:200])
    small_bmlmovi.write_video(next(raw.rglob("F_PG2_Subject_3_L.avi")), range(12))
    report = check_data(raw, CONFIG)
    problems = {s: found["problems"] for s, found in report["subjects"].items()}
    assert len(problems[1]) == len(problems[2]) == len(problems[3]) == 1
    assert "F_PG1_Subject_1_L.avi: expected " in problems[1][0]
    assert "found 9000: cut short" in problems[1][0]
    assert "Subject_2_F_1_poses.npz: expected a whole .npz, found 200 bytes" in problems[2][0]
    assert "expected 16 frames or more (flags30), found 12" in problems[3][0]
    assert report["files"] == {"usable": 2, "of": 6}


def test_damage_inside_a_video_is_found_by_decoding(raw: Path) -> None:
    video = next(raw.rglob("F_PG1_Subject_1_L.avi"))
    small_bmlmovi.write_video(video, range(30), fps=30)
    whole = video.read_bytes()
    begin = whole.index(b"movi")
    video.write_bytes(whole[: begin + 400] + bytes(len(whole) - begin - 400))
    assert check_data(raw, CONFIG, deep=True)["subjects"][1]["usable"] == ["PG2"]


def test_nothing_at_all(tmp_path: Path) -> None:
    report = check_data(tmp_path)
    assert report["files"] == {"usable": 0, "of": 167}
    assert {tuple(found["problems"]) for found in report["subjects"].values()} == {
        ("no file of this subject",)
    }
    assert report["models"]["male"].endswith("expected male/model.npz of SMPL-H, found none")
    assert "never published whole: subjects 6, 7, 10, 14, 26, 49" in format_report(report, tmp_path)


def test_the_wrong_model_is_a_problem_of_its_subjects(raw: Path, complete: Path) -> None:
    (raw / "smplh").unlink()
    for sex in ("male", "female"):
        (raw / sex).mkdir()
        shutil.copy(complete / "smplh/male/model.npz", raw / sex / "model.npz")
    report = check_data(raw, CONFIG)
    assert not report["files"]["usable"]
    assert "found the same file as" in report["subjects"][2]["problems"][0]


def test_files_larger_than_a_chunk_are_followed(tmp_path: Path) -> None:
    """OpenDML: a second RIFF chunk follows the first."""
    chunk = b"RIFF" + (100).to_bytes(4, "little") + bytes(100)
    (tmp_path / "a.avi").write_bytes(chunk + chunk)
    _check_chunks(tmp_path / "a.avi")
    (tmp_path / "a.avi").write_bytes(chunk + chunk[:50])
    with pytest.raises(BmlmoviError, match="expected 216 bytes, found 158: cut short"):
        _check_chunks(tmp_path / "a.avi")


def test_free_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert bmlmovi_check._free_gb(tmp_path / "a" / "b") > 0


# -- cameras ----------------------------------------------------------------------


def write_cameras(raw: Path, moved_mm: float = 0.0, **changes: np.ndarray) -> bmlmovi_tree.Downloads:
    """PG1 as D3KE has it, written as the data set does: MATLAB's rows, mm, V3D's axes."""
    camera = calibrated("PG1", torch.float64)
    R = (camera.R @ torch.tensor(_V3D_AMASS).double().T).T.numpy()
    K = np.diag([*camera.focal.tolist(), 1.0])
    K[2, :2] = camera.center.numpy() + 0.5
    inside = {"IntrinsicMatrix": K, "RadialDistortion": camera.distortion.numpy()[None]}
    outside = {"rotationMatrix": R, "translationVector": camera.t.numpy()[None] * 1e3 + moved_mm}
    np.savez(raw / "cameraParams_PG1.npz", **(inside | changes))
    np.savez(raw / "Extrinsics_PG1.npz", **outside)
    return bmlmovi_tree.find_downloads(raw)


def test_published_cameras_are_compared_with_the_one_that_is_used(tmp_path: Path) -> None:
    assert "agrees with D3KE's, which is used, by up to 0.0 px" in compare_calibration(
        write_cameras(tmp_path), "PG1"
    )
    assert "DIFFERS FROM D3KE's" in compare_calibration(write_cameras(tmp_path, moved_mm=200.0), "PG1")
    assert "PG2: no cameraParams" in compare_calibration(write_cameras(tmp_path), "PG2")


def test_published_cameras_of_another_form_are_named(tmp_path: Path) -> None:
    tree = write_cameras(tmp_path, RadialDistortion=np.zeros(5))
    with pytest.raises(BmlmoviError, match=r"RadialDistortion: expected shape \(2,\), found \(5,\)"):
        compare_calibration(tree, "PG1")
