"""Recorded benchmarks (data/results/*.json) as the tables that notebooks and benchmarks show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown, display

from d3ke_lib.experiment.report.tables import Table, markdown
from d3ke_lib.experiment.run import artifacts


def show_recorded(path: Path, table: Callable[[dict[str, Any]], pd.DataFrame]) -> None:
    """The table of a recorded benchmark and how it was taken, or that it is not recorded."""
    if not path.is_file():
        display(Markdown(f"data/results/{path.name} is not recorded"))
        return
    found = artifacts.read_json(path)
    load = f"system load at the end {found['load']:.1f}"
    display(Markdown(f"{found['threads']} threads on a CPU unless it says cuda; {load}"))
    display(table(found))


def skeleton_times(found: dict[str, Any]) -> pd.DataFrame:
    """Milliseconds by device, kind and batch of `scripts/bench_skeleton.py`."""
    rows = pd.DataFrame(found["rows"])
    rows["kind"] = rows["kind"].replace({"plain": "loop over joints", "compiled": "torch.compile"})
    rows = rows.rename(columns={"forward": "forward, ms", "backward": "with backward, ms"})
    return rows.set_index(["device", "kind", "batch"]).unstack("batch").round(2)


def trial_table(found: dict[str, Any]) -> pd.DataFrame:
    """Trials of known truth of `scripts/bench_ik.py`: ours / OpenSim's in each column of two."""

    def both(row: dict, key: str, digits: int) -> str:
        return f"{row['ours'][key]:.{digits}f} / {row['opensim'][key]:.{digits}f}"

    rows = [
        {
            "model": row["model"],
            "width": row["width"],
            "missing": f"{row['missing']:.0%}",
            "frames/s": both(row, "frames_per_second", 1),
            "times as fast": round(row["ours"]["frames_per_second"] / row["opensim"]["frames_per_second"], 1),
            "marker RMS, mm": both(row, "marker_rms_mm", 2),
            "angle RMSE, °": both(row, "angle_rmse_deg", 2),
            "its median coordinate's": both(row, "angle_rmse_median_deg", 2),
            "not converged": f"{1 - row['ours']['converged']:.0%}",
        }
        for row in found["rows"]
    ]
    return pd.DataFrame(rows)


def public_table(found: dict[str, Any]) -> pd.DataFrame:
    """Public trials of `scripts/bench_ik.py`: ours / OpenSim's."""
    rows = [
        {
            "trial": row["trial"],
            "frames, markers": f"{row['frames']}, {row['markers']}",
            "s, first call / again / OpenSim": f"{row['first_s']:.3f} / {row['again_s']:.3f} / "
            f"{row['opensim_s']:.3f}",
            "times as fast, first call": round(row["opensim_s"] / row["first_s"], 1),
            "weighted RMS, mm": f"{row['rms_mm']:.3f} / {row['opensim_rms_mm']:.3f}",
            "not converged": f"{1 - row['converged']:.0%}",
        }
        for row in found["public"]
    ]
    return pd.DataFrame(rows)


def backbone_costs(result: dict[str, Any]) -> str:
    """Every backbone of `scripts/bench_backbones.py` as Markdown, and on what machine they were timed."""
    header = (
        "backbone",
        "layers",
        "groups × width",
        "parameters [million]",
        "multiply–adds [10⁹]",
        "activations per image [MB]",
        "one alone [ms]",
        "in batches [1/s]",
    )
    rows = [
        (
            row["backbone"],
            str(row["layers"]),
            f"{row['cardinality']} × {row['group_width']}",
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['multiply_adds'] / 1e9:.2f}",
            f"{row['activation_bytes'] / 1e6:.1f}",
            f"{row['latency_ms']:.1f}",
            f"{row['images_per_second']:.0f}",
        )
        for row in result["rows"]
    ]
    machine = result["machine"]
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    return f"{markdown(Table(header, tuple(rows)))}\n\nImages of {result['px']} px, float32, on {where}."


def step_profile(result: dict[str, Any]) -> str:
    """A row per precision of `scripts/bench_step.py` as Markdown: ms and share of each part of a step."""
    parts = tuple(result["rows"][0]["ms"])
    rows = [
        (
            f"{row['backbone']}, {row['precision']}, {row['batch']} of {row['px']} px",
            *(f"{row['ms'][part]:.1f} ({row['shares'][part]:.1%})" for part in parts),
            f"{sum(row['ms'].values()):.0f}",
            f"{row['ours']:.1%}",
        )
        for row in result["rows"]
    ]
    header = ("step", *(f"{part} [ms]" for part in parts), "whole [ms]", "loading + body")
    return markdown(Table(header, tuple(rows)))
