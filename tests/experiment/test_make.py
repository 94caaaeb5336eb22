"""What make would run, told without running it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment import plan
from d3ke_lib.experiment.resolved import Experiment
from d3ke_lib.experiment.run import config
from d3ke_lib.settings import REPOSITORY

DEPENDENT = ("02", "04", "05", "06", "07")  # on the profile's stages


def plan_by_make(folder: Path, *words: str, **environment: str) -> str:
    # The tests are themselves run by make, whose flags and level a make below it would take over.
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-n", *words],
        cwd=folder,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


def commands_of(text: str) -> list[list[str]]:
    """Notebook, target and parameters of each that would be executed."""
    return [
        line.partition("run_notebook.py ")[2].split() for line in text.splitlines() if "run_notebook" in line
    ]


def plan_smoke(out: Path, refiner: str, **changes: object) -> list[list[str]]:
    """What pipeline.mk would execute where nothing is made."""
    profile = replace(config.SMOKE, refiners=(refiner,), **changes)
    plan.write(Experiment(profile, settings.read({"D3KE_OUT": str(out)}), default_skeleton()))
    (out / "smoke" / "expected_time.json").touch()
    words = ("P=smoke", f"REFINER={refiner}", f"OUT={out / 'smoke'}", "PY=python", "SPIN=")
    return commands_of(plan_by_make(REPOSITORY, "-f", "scripts/pipeline.mk", *words))


@pytest.mark.parametrize("refiner", ["transformer", "tcn", "lstm"])
def test_the_refiner_asked_for_is_trained_evaluated_and_drawn(tmp_path, refiner):
    commands = plan_smoke(tmp_path, refiner, backbones=("resnet50",))
    following = [words for words in commands if words[0].startswith(("notebooks/05", "notebooks/06"))]
    assert len(following) == 2
    assert following[0][1].endswith(f"05_temporal.{refiner}.resnet50.0.ipynb")
    assert all(words[-1] == f"refiner={refiner}" for words in following)


def test_every_notebook_is_in_the_report_and_in_order(tmp_path):
    notebooks = [Path(words[0]).name for words in plan_smoke(tmp_path, "tcn")]
    assert set(notebooks) == {path.name for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    following = [name for name in notebooks if name.startswith(DEPENDENT)]
    assert following[0].startswith("02")
    assert following.index("04_frame.ipynb") < following.index("05_temporal.ipynb")
    assert not [name for name in following[: following.index("06_evaluation.ipynb")] if name > "06"]


def test_every_run_of_the_seeds_is_made(tmp_path):
    targets = [Path(words[1]).name for words in plan_smoke(tmp_path, "transformer", seeds=(3, 5))]
    for backbone in config.SMOKE.backbones:
        for seed in (3, 5):
            assert f"04_frame.{backbone}.{seed}.ipynb" in targets
            assert f"05_temporal.transformer.{backbone}.{seed}.ipynb" in targets
    assert not [target for target in targets if target.endswith(".0.ipynb")]


# --- the Makefile itself, in a copy of the repository -----------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout whose environment is made."""
    for name in ("Makefile", "notebooks", "scripts", "data", "docs", "requirements.lock"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "d3ke_lib", tmp_path / "d3ke_lib", ignore=without)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv/.requirements").touch()
    return tmp_path


@pytest.mark.slow
def test_only_what_an_edit_changes_is_planned(copy: Path):
    def pages() -> set[str]:
        body = f"BODY={copy / 'data/body/d3ke_body.osim'}"  # a user's variable, which hides no source
        text = plan_by_make(copy, "reproduce", "P=smoke", body, PYTHONPATH=str(copy), D3KE_OUT="")
        assert "error:" not in text.lower(), text
        return {Path(words[1]).name for words in commands_of(text)}

    (copy / "out/smoke/notebooks").mkdir(parents=True)
    (copy / "out/smoke/expected_time.json").touch()
    everything = pages()
    for page in everything:
        (copy / "out/smoke/notebooks" / page).touch()
    unmade = {page for page in everything if page.startswith(DEPENDENT)}
    for path in (copy / "d3ke_lib").rglob("*.py"):
        path.touch()
    source = copy / "d3ke_lib/body/kinematics.py"
    source.write_text(source.read_text() + "\n# a comment\n")
    assert pages() == unmade  # whose stages have made nothing yet
    source.write_text(source.read_text() + "\nEDITED = True\n")
    assert pages() >= {"01_body.ipynb", "08_opensim.ipynb"} | unmade


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["REFINER=gru"], "unknown REFINER 'gru'; known: transformer, tcn, lstm"),
        (["P=smok"], "error: unknown profile 'smok'; known: smoke, demo"),
        (["P=smoke", "SEEDS=3 x"], "error: SEEDS: expected whole numbers, each once"),
        (["P=bmlmovi"], "error: BMLmovi: say where the downloads are: RAW=folder"),
        (["P=bmlmovi", "RAW=nowhere"], "RAW=nowhere: expected the folder of the downloads, found none"),
        (["P=bmlmovi", "RAW=data"], "data: expected BMLmovi's downloads"),
    ],
)
def test_wrong_values_end_in_one_line(copy: Path, words: list[str], message: str):
    text = plan_by_make(copy, "reproduce", *words, PYTHONPATH=str(copy), D3KE_OUT="")
    assert message in text
    assert "Traceback" not in text
    assert not (copy / "out").exists()


def test_ablation_takes_a_folder_of_records(copy):
    assert plan_by_make(copy, "ablation").strip().endswith("scripts/ablate.py --profile demo")
    (copy / "out/x/data").mkdir(parents=True)
    assert "--records out/x/data" in plan_by_make(copy, "ablation", "RECORDS=out/x/data")
