"""Our own body file: reproducible, readable by OpenSim, D3KE's interface, and a person's shape and motion."""

import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.experiment.studies.opensim_oracle import opensim_markers

ROOT = Path(__file__).parents[2]
BODY = ROOT / "data" / "body"
SPEC = json.loads((ROOT / "d3ke_lib" / "body" / "d3ke_spec.json").read_text(encoding="utf-8"))
FLESH = json.loads((BODY / "flesh.json").read_text(encoding="utf-8"))["cones"]
INSIDE = {"ROOT", "HEAD", "NECK", "Spine1", "Spine2", "Spine3"} | {
    f"{side}{name}"
    for side in "LR"
    for name in ("HIPJ", "KJC", "AJC", "FOOT", "COL", "SHOULDER", "ELC", "WRIST")
}


@cache
def skeleton() -> Skeleton:
    return Skeleton(load_osim(BODY / "d3ke_body.osim"), D3KE).double()


def posed(**degrees: float) -> Pose:
    """Standing but for some coordinates, the pelvis at the origin, x forward, y up, z right."""
    angles = torch.zeros(69, dtype=torch.float64)
    for name, value in degrees.items():
        angles[skeleton().coordinates.index(name)] = np.deg2rad(value)
    return Pose(angles, skeleton().generic_scales, torch.eye(3, dtype=torch.float64))


def marker(name: str, **degrees: float) -> np.ndarray:
    return skeleton()(posed(**degrees)).markers[skeleton().markers.index(name)].numpy()


def flesh(pose: Pose, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Every cone as the spheres it is the union of: centres (cone, step, 3), radii (cone, step), m."""
    R, p = (t.numpy() for t in skeleton().frames(pose))
    share = np.linspace(0, 1, steps)[:, None]
    index = [skeleton().bodies.index(c["body"]) for c in FLESH]
    ends = [(np.array(c["a"]), np.array(c["b"])) for c in FLESH]
    centres = [((1 - share) * a + share * b) @ R[i].T + p[i] for i, (a, b) in zip(index, ends, strict=True)]
    radii = [((1 - share) * c["ra"] + share * c["rb"])[:, 0] for c in FLESH]
    return np.stack(centres), np.stack(radii)


@cache
def standing() -> tuple[np.ndarray, np.ndarray]:
    return flesh(posed())


@cache
def opensim_model() -> tuple:
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    model = opensim.Model(str(BODY / "d3ke_body.osim"))
    return model, model.initSystem()


# --- the files ------------------------------------------------------------------------------------
def test_the_script_writes_the_committed_bytes(tmp_path: Path) -> None:
    script = ROOT / "tools" / "body" / "make_body.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    for name in ("d3ke_body.osim", "flesh.json"):
        assert (tmp_path / name).read_bytes() == (BODY / name).read_bytes(), name


def test_opensim_warns_of_nothing_but_missing_meshes(tmp_path: Path) -> None:
    pytest.importorskip("opensim")
    code = f"import opensim as o; m = o.Model({str(BODY / 'd3ke_body.osim')!r}); m.assemble(m.initSystem())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    warnings = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "[warning]" in line]
    assert [
        w for w in warnings if not (w.startswith("[warning] Couldn't find file '") and ".obj'" in w)
    ] == []


def test_opensim_assembles_at_once_and_couplers_follow() -> None:
    model, state = opensim_model()
    coordinates = model.getCoordinateSet()
    model.assemble(state)
    assert all(abs(coordinates.get(i).getValue(state)) < 1e-12 for i in range(coordinates.getSize()))
    for side in ("", "_l"):
        coordinates.get(f"shoulder_elv{side}").setValue(state, 1.5)
    model.assemble(state)
    for side in ("", "_l"):
        value = {
            n: coordinates.get(f"{n}{side}").getValue(state) for n in ("acromioclavicular_r3", "unrothum_r3")
        }
        assert value["acromioclavicular_r3"] == pytest.approx(0.5, abs=1e-6)  # a third of the elevation
        assert value["unrothum_r3"] == pytest.approx(-0.5, abs=1e-6)
    model.initSystem()


def test_masses_are_a_persons() -> None:
    segments = load_osim(BODY / "d3ke_body.osim").segments
    assert sum(s.mass for s in segments) == pytest.approx(70, abs=1e-4)
    for segment in segments:
        x, y, z, *products = segment.inertia
        assert segment.mass > 0, segment.name
        assert products == [0, 0, 0], segment.name
        assert min(x + y - z, y + z - x, z + x - y) > 0, segment.name


# --- D3KE's interface -----------------------------------------------------------------------------
def test_names_and_scale_factors_are_d3kes() -> None:
    body = load_osim(BODY / "d3ke_body.osim")
    assert set(SPEC["coordinates"]) < {c.name for c in body.coordinates}
    assert set(SPEC["markers"]) < {m.name for m in body.markers}
    assert set(SPEC["joints"]) | set(SPEC["leaf_joints"]) < {j.name for j in body.joints}
    means = np.array(SPEC["unique_scale_mean"])
    factors = {s.name: s.scale_factors for s in body.segments}
    written = np.array([factors[n] for n in SPEC["bodies"]])
    np.testing.assert_allclose(written, means[np.array(SPEC["body_scale_mapping"])], atol=1e-8)


def test_ranges_and_topology_are_d3kes(shared: Path) -> None:
    tree = np.load(shared / "parity" / "tree.npz")
    middle, half = tree["coordinate_mid_half"].T
    np.testing.assert_allclose(skeleton().angle_middle.numpy(), middle, atol=1e-6)
    np.testing.assert_allclose(skeleton().angle_half.numpy(), half, atol=1e-6)
    ours = load_osim(BODY / "d3ke_body.osim")
    theirs = load_osim(shared / "assets" / "d3ke" / "full_body_wo_hands.osim")
    assert _topology(ours) == _topology(theirs)


def _topology(body) -> dict:
    return {j.name: (j.parent.body, j.child.body, [c.name for c in j.coordinates]) for j in body.joints}


def test_axes_point_as_d3kes_do(shared: Path) -> None:
    """Each of the 69 coordinates turns about the principal axis nearest to D3KE's, in its sense and order."""
    ours = _axes(load_osim(BODY / "d3ke_body.osim"))
    theirs = _axes(load_osim(shared / "assets" / "d3ke" / "full_body_wo_hands.osim"))
    for name in SPEC["coordinates"]:
        place, axis = theirs[name]
        cosine = axis @ ours[name][1] / np.linalg.norm(axis)
        assert ours[name][0] == place, name
        assert cosine > 0.7, (name, cosine)  # 0.754 for acromioclavicular_r3, a steep scapula; others near 1


def _axes(body) -> dict:
    found = {}
    for joint in body.joints:
        for place, axis in enumerate(joint.rotations):
            if axis.coordinate is not None:
                slope, _ = axis.function.line
                found[axis.coordinate] = place, slope * np.array(axis.axis)
    return found


# --- shape ----------------------------------------------------------------------------------------
def test_stature_and_breadths() -> None:
    centres, radii = standing()
    (x0, y0, z0), (x1, y1, z1) = (
        (centres - radii[..., None]).min((0, 1)),
        (centres + radii[..., None]).max((0, 1)),
    )
    assert y1 - y0 == pytest.approx(1.70, abs=0.02)
    assert 0.26 < (z1 - z0) / (y1 - y0) < 0.29  # over the shoulders
    assert 0.28 < x1 - x0 < 0.33  # buttocks or heels to toes
    model, state = opensim_model()
    model.realizePosition(state)
    heel = model.getMarkerSet().get("Virtual_Ground_RHEE").getLocationInGround(state)
    assert heel.get(1) == pytest.approx(0, abs=1e-6)  # stands on the floor


def test_pelvis_measures_what_the_hip_regression_was_given() -> None:
    asis, psis = ((marker(f"R{n}") + marker(f"L{n}")) / 2 for n in ("ASI", "PSI"))
    np.testing.assert_allclose(asis, 0, atol=0.005)
    assert asis[0] - psis[0] == pytest.approx(0.157, abs=0.005)
    assert marker("RASI")[2] - marker("LASI")[2] == pytest.approx(0.24, abs=1e-6)


@pytest.mark.parametrize("name", [n for n in SPEC["markers"] if n not in INSIDE])
def test_surface_markers_lie_on_the_flesh(name: str) -> None:
    centres, radii = standing()
    distance = (np.linalg.norm(centres - marker(name), axis=-1) - radii).min()
    assert abs(distance) < 0.005, f"{1000 * distance:.1f} mm"


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_joint_centre_markers_lie_inside(name: str) -> None:
    centres, radii = standing()
    assert (np.linalg.norm(centres - marker(name), axis=-1) - radii).min() < -0.005


def test_flesh_has_a_face_and_clothes() -> None:
    assert 50 <= len(FLESH) <= 80
    assert {c["part"] for c in FLESH} == {"skin", "hair", "top", "bottom", "shoe"}
    centres, radii = flesh(posed(), 50)
    head = np.array([c["body"] in ("skull", "jaw") for c in FLESH])
    hair = np.array([c["part"] == "hair" and max(c["ra"], c["rb"]) > 0.03 for c in FLESH])
    front = (centres[..., 0] + radii).max(1)
    assert front[head & ~hair].max() > front[hair].max() + 0.03  # the nose


# --- left and right -------------------------------------------------------------------------------
def test_a_mirrored_pose_gives_mirrored_points() -> None:
    generator = torch.Generator().manual_seed(7)
    low, high = skeleton().ranges.T
    angles = low + (high - low) * torch.rand(20, 69, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(20, 3, 3, generator=generator, dtype=torch.float64)).Q
    turn = turn * torch.det(turn)[:, None, None]
    flip = torch.diag(torch.tensor([1.0, 1, -1], dtype=torch.float64))
    sign = torch.tensor(SPEC["mirror_sign"], dtype=torch.float64)
    scales = skeleton().generic_scales
    there = skeleton()(Pose(angles, scales, turn))
    back = skeleton()(Pose(sign * angles[:, SPEC["mirror_coordinates"]], scales, flip @ turn @ flip))
    points, image = torch.cat([*there], 1), torch.cat([*back], 1)
    torch.testing.assert_close(image, points[:, SPEC["mirror_joints"]] @ flip, atol=1e-9, rtol=0)


def test_flesh_is_symmetric() -> None:
    def key(cone: dict, sign: int) -> tuple:
        body = cone["body"].removesuffix("_l").removesuffix("_r")
        ends = [(x, y, sign * z + 0.0, cone[f"r{end}"]) for end in "ab" for x, y, z in [cone[end]]]
        return body, cone["part"], cone["garment"], *sorted(ends)

    assert {key(c, 1) for c in FLESH} == {key(c, -1) for c in FLESH}


# --- what each coordinate does --------------------------------------------------------------------
MOVES = [  # coordinate (right or middle), degrees, marker, axis (x forward, y up, z right), least move in m
    ("hip_flexion_r", 30, "RKJC", "x", 0.15),
    ("hip_adduction_r", 20, "RKJC", "z", -0.1),
    ("hip_rotation_r", 20, "RFOOT", "z", -0.03),  # inwards
    ("knee_angle_r", -60, "RAJC", "x", -0.2),  # flexion is negative
    ("knee_angle_r", -60, "RAJC", "y", 0.1),
    ("knee_angle_y_r", 10, "RFOOT", "z", -0.015),
    ("knee_angle_x_r", 10, "RAJC", "z", -0.05),
    ("ankle_angle_r", 20, "RTOE", "y", 0.05),  # dorsiflexion
    ("subtalar_angle_r", 20, "RTOE", "z", -0.05),
    ("mtp_angle_r", -15, "RTOE", "y", -0.01),
    ("sternoclavicular_r2", -20, "RSHO", "x", -0.03),  # retraction
    ("sternoclavicular_r3", 20, "RSHO", "y", 0.03),
    ("acromioclavicular_r2", 20, "RSHOULDER", "x", 0.005),
    ("shoulder_elv", 90, "RWRIST", "z", 0.4),
    ("shoulder_elv", 90, "RWRIST", "y", 0.4),
    ("shoulder_rot", 30, "RIWR", "z", -0.01),  # inwards
    ("shoulder1_r2", 30, "RIWR", "z", -0.01),
    ("elbow_flexion", 90, "RWRIST", "x", 0.2),
    ("elbow_flexion", 90, "RWRIST", "y", 0.2),
    ("elbow_x", 20, "RWRIST", "z", -0.05),
    ("pro_sup", 60, "RIWR", "z", -0.02),  # pronation: the thumb side goes inwards
    ("L5_S1_FE", -40, "CLAV", "x", 0.1),  # flexion is negative
    ("ribs_bending", -10, "STRN", "x", -0.02),
    ("T1_head_neck_FE", -30, "HEAD", "x", 0.03),
    ("skull_z", -15, "RFHD", "y", -0.01),  # a nod
    *((f"{n}_LB", 9, "RFHD", "z", 0.002) for n in ("L5_S1", "L4_L5", "T12_L1", "T8_T9", "T1_head_neck")),
    # +y is up, so a positive turn takes the face to the left
    *((f"{n}_AR", 9, "RFHD", "z", -0.01) for n in ("L5_S1", "T11_T12", "T1_T2", "T1_head_neck")),
    ("skull_y", 9, "RFHD", "z", -0.01),
    *(
        (f"{n}_FE", -9, "HEAD", "x", 0.01)
        for n in ("T12_L1", "T11_T12", "T10_T11", "T9_T10", "T8_T9", "T1_T2")
    ),
    ("skull_x", 15, "RFHD", "z", 0.01),  # to the right
]


@pytest.mark.parametrize(("coordinate", "degrees", "name", "axis", "least"), MOVES)
def test_a_coordinate_moves_the_way_its_name_says(coordinate, degrees, name, axis, least) -> None:
    moved = (marker(name, **{coordinate: degrees}) - marker(name))["xyz".index(axis)]
    assert moved * np.sign(least) > abs(least), f"{name} moved {moved:+.3f} m along {axis}"


def test_elevation_plane_goes_forward() -> None:
    """elv_angle 90° with the arm lifted: the arm points forward, and sideways at 0°."""
    side = marker("RELC", shoulder_elv=90) - marker("RSHOULDER", shoulder_elv=90)
    ahead = marker("RELC", shoulder_elv=90, elv_angle=90) - marker("RSHOULDER", shoulder_elv=90)
    assert side[2] > 0.2
    assert ahead[0] > 0.2


def test_the_arm_is_free_of_the_scapulas_rhythm() -> None:
    """With clavicle and scapula at their coupled values the humerus turns by its own angles alone."""
    elevation = 75
    follow = {
        "sternoclavicular_r2": -20 * elevation / 150,
        "sternoclavicular_r3": 10 * elevation / 150,
        "acromioclavicular_r2": -5 * elevation / 150,
    }
    R, _ = skeleton().frames(posed(shoulder_elv=elevation, **follow))
    humerus = R[skeleton().bodies.index("humerus")].numpy()
    angle = np.deg2rad(-elevation)
    expected = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(humerus, expected, atol=1e-9)


def test_synthetic_arms_follow_the_bodys_couplings() -> None:
    """Motions move clavicle and scapula themselves; only at the body's own slopes is the arm left alone."""
    written = ROOT / "d3ke_lib" / "data" / "synthetic" / "actions.toml"
    actions = tomllib.loads(written.read_text(encoding="utf-8"))
    couplers = [c for c in load_osim(BODY / "d3ke_body.osim").couplers if c.dependent in actions["mix"]]
    assert len(couplers) == 4
    for coupler in couplers:
        slope = actions["mix"][coupler.dependent][coupler.independent]
        assert slope == pytest.approx(coupler.function.line[0], abs=1e-6), coupler.name


# --- agreement with OpenSim -----------------------------------------------------------------------
def test_skeleton_layer_agrees_with_opensim() -> None:
    """Joint angles and root motion at random; OpenSim's own couplers move what is not predicted."""
    pytest.importorskip("opensim")
    whole = Skeleton(load_osim(BODY / "d3ke_body.osim")).double()
    free = [n for n in whole.coordinates if n in D3KE.coordinates or n.startswith("pelvis_")]
    columns = [whole.coordinates.index(n) for n in free]
    low, high = whole.ranges[columns].clamp(-3, 3).T
    generator = torch.Generator().manual_seed(3)
    values = low + (high - low) * torch.rand(5, len(free), generator=generator, dtype=torch.float64)
    angles = torch.zeros(5, len(whole.coordinates), dtype=torch.float64)
    angles[:, columns] = values
    found = whole(Pose(angles, whole.generic_scales, None)).markers.numpy()
    expected = opensim_markers(BODY / "d3ke_body.osim", tuple(free), values.numpy(), whole.markers)
    np.testing.assert_allclose(found, expected, atol=1e-9)
