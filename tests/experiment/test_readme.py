"""The README says what the recorded run says, and a stale one is noticed."""

import shutil
from pathlib import Path

import pytest
from test_report import script

from d3ke_lib.experiment.report.claims import answer
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, read_json, write_json

BLOCKS = ("answer", "picture", "claims", "cost", "results", "conclusion", "deviations")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository with an unfilled README."""
    (tmp_path / "data").mkdir()
    shutil.copy(REPOSITORY / "data/paper_results.json", tmp_path / "data")
    marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in BLOCKS)
    (tmp_path / "README.md").write_text(f"# Title\n\n{marks}\nThe end.\n")
    return tmp_path


def test_this_repositorys_readme_is_fresh() -> None:
    assert script("build_readme").check(REPOSITORY) == []


def test_nothing_recorded_leaves_the_blocks_empty(home: Path) -> None:
    before = (home / "README.md").read_text()
    assert script("build_readme").fill(home) == []
    assert (home / "README.md").read_text() == before
    assert script("build_readme").check(home) == []


def test_the_recorded_run_is_shown_and_a_changed_one_noticed(home: Path, toy_profile: Path) -> None:
    readme = script("build_readme")
    readme.record(toy_profile, home)
    assert "stale" in " ".join(readme.check(home))
    readme.fill(home)
    assert readme.check(home) == []
    text, results = (home / "README.md").read_text(), read_json(home / "data/results/demo.json")
    assert answer(results) in text
    assert "figures/skeletons.png" in text
    assert text.startswith("# Title")
    assert text.endswith("The end.\n")
    results["comparisons"][0]["metrics"]["angle_mae_deg"]["mean"] += 0.5
    write_json(home / "data/results/demo.json", results)
    said = " ".join(readme.check(home))
    assert "'answer' is stale" in said
    assert "paired.csv: expected a mean" in said
    (home / "figures/paired.png").unlink()
    assert "paired.png is missing" in " ".join(readme.check(home))


def test_a_readme_without_a_block_is_refused(home: Path) -> None:
    (home / "README.md").write_text("nothing here")
    with pytest.raises(D3keError, match="expected one block 'answer', found 0"):
        script("build_readme").fill(home)
