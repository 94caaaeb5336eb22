"""The code's hash follows what is computed and nothing else."""

import json
from pathlib import Path

import pytest

from d3ke_lib.experiment.run import code_hash
from d3ke_lib.experiment.run.code_hash import PIPELINE, meaning, path_of, sources
from d3ke_lib.settings import REPOSITORY

TRAINING = "d3ke_lib.experiment.run.train_frame"


def names_of(*starts: Path) -> set[str]:
    return {str(path.relative_to(REPOSITORY)) for path in sources(*starts)}


def test_blind_to_comments_and_docstrings():
    plain = "def f(x):\n    return x + 1\n"
    told = '"""Why."""\n\n\ndef f(x):\n    """Adds one."""\n    return x + 1  # one\n'
    assert meaning(plain) == meaning(told)
    assert meaning(plain) != meaning(plain.replace("1", "2"))


def test_covers_what_training_imports_and_nothing_else():
    covered = names_of(path_of(TRAINING))
    for part in ("body/kinematics", "data/augment", "nets/losses", "experiment/run/fit", "files"):
        assert f"d3ke_lib/{part}.py" in covered
    for part in ("body/ik/solve", "nets/tcn", "experiment/run/config", "experiment/report/plots"):
        assert f"d3ke_lib/{part}.py" not in covered
    assert code_hash.code_hash(TRAINING) != code_hash.code_hash("d3ke_lib.nets.frame")


def test_data_files_that_modules_name_are_sources():
    assert {"d3ke_lib/body/d3ke_spec.json", "data/body/d3ke_body.osim"} <= names_of(path_of(TRAINING))
    assert "d3ke_lib/data/synthetic/actions.toml" in names_of(path_of("d3ke_lib.data.synthetic.generate"))
    assert "d3ke_lib/experiment/report/captions.toml" in names_of(
        path_of("d3ke_lib.experiment.report.figures")
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from d3ke_lib.body.opensim import load_osim", "d3ke_lib/body/opensim/read.py"),
        ("from d3ke_lib.experiment.run import schedule", "d3ke_lib/experiment/run/schedule.py"),
        ("import d3ke_lib.nets.losses as losses", "d3ke_lib/nets/losses.py"),
        ("from d3ke_lib.experiment import pipeline", "d3ke_lib/experiment/pipeline.py"),
    ],
)
def test_notebooks_and_faces_are_understood(line: str, expected: str, tmp_path: Path):
    cells = [{"cell_type": "markdown", "source": ["# x"]}, {"cell_type": "code", "source": [line]}]
    notebook = tmp_path / "a.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    assert expected in {str(path.relative_to(REPOSITORY)) for path in sources(notebook) if path != notebook}


def test_the_pipeline_hides_its_stages():
    """They are hashed one by one: a page that shows the data is not made anew for a figure's code."""
    assert sources(path_of(PIPELINE)) == [path_of(PIPELINE)]


def test_outputs_of_a_notebook_are_not_hashed(tmp_path: Path):
    def write(name: str, outputs: list, source: str) -> Path:
        cell = {"cell_type": "code", "source": [source], "outputs": outputs}
        (tmp_path / name).mkdir()
        path = tmp_path / name / "n.ipynb"
        path.write_text(json.dumps({"cells": [cell]}))
        return path

    plain, run, other = write("a", [], "1"), write("b", [{"text": "1"}], "1"), write("c", [], "2")
    assert code_hash.hash_files([plain]) == code_hash.hash_files([run]) != code_hash.hash_files([other])
