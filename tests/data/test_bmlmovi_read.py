"""Published files as values, and every way in which they can be wrong named: file, expected, found."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import small_bmlmovi

from d3ke_lib.data.bmlmovi import folder_tree as bmlmovi_tree
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.bmlmovi.read import fit_frames, read_fit, read_ranges


def test_ranges_count_from_zero_and_stop_after_the_last(tmp_path: Path) -> None:
    path = small_bmlmovi.write_ranges(tmp_path / "F_v3d_Subject_5.mat", 5, "female", [(1, 3), (10, 10)])
    found = read_ranges(path, 5)
    assert found.frames.tolist() == [[0, 3], [9, 10]]
    assert found.sex == "female"
    assert found.names == ("action 1", "action 2")


@pytest.mark.parametrize("cell", [True, False], ids=["move is a cell", "move is a struct"])
def test_one_motion_without_names(tmp_path: Path, cell: bool) -> None:
    move = {"flags30": np.array([[4, 9]])}
    if cell:
        inside, move = move, np.empty((1, 1), object)
        move[0, 0] = inside
    scipy.io.savemat(tmp_path / "a.mat", {"Subject_5_F": {"move": move, "x": 1}})
    found = read_ranges(tmp_path / "a.mat", 5)
    assert found.sex is None
    assert found.names == ("motion_01",)
    assert found.frames.tolist() == [[3, 9]]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"Subject_6_F": {"move": 1}}, "expected the variable Subject_5_F, found Subject_6_F"),
        ({"Subject_5_F": {"moves": 1, "y": 2}}, r"expected the field Subject_5_F.move, found moves, y"),
        ({"Subject_5_F": {"move": {"flags": 1, "z": 2}}}, r"field Subject_5_F.move.flags30, found flags, z"),
        ({"Subject_5_F": {"move": {"flags30": np.ones((2, 3))}}}, r"\(motions, 2\).*found shape \(2, 3\)"),
        ({"Subject_5_F": {"move": {"flags30": "none"}}}, r"\(motions, 2\)"),
        (
            {"Subject_5_F": {"move": {"flags30": np.array([[1, 4], [9, 5]])}}},
            "motion 2: .*found 9 to 5",
        ),
        ({"Subject_5_F": {"move": {"flags30": np.array([[1, np.nan]])}}}, "motion 1: expected.*nan"),
        (
            {"Subject_5_F": {"move": {"flags30": np.array([[1, 2]])}, "subject": {"sex": "m"}}},
            "subject.sex: expected male or female, found 'm'",
        ),
    ],
)
def test_ranges_that_are_none(tmp_path: Path, content: dict, match: str) -> None:
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(BmlmoviError, match=match) as raised:
        read_ranges(tmp_path / "a.mat", 5)
    assert "a.mat" in str(raised.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_mat_file_cut_short_is_said(tmp_path: Path, share: float, compressed: bool) -> None:
    flags = np.cumsum(np.ones((500, 2)), 0)
    content = {"Subject_5_F": {"move": {"flags30": flags, "more": np.random.default_rng(0).random(900)}}}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BmlmoviError, match=r"a.mat: expected"):
        read_ranges(tmp_path / "a.mat", 5)


def test_a_fit_and_its_number_of_frames(tmp_path: Path) -> None:
    path = small_bmlmovi.write_fit(tmp_path / "a.npz", 9, "female")
    fit = read_fit(path)
    assert fit.poses.shape == (9, 156)
    assert fit.sex == "female"
    assert fit_frames(path) == 9


@pytest.mark.parametrize("gender", ["male", b"male", "b'male'", "Male"])
def test_amass_ways_to_write_male(tmp_path: Path, gender: object) -> None:
    assert read_fit(small_bmlmovi.write_fit(tmp_path / "a.npz", 4, gender=np.array(gender))).sex == "male"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"poses": np.zeros((4, 72))}, r"found \(4, 72\) \(SMPL's\)"),
        ({"poses": np.zeros((4, 165))}, r"found \(4, 165\) \(SMPL-X's\)"),
        ({"poses": np.zeros((0, 156))}, r"found \(0, 156\)"),
        ({"poses": np.full((4, 156), np.nan)}, "expected finite poses and trans"),
        ({"betas": np.zeros(10)}, r"betas: expected 16 \(SMPL-H\), found shape \(10,\)"),
        ({"trans": np.zeros((3, 3))}, r"trans: expected \(4, 3\), found \(3, 3\)"),
        ({"gender": np.array("neutral")}, "gender: expected male or female, found 'neutral'"),
        ({"mocap_framerate": np.array(60.0)}, "mocap_framerate: expected 120 Hz, found 60"),
        ({"poses": np.array([{}], object)}, "expected a whole .npz"),
    ],
)
def test_fits_that_are_none(tmp_path: Path, changes: dict, match: str) -> None:
    path = small_bmlmovi.write_fit(tmp_path / "a.npz", 4, **changes)
    with pytest.raises(BmlmoviError, match=match) as raised:
        read_fit(path)
    assert "a.npz" in str(raised.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_fit_cut_short_is_said(tmp_path: Path, share: float) -> None:
    path = small_bmlmovi.write_fit(tmp_path / "a.npz", 40)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for read in (read_fit, fit_frames):
        with pytest.raises(BmlmoviError, match=r"a.npz: expected a whole .npz, found \d+ bytes"):
            read(path)


def test_a_flipped_bit_is_said(tmp_path: Path) -> None:
    path = small_bmlmovi.write_fit(tmp_path / "a.npz", 40)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(BmlmoviError, match=r"a.npz: expected a whole .npz"):
        read_fit(path)


# -- where files lie ------------------------------------------------------------


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_are_found_however_they_are_arranged(tmp_path: Path) -> None:
    video = touch(tmp_path / "dataverse_files (3)" / "F_PG2_Subject_12_L.avi")
    ranges = touch(tmp_path / "F_v3d_Subject_12.mat")
    fit = touch(tmp_path / "BMLmovi" / "Subject_12_F_MoSh" / "Subject_12_F_21_poses.npz")
    touch(fit.parent / "shape.npz")
    model = touch(tmp_path / "smplh" / "female" / "model.npz")
    touch(tmp_path / "smplh" / "neutral" / "model.npz")
    odd = touch(tmp_path / "F_PG3_Subject_12_L.avi")
    packed = touch(tmp_path / "F_Subjects_1_45.tar")
    tree = bmlmovi_tree.find_downloads(tmp_path)
    assert tree.videos == {(12, "PG2"): video}
    assert tree.ranges == {12: ranges}
    assert tree.fits == {12: {21: fit}}
    assert tree.models == {"female": model}
    assert tree.unexpected == [odd]
    assert tree.archives == [packed]
    assert tree.subjects == [12]


def test_a_second_file_of_one_name_is_told(tmp_path: Path) -> None:
    first = touch(tmp_path / "a" / "F_v3d_Subject_1.mat")
    second = touch(tmp_path / "b" / "F_v3d_Subject_1.mat")
    tree = bmlmovi_tree.find_downloads(tmp_path)
    assert tree.ranges == {1: first}
    assert tree.doubled == [second]


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(BmlmoviError, match="expected the folder of the downloads"):
        bmlmovi_tree.find_downloads(tmp_path / "nowhere")
