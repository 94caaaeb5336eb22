"""python -m d3ke_lib.body.ik and …scaling: files written whole, residual tables, errors in one line."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from d3ke_lib.body.ik.__main__ import main as solve_trial
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import Trajectories, read_mot, read_trc, write_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.scaling.__main__ import main as scale_model
from d3ke_lib.body.scaling.factors import Measurement, scale_factors
from d3ke_lib.body.scaling.setup_file import read_scale_setup
from d3ke_lib.body.spec import BODY_FILE

TASKS = """<OpenSimDocument Version="40000"><IKTaskSet><objects>
<IKMarkerTask name="{marker}"><apply>{apply}</apply><weight>{weight}</weight></IKMarkerTask>
</objects></IKTaskSet></OpenSimDocument>"""
SETUP = """<OpenSimDocument Version="30000"><ScaleTool><mass>70</mass><ModelScaler>
<scaling_order>{order}</scaling_order><time_range>0 0.1</time_range>
<preserve_mass_distribution>true</preserve_mass_distribution>
<MeasurementSet><objects>
<Measurement name="shank"><apply>true</apply>
<MarkerPairSet><objects><MarkerPair><markers>{a} {b}</markers></MarkerPair></objects></MarkerPairSet>
<BodyScaleSet><objects><BodyScale name="tibia_r"><axes>X {axis}</axes></BodyScale></objects></BodyScaleSet>
</Measurement>
<Measurement name="off"><apply>false</apply></Measurement></objects></MeasurementSet>
<ScaleSet><objects><Scale><scales>1.1 1.2 1.3</scales><segment>tibia_l</segment><apply>true</apply></Scale>
</objects></ScaleSet></ModelScaler></ScaleTool></OpenSimDocument>"""


@pytest.fixture(scope="module")
def skeleton():
    return Skeleton(load_osim(BODY_FILE)).double()


def write_trial(skeleton, path, size: float):
    """Twelve frames in which the right knee bends; the first marker is missing in the third."""
    angles = torch.zeros(12, len(skeleton.coordinates), dtype=torch.float64)
    angles[:, skeleton.coordinates.index("knee_angle_r")] = torch.linspace(-0.1, -0.4, 12)
    positions = skeleton(Pose(angles, size * skeleton.generic_scales)).markers.numpy().copy()
    positions[2, 0] = np.nan
    write_trc(path, Trajectories(np.arange(12) / 60, skeleton.markers, positions))
    return path


@pytest.fixture
def trial(skeleton, tmp_path):
    return write_trial(skeleton, tmp_path / "trial.trc", 1.0)


@pytest.fixture
def larger(skeleton, tmp_path):
    """The trial of a subject 5 % larger than the model."""
    return write_trial(skeleton, tmp_path / "larger.trc", 1.05)


def error_of(capsys, main, *arguments) -> str:
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_a_trial_becomes_coordinates_and_residuals(skeleton, trial, tmp_path, capsys):
    out, table = tmp_path / "new/out.mot", tmp_path / "residuals.csv"
    assert solve_trial([str(BODY_FILE), str(trial), "-o", str(out), "--residuals", str(table)]) == 0
    found = read_mot(out, skeleton.body)
    assert found.labels == skeleton.coordinates
    knee = found.values[:, found.labels.index("knee_angle_r")]
    np.testing.assert_allclose(knee, np.linspace(-0.1, -0.4, 12), atol=0.01)
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[0] == ["time", "rms_mm", "converged", *skeleton.markers]
    assert [i for i, row in enumerate(rows[1:]) if row[3] == ""] == [2]
    printed = capsys.readouterr()
    assert all(name in printed.out for name in skeleton.markers)
    assert "12 frames" in printed.out
    assert "\r" not in printed.err  # no progress bar without a terminal


def test_tasks_weigh_markers_and_part_of_a_trial_is_solved(skeleton, trial, tmp_path, capsys):
    tasks = tmp_path / "tasks.xml"
    tasks.write_text(TASKS.format(marker=skeleton.markers[5], apply="true", weight=3))
    out = tmp_path / "out.mot"
    status = solve_trial(
        [str(BODY_FILE), str(trial), "-o", str(out), "--tasks", str(tasks), "--time", "0.05", "0.1"]
    )
    assert status == 0
    np.testing.assert_allclose(read_mot(out, skeleton.body).time, np.arange(3, 7) / 60)
    line = next(text for text in capsys.readouterr().out.splitlines() if text.startswith(skeleton.markers[5]))
    assert line.split()[1:3] == ["3", "0.0"]


@pytest.mark.parametrize(
    ("weight", "marker", "message"),
    [("-1", None, "expected a weight of 0 or more"), ("1", "nowhere", "expected tasks for markers")],
)
def test_bad_tasks_are_named(skeleton, trial, tmp_path, capsys, weight, marker, message):
    tasks = tmp_path / "tasks.xml"
    tasks.write_text(TASKS.format(marker=marker or skeleton.markers[5], apply="true", weight=weight))
    found = error_of(capsys, solve_trial, BODY_FILE, trial, "-o", tmp_path / "out.mot", "--tasks", tasks)
    assert message in found
    assert "tasks.xml" in found
    assert not (tmp_path / "out.mot").exists()


def test_missing_files_and_names_are_told(skeleton, trial, tmp_path, capsys):
    out = tmp_path / "out.mot"
    out.write_text("kept")
    assert "no.osim" in error_of(capsys, solve_trial, tmp_path / "no.osim", trial, "-o", out)
    assert "no.trc" in error_of(capsys, solve_trial, BODY_FILE, tmp_path / "no.trc", "-o", out)
    found = error_of(capsys, solve_trial, BODY_FILE, trial, "-o", out, "--time", "5", "6")
    assert "expected frames between 5 and 6 s, found 0 to 0.183" in found
    other = tmp_path / "other.trc"
    write_trc(other, Trajectories(np.arange(2) / 60, ("A", "B"), np.zeros((2, 2, 3))))
    found = error_of(capsys, solve_trial, BODY_FILE, other, "-o", out)
    assert "other.trc has A, B" in found
    assert skeleton.markers[0] in found
    assert out.read_text() == "kept"


def test_the_modules_run_as_commands():
    for module in ("ik", "scaling"):
        done = subprocess.run(
            [sys.executable, "-m", f"d3ke_lib.body.{module}", "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0
        assert "usage" in done.stdout


def test_a_first_solve_imports_neither_dynamo_nor_sympy():
    code = (
        "import sys, torch; from d3ke_lib.body.kinematics import Skeleton;"
        "from d3ke_lib.body.ik.solve import *;"
        "from d3ke_lib.body.opensim.read import load_osim; from d3ke_lib.body.spec import BODY_FILE;"
        "s = Skeleton(load_osim(BODY_FILE)); m = torch.rand(3, len(s.markers), 3); b = set(sys.modules);"
        "solve(s, m, prior=Prior(60.0)); new = set(sys.modules) - b;"
        "sys.exit(str(sorted(new)[:9]) if {'sympy', 'torch._dynamo'} & new else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_setup_scales_the_model(skeleton, larger, tmp_path, capsys):
    a, b = (m.name for m in [m for m in skeleton.body.markers if m.body == "tibia_r"][:2])
    setup = tmp_path / "setup.xml"
    setup.write_text(SETUP.format(order="measurements manualScale", a=a, b=b, axis="Z"))
    read = read_scale_setup(setup)
    assert read.measurements == (Measurement("shank", ((a, b),), ("tibia_r",), ((0, 2),)),)
    assert (read.seconds, read.mass, read.keep_masses) == ((0.0, 0.1), 70.0, True)
    out = tmp_path / "scaled.osim"
    assert scale_model([str(BODY_FILE), str(larger), "-o", str(out), "--setup", str(setup)]) == 0
    scaled = {s.name: np.array(s.scale_factors) for s in load_osim(out).segments}
    own = {s.name: np.array(s.scale_factors) for s in skeleton.body.segments}
    np.testing.assert_allclose(scaled["tibia_r"] / own["tibia_r"], [1.05, 1.0, 1.05], atol=1e-4)
    np.testing.assert_allclose(scaled["tibia_l"] / own["tibia_l"], [1.1, 1.2, 1.3])
    assert "tibia_l" in capsys.readouterr().out
    assert sum(s.mass for s in load_osim(out).segments) == pytest.approx(70.0)


def test_d3kes_measurements_scale_the_model(skeleton, larger, tmp_path):
    out = tmp_path / "scaled.osim"
    assert scale_model([str(BODY_FILE), str(larger), "-o", str(out)]) == 0
    scaled = load_osim(out)
    factors = scale_factors(skeleton.body, read_trc(larger))
    ratios = torch.from_numpy(np.stack([factors[name] for name in skeleton.bodies]))
    assert (ratios - 1.05).abs().median() < 0.05
    expected = skeleton(Pose(skeleton.rest().angles, ratios * skeleton.generic_scales)).markers
    layer = Skeleton(scaled).double()
    torch.testing.assert_close(layer(layer.rest()).markers, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("order", "axis", "message"),
    [
        ("manualScale measurements", "Z", "expected measurements before manualScale"),
        ("measurements", "W", "expected axes of X, Y and Z, found ['W']"),
    ],
)
def test_bad_setups_are_named(skeleton, larger, tmp_path, capsys, order, axis, message):
    setup = tmp_path / "setup.xml"
    setup.write_text(SETUP.format(order=order, a="A", b="B", axis=axis))
    found = error_of(capsys, scale_model, BODY_FILE, larger, "-o", tmp_path / "s.osim", "--setup", setup)
    assert message in found
    assert "setup.xml" in found


def test_a_trial_without_measured_markers_scales_nothing(tmp_path, capsys):
    other = tmp_path / "other.trc"
    write_trc(other, Trajectories(np.arange(2) / 60, ("A", "B"), np.zeros((2, 2, 3))))
    found = error_of(capsys, scale_model, BODY_FILE, other, "-o", tmp_path / "s.osim")
    assert "other.trc" in found
    assert not (tmp_path / "s.osim").exists()
    assert "no.osim" in error_of(capsys, scale_model, tmp_path / "no.osim", other, "-o", tmp_path / "s.osim")
