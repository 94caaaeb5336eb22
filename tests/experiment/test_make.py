"""What make would run, told without running it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from d3ke_lib.experiment.run.artifacts import REPOSITORY

JUDGED = ("notebooks/05_temporal", "notebooks/06_evaluation", "notebooks/07_figures")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout whose environment and list of runs are made."""
    for name in ("Makefile", "d3ke_lib", "notebooks", "scripts", "data", "requirements.lock"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    for made in (".venv/.requirements", "out/smoke/expected_time.json", "out/smoke/stages.mk"):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).write_text("RUN_NAMES := resnet50.0\n")
    (tmp_path / "out/smoke/seeds").write_text("\n")
    os.utime(tmp_path / "out/smoke/seeds", (0, 0))
    return tmp_path


def planned(copy: Path, *words: str) -> str:
    # The tests are themselves run by make, whose flags and level a make below it would take over.
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-n", *words]
    done = subprocess.run(command, cwd=copy, env=own, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def stage_of(copy: Path, refiner: str) -> list[str]:
    lines = planned(copy, "reproduce", "P=smoke", f"REFINER={refiner}").splitlines()
    return [line.partition("run_notebook.py ")[2] for line in lines if "run_notebook.py" in line]


@pytest.mark.parametrize("refiner", ["transformer", "tcn", "lstm"])
def test_the_refiner_asked_for_is_trained_judged_and_drawn(copy, refiner):
    stages = [stage for stage in stage_of(copy, refiner) if stage.startswith(JUDGED)]
    assert len(stages) == 3
    assert f"05_temporal.{refiner}.resnet50.0.ipynb" in stages[0]
    assert all(stage.endswith(f"refiner={refiner}") for stage in stages)


def test_every_notebook_is_in_the_report(copy):
    ran = {stage.split()[0] for stage in stage_of(copy, "tcn")}
    assert ran == {f"notebooks/{path.name}" for path in (REPOSITORY / "notebooks").glob("*.ipynb")}


def test_another_refiner_makes_evaluation_anew_and_the_same_does_not(copy):
    made = [stage.split()[1] for refiner in ("transformer", "tcn") for stage in stage_of(copy, refiner)]
    for name in [*sorted(set(made)), "out/smoke/report/index.html"]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    assert stage_of(copy, "tcn") == []
    assert [stage.split()[0] for stage in stage_of(copy, "lstm")] == [
        f"notebooks/{name}.ipynb" for name in ("05_temporal", "06_evaluation", "07_figures")
    ]
    assert [stage.split()[0] for stage in stage_of(copy, "transformer")] == [
        f"notebooks/{name}.ipynb" for name in ("06_evaluation", "07_figures")
    ]


def test_other_seeds_list_the_runs_anew(copy):
    (copy / ".venv/bin").mkdir()
    (copy / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (copy / ".venv/bin/python").chmod(0o755)
    assert "05_temporal.transformer.resnet50.0.ipynb" in planned(copy, "reproduce", "P=smoke")
    stages = planned(copy, "reproduce", "P=smoke", "SEEDS=3 5")
    assert "04_frame.resnext50_32x4d.3.ipynb" in stages
    assert "05_temporal.transformer.resnext101_32x8d.5.ipynb" in stages
    assert "resnet50.0" not in stages
    assert "SEEDS: expected whole numbers, each once" in planned(copy, "reproduce", "P=smoke", "SEEDS=3 x")


def test_unknown_refiners_end_at_once(copy):
    assert "unknown REFINER 'gru'; known: transformer, tcn, lstm" in planned(copy, "reproduce", "REFINER=gru")


def test_ablation_takes_a_folder_of_records(copy):
    assert planned(copy, "ablation").strip().endswith("scripts/ablate.py --profile demo")
    assert "--records out/x/data" in planned(copy, "ablation", "RECORDS=out/x/data")
