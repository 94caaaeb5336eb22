"""What older code has made, taken over by newer code that is shown to make the same.

An edit that changes no number (a new setting, a name) changes the hash of the code, and a night's records and
runs would be made again. Instead a part is: one subject's records, the first steps of every run. Where they
are the same to the last bit, the hash is renewed and the first one is kept next to it. Else nothing changes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from d3ke_lib.data import records
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.experiment import networks, record_folder
from d3ke_lib.experiment.evaluation.methods import Method
from d3ke_lib.experiment.interrupts import interrupted_when
from d3ke_lib.experiment.resolved import Experiment, find_methods, settings_of
from d3ke_lib.experiment.run import artifacts, run_folder, train_frame, train_temporal
from d3ke_lib.files import D3keError, sha256

_HOW_LONG = ("seconds", "core_seconds", "per_second")


# --- records ------------------------------------------------------------------------------------------------


def replay_records(experiment: Experiment, device: str = "cpu") -> bool:
    """Makes the last subject's records again; whether the folder's identity was renewed.

    Raises D3keError where the configuration or a byte differs.
    """
    made, expected = experiment.data, record_folder.identify(experiment.profile.data)
    found = record_folder.read_identity(made)
    if found == expected:
        return False
    if found is None or found["config"] != expected["config"]:
        raise D3keError(f"{made}: expected records of this configuration, found others")
    with tempfile.TemporaryDirectory(dir=experiment.folder) as folder:
        again = Path(folder) / made.name
        last = max(entry["subject"] for entry in records.load_manifest(made)["files"].values())
        shutil.copytree(
            made, again, copy_function=os.link, ignore=shutil.ignore_patterns(f"subject_{last:03d}_*", ".*")
        )
        synthetic.make(experiment.profile.data, again, 1, device)
        if sha256(again / records.MANIFEST) != sha256(made / records.MANIFEST):
            raise D3keError(f"{made}: this code makes other records of subject {last}: make all again")
    artifacts.write_json(made / record_folder.IDENTITY, expected)
    return True


# --- runs ---------------------------------------------------------------------------------------------------


def replay_runs(experiment: Experiment, steps: int = 20) -> Iterator[str]:
    """Repeats the first steps of every run of other code; yields the names of those whose hash was renewed.

    Raises D3keError for a run that differs in more than its code, or whose losses are not the same.
    """
    for method in find_methods(experiment.profile):
        run = experiment.folder / method.name
        about = networks.read_state(run)
        expected = networks.identify(experiment, method) if about else None
        if expected is None or about["fingerprint"] == expected["fingerprint"]:
            continue
        if differ := [
            key for key in expected if key not in ("code", "fingerprint") and about[key] != expected[key]
        ]:
            raise D3keError(
                f"{run}: other {', '.join(differ)}, not only other code; it must be trained again"
            )
        _compare(experiment, method, steps)
        _write_about(run, {"replayed": {"code": about["code"], "steps": steps}, **expected})
        yield method.name


def _write_about(run: Path, renewed: dict[str, Any]) -> None:
    if (run / run_folder.RESULT).is_file():
        result = artifacts.read_json(run / run_folder.RESULT)
        artifacts.write_json(run / run_folder.RESULT, result | renewed)
        return
    tensors, about = artifacts.read_tensors(run / run_folder.CHECKPOINT)
    about["state"] |= renewed
    artifacts.write_tensors(run / run_folder.CHECKPOINT, tensors, about)


def _compare(experiment: Experiment, method: Method, steps: int) -> None:
    """Raises D3keError where the first steps' losses are not those in the run's log."""
    chosen, seed = settings_of(experiment.profile, method), method.seed
    run = experiment.folder / method.name
    with tempfile.TemporaryDirectory(dir=experiment.folder) as folder:
        again = Path(folder) / "run"
        with interrupted_when(lambda: _has_reached(again / run_folder.LOG, steps)):
            if method.kind == "frame":
                train_frame.train_frame(chosen, experiment.data, again, seed, experiment.skeleton)
            else:
                source = experiment.folder / method._replace(kind="frame", refiner=None).name
                train_temporal.train_temporal(
                    chosen, experiment.data, source, again, seed, experiment.skeleton
                )
        found, expected = (_read_losses(folder / run_folder.LOG, steps) for folder in (again, run))
    if not expected or found != expected:
        raise D3keError(f"{run}: this code comes to other losses within {steps} steps: train it again")


def _has_reached(log: Path, step: int) -> bool:
    return log.is_file() and any(line["step"] >= step for line in artifacts.read_log(log))


def _read_losses(log: Path, steps: int) -> list[dict[str, Any]]:
    """The lines of the first steps, without times."""
    lines = [line for line in artifacts.read_log(log) if line["step"] <= steps and "total" in line]
    return [{key: value for key, value in line.items() if key not in _HOW_LONG} for line in lines]
