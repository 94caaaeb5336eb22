"""Recorded benchmarks (data/results/*.json) as the tables that notebooks show."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown, display


def show_recorded(path: Path, table: Callable[[dict[str, Any]], pd.DataFrame]) -> None:
    """The table of a recorded benchmark and how it was taken, or that it is not recorded."""
    if not path.is_file():
        display(Markdown(f"data/results/{path.name} is not recorded"))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    load = f"system load at the end {found['load']:.1f}"
    display(Markdown(f"{found['threads']} threads on a CPU unless it says cuda; {load}"))
    display(table(found))


def skeleton_times(found: dict[str, Any]) -> pd.DataFrame:
    """Milliseconds by device, kind and batch of `scripts/bench_skeleton.py`."""
    rows = pd.DataFrame(found["rows"])
    rows["kind"] = rows["kind"].replace({"plain": "loop over joints", "compiled": "torch.compile"})
    rows = rows.rename(columns={"forward": "forward, ms", "backward": "with backward, ms"})
    return rows.set_index(["device", "kind", "batch"]).unstack("batch").round(2)
