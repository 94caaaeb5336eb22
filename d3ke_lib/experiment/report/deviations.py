"""Where paper, released code and we differ, and what it is worth: the table's cells from recorded results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d3ke_lib.experiment.report.tables import Table, bracketed
from d3ke_lib.experiment.run.artifacts import read_json

_Result = Mapping[str, Any]  # ablation.py says what is in it
_SHOWN = {
    "angle_mae_deg": ("angle MAE [°]", 2),
    "mpblpe_mm": ("bony landmarks [mm]", 1),
    "mpjpe_mm": ("joints [mm]", 1),
    "pelvis_deg": ("pelvis rotation [°]", 2),
    "scale_sum": ("body scale, Σ of 3 axes", 3),
}


def read(home: Path) -> list[dict[str, Any]]:
    """data/deviations.json of the repository `home`, its `switch`es' effects from the recorded ablation."""
    recorded = home / "data" / "results" / "ablation.json"
    result = read_json(recorded) if recorded.is_file() else None
    rows = read_json(home / "data" / "deviations.json")
    return [
        row | {"effect": effect(result, row["switch"]) if "switch" in row else row["effect"]} for row in rows
    ]


# What a switch is about, where that is not angles and landmarks.
_ABOUT = {"camera_input": (("scale_sum", "in body scale (Σ of 3 axes)"), ("mpblpe_mm", "mm in landmarks"))}
_USUAL = (("angle_mae_deg", "° in angles"), ("mpblpe_mm", "mm in landmarks"))


def effect(result: _Result | None, switch: str) -> str:
    """The difference in the two metrics it is about, its interval over seeds, and the budget behind it."""
    if result is None or switch not in result["switches"]:
        return "not measured yet"
    found = result["switches"][switch]
    parts = (
        f"{bracketed(found['metrics'][name], _SHOWN[name][1], '+')}{'' if unit[0] == '°' else ' '}{unit}"
        for name, unit in _ABOUT.get(switch, _USUAL)
    )
    return f"{found['label']}: {', '.join(parts)} ({_budget(result, found['base'])})"


def _budget(result: _Result, name: str) -> str:
    """What each run was given: 3 seeds × 4,000 images of 48 px."""
    settings, run = result["settings"], result["runs"][name]
    seeds, frame, temporal = len(settings["seeds"]), settings["frame"], settings["temporal"]
    if run["kind"] == "temporal":
        return f"{seeds} seeds × {temporal['epochs']} epochs, windows of {temporal['window']} frames"
    corrupted = f", {settings['corrupted']['share']:.0%} of limbs mislabelled" if run["corrupted"] else ""
    return f"{seeds} seeds × {frame['images']:,} images of {frame['px']} px{corrupted}"


def ablation_table(result: _Result) -> Table:
    """Every switch, paired by seed: mean difference [95 %, Student's t over seeds]."""
    rows = [
        (
            found["label"],
            *(bracketed(found["metrics"][name], digits, "+") for name, (_, digits) in _SHOWN.items()),
            _budget(result, found["base"]),
        )
        for found in result["switches"].values()
    ]
    return Table(("difference", *(title for title, _ in _SHOWN.values()), "budget"), tuple(rows))


def seeds_table(result: _Result, metric: str = "angle_mae_deg") -> Table:
    """Every run's value for every seed."""
    seeds = [str(seed) for seed in result["settings"]["seeds"]]
    rows = [
        (name, *(f"{run['seeds'][seed][metric]:.{_SHOWN[metric][1]}f}" for seed in seeds))
        for name, run in result["runs"].items()
    ]
    return Table((_SHOWN[metric][0], *(f"seed {seed}" for seed in seeds)), tuple(rows))
