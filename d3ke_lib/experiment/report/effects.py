"""Effects in results.json and how they are written: differences of errors with their intervals, as text."""

from typing import Any, Literal

from d3ke_lib.experiment.report.method_names import label

ANGLE = "angle_mae_deg"
Results = dict[str, Any]
Effect = dict[str, Any]  # mean, low, high, …: evaluation.stats.Estimate
Sign = Literal["lower", "higher", "unclear"]


def sign(effect: Effect) -> Sign:
    """Whether an interval lies below 0, above it, or contains it."""
    return "lower" if effect["high"] < 0 else "higher" if effect["low"] > 0 else "unclear"


def degrees(value: float, plus: bool = False) -> str:
    return f"{value:+.2f}°".replace("-", "−") if plus else f"{value:.2f}°"


def interval(effect: Effect) -> str:
    return f"{degrees(effect['low'], True)} to {degrees(effect['high'], True)}"


def find_comparison(results: Results, first: str, second: str) -> dict[str, Any] | None:
    """The entry of `comparisons`; None where the two were not compared."""
    return next((c for c in results["comparisons"] if (c["first"], c["second"]) == (first, second)), None)


def effect_of(results: Results, first: str, second: str, metric: str = ANGLE) -> Effect | None:
    """The estimate of second − first; None where the two were not compared."""
    found = find_comparison(results, first, second)
    return found["metrics"][metric] if found else None


def mean_of(results: Results, setting: str, metric: str = ANGLE) -> float:
    return results["settings"][setting]["summary"][metric]["mean"]


def estimate_of(results: Results, setting: str, metric: str, condition: str | None = None) -> Effect | None:
    """A setting's estimate over all test frames or those of a condition; None where it was not computed."""
    found = results["settings"].get(setting, {"summary": {}})
    if condition:
        return found.get("conditions", {}).get(condition, {}).get(metric)
    return found["summary"].get(metric)


def condition_effect(results: Results, first: str, second: str, condition: str) -> Effect | None:
    """The estimate of second − first of the angle error in a condition; None where there is none."""
    found = find_comparison(results, first, second)
    return found.get("conditions", {}).get(condition, {}).get(ANGLE) if found else None


def count_runs(results: Results, setting: str) -> int:
    """How often the setting was trained; 1 for a reference, 0 for one that was not trained."""
    found = results["settings"].get(setting)
    return len(found["seeds"][ANGLE]) if found else 0


def backbone_pairs(results: Results, kind: str) -> list[tuple[str, str]]:
    """(first, other) settings of a kind ("frame", "temporal") that differ in the backbone only."""
    pairs = [(c["first"], c["second"]) for c in results["comparisons"]]
    return [(a, b) for a, b in pairs if a.startswith(f"{kind}/") and b.startswith(f"{kind}/")]


def counts_lower(comparison: dict[str, Any], unit: Literal["subjects", "runs"]) -> tuple[int, int]:
    """For how many subjects or runs the second method's angle error is lower, and of how many."""
    differences = comparison[unit][ANGLE]
    return sum(value < 0 for value in differences), len(differences)


def training_seconds(results: Results, setting: str, key: str = "seconds") -> float | None:
    """Mean over runs; of a refined network with the frame network that it refines; None: not recorded.

    key: seconds of the clock, or core_seconds of all processors together.
    """
    runs = results["cost"]["training"]
    own = [run.get(key) for name, run in runs.items() if name.rpartition(".")[0] == setting]
    if not own or None in own:
        return None
    if not setting.startswith("temporal/"):
        return sum(own) / len(own)
    frame = training_seconds(results, frame_of(setting), key)
    return None if frame is None else sum(own) / len(own) + frame


def frame_of(setting: str) -> str:
    """The frame network that a temporal setting refines."""
    return f"frame/{setting.rpartition('.')[2]}"


def milliseconds(results: Results, setting: str) -> float | None:
    """Of one image by itself (for a refined network with its window); None for a reference."""
    networks = results["cost"]["networks"]
    if setting not in networks:
        return None
    own = networks[setting]["latency_ms"]
    return own + milliseconds(results, frame_of(setting)) if setting.startswith("temporal/") else own


def name_data(results: Results) -> str:
    return "synthetic data" if results["synthetic"] else "BMLmovi"


def is_smoke(results: Results) -> bool:
    return results["profile"]["name"] == "smoke"


def name_backbone(setting: str) -> str:
    """The backbone's label without its refiner."""
    return label(setting).partition(" + ")[0]
