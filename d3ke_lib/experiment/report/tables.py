"""The report's tables from results.json, as text cells; written as Markdown or HTML."""

import html
from collections.abc import Mapping
from typing import Any, NamedTuple

from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.report.claims import Claim
from d3ke_lib.experiment.report.effects import ANGLE, Results, counts_lower, mean_of
from d3ke_lib.experiment.report.method_names import label, methods_of, setting_of, settings_of

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
    """Settings by metrics, mean [95 % interval over subjects and runs]; skill: 1 − MAE / MAE(mean pose)."""
    rows, constant = [], mean_of(results, MEAN_POSE)
    for setting in settings_of(results):
        summary = results["settings"][setting]["summary"]
        cells = [bracketed(summary[name], digits) for name, (_, digits) in METRICS.items()]
        skill = f"{100 * (1 - summary[ANGLE]['mean'] / constant):.0f} %".replace("-", "−")
        rows.append((label(setting), cells[0], skill, *cells[1:]))
    titles = [title for title, _ in METRICS.values()]
    return Table(("method", titles[0], "skill", *titles[1:]), tuple(rows))


def seeds_table(results: Results) -> Table | None:
    """The angle error of every run, where there are several of a setting."""
    seeds = [str(seed) for seed in results["profile"]["seeds"]]
    if len(seeds) < 2:
        return None
    values = {name: results["settings"][name]["seeds"][ANGLE] for name in settings_of(results)}
    rows = tuple(
        (label(name), *(f"{value:.2f}" for value in runs)) for name, runs in values.items() if len(runs) > 1
    )
    return Table(("angle MAE [°]", *(f"seed {seed}" for seed in seeds)), rows)


def comparisons_table(results: Results, skip: str | None = None) -> Table:
    """second − first, paired by subject; the two parts of the standard error; how often it is below 0.

    Comparisons with `skip` are left out.
    """
    shown, rows = (ANGLE, "mpblpe_mm", "mpjpe_mm"), []
    for found in (each for each in results["comparisons"] if each["first"] != skip):
        effects = {name: found["metrics"][name] for name in shown}
        cells = (bracketed(effects[name], METRICS[name][1], "+") for name in shown)
        parts = (effects[ANGLE][key] for key in ("se_subjects", "se_runs"))
        errors = " / ".join("–" if part is None else f"{part:.3f}" for part in parts)
        counts = (counts_lower(found, unit) for unit in ("subjects", "runs"))
        often = (f"{lower} of {total}" for lower, total in counts)
        names = (
            f"({name})" if " + " in name else name for name in (label(found["second"]), label(found["first"]))
        )
        rows.append((" − ".join(names), *cells, errors, *often))
    titles = [METRICS[name][0] for name in shown]
    header = ("difference", *titles, "SE of the angle MAE: subjects / runs", "lower: subjects", "lower: runs")
    return Table(header, tuple(rows))


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
    return Table(("angle MAE [°]", "training subjects", "unseen subjects", "gap"), tuple(rows))


def networks_table(results: Results) -> Table:
    rows = []
    for setting in settings_of(results):
        network = results["cost"]["networks"].get(setting)
        if network:
            what = (
                f"image of {network['px']} px" if "px" in network else f"window of {network['window']} frames"
            )
            speed = f"{network['images_per_second']:.0f}" if "images_per_second" in network else ""
            million, billion = f"{network['parameters'] / 1e6:.1f}", f"{network['multiply_adds'] / 1e9:.2f}"
            rows.append((label(setting), what, million, billion, f"{network['latency_ms']:.1f}", speed))
    header = (
        "network",
        "input",
        "parameters [million]",
        "multiply–adds [10⁹]",
        "latency of one [ms]",
        "throughput [1/s]",
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
    header = ("run", "seed", "steps", "images or windows", "minutes", "per second", "machine")
    return Table(header, tuple(rows))


def data_table(results: Results) -> Table:
    counts = results["data"]["counts"]
    rows = [(name, *(f"{counts[name][key]:,}" for key in ("subjects", "files", "frames"))) for name in
            ("train", "validation", "test") if name in counts]  # fmt: skip
    return Table(("split", "subjects", "files", "frames"), tuple(rows))


def claims_table(claims: list[Claim]) -> Table:
    header = ("claim", "verdict", "ours", "published", "supported if", "source", "command")
    return Table(header, tuple(tuple(claim) for claim in claims))


def deviations_table(deviations: list[dict[str, Any]]) -> Table:
    keys = ("topic", "paper", "code", "ours", "effect")
    header = ("topic", "paper", "released code", "here", "effect")
    return Table(
        header, tuple(tuple((row[key] or "").replace("`", "") for key in keys) for row in deviations)
    )
