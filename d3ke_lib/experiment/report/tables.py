"""The report's tables from results.json, as text cells; written as Markdown or HTML."""

import html
from collections.abc import Mapping
from typing import Any, NamedTuple

from d3ke_lib.experiment.report.claims import ANGLE, Claim, comparison
from d3ke_lib.experiment.report.method_names import label, methods_of, setting_of, settings_of

Results = dict[str, Any]
METRICS = {  # what is shown, with its name and digits after the point
    ANGLE: ("angle MAE [°]", 2),
    "angle_rmse_deg": ("angle RMSE [°]", 2),
    "mpblpe_mm": ("bony landmarks [mm]", 1),
    "mpjpe_mm": ("joints [mm]", 1),
    "pa_mpjpe_mm": ("joints, aligned [mm]", 1),
    "pelvis_deg": ("pelvis rotation [°]", 2),
    "scale_sum": ("body scale, Σ of 3 axes", 3),
}


class Table(NamedTuple):
    """Cells of text; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown(table: Table) -> str:
    lines = [table.header, ("---",) * len(table.header), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def to_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    """An interval goes on a line of its own, below its mean."""
    value, bracket, rest = html.escape(text).partition(" [")
    return f"{value}<br><small>[{rest}</small>" if bracket else value


def bracketed(estimate: Mapping[str, Any], digits: int, plus: str = "") -> str:
    """mean [low, high]."""
    mean, low, high = (f"{estimate[key]:{plus}.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]".replace("-", "−")


def results_table(results: Results) -> Table:
    """Settings by metrics, mean [95 % interval over subjects]; settings with several seeds are their mean."""
    rows = []
    for setting in settings_of(results):
        summary = results["settings"][setting]["summary"]
        rows.append(
            (label(setting), *(bracketed(summary[name], digits) for name, (_, digits) in METRICS.items()))
        )
    return Table(("method", *(title for title, _ in METRICS.values())), tuple(rows))


def seeds_table(results: Results) -> Table | None:
    """The angle error of every run, where there are several of a setting."""
    seeds = [str(seed) for seed in results["profile"]["seeds"]]
    if len(seeds) < 2:
        return None
    names = [
        setting for setting in settings_of(results) if len(results["settings"][setting]["seeds"][ANGLE]) > 1
    ]
    values = {name: results["settings"][name]["seeds"][ANGLE] for name in names}
    rows = tuple((label(name), *(f"{value:.2f}" for value in values[name])) for name in names)
    return Table(("angle MAE [°]", *(f"seed {seed}" for seed in seeds)), rows)


def comparisons_table(results: Results) -> Table:
    """second − first, paired by subject."""
    rows = []
    for found in results["comparisons"]:
        first, second = found["first"], found["second"]
        effects = {name: comparison(results, first, second, name) for name in METRICS}
        cells = (bracketed(effects[name], METRICS[name][1], "+") for name in (ANGLE, "mpblpe_mm", "mpjpe_mm"))
        rows.append(
            (
                f"{label(second)} − {label(first)}",
                *cells,
                f"{effects[ANGLE]['p']:.3f}",
                str(effects[ANGLE]["n"]),
            )
        )
    titles = (METRICS[name][0] for name in (ANGLE, "mpblpe_mm", "mpjpe_mm"))
    return Table(("difference", *titles, "p, angle MAE (Wilcoxon)", "subjects"), tuple(rows))


def overfitting_table(results: Results) -> Table:
    rows = [
        (
            label(name),
            *(bracketed(found[part], 2) for part in ("train", "test")),
            bracketed(found["gap"], 2, "+"),
        )
        for name in settings_of(results)
        if (found := results["overfitting"].get(name))
    ]
    return Table(("angle MAE [°]", "people seen in training", "people not seen", "gap"), tuple(rows))


def networks_table(results: Results) -> Table:
    rows = []
    for setting in settings_of(results):
        network = results["cost"]["networks"].get(setting)
        if network:
            what = (
                f"picture of {network['px']} px"
                if "px" in network
                else f"window of {network['window']} frames"
            )
            speed = f"{network['images_per_second']:.0f}" if "images_per_second" in network else ""
            million, billion = f"{network['parameters'] / 1e6:.1f}", f"{network['multiply_adds'] / 1e9:.2f}"
            rows.append((label(setting), what, million, billion, f"{network['latency_ms']:.1f}", speed))
    header = (
        "network",
        "input",
        "parameters [million]",
        "multiply–adds [10⁹]",
        "one alone [ms]",
        "in batches [1/s]",
    )
    return Table(header, tuple(rows))


def training_table(results: Results) -> Table:
    rows = []
    for name in methods_of(results):
        run = results["cost"]["training"].get(name)
        if run:
            machine = run["machine"]
            where = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
            seed = name.rpartition(".")[2]
            minutes, speed = f"{run['seconds'] / 60:.1f}", f"{run['items_per_second']:.1f}"
            rows.append(
                (
                    label(setting_of(name)),
                    seed,
                    f"{run['steps']:,}",
                    f"{run['items']:,}",
                    minutes,
                    speed,
                    where,
                )
            )
    header = ("run", "seed", "steps", "pictures or windows", "minutes", "a second", "machine")
    return Table(header, tuple(rows))


def data_table(results: Results) -> Table:
    counts = results["data"]["counts"]
    rows = [(name, *(f"{counts[name][key]:,}" for key in ("subjects", "files", "frames"))) for name in
            ("train", "validation", "test") if name in counts]  # fmt: skip
    return Table(("split", "subjects", "files", "frames"), tuple(rows))


def claims_table(claims: list[Claim]) -> Table:
    header = ("claim", "from", "command", "theirs", "ours", "tolerance", "verdict")
    return Table(header, tuple(tuple(claim) for claim in claims))


def deviations_table(deviations: list[dict[str, Any]]) -> Table:
    keys = ("topic", "paper", "code", "ours", "effect")
    header = ("topic", "paper", "released code", "here", "effect")
    return Table(
        header, tuple(tuple((row[key] or "").replace("`", "") for key in keys) for row in deviations)
    )
