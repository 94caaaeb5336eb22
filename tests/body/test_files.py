"""Tables: our files through OpenSim's readers, OpenSim's files through ours, and what broken ones say."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d3ke_lib.body.opensim.motion_files import (
    Motion,
    Trajectories,
    read_mot,
    read_trc,
    write_mot,
    write_text,
    write_trc,
)

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
    "rows": ("nRows=5", "nRows=6", "nrows: expected 6, found 5"),
    "columns": ("nColumns=4", "nColumns=9", "ncolumns: expected 9, found 4"),
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
    "frames": ("30\t30\t4\t", "30\t30\t5\t", "NumFrames: expected 5 frames, found 4"),
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
