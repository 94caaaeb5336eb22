"""A study: the cells of a plan trained one by one, in the order and by the rules that the plan fixed before.

    out/<profile>/plan.json            the plan's hash and commit, noted before the first run
    out/<profile>/cells/<cell>.json    what of a cell is trained, from which records, by which code, how long
    out/<profile>/reruns.json          runs that were trained twice, and whether they came out the same

The networks themselves are runs like any other (pipeline.py). A study goes on where it was stopped and ends
with the same numbers. What another plan, other records or code have made is named and refused.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from d3ke_lib.experiment import networks
from d3ke_lib.experiment.evaluation import contrasts
from d3ke_lib.experiment.evaluation.evaluate import Method, rounded
from d3ke_lib.experiment.evaluation.measure import Runs
from d3ke_lib.experiment.interrupts import interrupted_when
from d3ke_lib.experiment.report.claims import decide
from d3ke_lib.experiment.resolved import Experiment, method_of
from d3ke_lib.experiment.run import artifacts, cells, run_folder
from d3ke_lib.experiment.run.cells import Cell, StudyPlan
from d3ke_lib.experiment.run.codec import to_values
from d3ke_lib.files import D3keError, sha256
from d3ke_lib.settings import REPOSITORY

_NOTED, _CELLS, _RERUN, _RERUNS = "plan.json", "cells", "rerun", "reruns.json"
FINISHED, HALF_FINISHED, MISSING = "finished", "half-finished", "missing"


# --- training ---------------------------------------------------------------------------------------------


def train(
    experiment: Experiment,
    made: Path,
    names: Sequence[str] = (),
    until: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> bool:
    """Trains the plan's cells (`names`: only these) on the records in `made`; whether all are trained.

    until: seconds since the epoch at which training stops between two steps, with a checkpoint. tell: is
    given a line per run. Raises D3keError: a plan that changed, runs of other records or code, unknown cells.
    """
    chosen = read_plan(experiment).choose(tuple(names))
    _note_plan(experiment)
    _refuse_foreign(experiment)
    ending = nullcontext() if until is None else interrupted_when(lambda: time.time() >= until)
    with ending:
        try:
            for cell in chosen:
                for network in cell.networks:
                    _train_one(experiment, made, cell, method_of(*network), tell)
        finally:
            for cell in chosen:
                _write_cell(experiment, cell)
    return all(describe_cell(experiment, cell)["state"] == FINISHED for cell in chosen)


def _train_one(
    experiment: Experiment, made: Path, cell: Cell, method: Method, tell: Callable[[str], None]
) -> None:
    result = networks.train(experiment, made, method).result
    _write_cell(experiment, cell)
    minutes, cores = result["seconds"] / 60, result["core_seconds"] / 60
    tell(f"{cell.name}: {method.name}: {minutes:.1f} min, {cores:.1f} core-minutes")


def rerun(experiment: Experiment, made: Path, name: str) -> bool:
    """Trains a finished run again from nothing, in a folder of its own; whether the weights are the same.

    The outcome is noted in reruns.json. Raises D3keError for a method that is not trained.
    """
    of_name = {method.name: method for method in networks.find_runs(experiment)}
    if name not in of_name:
        raise D3keError(f"{name}: expected a finished run ({', '.join(of_name) or 'there is none'})")
    folder = experiment.folder / _RERUN
    again = experiment._replace(settings=replace(experiment.settings, out=folder))
    results = [
        networks.train(again, made, of_name[name]).result,
        networks.read_state(experiment.folder / name),
    ]
    found, first = ({key: result[key] for key in ("weights_sha256", "core_seconds")} for result in results)
    noted = _read_reruns(experiment) | {name: {"first": first, "again": found}}
    artifacts.write_json(experiment.folder / _RERUNS, noted)
    return found["weights_sha256"] == first["weights_sha256"]


def _read_reruns(experiment: Experiment) -> dict[str, Any]:
    path = experiment.folder / _RERUNS
    return artifacts.read_json(path) if path.is_file() else {}


# --- the plan ---------------------------------------------------------------------------------------------


def read_plan(experiment: Experiment) -> StudyPlan:
    """Raises D3keError for a profile without a plan."""
    name = experiment.profile.plan
    if name is None:
        raise D3keError(
            f"profile {experiment.profile.name} has no plan; the profile of `make study` is study"
        )
    return cells.read_plan(name)


def _note_plan(experiment: Experiment) -> dict[str, str]:
    """Hash and commit of the plan, written before the first run.

    Raises D3keError where it is not the plan of the first run, or is not committed.
    """
    path, noted = cells.path_of_plan(experiment.profile.plan), experiment.folder / _NOTED
    found = sha256(path)
    if noted.is_file():
        first = artifacts.read_json(noted)
        if first["sha256"] != found:
            raise D3keError(
                f"{path.name}: changed after its first run: expected sha256 {first['sha256'][:12]} "
                f"(commit {first['commit'][:10]}), found {found[:12]}: restore it, or set {noted.parent} "
                "aside"
            )
        return first
    return artifacts.read_json(artifacts.write_json(noted, {"sha256": found, "commit": _commit_of(path)}))


def _commit_of(path: Path) -> str:
    """The last commit that changed the file; "unknown" outside a checkout. D3keError: it is not committed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", str(path))
        commit = "" if changed else git("log", "-1", "--format=%H", "--", str(path))
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    if not commit:
        raise D3keError(f"{path.name}: expected a committed plan before the first run, found changes")
    return commit


# --- what is there ----------------------------------------------------------------------------------------


def find_runs(experiment: Experiment) -> Runs:
    """The finished runs of the plan's cells. The records must be up to date.

    Raises D3keError as `train`, and where no cell has a finished run.
    """
    _note_plan(experiment)
    _refuse_foreign(experiment)
    runs = networks.find_runs(experiment)
    if not any(method.kind == "frame" for method in runs):
        raise D3keError(f"{experiment.folder}: expected trained cells, found none finished (make study)")
    return runs


def _refuse_foreign(experiment: Experiment) -> None:
    """Raises D3keError naming every run, finished or not, of other records, code or configuration."""
    foreign = []
    for network in read_plan(experiment).networks:
        method = method_of(*network)
        state = networks.read_state(experiment.folder / method.name)
        wanted = networks.identify(experiment, method) if state else None
        if wanted and state["fingerprint"] != wanted["fingerprint"]:
            foreign.append(f"{method.name} ({_say_difference(state, wanted)})")
    if foreign:
        raise D3keError(
            f"{experiment.folder}: runs of other records, code or configuration: {'; '.join(foreign)}; "
            "set them aside, go back to that code, or see whether this code trains the same "
            "(python scripts/study.py replay)"
        )


def _say_difference(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """E.g. "code: expected 12ab34cd, found 56ef78ab"."""
    keys = [
        key for key in ("records", "code", "start", "frame", "seed") if found.get(key) != expected.get(key)
    ]
    differ = [
        f"{key}: expected {str(expected.get(key))[:8]}, found {str(found.get(key))[:8]}" for key in keys
    ]
    was, now = found["config"], expected["config"]
    fields = [name for name in now if was.get(name) != now[name]]
    return ", ".join(differ + [f"{name}: expected {now[name]}, found {was.get(name)}" for name in fields])


def describe_cell(experiment: Experiment, cell: Cell) -> dict[str, Any]:
    """A cell's state (finished, half-finished, missing) and that of each run, with its time and hashes."""
    methods = [method_of(*network) for network in cell.networks]
    runs = {method.name: _describe_run(experiment.folder / method.name) for method in methods}
    states = [run["state"] for run in runs.values()]
    whole = states[0] if len(set(states)) == 1 else HALF_FINISHED
    return {"name": cell.name, "why": cell.why, "state": whole, "runs": runs}


def _describe_run(run: Path) -> dict[str, Any]:
    state = networks.read_state(run)
    if state is None:
        return {"state": MISSING}
    kept = ("step", "seconds", "core_seconds", "records", "code", "weights_sha256")
    is_finished = (run / run_folder.RESULT).is_file()
    return {"state": FINISHED if is_finished else HALF_FINISHED} | {
        key: state[key] for key in kept if key in state
    }


def _write_cell(experiment: Experiment, cell: Cell) -> None:
    """cells/<cell>.json: the cell's state, and the plan that it belongs to."""
    plan = artifacts.read_json(experiment.folder / _NOTED)
    found = describe_cell(experiment, cell) | {"plan_sha256": plan["sha256"]}
    artifacts.write_json(experiment.folder / _CELLS / f"{cell.name}.json", found)


def describe(experiment: Experiment, results: dict[str, Any]) -> dict[str, Any]:
    """The part `study` of results.json: plan, its hash and commit, cells, reruns, outcomes of hypotheses."""
    plan, noted = read_plan(experiment), _note_plan(experiment)
    return rounded(
        {
            "plan": to_values(plan) | noted,
            "cells": [describe_cell(experiment, cell) for cell in plan.cells],
            "reruns": _read_reruns(experiment),
            "hypotheses": [_decide_hypothesis(plan, each, results["methods"]) for each in plan.hypotheses],
        }
    )


def _decide_hypothesis(
    plan: StudyPlan, hypothesis: cells.Hypothesis, methods: contrasts.Methods
) -> dict[str, Any]:
    """The hypothesis with its estimate and verdict; verdict "missing" and which settings, where runs lack."""
    found = to_values(hypothesis)
    try:
        outcome = contrasts.contrast(methods, hypothesis.first, hypothesis.second, plan.primary_metric)
    except KeyError as missing:
        return found | {"verdict": MISSING, "missing": str(missing.args[0])}
    runs = [float(run) for run in outcome["runs"]]
    return found | outcome | {"verdict": decide(outcome["estimate"], runs)}
