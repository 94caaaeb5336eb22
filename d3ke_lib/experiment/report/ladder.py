"""The error ladder (studies/error_ladder.py says what is in it) as tables and a figure."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from d3ke_lib.experiment.report.drawing import COLOURS, NARROW, figure, head
from d3ke_lib.experiment.report.effects import ANGLE
from d3ke_lib.experiment.report.tables import Table, bracketed

Ladder = dict[str, Any]
_SHOWN = {
    ANGLE: ("angle MAE [°]", 2),
    "mpblpe_mm": ("bony landmarks [mm]", 1),
    "pelvis_deg": ("pelvis rotation [°]", 1),
    "scale_sum": ("body scale, Σ of 3 axes", 3),
}


def rungs_table(found: Ladder) -> Table:
    """Every rung: mean [95 % interval over subjects and, where networks are behind it, runs]."""
    rows = [
        (
            name,
            str(len(rung["seeds"])) if rung["points"] in found["runs"] else "–",
            *(bracketed(rung["metrics"][metric], digits) for metric, (_, digits) in _SHOWN.items()),
        )
        for name, rung in found["rungs"].items()
    ]
    return Table(("points, sizes", "runs", *(title for title, _ in _SHOWN.values())), tuple(rows))


def steps_table(found: Ladder) -> Table:
    """What each change does to the errors: second − first."""
    rows = [
        (
            step["name"],
            step["first"],
            step["second"],
            *(bracketed(step["metrics"][metric], digits, "+") for metric, (_, digits) in _SHOWN.items()),
        )
        for step in found["steps"]
    ]
    return Table(("change", "from", "to", *(title for title, _ in _SHOWN.values())), tuple(rows))


def draw_ladder(found: Ladder) -> tuple[Figure, pd.DataFrame]:
    """Bars of the angle MAE by rung, stacked by the groups of joints that the degrees come from."""
    table = pd.DataFrame({name: rung["groups"] for name, rung in found["rungs"].items()}).T
    table.insert(0, "rung", table.index)
    for key in ("mean", "low", "high"):
        table[key] = [rung["metrics"][ANGLE][key] for rung in found["rungs"].values()]
    groups = [name for name in table.columns if name not in ("rung", "mean", "low", "high")]
    with figure(NARROW, 2.2 + 0.33 * len(table), _note_of(found)) as drawn:
        axes, left = drawn.add_subplot(), pd.Series(0.0, table.index)
        colours = (*COLOURS, "#9ca3af")
        for group, colour in zip(groups, colours, strict=True):
            axes.barh(range(len(table)), table[group], left=left, height=0.7, color=colour, label=group)
            left = left + table[group]
        spread = [table["mean"] - table.low, table.high - table["mean"]]
        axes.errorbar(table["mean"], range(len(table)), xerr=spread, fmt="none", ecolor="#111827", capsize=2)
        axes.set(yticks=range(len(table)), yticklabels=table.rung, xlabel="angle MAE [°]")
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        head(drawn, "From true points to networks: where the degrees come from", axes)
    return drawn, table.reset_index(drop=True)


def _note_of(found: Ladder) -> str:
    """Frames, runs and noise behind the ladder; what is missing."""
    frames, runs = found["frames"], found["runs"]
    behind = ", ".join(f"{name}: {len(each)}" for name, each in runs.items())
    missing = f" · not trained: {'; '.join(found['missing'])}" if found["missing"] else ""
    return (
        f"{frames['subjects']} test subjects, {frames['frames']} of {frames['of']} frames: {frames['rule']} "
        f"· runs: {behind} · noise {found['noise_mm']:.0f} mm per axis · 95 % intervals{missing}"
    )
