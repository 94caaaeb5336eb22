"""What a study's plan came to: its cells, and which of their runs are trained."""

from collections.abc import Mapping
from typing import Any

from d3ke_lib.experiment.report.effects import Results
from d3ke_lib.experiment.report.tables import Table


def cells_table(results: Results) -> Table | None:
    """The plan's cells in their order, with what they took; None where the results are of no plan."""
    if "study" not in results:
        return None
    header = ("cell", "question", "state", "runs", "minutes", "core-minutes")
    return Table(header, tuple(_cell_row(cell) for cell in results["study"]["cells"]))


def _cell_row(cell: Mapping[str, Any]) -> tuple[str, ...]:
    runs = list(cell["runs"].values())
    finished = sum(run["state"] == "finished" for run in runs)
    minutes = (sum(run.get(key, 0.0) for run in runs) / 60 for key in ("seconds", "core_seconds"))
    name, state = cell["name"].replace("_", " "), cell["state"]
    return name, cell["why"], state, f"{finished} of {len(runs)}", *(f"{each:.0f}" for each in minutes)


def describe_reruns(results: Results) -> str:
    """A sentence for every run that was trained a second time from nothing."""
    found = results.get("study", {}).get("reruns", {})
    sentences = []
    for name, run in found.items():
        word = "the same" if run["first"]["weights_sha256"] == run["again"]["weights_sha256"] else "other"
        sentences.append(f"{name} was trained again from nothing: {word} weights.")
    return " ".join(sentences)
