"""What a run is and where it was made: what its fingerprint says, and what it does not."""

from pathlib import Path
from typing import Any

from d3ke_lib.data import records
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint, to_values
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.files import sha256

_METRICS = "d3ke_lib.nets.metrics"


def run_identity(
    kind: str, config: FrameConfig | TemporalConfig, seed: int, code: str, **inputs: str
) -> dict[str, Any]:
    """Configuration, seed, hashes of what the run reads and of the code that computes it; its fingerprint.

    Not the code's revision: a finished run is not repeated because a comment was committed.
    """
    inputs |= {"code": code}
    name = config.backbone if isinstance(config, FrameConfig) else config.kind
    identity = {"kind": kind, "name": name, "config": to_values(config), "seed": seed, **inputs}
    return identity | {"fingerprint": fingerprint(kind, config, seed, inputs)}


def training_code(module: str) -> str:
    """Hash of the code that decides a run's weights: not of the metrics, by which nothing is chosen."""
    return code_hash(module, without=_METRICS)


def metrics_code() -> str:
    """Hash of the code behind the validations in a run's log and result."""
    return code_hash(_METRICS)


def provenance() -> dict[str, Any]:
    """Which revision runs on what machine."""
    return {"git": artifacts.git_revision(), "machine": devices.describe()}


def records_hash(data: Path) -> str:
    """Of the manifest, which holds the hash of every record file."""
    return sha256(data / records.MANIFEST)


def initial_weights_hash(config: FrameConfig) -> str:
    """Names the weights that the backbone starts from; a file by its content."""
    is_file = config.weights is not None and Path(config.weights).is_file()
    return sha256(Path(config.weights)) if is_file else str(config.weights)


def occluders_hash(config: FrameConfig) -> dict[str, str]:
    """The hash of the cut-outs that occlude subjects, where they come from a file."""
    occluder = config.augment.occluder
    path = occluder and occluder.objects
    return {"occluders": sha256(Path(path))} if path else {}
