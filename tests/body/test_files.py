"""Tables: our files through OpenSim's readers, OpenSim's files through ours, and what broken ones say."""

import re
import warnings
from pathlib import Path

import numpy as np
import osim_models as models
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d3ke_lib.body.opensim.motion_files import (
    Motion,
    Trajectories,
    read_mot,
    read_trc,
    rotational_coordinates,
    write_mot,
    write_trc,
)
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.files import write_text

opensim = pytest.importorskip("opensim")
opensim.Logger.setLevelString("Error")

LABELS = ("pelvis_tilt", "pelvis_tx", "knee_angle_r")


def motion(frames: int = 5, seed: int = 0) -> Motion:
    values = np.random.default_rng(seed).uniform(-2, 2, (frames, len(LABELS)))
    return Motion(np.arange(frames) / 30, LABELS, values)


def markers(frames: int = 4) -> Trajectories:
    positions = np.random.default_rng(1).normal(size=(frames, 2, 3))
    return Trajectories(np.arange(frames) / 30, ("RASI", "LASI"), positions)


@pytest.mark.parametrize("degrees", [True, False])
def test_opensim_reads_our_mot(tmp_path: Path, degrees: bool) -> None:
    """Angles stand in the unit that the header names, translations in metres in both."""
    write_mot(tmp_path / "a.mot", motion(), degrees=degrees)
    table = opensim.TimeSeriesTable(str(tmp_path / "a.mot"))
    assert table.getTableMetaDataString("inDegrees") == ("yes" if degrees else "no")
    assert table.getColumnLabels() == LABELS
    factor = np.where(np.array(LABELS) == "pelvis_tx", 1, np.rad2deg(1) if degrees else 1)
    np.testing.assert_allclose(table.getMatrix().to_numpy(), motion().values * factor, atol=1e-9)
    assert opensim.Storage(str(tmp_path / "a.mot")).isInDegrees() == degrees


def test_our_reader_reads_opensims_sto(tmp_path: Path) -> None:
    """OpenSim's newer header (version 3, other keys, no name line) is read too."""
    write_mot(tmp_path / "a.mot", motion())
    opensim.STOFileAdapter.write(opensim.TimeSeriesTable(str(tmp_path / "a.mot")), str(tmp_path / "b.sto"))
    np.testing.assert_allclose(read_mot(tmp_path / "b.sto").values, motion().values, atol=1e-9)


# --- units: what a column is, the model says ---


@pytest.fixture(params=["our body", "every joint", "gait"])
def model_path(request, tmp_path: Path) -> Path:
    """The last: translations of other names, an oblique one, a knee that slides as it bends."""
    path = tmp_path / "model.osim"
    texts = {"our body": BODY_FILE.read_text, "every joint": models.every_kind, "gait": models.old}
    path.write_text(texts[request.param]())
    return path


def test_rotational_coordinates_are_opensims(model_path: Path) -> None:
    model = opensim.Model(str(model_path))
    model.initSystem()
    theirs = {c.getName() for c in model.getCoordinateSet() if c.getMotionType() == 1}
    assert rotational_coordinates(load_osim(model_path)) == theirs


@pytest.mark.parametrize("name", ["full_body_wo_hands", "full_body"])
def test_rotational_coordinates_of_d3kes_models_are_opensims(shared: Path, name: str) -> None:
    """Their left knee and wrist turn against their axes: LinearFunctions of slope −1."""
    test_rotational_coordinates_are_opensims(shared / "assets/d3ke" / f"{name}.osim")


def test_a_coordinate_that_turns_against_its_axis_is_an_angle(tmp_path: Path) -> None:
    turning = "<LinearFunction><coefficients>-1 0</coefficients></LinearFunction>"
    text = re.sub(r"<PolynomialFunction>.*?</PolynomialFunction>", turning, models.every_kind())
    assert turning in text
    path = tmp_path / "mirrored.osim"
    path.write_text(text)
    test_rotational_coordinates_are_opensims(path)


def test_units_of_every_column_are_opensims(model_path: Path, tmp_path: Path) -> None:
    """Names, paths, speeds, and columns that are no coordinates, as OpenSim converts them with that model."""
    body = load_osim(model_path)
    names = [c.name for c in body.coordinates]
    paths = [f"/jointset/{j.name}/{c.name}/{kind}" for j in body.joints for c in j.coordinates
             for kind in ("value", "speed")]  # fmt: skip
    labels = [*names, *paths, f"{names[0]}_u", "x/" + names[-1], "ground_force_vx", "/forceset/m/activation"]
    path = table(tmp_path, labels, [[float(i) for i in range(len(labels))]] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # with a model nothing is a guess
        found = read_mot(path, body)
    model, theirs = opensim.Model(str(model_path)), opensim.TimeSeriesTable(str(path))
    model.initSystem()
    model.getSimbodyEngine().convertDegreesToRadians(theirs)
    assert found.labels == theirs.getColumnLabels()
    np.testing.assert_allclose(found.values, theirs.getMatrix().to_numpy(), atol=1e-12)
    write_mot(tmp_path / "back.mot", found, model=body)
    np.testing.assert_allclose(raw(tmp_path / "back.mot"), raw(path), atol=1e-9)


def table(folder: Path, labels: list[str], rows: list[list[float]], head: str | None = None) -> Path:
    """A .mot as text, in degrees unless `head` is another header."""
    head = head or f"Coordinates\nversion=1\nnRows={len(rows)}\nnColumns={len(labels) + 1}\ninDegrees=yes\n"
    lines = ["\t".join(["time", *labels])]
    lines += ["\t".join(map(str, (0.01 * i, *row))) for i, row in enumerate(rows)]
    path = folder / "table.mot"
    path.write_text(head + "endheader\n" + "\n".join(lines) + "\n")
    return path


def raw(path: Path) -> np.ndarray:
    table = opensim.TimeSeriesTable(str(path))  # kept alive: the matrix is a view
    return table.getMatrix().to_numpy()


def test_without_a_model_only_known_columns_are_converted(tmp_path: Path) -> None:
    """What no model explains stays as it stands in the file, and is named."""
    path = table(tmp_path, ["hip_flexion_r", "/jointset/a/pelvis_tx/value", "tib_ty_r", "ground_force_vy"],
                 [[90.0, 1.0, -0.4721, 700.0]])  # fmt: skip
    with pytest.warns(UserWarning, match=r"table\.mot: in degrees, .*: tib_ty_r, ground_force_vy$"):
        found = read_mot(path)
    np.testing.assert_allclose(found.values, [[np.pi / 2, 1.0, -0.4721, 700.0]])
    with pytest.raises(ValueError, match=r"out\.mot: expected a model .*: tib_ty_r, ground_force_vy"):
        write_mot(tmp_path / "out.mot", found)
    write_mot(tmp_path / "out.mot", found, degrees=False)
    np.testing.assert_allclose(raw(tmp_path / "out.mot"), found.values)


HEADERS = {  # text of the header, suffix, whether OpenSim takes it to be in degrees
    "SIMM": ("name a\ndatacolumns 2\ndatarows 1\nrange 0 0\n", ".mot", True),
    "SIMM in OpenSim's": ("a\nnRows=1\nnColumns=2\n\n# SIMM Motion File Header:\nname a\n", ".mot", True),
    "SIMM, .sto": ("name a\ndatacolumns 2\ndatarows 1\n", ".sto", False),
    "said in words": ("a\nnRows=1\nnColumns=2\nAngles are in degrees.\n", ".sto", True),
    "version 1": ("a\nversion=1\nnRows=1\nnColumns=2\n", ".mot", False),
    "yes": ("a\nversion=1\nnRows=1\nnColumns=2\ninDegrees = YES\n", ".mot", True),
    "no": ("a\nversion=1\nnRows=1\nnColumns=2\ninDegrees=no\n", ".sto", False),
}


@pytest.mark.filterwarnings("ignore:.*found neither. read in radians")
@pytest.mark.parametrize("kind", HEADERS)
def test_degrees_by_opensims_rule(kind: str, tmp_path: Path) -> None:
    head, suffix, degrees = HEADERS[kind]
    path = table(tmp_path, ["hip_flexion_r"], [[90.0]], head).rename(tmp_path / f"a{suffix}")
    assert opensim.Storage(str(path)).isInDegrees() == degrees
    assert read_mot(path).values.item() == pytest.approx(np.pi / 2 if degrees else 90.0)


def test_degrees_that_nobody_states_are_said(tmp_path: Path) -> None:
    head = "a\nversion=1\nnRows=1\nnColumns=2\n"
    with pytest.warns(UserWarning, match=r"table\.mot: .* found neither: read in radians"):
        read_mot(table(tmp_path, ["hip_flexion_r"], [[0.3]], head))
    with pytest.raises(ValueError, match=r"table\.mot: expected inDegrees=yes or a version"):
        read_mot(table(tmp_path, ["hip_flexion_r"], [[0.3]], "a\nnRows=1\nnColumns=2\ninDegrees=no\n"))


# --- what contradicts its own header ---

COUNTS = {
    "rows": ("nRows=5", "nRows=120", r"a\.mot: header nrows: expected 120, found 5"),
    "fewer rows": ("nRows=5", "nRows=2", r"a\.mot: header nrows: expected 2, found 5"),
    "columns": ("nColumns=4", "nColumns=40", r"a\.mot: header ncolumns: expected 40, found 4"),
}


@pytest.mark.parametrize("fault", COUNTS)
def test_wrong_counts_are_read_and_said(tmp_path: Path, fault: str) -> None:
    old, new, message = COUNTS[fault]
    write_mot(tmp_path / "a.mot", motion())
    (tmp_path / "a.mot").write_text((tmp_path / "a.mot").read_text().replace(old, new))
    with pytest.warns(UserWarning, match=message):
        found = read_mot(tmp_path / "a.mot")
    np.testing.assert_allclose(found.values, motion().values, atol=1e-10)
    assert raw(tmp_path / "a.mot").shape == found.values.shape


def test_wrong_number_of_frames_is_read_and_said(tmp_path: Path) -> None:
    write_trc(tmp_path / "a.trc", markers())
    text = (tmp_path / "a.trc").read_text().replace("30\t30\t4\t", "30\t30\t900\t")
    (tmp_path / "a.trc").write_text(text)
    with pytest.warns(UserWarning, match=r"a\.trc: header NumFrames: expected 900, found 4"):
        found = read_trc(tmp_path / "a.trc")
    np.testing.assert_allclose(found.positions, markers().positions)


@pytest.mark.parametrize(("values", "said"), [((2.0, 2.0), "copies of it"), ((2.0, 3.0), "other values")])
def test_of_one_time_the_later_row_is_kept(tmp_path: Path, values: tuple[float, float], said: str) -> None:
    path = table(tmp_path, ["pelvis_tx"], [[1.0], [values[0]], [values[1]]])
    path.write_text(path.read_text().replace("\n0.02\t", "\n0.01\t"))
    with pytest.warns(UserWarning, match=rf"table\.mot:10: .* found 1 rows of the same time .* {said}"):
        found = read_mot(path)
    theirs = opensim.Storage(str(path))
    assert found.time.tolist() == [theirs.getStateVector(i).getTime() for i in range(theirs.getSize())]
    assert found.values[:, 0].tolist() == [1.0, values[1]]
    assert found.values[-1, 0] == theirs.getStateVector(1).getData().get(0)


def test_a_marker_frame_written_twice_is_dropped(tmp_path: Path) -> None:
    write_trc(tmp_path / "a.trc", markers())
    text = (tmp_path / "a.trc").read_text()
    (tmp_path / "a.trc").write_text(text + text.splitlines()[-1].replace("4\t0.1", "5\t0.1", 1) + "\n")
    with pytest.warns(UserWarning, match="copies of it"):
        found = read_trc(tmp_path / "a.trc")
    np.testing.assert_allclose(found.positions, markers().positions)


@pytest.mark.parametrize("suffix", [".mot", ".trc"])
def test_other_encodings_name_file_line_and_byte(tmp_path: Path, suffix: str) -> None:
    read, path = {".mot": read_mot, ".trc": read_trc}[suffix], tmp_path / f"a{suffix}"
    write_mot(path, motion()) if suffix == ".mot" else write_trc(path, markers())
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole)
    assert len(read(path).time)
    path.write_bytes(whole.replace(b"\n", b" \xe9\n", 1))
    with pytest.raises(ValueError, match=rf"a\{suffix}:1: expected UTF-8, found byte 0xe9"):
        read(path)


def test_labels_with_spaces_between_tabs(tmp_path: Path) -> None:
    path = table(tmp_path, ["muscle 1", "b"], [[1.0, 2.0]], "a\nversion=2\ninDegrees=no\n")
    assert read_mot(path).labels == opensim.TimeSeriesTable(str(path)).getColumnLabels() == ("muscle 1", "b")


@pytest.mark.filterwarnings("ignore")
def test_the_cases_that_failed(shared: Path) -> None:
    """Values in ../shared/cases/README.md."""
    cases = shared / "cases"
    paths = read_mot(cases / "path_labels_degrees.mot", load_osim(BODY_FILE)).values[0]
    np.testing.assert_allclose(paths, [1.0, np.pi / 2, 0.9])
    for name in ("simm_header.mot", "v3_ncolumns_wrong.sto", "nrows_wrong.mot", "last_time_twice.sto"):
        assert len(read_mot(cases / name).time) == 2, name
    assert read_trc(cases / "numframes_wrong.trc").positions[1, 1, 2] == pytest.approx(0.006)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.integers(0, 7), degrees=st.booleans(), seed=st.integers(0, 99))
def test_mot_round_trip(tmp_path: Path, frames: int, degrees: bool, seed: int) -> None:
    write_mot(tmp_path / "a.mot", motion(frames, seed), degrees)
    back = read_mot(tmp_path / "a.mot")
    assert back.labels == LABELS
    np.testing.assert_allclose(back.time, motion(frames, seed).time, atol=1e-11)
    np.testing.assert_allclose(back.values, motion(frames, seed).values, atol=1e-10)


@pytest.mark.parametrize("units", ["m", "cm", "mm"])
def test_trc_through_opensim(tmp_path: Path, units: str) -> None:
    """OpenSim's reader sees our numbers in the header's unit; its writer's file comes back as ours, in m."""
    ours = markers()
    ours.positions[2, 1] = np.nan
    write_trc(tmp_path / "a.trc", ours, units=units)
    table = opensim.TimeSeriesTableVec3(str(tmp_path / "a.trc"))
    assert (table.getColumnLabels(), table.getTableMetaDataString("Units")) == (ours.labels, units)
    seen = np.array([table.getRowAtIndex(0)[i].to_numpy() for i in range(2)])
    np.testing.assert_allclose(seen * {"m": 1, "cm": 0.01, "mm": 0.001}[units], ours.positions[0], atol=1e-9)
    opensim.TRCFileAdapter.write(table, str(tmp_path / "b.trc"))
    for name in ("a.trc", "b.trc"):
        back = read_trc(tmp_path / name)
        np.testing.assert_allclose(back.positions, ours.positions, atol=1e-9)
        np.testing.assert_allclose(back.time, ours.time, atol=1e-9)


def test_trc_empty_cells_are_missing_markers(tmp_path: Path) -> None:
    write_trc(tmp_path / "a.trc", markers())
    lines = (tmp_path / "a.trc").read_text().splitlines()
    lines[6] = (
        "\t".join(lines[6].split("\t")[:5]) + "\t\t\t\t"
    )  # one more tab than cells, as some writers leave
    (tmp_path / "a.trc").write_text("\n".join(lines))
    positions = read_trc(tmp_path / "a.trc").positions
    assert np.isnan(positions[0, 1]).all()
    np.testing.assert_allclose(np.delete(positions[:, 0], 0, 0), markers().positions[1:, 0])


def test_one_frame_needs_a_rate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rate"):
        write_trc(tmp_path / "a.trc", markers(1))
    write_trc(tmp_path / "a.trc", markers(1), rate=30.0)
    assert len(read_trc(tmp_path / "a.trc").time) == 1


MOT_FAULTS = {
    "endheader": ("endheader\n", "", "expected a line 'endheader'"),
    "inDegrees": ("inDegrees=yes", "inDegrees=perhaps", "inDegrees=no, found perhaps"),
    "label": ("pelvis_tx", "pelvis_tilt", "more than once: pelvis_tilt"),
    "time": ("time\t", "zeit\t", r"a\.mot:7: expected labels that begin with 'time'"),
    "order": ("\n0.1\t", "\n0.01\t", r"a\.mot:11: expected a time after"),
    "cell": ("\n0.1\t", "\n0.1\t7\t", r"a\.mot:11: expected 4 numbers .*, found 5"),
    "number": ("\n0.1\t", "\nx\t", r"a\.mot:11: .*'x'"),
}


@pytest.mark.parametrize("fault", MOT_FAULTS)
def test_broken_mot_names_file_line_expected_and_found(tmp_path: Path, fault: str) -> None:
    old, new, message = MOT_FAULTS[fault]
    write_mot(tmp_path / "a.mot", motion())
    text = (tmp_path / "a.mot").read_text()
    assert old in text
    (tmp_path / "a.mot").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_mot(tmp_path / "a.mot")


TRC_FAULTS = {
    "type": ("PathFileType", "Path", r"a\.trc:1: expected a header"),
    "keys": ("NumFrames", "Frames", r"a\.trc:2: expected the keys"),
    "values": ("\tm\t", "\tm m\t", r"a\.trc:3: expected 8 values, found 9"),
    "units": ("\tm\t", "\tfeet\t", r"a\.trc:3: Units: .* found 'feet'"),
    "count": ("30\t30\t4\t2", "30\t30\t4\t3", r"a\.trc:4: expected 3 markers .* found 2"),
    "axes": ("X1", "U1", r"a\.trc:5: expected the axes"),
    "cells": ("\n4\t0.1\t", "\n4\t", r"a\.trc:10: expected 8 cells .* found 7"),
    "label": ("LASI", "RASI", "more than once: RASI"),
}


@pytest.mark.parametrize("fault", TRC_FAULTS)
def test_broken_trc_names_file_line_expected_and_found(tmp_path: Path, fault: str) -> None:
    old, new, message = TRC_FAULTS[fault]
    write_trc(tmp_path / "a.trc", markers())
    text = (tmp_path / "a.trc").read_text()
    assert old in text
    (tmp_path / "a.trc").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_trc(tmp_path / "a.trc")


def test_nothing_half_written(tmp_path: Path) -> None:
    """A failing write leaves the old file and no other."""
    write_text(tmp_path / "a.txt", "whole")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_shapes_are_checked_before_writing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected values \(5, 2"):
        write_mot(tmp_path / "a.mot", motion()._replace(labels=LABELS[:2]))
    assert not list(tmp_path.iterdir())
