"""The report's tables from results.json, as text cells; written as Markdown or HTML."""

import html
from collections.abc import Mapping
from typing import Any, NamedTuple

from d3ke_lib.experiment.evaluation.conditions import SEEN, UNSEEN
from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.report.claims import Claim
from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Results,
    count_runs,
    counts_lower,
    estimate_of,
    mean_of,
    milliseconds,
    training_seconds,
)
from d3ke_lib.experiment.report.method_names import is_reference, label, methods_of, setting_of, settings_of

METRICS = {  # what is shown, with its name and digits after the point
    ANGLE: ("angle MAE [°]", 2),
    "moving_mae_deg": ("moving coordinates [°]", 2),
    "humerus_deg": ("humerus direction [°]", 1),
    "mpblpe_mm": ("bony landmarks [mm]", 1),
    "pelvis_deg": ("pelvis rotation [°]", 1),
    "turned_percent": ("pelvis off by > 90° [% of frames]", 1),
}
_ACTIONS = (SEEN, UNSEEN)  # conditions with a column in the main table
_DETAILS = {
    "angle_rmse_deg": ("angle RMSE [°]", 2),
    "flexion_mae_deg/hip": ("hip flexion [°]", 1),
    "flexion_mae_deg/knee": ("knee flexion [°]", 1),
    "flexion_mae_deg/ankle": ("ankle flexion [°]", 1),
    "flexion_mae_deg/shoulder": ("shoulder elevation [°]", 1),
    "flexion_mae_deg/elbow": ("elbow flexion [°]", 1),
    "mpjpe_mm": ("joints [mm]", 1),
    "pa_mpjpe_mm": ("joints, aligned [mm]", 1),
    "acceleration_mps2": ("acceleration [m/s²]", 1),
    "scale_sum": ("body scale, Σ of 3 axes", 3),
    "size_percent": ("overall size [%]", 1),
    "size_sd_percent": ("its SD within a subject [%]", 1),
    "proportions_percent": ("proportions [%]", 1),
}
_NONE = "–"


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


def results_table(results: Results, settings: list[str] | None = None) -> Table:
    """Settings by the main metrics, mean [95 % interval over subjects and runs]; default: all there are.

    Skill: 1 − MAE / MAE of the mean pose. Columns that these results have nothing for are left out; a setting
    that was not trained has 0 runs.
    """
    settings = settings or settings_of(results)
    columns = {
        "runs": [_NONE if is_reference(each) else str(count_runs(results, each)) for each in settings],
        METRICS[ANGLE][0]: _cells(results, settings, ANGLE),
        "skill": [_skill(results, each) for each in settings],
        **{f"{name} [°]": _cells(results, settings, ANGLE, name) for name in _ACTIONS},
        **{METRICS[name][0]: _cells(results, settings, name) for name in METRICS if name != ANGLE},
        "training [core-min]": [_minutes(results, each) for each in settings],
        "one image [ms]": [_number(milliseconds(results, each), 0) for each in settings],
    }
    return _table("method", settings, columns)


def _skill(results: Results, setting: str) -> str:
    found = estimate_of(results, setting, ANGLE)
    if found is None:
        return _NONE
    return f"{100 * (1 - found['mean'] / mean_of(results, MEAN_POSE)):.0f} %".replace("-", "−")


def details_table(results: Results) -> Table:
    """Settings by the other metrics."""
    settings = settings_of(results)
    return _table(
        "method", settings, {title: _cells(results, settings, name) for name, (title, _) in _DETAILS.items()}
    )


def conditions_table(results: Results, metric: str = ANGLE) -> Table | None:
    """Settings by condition: one metric's mean [interval]; None where the results have no conditions."""
    if not results.get("conditions"):
        return None
    settings, title = settings_of(results), METRICS[metric][0]
    columns = {f"{name}: {title}": _cells(results, settings, metric, name) for name in results["conditions"]}
    return _table("method", settings, columns)


def _cells(results: Results, settings: list[str], metric: str, condition: str | None = None) -> list[str]:
    digits = (METRICS | _DETAILS)[metric][1]
    found = (estimate_of(results, each, metric, condition) for each in settings)
    return [bracketed(estimate, digits) if estimate else _NONE for estimate in found]


def _minutes(results: Results, setting: str) -> str:
    """Core-minutes of one run's training."""
    seconds = None if is_reference(setting) else training_seconds(results, setting, "core_seconds")
    return _number(seconds and seconds / 60, 0)


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _table(first: str, settings: list[str], columns: Mapping[str, list[str]]) -> Table:
    """Settings by columns, those without any entry left out."""
    shown = {title: cells for title, cells in columns.items() if {*cells} != {_NONE}}
    rows = zip(map(label, settings), *shown.values(), strict=True)
    return Table((first, *shown), tuple(rows))


def seeds_table(results: Results) -> Table | None:
    """The angle error of every run, where there are several of a setting."""
    values = {name: results["settings"][name]["seeds"][ANGLE] for name in settings_of(results)}
    values = {name: runs for name, runs in values.items() if len(runs) > 1}
    if not values:
        return None
    most = max(map(len, values.values()))
    rows = tuple(
        (label(name), *(f"{value:.2f}" for value in runs), *[_NONE] * (most - len(runs)))
        for name, runs in values.items()
    )
    return Table(("angle MAE [°]", *(f"run {number + 1}" for number in range(most))), rows)


def comparisons_table(results: Results, of_networks: bool = False) -> Table:
    """second − first, paired by subject; the two parts of the standard error; how often it is below 0.

    of_networks: without the comparisons with references.
    """
    shown = [each for each in results["comparisons"] if not (of_networks and is_reference(each["first"]))]
    conditions = [name for name in _ACTIONS if name in results.get("conditions", {})]
    header = (
        "difference",
        METRICS[ANGLE][0],
        *(f"{name} [°]" for name in conditions),
        METRICS["mpblpe_mm"][0],
        "SE of the angle MAE: subjects / runs",
        "lower: subjects",
        "lower: runs",
    )
    return Table(header, tuple(_comparison_row(found, conditions) for found in shown))


def _comparison_row(found: Mapping[str, Any], conditions: list[str]) -> tuple[str, ...]:
    angle, landmarks = (found["metrics"][name] for name in (ANGLE, "mpblpe_mm"))
    by_condition = (bracketed(found["conditions"][name][ANGLE], 2, "+") for name in conditions)
    errors = " / ".join(_number(angle[key], 3) for key in ("se_subjects", "se_runs"))
    often = (f"{lower} of {total}" for lower, total in (counts_lower(found, u) for u in ("subjects", "runs")))
    names = (label(found[key]) for key in ("second", "first"))
    names = (f"({name})" if " + " in name or ", " in name else name for name in names)
    cells = (bracketed(angle, 2, "+"), *by_condition, bracketed(landmarks, 1, "+"))
    return (" − ".join(names), *cells, errors, *often)


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


def published_table(rows: list[dict[str, str]]) -> Table:
    """Published figures (data/published.json), in a table of their own."""
    return Table(("who", "what", "error"), tuple((row["who"], row["what"], row["value"]) for row in rows))


def hypotheses_table(results: Results) -> Table | None:
    """The plan's hypotheses with estimate and verdict; None where the results are of no plan."""
    if "study" not in results:
        return None
    return Table(
        ("hypothesis", "verdict", "second − first [°]", "SE: subjects / runs", "lower: runs"),
        tuple(_hypothesis_row(each) for each in results["study"]["hypotheses"]),
    )


def _hypothesis_row(found: Mapping[str, Any]) -> tuple[str, ...]:
    if "estimate" not in found:
        return found["claim"], f"missing: {', '.join(map(label, found['missing'].split(', ')))}", *[_NONE] * 3
    estimate, runs = found["estimate"], found["runs"]
    errors = " / ".join(_number(estimate[key], 3) for key in ("se_subjects", "se_runs"))
    lower = f"{sum(run < 0 for run in runs)} of {len(runs)}"
    return found["claim"], found["verdict"], bracketed(estimate, 2, "+"), errors, lower
