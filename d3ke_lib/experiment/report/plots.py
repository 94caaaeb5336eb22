"""Charts of results. Each takes a table and gives a figure; drawing.py has their style and saves them.

Tables are pandas frames, one row per thing drawn: what a figure shows can be checked without looking at it.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from d3ke_lib.experiment.report.drawing import (
    COLOURS,
    MARKERS,
    NARROW,
    QUIET,
    TEXT,
    TRUTH,
    figure,
    head,
    save,
    show,
    small,
    style_of,
)

__all__ = [
    "accuracy_against_cost",
    "angle_curves",
    "bland_altman",
    "error_by_subject",
    "group_bars",
    "heatmap",
    "paired_difference",
    "save",
    "show",
    "small",
    "training_curves",
    "yaw_histogram",
]

# --- errors ----------------------------------------------------------------------------------------------


def group_bars(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """Bars with 95 % intervals. Columns: group, method, mean, low, high (in `unit`)."""
    groups, methods = list(table.group.unique()), list(table.method.unique())
    with figure(NARROW, 1.8 + 0.115 * len(groups) * (len(methods) + 1.2), note) as drawn:
        axes = drawn.add_subplot()
        for i, (method, rows) in enumerate(table.groupby("method", sort=False)):
            at = np.array([groups.index(g) for g in rows.group]) + (i - (len(methods) - 1) / 2) * 0.8 / len(
                methods
            )
            axes.barh(
                at, rows["mean"], 0.8 / len(methods), color=style_of(methods)[method]["color"], label=method
            )
            spread = [rows["mean"] - rows.low, rows.high - rows["mean"]]
            axes.errorbar(
                rows["mean"], at, xerr=spread, fmt="none", ecolor="#111827", elinewidth=1, capsize=2
            )
        axes.set(yticks=range(len(groups)), yticklabels=groups, xlabel=f"mean absolute error [{unit}]")
        axes.margins(y=0.01)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        head(drawn, title, axes)
    return drawn


def heatmap(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """Every coordinate by every method. Columns: coordinate, method, mean; 35 coordinates per panel."""
    wide = table.pivot(index="coordinate", columns="method", values="mean")
    wide = wide.loc[table.coordinate.unique(), table.method.unique()]
    parts = np.array_split(np.arange(len(wide)), max(1, -(-len(wide) // 35)))
    with figure(7.6, 1.6 + 0.17 * len(parts[0]), note) as drawn:
        panels = drawn.subplots(1, len(parts), squeeze=False)[0]
        for axes, part in zip(panels, parts):
            shown = axes.imshow(wide.iloc[part], aspect="auto", cmap="viridis", vmin=0, vmax=np.nanmax(wide))
            _cell_numbers(axes, wide.iloc[part].to_numpy(), float(np.nanmax(wide)))
            axes.set_yticks(range(len(part)), wide.index[part], fontsize=6.5)
            axes.set_xticks(range(wide.shape[1]), wide.columns, rotation=35, ha="right", fontsize=7)
            axes.grid(visible=False)
        drawn.colorbar(shown, ax=panels, label=f"mean absolute error [{unit}]", shrink=0.6)
        head(drawn, title)
    return drawn


def _cell_numbers(axes: Axes, values: np.ndarray, largest: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "black" if value > 0.6 * largest else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=6, color=ink)


def error_by_subject(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """One mark per subject and method. Columns: subject, method, mean; the smallest errors first."""
    order = table.groupby("subject")["mean"].mean().sort_values().index
    methods = list(table.method.unique())
    with figure(NARROW, 4.2, note) as drawn:
        axes = drawn.add_subplot()
        for method, rows in table.groupby("method", sort=False):
            values = rows.set_index("subject").loc[order, "mean"]
            axes.plot(range(len(order)), values, linestyle="none", label=method, **style_of(methods)[method])
        axes.set_xticks(range(len(order)), order)
        axes.set(xlabel="test subject, from the smallest error", ylabel=f"mean absolute error [{unit}]")
        axes.set_ylim(bottom=0)
        head(drawn, title, axes)
    return drawn


def paired_difference(
    table: pd.DataFrame, effect: dict[str, float], names: tuple[str, str], unit: str, note: str, title: str
) -> Figure:
    """Second − first. Columns: subject, seed, difference; `effect`: mean, low, high over all of them."""
    order = table.groupby("subject").difference.mean().sort_values().index
    with figure(NARROW, 2.3 + 0.22 * len(order), note) as drawn:
        axes = drawn.add_subplot()
        axes.axvline(0, color="#111827", linewidth=1)
        low, high = effect["low"], effect["high"]
        axes.axvspan(low, high, color=COLOURS[0], alpha=0.15, label="95 % interval of the mean")
        axes.axvline(effect["mean"], color=COLOURS[0], label="mean")
        for seed, rows in table.groupby("seed"):
            at = [order.get_loc(subject) for subject in rows.subject]
            marker, colour = MARKERS[seed % len(MARKERS)], COLOURS[1 + seed % 5]
            axes.plot(rows.difference, at, marker, color=colour, label=f"a subject, run {seed}")
        axes.set_yticks(range(len(order)), order)
        reach = 1.15 * max(table.difference.abs().max(), abs(low), abs(high), 0.01)
        axes.set(xlim=(-reach, reach), ylabel="test subject")
        axes.set_xlabel(f"← {names[1]} better   [{unit}]   {names[0]} better →")
        head(drawn, title, axes)
    return drawn


def bland_altman(table: pd.DataFrame, limits: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """Agreement with the truth. `table`: method, true, difference (predicted − true); `limits` (95 %, of
    agreement): method, bias, low, high."""
    methods = list(limits.method)
    with figure(2.2 + 2.5 * len(methods), 3.2, note) as drawn:
        panels = drawn.subplots(1, len(methods), sharex=True, sharey=True, squeeze=False)[0]
        for axes, line in zip(panels, limits.itertuples()):
            rows = table[table.method == line.method]
            colour = style_of(methods)[line.method]["color"]
            axes.plot(rows.true, rows.difference, ".", markersize=2.5, alpha=0.35, color=colour)
            axes.axhline(line.bias, color="#111827")
            for limit in (line.low, line.high):
                axes.axhline(limit, color="#111827", linestyle="--", linewidth=1)
            axes.set(title=line.method, xlabel=f"true angle [{unit}]")
            axes.title.set_fontsize(9)
        panels[0].set_ylabel(f"predicted − true [{unit}]")
        head(drawn, title)
    return drawn


# --- curves ----------------------------------------------------------------------------------------------


def angle_curves(table: pd.DataFrame, note: str, title: str) -> Figure:
    """Small multiples. Columns: coordinate, method ("truth" is drawn in black), time (s), value (deg)."""
    names = list(table.coordinate.unique())
    methods = [name for name in table.method.unique() if name != "truth"]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with figure(7.6, 1.1 + 1.5 * rows, note) as drawn:
        panels = drawn.subplots(rows, columns, sharex=True, squeeze=False).ravel()
        for axes, name in zip(panels, names):
            for method, part in table[table.coordinate == name].groupby("method", sort=False):
                colour = TRUTH if method == "truth" else style_of(methods)[method]["color"]
                axes.plot(
                    part.time,
                    part.value,
                    color=colour,
                    linewidth=1.4 if method == "truth" else 1.1,
                    label=method,
                )
            axes.set_title(name, fontsize=9)
        _label_panels(panels, len(names), columns, "time [s]")
        drawn.supylabel("angle [°]", fontsize=TEXT)
        head(drawn, title, panels[0], 3)
    return drawn


def _label_panels(panels: np.ndarray, used: int, columns: int, x: str) -> None:
    """Panels that share x: the unused ones hidden, the lowest used one of each column labelled."""
    for axes in panels[used:]:
        axes.set_visible(False)
    for axes in panels[max(0, used - columns) : used]:
        axes.set_xlabel(x)
        axes.tick_params(labelbottom=True)


def training_curves(table: pd.DataFrame, panels: dict[str, str], x: str, note: str, title: str) -> Figure:
    """One panel per quantity. Columns: run, `x`, quantity, value; `panels`: quantity → axis label, unit."""
    runs = list(table.run.unique())
    with figure(NARROW, 1.0 + 2.3 * len(panels) + 0.2 * len(runs), note) as drawn:
        rows = drawn.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (quantity, label) in zip(rows, panels.items()):
            for run, part in table[table.quantity == quantity].groupby("run", sort=False):
                axes.plot(part[x], part.value, color=style_of(runs)[run]["color"], label=run, linewidth=1.2)
            axes.set(xlabel=x, ylabel=label)
        head(drawn, title, drawn.axes[0], 1 if max(map(len, runs)) > 24 else 2)
    return drawn


def accuracy_against_cost(table: pd.DataFrame, cost: str, unit: str, note: str, title: str) -> Figure:
    """Lower left is better. Columns: method, cost, mean, low, high; `cost`: axis label with unit.

    With a column `front` those marked are joined, and the error's axis does not begin at 0.
    """
    methods = list(table.method)
    columns = 1 if max(map(len, methods)) > 24 else 2
    with figure(NARROW, 3.6 + 0.2 * len(methods) / columns, note) as drawn:
        axes = drawn.add_subplot()
        for row in table.itertuples():
            spread = [[row.mean - row.low], [row.high - row.mean]]
            look = style_of(methods)[row.method]
            axes.errorbar(
                row.cost, row.mean, yerr=spread, capsize=3, linestyle="none", label=row.method, **look
            )
        axes.set(xlabel=cost, ylabel=f"mean absolute error [{unit}]")
        axes.set_xlim(left=0)
        if "front" in table:
            best = table[table.front].sort_values("cost")
            axes.step(best.cost, best["mean"], where="post", color=QUIET, linewidth=1, zorder=0)
        else:
            axes.set_ylim(bottom=0)
        head(drawn, title, axes, columns)
    return drawn


def yaw_histogram(table: pd.DataFrame, note: str, title: str) -> Figure:
    """A panel per camera. Columns: camera, method, yaw (bin's middle, °), share (% of frames)."""
    cameras, methods = list(table.camera.unique()), list(table.method.unique())
    columns = min(2, len(cameras))
    rows = -(-len(cameras) // columns)
    with figure(NARROW, 1.2 + 1.9 * rows + 0.1 * len(methods), note) as drawn:
        panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, camera in zip(panels, cameras):
            for method, part in table[table.camera == camera].groupby("method", sort=False):
                colour = style_of(methods)[method]["color"]
                axes.step(part.yaw, part.share, where="mid", color=colour, label=method)
            axes.set(title=camera, yscale="symlog", xticks=(-180, -90, 0, 90, 180))
            axes.axvline(0, color=QUIET, linewidth=0.8, zorder=0)
        _label_panels(panels, len(cameras), columns, "signed yaw error [°]")
        drawn.supylabel("frames [%]", fontsize=TEXT)
        head(drawn, title, panels[0], 1)
    return drawn
