"""What one notebook of a pipeline shows on the terminal, and how it ends when it is interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import run_notebook

ROOT = Path(__file__).parents[2]
BAR = """import os, time
from tqdm import tqdm
open("began", "w").close()
with open(os.environ["D3KE_TERMINAL"], "w") as terminal:
    for i in tqdm(range(steps), file=terminal, mininterval=0):
        terminal.write("\x1b[A")
        time.sleep(0.1)
"""
LAST = "open('ended', 'w').close()"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A bar of `steps` steps of 0.1 s, then a file."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("steps = 3", BAR, LAST)]
    cells[0].metadata.tags = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "bar.ipynb")
    return tmp_path / "bar.ipynb"


def started(notebook: Path, *parameters: str) -> subprocess.Popen[str]:
    target = notebook.with_name("done.ipynb")
    command = [sys.executable, str(ROOT / "scripts/run_notebook.py"), str(notebook), str(target), *parameters]
    own = {**os.environ, "D3KE_STAGES": f"{notebook.with_name('before.ipynb')} {target}"}
    return subprocess.Popen(command, env=own, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_the_log_has_the_stage_and_the_bars_and_nothing_else(notebook):
    process = started(notebook)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0
    first, *bars = log.splitlines()
    assert first == "→ stage 2 of 2: bar.ipynb"
    assert all(re.fullmatch(r" *\d+%\|.*\d/3 \[.*", line) for line in bars), bars
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", log)
    assert notebook.with_name("done.ipynb").is_file()


def test_an_interrupt_ends_the_cell_in_order_with_one_line_and_130(notebook):
    process = started(notebook, "steps=600")
    while not notebook.with_name("began").exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 130
    after = [line for line in log.splitlines()[1:] if "%|" not in line]
    assert after == ["interrupted: bar.ipynb steps=600; the same command resumes it"]
    assert not notebook.with_name("ended").exists()
    assert sorted(path.name for path in notebook.parent.iterdir()) == ["bar.ipynb", "began"]


def test_an_error_names_notebook_and_cell_and_keeps_what_ran(notebook):
    book = json.loads(notebook.read_text())
    book["cells"][1]["source"] = ["1 / 0"]
    notebook.write_text(json.dumps(book))
    process = started(notebook)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 1
    assert log.splitlines()[1].endswith("bar.ipynb, cell 2: ZeroDivisionError: division by zero")
    assert notebook.with_name("done.failed.ipynb").is_file()


def test_parameters_are_the_notebooks_own(notebook):
    assert run_notebook.typed(notebook, {"steps": "7"}) == {"steps": 7}
    with pytest.raises(ValueError, match=r"unknown parameter \['step'\]; it has \['steps'\]"):
        run_notebook.typed(notebook, {"step": "7"})
