"""Charts of results. Each takes a table and gives a figure; `save` writes the PNG and that table as CSV.

Tables are pandas frames, one row a thing drawn: what a figure shows can be checked without looking at it.
Colours are Okabe and Ito's, told apart by the colour-blind; a method also has its own marker.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from d3ke_lib.experiment.run.artifacts import replacing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
LOOKS = {
    "mean pose": ("#9ca3af", "v"),
    "ResNeXt-50": ("#0072B2", "o"),
    "ResNeXt-50 +": ("#56B4E9", "s"),
    "ResNeXt-101": ("#D55E00", "D"),
    "ResNeXt-101 +": ("#E69F00", "^"),
}
SPARE = (("#009E73", "P"), ("#CC79A7", "X"), ("#000000", "*"), ("#F0E442", "h"))
TRUTH = "#000000"
QUIET = "#6b7280"
LARGEST_PNG = 200_000  # bytes
STYLE = {
    "figure.dpi": 130,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "d3ke",
}


@contextmanager
def figure(width: float, height: float, note: str) -> Iterator[Figure]:
    """An empty figure (inches) in our style, of no window; `note` says below it what data it shows."""
    with mpl.rc_context(STYLE):
        drawn = Figure((width, height), layout="constrained")
        yield drawn
        drawn.supxlabel(note, x=0.01, ha="left", fontsize=7.5, color=QUIET)


def save(drawn: Figure, table: pd.DataFrame, path: Path) -> Path:
    """`path` (.png, at most 200 kB) and the .csv beside it, each whole or not at all."""
    with replacing(path.with_suffix(".csv")) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")
    with replacing(path) as beside:
        beside.write_bytes(_png(drawn))
    return path


def _png(drawn: Figure) -> bytes:
    """Full colour where that is small enough, else a palette, else fewer pixels."""
    for dpi, colours in ((130, None), (130, 256), (100, 256), (75, 128), (50, 64)):
        buffer = BytesIO()
        drawn.savefig(buffer, format="png", dpi=dpi, facecolor="white")
        if colours:
            picture = Image.open(buffer).convert("RGB").quantize(colours)
            buffer = BytesIO()
            picture.save(buffer, "png", optimize=True)
        if len(buffer.getvalue()) <= LARGEST_PNG:
            break
    return buffer.getvalue()


def small(path: Path, width: int = 520, colours: int = 64) -> bytes:
    """A saved figure as a PNG that is light enough for a notebook to keep."""
    picture = Image.open(path).convert("RGB")
    share = min(1.0, width / picture.width)
    size = (round(picture.width * share), round(picture.height * share))
    buffer = BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).quantize(colours, Image.Quantize.MAXCOVERAGE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()


def style_of(methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and marker by method, the same in every figure: a hue a backbone, paler where it is refined.

    ", seed 1" after a name changes nothing. Methods without a look of their own share out what is left.
    """
    spare = iter(SPARE * len(methods))
    looks: dict[str, tuple[str, str]] = {}
    for method in methods:
        name = method.partition(", seed")[0]
        known = (
            LOOKS.get(name) or LOOKS.get(name.partition(" + ")[0] + " +")
            if name not in looks
            else looks[name]
        )
        looks[name] = known if known and (name in looks or known not in looks.values()) else next(spare)
    named = {method: looks[method.partition(", seed")[0]] for method in methods}
    return {method: {"color": colour, "marker": marker} for method, (colour, marker) in named.items()}


# --- errors ----------------------------------------------------------------------------------------------


def group_bars(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """Bars with 95 % intervals. Columns: group, method, mean, low, high (in `unit`)."""
    groups, methods = list(table.group.unique()), list(table.method.unique())
    with figure(7.2, 1.4 + 0.13 * len(groups) * (len(methods) + 1.2), note) as drawn:
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
        axes.set(
            yticks=range(len(groups)), yticklabels=groups, xlabel=f"mean absolute error [{unit}]", title=title
        )
        axes.margins(y=0.01)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        _legend_above(drawn, axes, len(methods))
    return drawn


def heatmap(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """Every coordinate by every method. Columns: coordinate, method, mean; 35 coordinates a panel."""
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
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    return drawn


def _cell_numbers(axes: Axes, values: np.ndarray, largest: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "black" if value > 0.6 * largest else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=6, color=ink)


def error_by_subject(table: pd.DataFrame, unit: str, note: str, title: str) -> Figure:
    """One mark a subject and method. Columns: subject, method, mean; the easiest subject first."""
    order = table.groupby("subject")["mean"].mean().sort_values().index
    methods = list(table.method.unique())
    with figure(7.2, 3.4, note) as drawn:
        axes = drawn.add_subplot()
        for method, rows in table.groupby("method", sort=False):
            values = rows.set_index("subject").loc[order, "mean"]
            axes.plot(range(len(order)), values, linestyle="none", label=method, **style_of(methods)[method])
        axes.set_xticks(range(len(order)), order)
        axes.set(xlabel="test subject, from the easiest", ylabel=f"mean absolute error [{unit}]", title=title)
        axes.set_ylim(bottom=0)
        _legend_above(drawn, axes, len(methods))
    return drawn


def paired_difference(
    table: pd.DataFrame, effect: dict[str, float], names: tuple[str, str], unit: str, note: str, title: str
) -> Figure:
    """What each subject gains. Columns: subject, difference (second − first); `effect`: mean, low, high."""
    rows = table.sort_values("difference").reset_index(drop=True)
    with figure(7.2, 1.9 + 0.2 * len(rows), note) as drawn:
        axes = drawn.add_subplot()
        axes.axvline(0, color="#111827", linewidth=1)
        axes.axvspan(
            effect["low"], effect["high"], color=COLOURS[0], alpha=0.15, label="95 % interval of the mean"
        )
        axes.axvline(effect["mean"], color=COLOURS[0], label="mean over subjects")
        axes.plot(rows.difference, rows.index, "o", color=COLOURS[1], label="one subject")
        axes.set_yticks(rows.index, rows.subject)
        reach = 1.15 * max(rows.difference.abs().max(), abs(effect["low"]), abs(effect["high"]), 0.01)
        axes.set(xlim=(-reach, reach), ylabel="test subject", title=title)
        axes.set_xlabel(f"← {names[1]} better      difference of errors [{unit}]      {names[0]} better →")
        _legend_above(drawn, axes, 3)
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
            axes.title.set_fontsize(8)
        panels[0].set_ylabel(f"predicted − true [{unit}]")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
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
            axes.set_title(name, fontsize=8)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        drawn.supylabel("angle [°]", fontsize=9)
        for axes in panels[max(0, len(names) - columns) : len(names)]:
            axes.set_xlabel("time [s]")
            axes.tick_params(labelbottom=True)
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
        _legend_above(drawn, panels[0], len(methods) + 1)
    return drawn


def training_curves(table: pd.DataFrame, panels: dict[str, str], x: str, note: str, title: str) -> Figure:
    """One panel a quantity. Columns: run, `x`, quantity, value; `panels`: quantity → axis label with unit."""
    runs = list(table.run.unique())
    with figure(2.6 * len(panels) + 0.6, 2.9, note) as drawn:
        for axes, (quantity, label) in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels.items()):
            for run, part in table[table.quantity == quantity].groupby("run", sort=False):
                axes.plot(part[x], part.value, color=style_of(runs)[run]["color"], label=run, linewidth=1.2)
            axes.set(xlabel=x, ylabel=label)
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
        _legend_above(drawn, drawn.axes[0], min(3, len(runs)))
    return drawn


def accuracy_against_cost(table: pd.DataFrame, cost: str, unit: str, note: str, title: str) -> Figure:
    """Lower left is better. Columns: method, cost, mean, low, high; `cost`: axis label with unit."""
    methods = list(table.method)
    with figure(6.4, 3.4, note) as drawn:
        axes = drawn.add_subplot()
        for row in table.itertuples():
            spread = [[row.mean - row.low], [row.high - row.mean]]
            look = style_of(methods)[row.method]
            axes.errorbar(
                row.cost, row.mean, yerr=spread, capsize=3, linestyle="none", label=row.method, **look
            )
        axes.set(xlabel=cost, ylabel=f"mean absolute error [{unit}]", title=title)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        _legend_above(drawn, axes, 2)
    return drawn


def _legend_above(drawn: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        drawn.legend(handles, labels, loc="outside upper right", ncols=min(columns, 3), fontsize=8)
