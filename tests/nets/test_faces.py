"""What the rooms `d3ke_lib.body` and `d3ke_lib.nets` show, and how little a reader of the networks loads."""

import json
import subprocess
import sys
from pathlib import Path

import d3ke_lib.body
import d3ke_lib.nets

LIBRARY = Path(d3ke_lib.nets.__file__).parents[1]
LOADED = """
import json, sys
import jaxtyping, roma, safetensors.torch, torchvision
theirs = set(sys.modules)
from d3ke_lib.nets import FrameNet, losses
print(json.dumps(sorted(set(sys.modules) - theirs)))
"""


def test_names_of_the_rooms() -> None:
    assert set(d3ke_lib.body.__all__) == {
        "load_osim", "write_osim", "Skeleton", "Pose", "Points", "Validity", "D3KE", "default_skeleton",
        "solve", "read_mot", "write_mot", "read_trc", "write_trc",
    }  # fmt: skip
    assert set(d3ke_lib.nets.__all__) == {
        "FrameNet", "build_refiner", "losses", "load_released", "export_network", "load_network",
    }  # fmt: skip
    for room in (d3ke_lib.body, d3ke_lib.nets):
        assert all(getattr(room, name) is not None for name in room.__all__)


def test_networks_and_losses_load_little() -> None:
    """8 files and 900 lines of the library at most; not its XML reader, no tables, no video."""
    run = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    added = json.loads(run.stdout)
    assert not [name for name in added if name.split(".")[0] in ("xml", "pyarrow", "av", "pandas", "scipy")]
    ours = [name for name in added if name.startswith("d3ke_lib.") and _file(name).name != "__init__.py"]
    assert not [name for name in ours if "opensim" in name]
    lines = sum(len(_file(name).read_text().splitlines()) for name in ours)
    assert len(ours) <= 8, ours
    assert lines <= 900, lines


def _file(module: str) -> Path:
    path = LIBRARY.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
