"""`make reproduce P=bmlmovi RAW=…` from downloads to the report, on a small BMLmovi of known truth."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from d3ke_lib.data import records
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.settings import REPOSITORY

TINY = Path(__file__).with_name("bmlmovi_tiny.toml")
OURS = ("01", "03", "08", "09", "10")  # pages that say nothing about the profile's data
RECORDED = ("11", "12", "13")  # pages that also show what is recorded of other data
CLAIMS = ("synthetic", "rendered", "registration")  # of other data than BMLmovi


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment is made, and whose pages about other things than the data are there."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "d3ke_lib", "notebooks", "scripts", "data", "docs", "requirements.lock"):
        (folder / name).symlink_to(REPOSITORY / name)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/.requirements").touch()
    return folder


def make(checkout: Path, raw: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "D3KE"))}
    own |= {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = ["make", *words, "reproduce", "P=bmlmovi", f"RAW={raw}", f"OVERRIDES={TINY}"]
    return subprocess.run(command, cwd=checkout, env=own, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def reproduced(checkout: Path, bmlmovi_raw: Path) -> Path:
    """The profile's folder after `make reproduce`."""
    out = checkout / "out/bmlmovi.bmlmovi_tiny"
    assert make(checkout, bmlmovi_raw, "-n").returncode == 0
    (out / "expected_time.json").write_text('{"minutes": {}}')
    (out / "notebooks").mkdir()
    for notebook in (REPOSITORY / "notebooks").glob("*.ipynb"):
        if notebook.name.startswith(OURS):
            shutil.copyfile(notebook, out / "notebooks" / notebook.name)
    done = make(checkout, bmlmovi_raw, "-j2")
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.rstrip().endswith("report: out/bmlmovi.bmlmovi_tiny/report/index.html")
    return out


@pytest.mark.slow
def test_downloads_become_results(reproduced: Path) -> None:
    found = artifacts.read_json(reproduced / "results.json")
    assert found["synthetic"] is False  # as far as the stages know, these are BMLmovi's subjects
    assert found["data"]["counts"]["test"] == {"files": 2, "subjects": 2, "frames": 20}
    assert records.verify(reproduced / "data")["counts"]["train"]["subjects"] == 2
    kinds = [method["kind"] for method in found["methods"].values()]
    assert (kinds.count("frame"), kinds.count("temporal")) == (2, 2)
    angle = [method["summary"]["angle_mae_deg"]["mean"] for method in found["methods"].values()]
    assert np.isfinite(angle).all()


@pytest.mark.slow
def test_the_report_says_nothing_of_synthetic_data(reproduced: Path) -> None:
    assert (reproduced / "report/index.html").is_file()
    pages = [
        path
        for path in (reproduced / "notebooks").glob("*.ipynb")
        if not path.name.startswith(OURS + RECORDED)
    ]
    assert len(pages) >= 6
    for page in pages:
        text = "\n".join(told(page)).lower()
        assert len(text) > 1000
        assert [claim for claim in CLAIMS if claim in text] == [], page.name
    assert "bmlmovi" in "\n".join(told(reproduced / "notebooks/02_data.ipynb")).lower()


def told(page: Path) -> list[str]:
    """What a page says in prose and results, without its code."""
    cells = json.loads(page.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = [output.get("text") or output.get("data", {}).get("text/markdown", []) for output in outputs]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return prose + list(map("".join, shown))


@pytest.mark.slow
def test_made_once_nothing_is_planned(reproduced: Path, checkout: Path, bmlmovi_raw: Path) -> None:
    done = make(checkout, bmlmovi_raw, "-n")
    assert "run_notebook.py" not in done.stdout
    (checkout / "out/bmlmovi.bmlmovi_tiny/data/subject_001_PG1.arrow").unlink()
    done = make(checkout, bmlmovi_raw, "-n")
    assert "notebooks/02_data.ipynb" in done.stdout
