"""What a newcomer does first: make help, a wrong word, a checkout that is moved or shares its environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("Makefile", "notebooks", "data", "requirements.lock")
NO_NETWORK = "import sys\n"  # in place of pip and uv


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As from a terminal: nothing of the make that runs the tests, nor of their paths, is handed on."""
    unset = ("MAKE", "MFLAGS", "D3KE_", "PYTHONPATH")
    own = {key: value for key, value in os.environ.items() if not key.startswith(unset)}
    command = ["make", *words]
    return subprocess.run(
        command, cwd=folder, env=own, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """Two checkouts whose libraries tell where they are, and say so in an error."""
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "d3ke_lib/data/bmlmovi").mkdir(parents=True)
        for linked in LINKED:
            (folder / linked).symlink_to(ROOT / linked)
        shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "d3ke_lib/__init__.py").write_text("raise SystemExit(f'library of {__file__}')\n")
    return tmp_path / "one", tmp_path / "two"


def running_environment(folder: Path) -> Path:
    """An environment of links into the one that runs the tests, as a set-up leaves it."""
    folder.mkdir()
    for name in ("bin", "lib"):
        (folder / name).symlink_to(Path(sys.prefix) / name)
    (folder / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (folder / ".requirements").touch()
    return folder


def library_used(folder: Path, *words: str) -> str:
    done = make(folder, "check-data", "RAW=notebooks", *words)
    found = re.search(r"library of (\S+)/d3ke_lib/__init__.py", done.stderr)
    assert found, done.stderr
    return found.group(1)


def test_a_moved_checkout_runs_its_own_library(checkouts):
    one, _ = checkouts
    running_environment(one / ".venv")
    assert library_used(one) == str(one)
    moved = one.rename(one.with_name("moved"))
    assert library_used(moved) == str(moved)


def test_checkouts_that_share_an_environment_run_their_own_libraries(checkouts, tmp_path):
    shared = running_environment(tmp_path / "environment")
    assert [library_used(each, f"VENV={shared}") for each in checkouts] == [str(each) for each in checkouts]


def test_scripts_run_the_library_next_to_them(checkouts, tmp_path):
    one, _ = checkouts
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, str(one / "scripts/check_data.py"), "raw"]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert f"library of {one}/d3ke_lib" in done.stderr


def test_set_up_makes_python_find_the_library_wherever_the_checkout_moves(checkouts, tmp_path):
    """A set-up without network: pip and uv are replaced, what make itself does is real."""
    one, _ = checkouts
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(one / ".venv")], check=True)
    (packages,) = one.glob(".venv/lib/python3*/site-packages")
    for name in ("pip", "uv"):
        (packages / name).mkdir()
        (packages / name / "__main__.py").write_text(NO_NETWORK)
    done = make(one, "setup")
    assert done.returncode == 0, done.stderr
    assert "5 GB" in done.stderr
    assert "minutes" in done.stderr
    moved = one.rename(one.with_name("moved"))
    done = subprocess.run(
        [str(moved / ".venv/bin/python"), "-c", "import d3ke_lib"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={},
    )  # fmt: skip
    assert f"library of {moved}/d3ke_lib" in done.stderr


# --- help and wrong words ---------------------------------------------------------------------------------


def makefiles() -> str:
    return "".join((ROOT / name).read_text() for name in ("Makefile", "scripts/env.mk"))


def test_help_lists_every_target_and_variable():
    done = make(ROOT, "help")
    listed = re.findall(r"^  make (\S+) +\S|^  ([A-Z_]+) +\S", done.stdout, re.M)
    targets, variables = ({name for name in names if name} for names in zip(*listed))
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefiles().replace("\\\n", ""), re.M)
    assert targets == set(phony.split())
    tuning = set(re.findall(r"^export (\w+) *\?=", makefiles(), re.M))
    assert variables == set(re.findall(r"^(?:export )?(\w+) *\?=", makefiles(), re.M)) - tuning


def test_every_variable_of_the_rules_is_one_that_can_be_set():
    """Those that are neither set in the makefiles nor known to make itself must be in help."""
    text = re.sub(r"(?m)^\s*#.*", "", makefiles())
    used = set(re.findall(r"\$\(([A-Z_]+)\)", text))
    assigned = set(re.findall(r"(?m)^(?:export )?([A-Z_]+) *[:?]?=", text))
    of_make = {"MAKE", "MAKEFLAGS", "MAKEOVERRIDES", "MAKECMDGOALS", "MAKEFILE_LIST", "CURDIR"}
    assert used - assigned <= of_make | {"PYTHONPATH"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("profile=smoke", "P?"),
        ("PROFILE=smoke", "P?"),
        ("seeds=0 1", "SEEDS"),
        ("raw=x", "RAW?"),
        ("BODY_SRC=x", ""),
    ],
)
def test_misspelt_variables_are_refused_with_the_right_name(word, meant):
    done = make(ROOT, "help", word, "SEEDS=0 1")
    assert done.returncode == 2
    assert f"unknown variable {word.partition('=')[0]};" in done.stderr
    assert meant in done.stderr


@pytest.mark.parametrize(
    "name", ["RAW", "VIDEO", "BODY", "BACKGROUNDS", "OCCLUDERS", "OVERRIDES", "VOC", "RECORDS"]
)
def test_paths_are_looked_up_before_anything_is_written(checkouts, name):
    one, _ = checkouts
    done = make(one, "reproduce", f"{name}=no such path")
    assert done.returncode == 2
    expected = "(a file|a folder|the folder of the downloads)"
    assert re.search(rf"{name}=no such path: expected {expected}, found none", done.stderr)
    assert not (one / "out").exists()
    assert not (one / ".venv").exists()


def test_the_notebooks_open_here_only_and_as_root_too(checkouts, monkeypatch, tmp_path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    (checkouts[0] / ".venv").mkdir()
    (checkouts[0] / ".venv/.requirements").touch()
    said = {}
    for user in ("root", "other"):
        (tmp_path / "id").write_text(f"#!/bin/sh\necho {0 if user == 'root' else 1000}\n")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        said[user] = make(checkouts[0], "-n", "lab").stdout
    assert "--ip=127.0.0.1" in said["root"]
    assert "--allow-root" in said["root"]
    assert "--allow-root" not in said["other"]
