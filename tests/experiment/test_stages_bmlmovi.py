"""The data stage on BMLmovi: where the downloads are, incomplete and partial runs, set-aside records."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig, IncompleteError
from d3ke_lib.data.schema import file_name
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.run import config
from d3ke_lib.experiment.run.codec import from_values, to_values
from d3ke_lib.experiment.run.config import FrameConfig, Profile

sys.path.append(str(Path(__file__).parents[1] / "data"))
import example_records

PROFILE = replace(config.BMLMOVI, data=BmlmoviConfig(train=(1,), validation=(3,), test=(2,)))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where `bmlmovi.make` was sent for downloads; it writes examples for those there are."""
    monkeypatch.setenv("D3KE_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("D3KE_RAW", str(tmp_path / "raw"))
    monkeypatch.delenv("D3KE_PARTIAL", raising=False)
    found = []

    def make(ours: BmlmoviConfig, raw: Path, out: Path, workers: int, partial: bool) -> dict:
        found.append(raw)
        there = [s for s in ours.files if (raw / str(s)).exists()]
        for subject in there:
            for camera in ours.cameras:
                example_records.save(out, subject=subject, camera=camera)
        missing = {file_name(s, c): "no video" for s in ours.files if s not in there for c in ours.cameras}
        return bmlmovi._finish(ours, out, missing, partial)

    monkeypatch.setattr(bmlmovi, "make", make)
    for subject in (1, 2, 3):
        (tmp_path / "raw" / str(subject)).mkdir(parents=True)
    (tmp_path / "raw" / "F_PG1_Subject_1_L.avi").touch()
    return found


def test_profile_is_the_papers_but_for_its_data() -> None:
    ours = config.profile("bmlmovi")
    assert replace(ours.frame, workers=FrameConfig().workers) == FrameConfig()
    assert ours.temporal == config.TemporalConfig()
    assert from_values(Profile, to_values(ours)) == ours
    assert from_values(Profile, to_values(config.DEMO)) == config.DEMO


def test_without_downloads_it_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D3KE_OUT", str(tmp_path))
    monkeypatch.delenv("D3KE_RAW", raising=False)
    with pytest.raises(ValueError, match="RAW=folder"):
        pipeline.data(PROFILE)
    monkeypatch.setenv("D3KE_RAW", str(tmp_path))
    with pytest.raises(ValueError, match="expected BMLmovi's downloads"):
        pipeline.data(PROFILE)
    assert list(tmp_path.iterdir()) == []


def test_records_are_made_once(asked: list[Path], tmp_path: Path) -> None:
    made = pipeline.data(PROFILE)
    assert pipeline.data(PROFILE) == made
    assert asked == [tmp_path / "raw"]
    assert records.load_manifest(made)["config"] == bmlmovi.describe(PROFILE.data)


def test_an_incomplete_run_is_an_error_until_it_is_accepted_or_completed(
    asked: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw" / "3").rmdir()
    with pytest.raises(IncompleteError, match="2 of 6 files could not be made"):
        pipeline.data(PROFILE)
    monkeypatch.setenv("D3KE_PARTIAL", "1")
    made = pipeline.data(PROFILE)
    assert len(records.load_manifest(made)["config"]["missing"]) == 2
    pipeline.data(PROFILE)
    assert len(asked) == 2  # accepted: not tried again
    monkeypatch.setenv("D3KE_PARTIAL", "0")
    with pytest.raises(IncompleteError):
        pipeline.data(PROFILE)
    (tmp_path / "raw" / "3").mkdir()
    (made / records.MANIFEST).unlink()
    assert "missing" not in records.load_manifest(pipeline.data(PROFILE))["config"]


def test_records_of_another_configuration_are_set_aside(asked: list[Path]) -> None:
    made = pipeline.data(PROFILE)
    pipeline.data(replace(PROFILE, data=replace(PROFILE.data, px=100)))
    assert len(asked) == 2
    assert len(list(made.parent.glob("data.old/*.arrow"))) == 6
