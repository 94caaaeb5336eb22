"""The synthetic BMLmovi: plain libraries read it, its bytes repeat, its SMPL-H is the body it says."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.io
import torch
from bmlmovi_fixture import generate as fixture
from bmlmovi_fixture import motions as fixture_motion
from bmlmovi_fixture import shapes as fixture_shapes
from bmlmovi_fixture import smplh_body as fixture_body
from bmlmovi_fixture.generate import FixtureConfig
from scipy.spatial.transform import Rotation

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.bmlmovi.points import _JOINTS, VERTICES
from d3ke_lib.data.camera import calibrated, project
from d3ke_lib.files import sha256

SUBJECTS, MOTIONS, FRAMES, BETWEEN = (1, 2, 3, 4, 5), 2, 5, 1  # of tests/conftest.py
SHAPES = {
    "v_template": (6890, 3), "shapedirs": (6890, 3, 16), "posedirs": (6890, 3, 459), "weights": (6890, 52),
    "J_regressor": (52, 6890), "kintree_table": (2, 52), "f": (13776, 3), "J": (52, 3),
}  # fmt: skip


def amass(raw: Path, subject: int, motion: int) -> dict[str, np.ndarray]:
    name = f"Subject_{subject}_F"
    with np.load(raw / f"AMASS/BMLmovi/{name}_MoSh/{name}_{motion}_poses.npz", allow_pickle=False) as file:
        return dict(file)


def truth(raw: Path, subject: int, motion: int) -> dict[str, np.ndarray]:
    with np.load(raw / f"truth/subject_{subject}_{motion}.npz", allow_pickle=False) as file:
        return dict(file)


def model(raw: Path, sex: str) -> dict[str, np.ndarray]:
    with np.load(raw / "smplh" / sex / "model.npz", allow_pickle=False) as file:
        return dict(file)


# -- formats -------------------------------------------------------------------------------------------------


def test_video(bmlmovi_raw: Path) -> None:
    for subject in SUBJECTS:
        path = bmlmovi_raw / "BMLmovi" / "videos" / f"F_PG1_Subject_{subject}_L.avi"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = [frame.pts for frame in container.decode(stream)]
        assert (container.format.name, stream.codec_context.name) == ("avi", "mjpeg")
        assert (stream.width, stream.height, stream.average_rate) == (800, 600, 30)
        assert frames == list(range(MOTIONS * (FRAMES + 2 * BETWEEN)))


def test_ranges_count_from_one(bmlmovi_raw: Path) -> None:
    found = scipy.io.loadmat(bmlmovi_raw / "BMLmovi" / "v3d" / "F_v3d_Subject_2.mat", simplify_cells=True)
    record = found["Subject_2_F"]
    assert record["subject"]["sex"] == "male"
    assert record["move"]["flags30"].tolist() == [[2, 6], [9, 13]]
    assert record["move"]["motions_list"].tolist() == ["jogging", "jumping_jacks"]


def test_fits_have_four_frames_for_one_of_the_video(bmlmovi_raw: Path) -> None:
    count = 4 * (FRAMES - 1) + 1
    for subject, sex in zip(SUBJECTS, ("female", "male", "female", "male", "female")):
        found = amass(bmlmovi_raw, subject, 2)
        shapes = {"poses": (count, 156), "trans": (count, 3), "betas": (16,), "dmpls": (count, 8)}
        assert {name: found[name].shape for name in shapes} == shapes
        assert (str(found["gender"]), float(found["mocap_framerate"])) == (sex, 120.0)


@pytest.mark.parametrize("sex", ["male", "female", "neutral"])
def test_model_file(bmlmovi_raw: Path, sex: str) -> None:
    found = model(bmlmovi_raw, sex)
    assert {name: found[name].shape for name in SHAPES} == SHAPES
    np.testing.assert_array_equal(found["weights"].sum(1), 1)
    np.testing.assert_allclose(found["J_regressor"].sum(1), 1)
    assert found["kintree_table"][0, 0] == 2**32 - 1
    assert not found["posedirs"].any()


def test_surface_is_closed_and_holds_a_person(bmlmovi_raw: Path) -> None:
    found = model(bmlmovi_raw, "neutral")
    faces = found["f"].astype(int)
    faces = faces[faces.any(1)]
    edges = np.concatenate([faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    assert {tuple(edge) for edge in edges.tolist()} == {tuple(edge[::-1]) for edge in edges.tolist()}
    a, b, c = (found["v_template"][faces[:, i]] for i in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert 0.06 < volume < 0.085  # m³: D3KE takes 1008 kg for each
    height = np.ptp(found["v_template"], axis=0)
    assert 1.5 < height[1] < 1.85  # m, y up
    assert 1.4 < height[0] < 1.9  # arms spread


# -- the truth ---------------------------------------------------------------------------------------------


def posed(raw: Path, subject: int, motion: int) -> dict[str, np.ndarray]:
    """Markers by name (frame, 3) out of the published files alone: linear blend skinning written plainly."""
    fit = amass(raw, subject, motion)
    body = model(raw, str(fit["gender"]))
    rest = body["v_template"] + body["shapedirs"] @ fit["betas"]
    joints = body["J_regressor"] @ rest
    parents = body["kintree_table"][0].astype(np.int64)
    part = body["weights"].argmax(1)
    found = {name: [] for name in (*VERTICES, *_JOINTS)}
    for pose, trans in zip(fit["poses"], fit["trans"], strict=True):
        turn = Rotation.from_rotvec(pose.reshape(52, 3)).as_matrix()
        place = joints.copy()
        for j in range(1, 52):
            place[j] = place[parents[j]] + turn[parents[j]] @ (joints[j] - joints[parents[j]])
            turn[j] = turn[parents[j]] @ turn[j]
        for name, vertex in VERTICES.items():
            k = part[vertex]
            found[name].append(turn[k] @ (rest[vertex] - joints[k]) + place[k] + trans)
        for name, j in _JOINTS.items():
            found[name].append(place[j] + trans)
    return {name: np.stack(places) for name, places in found.items()}


def test_markers_of_the_published_files_are_those_of_the_truth(bmlmovi_raw: Path) -> None:
    skeleton = default_skeleton().double()
    for subject, motion in ((1, 1), (2, 2)):
        true, found = truth(bmlmovi_raw, subject, motion), posed(bmlmovi_raw, subject, motion)
        pose = Pose(*(torch.from_numpy(true[name]) for name in ("angles", "scales", "R_world_root")))
        markers = skeleton(pose).markers.numpy() + true["root"][:, None]
        off = {name: np.abs(found[name] - markers[:, i]).max() for i, name in enumerate(skeleton.markers)}
        feet = [name for name in off if name[1:] in ("FOOT", "HEE", "TOE", "MT1", "MT5")]
        apart = [name for name in off if name[1:] in ("WRIST", "CLAV")]  # weigh 1 of 20
        assert max(off[name] for name in feet) < 6e-4  # m: ankle and subtalar joint as one
        assert max(off[name] for name in apart) < 2e-2
        assert max(off[name] for name in off if name not in (*feet, *apart)) < 1e-8


def test_scale_factors_are_what_measuring_finds() -> None:
    config = FixtureConfig(betas=1.0)
    for number in range(1, 9):
        sex, betas = fixture.draw_subject(config, number)[1:3]
        ratio = fixture_body.STATURE[sex] + fixture_shapes.shapes() @ torch.from_numpy(betas)
        found = fixture_shapes.measured(ratio[None])[0]
        assert ((found - ratio) / ratio).abs().max() < 0.01
        assert ratio.std() > 0.01


def test_truth_says_which_video_frame(bmlmovi_raw: Path) -> None:
    numbers = truth(bmlmovi_raw, 1, 2)["video_frame"]
    shown = np.nonzero(numbers >= 0)[0]
    assert shown.tolist() == list(range(0, 4 * FRAMES, 4))
    assert numbers[shown].tolist() == list(range(8, 13))


def test_the_person_is_where_the_truth_says(bmlmovi_raw: Path) -> None:
    """What differs between two images lies where the body is in one of them."""
    path = bmlmovi_raw / "BMLmovi" / "videos" / "F_PG1_Subject_3_L.avi"
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
    true, camera = truth(bmlmovi_raw, 3, 2), calibrated("PG1", torch.float64)
    pose = Pose(*(torch.from_numpy(true[name]) for name in ("angles", "scales", "R_world_root")))
    points = torch.cat(tuple(default_skeleton().double()(pose)), 1) + torch.from_numpy(true["root"])[:, None]
    at = project(camera, points).numpy()[true["video_frame"] >= 0]
    numbers = true["video_frame"][true["video_frame"] >= 0]
    y, x = np.nonzero(np.abs(images[numbers[0]] - images[numbers[-1]]) > 40)
    both = at[[0, -1]].reshape(-1, 2)
    low, high = both.min(0), both.max(0)
    inside = (x > low[0] - 20) & (x < high[0] + 20) & (y > low[1] - 20) & (y < high[1] + 45)
    assert len(x) > 500
    assert inside.mean() > 0.99


# -- making --------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {sex: {"v": np.full(3, len(sex))} for sex in fixture_body.STATURE}
    monkeypatch.setattr(fixture_body, "arrays", arrays.get)
    config = FixtureConfig(subjects=(4,), motions=("pointing",), frames=2, between=0)
    hashes = []
    for name, ours in {"a": config, "b": config, "c": replace(config, seed=1)}.items():
        raw = fixture.make(ours, tmp_path / name)
        hashes.append({p.relative_to(raw): sha256(p) for p in sorted(raw.rglob("*.*"))})
    first, again, other = hashes
    assert len(first) == 3 + 3 + 1 + 1 + 1  # models, AMASS and truth, its configuration, V3D, video
    assert first == again
    assert {path for path in first if first[path] == other[path]} == {
        path for path in first if "smplh" in path.parts or path.suffix == ".mat"
    }


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"motions.*'flying'"):
        FixtureConfig(motions=("flying",))
    with pytest.raises(ValueError, match=r"cameras.*'PG3'"):
        FixtureConfig(cameras=("PG3",))
    with pytest.raises(ValueError, match="frames and subjects from 1"):
        FixtureConfig(frames=0)


def test_an_arm_out_of_reach_is_an_error() -> None:
    skeleton = default_skeleton().double()
    angles = torch.zeros(1, 69, dtype=torch.float64)
    angles[:, D3KE.coordinates.index("shoulder_elv")] = 2.9
    with pytest.raises(ValueError, match="shoulder blades"):
        fixture_motion.held(angles, skeleton.generic_scales)
