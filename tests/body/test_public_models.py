"""The table of public models counts what is read, refused and equal to OpenSim, from the files themselves."""

import json
import subprocess
import sys
from pathlib import Path

import osim_models as models
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = models.every_kind()
    loop = (
        '<WeldConstraint name="w"><socket_frame1>/bodyset/b1</socket_frame1>'
        "<socket_frame2>/bodyset/last</socket_frame2></WeldConstraint><CoordinateCouplerConstraint"
    )
    files = {
        "first/whole.osim": whole,
        "second/the_same.osim": whole,
        "second/old.osim": models.old().replace(" name='pin'", ""),
        "second/joint.osim": whole.replace("PinJoint name", "ScapulothoracicJoint name").replace(
            "</PinJoint>", "</ScapulothoracicJoint>"
        ),
        "second/loop.osim": whole.replace("<CoordinateCouplerConstraint", loop, 1),
        "second/broken.osim": "<Model",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/public_models.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_counts_files_of_a_folder(folder: Path) -> None:
    pytest.importorskip("opensim")
    done = run(folder, "--poses", 2, "--out", folder / "counts.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "counts.json").read_text())
    total = found["counts"]["total"]
    assert {k: total[k] for k in ("files", "read", "equal", "refused", "with_loops")} == {
        "files": 5,
        "read": 3,
        "equal": 3,
        "refused": 2,
        "with_loops": 1,
    }
    assert 0 < total["largest_random_m"] < 1e-9
    assert found["counts"]["joint without a name"]["read"] == 1
    assert found["counts"]["version 30000 to 30517"]["files"] == 1
    assert found["counts"]["other constraint"]["read"] == 1
    assert found["refused"]["joint … is a ScapulothoracicJoint, which is not modelled"] == 1
    assert str(folder) not in json.dumps(found)


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}: expected .osim files, found none" in done.stderr
