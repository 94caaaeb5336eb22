"""From predictions to the record, its tables, charts and sentence; no inverse kinematics is carried out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import views

from d3ke_lib.body.ik.solve import Residuals
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.video import Video
from d3ke_lib.experiment.trial import record, single_camera, tables
from d3ke_lib.experiment.trial.calibration import read_calibration
from d3ke_lib.experiment.trial.recording import Recording
from d3ke_lib.experiment.trial.reference import OBSERVABLE, Reference
from d3ke_lib.experiment.trial.triangulation import Triangulated
from d3ke_lib.experiment.video.accuracy import real_error

FRAMES, COUNT = 40, len(OBSERVABLE)
RUNS = ("frame/resnext50_32x4d.0", "frame/resnext50_32x4d.1", "temporal/transformer.resnext50_32x4d.0")


def reference(true: np.ndarray) -> Reference:
    points = torch.zeros(FRAMES, 33, 3, dtype=torch.float64)
    error = torch.full((4, FRAMES, 33), 8.0, dtype=torch.float64)
    whole = torch.ones(FRAMES, dtype=torch.bool)
    residuals = Residuals(points[..., 0], whole * 0.01, whole, ~whole, points[:, 0])
    pose = default_skeleton().rest()
    se = np.full_like(true, 2.0)
    return Reference(
        Triangulated(points, error, error < 30), pose, residuals, true, se, np.stack([true + 1] * 4)
    )


@pytest.fixture
def made(tmp_path: Path) -> dict:
    times = np.arange(FRAMES) / 60.0
    true = 20 * np.sin(6 * times)[:, None] + np.arange(COUNT)
    cameras = read_calibration(views.write_calibration(tmp_path / "Calib.qca.txt"))
    recording = Recording("one", cameras, tuple(Video(Path(c.name), times, c.size) for c in cameras))
    whole = np.stack([true] * 4)
    predictions = {
        "mean pose": 0 * whole + true.mean(0),
        RUNS[0]: whole + 4,
        RUNS[1]: whole + 6,
        RUNS[2]: whole + 3,
    }
    predictions |= {"landmarks": whole.copy(), "lifted": whole + 1}
    predictions["landmarks"][2, :10] = np.nan
    opensim = {"ours_rms_mm": 5.0, "opensim_rms_mm": 5.1, "difference_deg": dict.fromkeys(OBSERVABLE, 0.5)}
    synthetic = {RUNS[0]: 5.0, RUNS[1]: 7.0}
    missing = {"frame/resnext101_32x8d.0": "not trained: make reproduce P=demo"}
    return record.describe(recording, reference(true), opensim, predictions, missing, synthetic)


def test_the_record_is_json_that_outputs_read(made: dict, tmp_path: Path) -> None:
    path = tmp_path / "real_trial.json"
    path.write_text(json.dumps(made, allow_nan=False))
    assert tables.read_record(path) == made
    assert real_error("lifted", path) == pytest.approx((1.0, 1.0))
    assert real_error("d3ke", path) == pytest.approx((3.0, 6.0))
    assert made["methods"]["landmarks"]["valid"] == pytest.approx(1 - 10 / 160)
    assert made["persons"] == 1
    assert made["methods"]["lifted"]["than_mean_pose"]["high"] < 0


def test_runs_of_a_network_are_one_row(made: dict) -> None:
    table = tables.method_table(made).set_index("method")
    assert table.loc["ResNeXt-50, mean of 2 runs", "MAE [°]"].startswith("5.0 [5.0, 5.0]")
    assert table.loc["ResNeXt-50, mean of 2 runs", "synthetic [°]"] == "6.0"
    assert table.loc["ResNeXt-50 + transformer", "MAE [°]"].startswith("3.0")
    assert table.loc["mean pose", "r"] == "none"
    assert table.loc["mean pose", "across views [°]"] == "0.0"
    assert table.loc["ResNeXt-101", "MAE [°]"] == "not trained: make reproduce P=demo"
    order = ["mean pose", "landmarks", "lifted", "ResNeXt-50, mean of 2 runs", "ResNeXt-50 + transformer"]
    assert list(table.index[1:6]) == order
    assert table.index[0] == "reference, 4 cameras (jackknife)"
    assert list(tables.coordinate_table(made).index) == list(OBSERVABLE)
    assert "8.0 px" in tables.reference_table(made).to_string()


def test_the_sentence_states_the_gap_and_the_single_person(made: dict) -> None:
    said = tables.sentence(made)
    assert "ResNeXt-50 6.0° on synthetic subjects, 5.0° here" in said
    assert "one person" in said
    assert "uncertain by 2.0°" in said


def test_charts_show_what_their_tables_say(made: dict) -> None:
    drawn, table = tables.draw_methods(made)
    assert set(table.method) == {"mean pose", "ResNeXt-50", "ResNeXt-50 + transformer", "landmarks", "lifted"}
    assert drawn.axes[0].get_xlabel().startswith("mean absolute error of 12 coordinates")
    drawn, table = tables.draw_curves(made)
    assert len(drawn.axes) == 4
    assert set(table.method) == {"reference", "mean pose", "landmarks", "lifted", "ResNeXt-50 + transformer"}


def test_runs_that_predict_angles_are_found(tmp_path: Path) -> None:
    def finish(name: str, **config: str) -> None:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text(json.dumps({"config": config}))

    finish("frame/resnext50_32x4d.0")
    finish("frame/resnext50_32x4d@points.0", head="points")
    finish("temporal/transformer.resnext50_32x4d.0")
    finish("temporal/transformer.resnext50_32x4d@points.0")
    (tmp_path / "frame" / "resnext101_32x8d.0").mkdir()  # not finished
    found = [run.name for run in single_camera.find_runs(tmp_path)]
    assert found == ["frame/resnext50_32x4d.0", "temporal/transformer.resnext50_32x4d.0"]
