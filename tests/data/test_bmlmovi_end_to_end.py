"""From a synthetic BMLmovi with known truth to records: labels are the truth, on the right images.

What single files may have wrong, and how making resumes, is tried in the tests next to this one.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.io
import torch
from bmlmovi_fixture import shapes as fixture_shapes
from bmlmovi_fixture.proof import Truth, observable, recovered, rms_deg, truth

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import subject as bmlmovi_subject
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.bmlmovi.folder_tree import find_downloads
from d3ke_lib.data.camera import Camera, calibrated, resample

CONFIG = BmlmoviConfig(train=(1, 5), validation=(3,), test=(2, 4), cameras=("PG1",), px=96)
SUBJECTS, MOTIONS, FRAMES = (1, 2, 3, 4, 5), 2, 5


@pytest.fixture(scope="module")
def made(bmlmovi_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    bmlmovi.make(CONFIG, bmlmovi_raw, out)
    return out


def record(out: Path, subject: int) -> records.Record:
    return records.read(out / f"subject_{subject:03d}_PG1.arrow")


# -- labels --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proof(bmlmovi_raw: Path, made: Path) -> dict[str, dict]:
    return recovered(bmlmovi_raw, made)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_angles_scales_and_points_are_recovered(proof: dict[str, dict], subject: int) -> None:
    found = proof[f"subject_{subject:03d}_PG1"]
    assert found["frames"] == MOTIONS * FRAMES
    assert len(found["observable_rms_deg"]) >= 35
    assert found["worst_observable_deg"] < 1.0, found
    assert found["pelvis_deg"] < 0.5
    assert found["scales_percent"] < 2.0
    # Unobservable coordinates do no harm: every joint and marker is where it truly is.
    assert found["points_mm"]["joints"]["max"] < 8
    assert found["points_mm"]["markers"]["mean"] < 1


def test_turns_about_one_axis_are_recovered_as_their_sum(bmlmovi_raw: Path, made: Path) -> None:
    for subject in SUBJECTS:
        found = record(made, subject)
        names = found.metadata.names["coordinates"]
        wrong = found.column("angles") - truth(bmlmovi_raw, subject).angles
        for pair in (("shoulder1_r2", "shoulder_rot"), ("shoulder1_r2_l", "shoulder_rot_l")):
            assert rms_deg(wrong[:, [names.index(name) for name in pair]].sum(1, keepdims=True)) < 1.0


def test_observable_is_what_markers_tell() -> None:
    """Standing straight, arms down: flexion is seen, turns about the long axes of straight limbs not."""
    skeleton = fixture_shapes.selection()
    still = np.zeros((1, 69))
    true = Truth(still, np.eye(3)[None], np.zeros((1, 3)), np.zeros(1, int), skeleton.generic_scales.numpy())
    known = dict(zip(skeleton.coordinates, observable(skeleton, true), strict=True))
    seen = ("hip_flexion_r", "knee_angle_l", "elbow_flexion", "ankle_angle_r", "skull_z")
    assert [known[name] for name in seen] == [True] * len(seen)
    hidden = ("shoulder1_r2", "shoulder_rot_l", "hip_rotation_r", "elv_angle")
    assert [known[name] for name in hidden] == [False] * len(hidden)


def test_all_that_is_true_counts(made: Path) -> None:
    """Landmarks are within 2 cm everywhere: nothing is masked."""
    for subject in SUBJECTS:
        assert record(made, subject).column("valid_angles").all()


# -- images ------------------------------------------------------------------------------------------------


def shown(raw: Path, found: records.Record) -> list[int]:
    """Which frame of the video each row's image really is: the one it differs least from."""
    path = raw / "BMLmovi" / "videos" / f"F_PG1_Subject_{found.metadata.subject}_L.avi"
    with av.open(str(path)) as container:
        video = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    whole = torch.from_numpy(np.stack(video)).permute(0, 3, 1, 2).float()
    return [nearest(whole, found, row) for row in range(len(found))]


def nearest(video: torch.Tensor, found: records.Record, row: int) -> int:
    px = found.metadata.px
    names = ("R_camera_world", "t_camera_world", "focal", "center")
    crop = Camera(*(torch.from_numpy(found.column(name)[row].copy()) for name in names), torch.zeros(2))
    image = records.decode(found.jpeg(row)).float()
    cut = torch.stack([resample(frame, calibrated("PG1"), crop, px) for frame in video])
    return int((cut - image).abs().mean((1, 2, 3)).argmin())


def labelled(true: Truth, found: records.Record) -> list[int]:
    """Which frame of the video each row's labels are really of: the one whose truth is nearest."""
    off = np.abs(found.column("angles")[:, None] - true.angles[None])
    legs = [i for i, name in enumerate(found.metadata.names["coordinates"]) if "flexion" in name]
    return true.video_frame[off[:, :, legs].sum(-1).argmin(1)].tolist()


@pytest.mark.parametrize("subject", [1, 2])
def test_labels_and_images_are_of_the_same_frame(bmlmovi_raw: Path, made: Path, subject: int) -> None:
    true, found = truth(bmlmovi_raw, subject), record(made, subject)
    assert found.column("frame").tolist() == true.video_frame.tolist()
    assert labelled(true, found) == true.video_frame.tolist()
    assert shown(bmlmovi_raw, found) == true.video_frame.tolist()


def test_a_shift_by_one_frame_would_be_found(bmlmovi_raw: Path, tmp_path: Path) -> None:
    """The two tests above are no formality: with ranges one frame late, no row agrees."""
    raw = linked(bmlmovi_raw, tmp_path / "raw")
    path = replaced(raw / "BMLmovi" / "v3d" / "F_v3d_Subject_1.mat")
    record_1 = scipy.io.loadmat(path, simplify_cells=True)["Subject_1_F"]
    record_1["move"]["flags30"] = record_1["move"]["flags30"] + 1
    scipy.io.savemat(path, {"Subject_1_F": record_1})
    assert bmlmovi_subject.make_subject(CONFIG, find_downloads(raw), tmp_path / "out", 1) == {}
    true, found = truth(bmlmovi_raw, 1), record(tmp_path / "out", 1)
    numbers = true.video_frame
    assert labelled(true, found) == numbers.tolist()
    assert shown(bmlmovi_raw, found) == (numbers + 1).tolist()


# -- damage --------------------------------------------------------------------------------------------------


def linked(raw: Path, copy: Path) -> Path:
    """A copy of the downloads by links, cheap to make and to damage: see `replaced`."""
    for path in (path for path in raw.rglob("*.*") if "truth" not in path.parts):
        link = copy / path.relative_to(raw)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return copy


def replaced(link: Path) -> Path:
    """A file of its own in place of the link."""
    source = link.resolve()
    link.unlink()
    shutil.copyfile(source, link)
    return link


def changed(path: Path, **arrays: np.ndarray) -> None:
    with np.load(path) as file:
        values = dict(file) | arrays
    np.savez_compressed(path, **values)


def as_smpl(path: Path) -> None:
    changed(path, weights=np.zeros((6890, 24)), J_regressor=np.zeros((24, 6890)))


def renamed(path: Path) -> None:
    found = scipy.io.loadmat(path, simplify_cells=True)["Subject_1_F"]
    found["move"]["flags"] = found["move"].pop("flags30")
    scipy.io.savemat(path, {"Subject_1_F": found})


FITS = "AMASS/BMLmovi/Subject_1_F_MoSh/Subject_1_F_{}_poses.npz"
DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "fit cut short": (FITS.format(2), lambda p: p.write_bytes(p.read_bytes()[:9000]), "found 9000 bytes"),
    "SMPL's poses": (FITS.format(1), lambda p: changed(p, poses=np.zeros((17, 72))), r"\(17, 72\).*SMPL"),
    "ten betas": (FITS.format(1), lambda p: changed(p, betas=np.zeros(10)), "betas: expected 16"),
    "the other sex": (FITS.format(1), lambda p: changed(p, gender=np.array("male")), "gender.*female.*male"),
    "SMPL's model": ("smplh/female/model.npz", as_smpl, "SMPL with 24 joints"),
    "other field names": ("BMLmovi/v3d/F_v3d_Subject_1.mat", renamed, "flags30, found .*flags"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_downloads_are_named(bmlmovi_raw: Path, tmp_path: Path, name: str) -> None:
    file, damage, why = DAMAGES[name]
    raw = linked(bmlmovi_raw, tmp_path / "raw")
    damage(replaced(raw / file))
    failed = bmlmovi_subject.make_subject(CONFIG, find_downloads(raw), tmp_path / "out", 1)
    said = failed["subject_001_PG1.arrow"]
    assert re.search(why, said), said
    assert Path(file).name in said
    assert not list((tmp_path / "out").rglob("*.arrow"))
