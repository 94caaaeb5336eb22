"""Whether the records in a folder are those of a configuration and code, and all as they were made."""

from pathlib import Path
from typing import Any

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import sha256

IDENTITY = "identity.json"  # written before the first record


def identify(config: DataConfig | BmlmoviConfig) -> dict[str, Any]:
    source = synthetic if isinstance(config, DataConfig) else bmlmovi
    found = {"config": source.describe(config), "code": code_hash(source.__name__)}
    return found | {"fingerprint": fingerprint(found["config"], found["code"])}


def read_identity(made: Path) -> dict[str, Any] | None:
    return artifacts.read_json(made / IDENTITY) if (made / IDENTITY).is_file() else None


def is_whole(made: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds all records of this identity, as they were made."""
    if read_identity(made) != identity or not (made / records.MANIFEST).is_file():
        return False
    return not find_absent(made) and not find_changed(made)


def find_absent(made: Path) -> list[str]:
    """Files that the manifest lists and the folder lacks."""
    if not (made / records.MANIFEST).is_file():
        return []
    listed = artifacts.read_json(made / records.MANIFEST)["files"]
    return [name for name in listed if not (made / name).is_file()]


def find_changed(made: Path) -> list[str]:
    """Files written after the manifest that have another hash or size than it says."""
    manifest = made / records.MANIFEST
    listed = artifacts.read_json(manifest)["files"] if manifest.is_file() else {}
    since = manifest.stat().st_mtime_ns if listed else 0
    there = {name: made / name for name in listed if (made / name).is_file()}
    return [
        name
        for name, path in there.items()
        if path.stat().st_size != listed[name]["bytes"]
        or (path.stat().st_mtime_ns > since and sha256(path) != listed[name]["sha256"])
    ]
