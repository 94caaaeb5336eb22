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


def backbone_pairs(results: Results, kind: str) -> list[tuple[str, str]]:
    """(first, other) settings of a kind ("frame", "temporal") that differ in the backbone only."""
    pairs = [(c["first"], c["second"]) for c in results["comparisons"]]
    return [(a, b) for a, b in pairs if a.startswith(f"{kind}/") and b.startswith(f"{kind}/")]


def counts_lower(comparison: dict[str, Any], unit: Literal["subjects", "runs"]) -> tuple[int, int]:
    """For how many subjects or runs the second method's angle error is lower, and of how many."""
    differences = comparison[unit][ANGLE]
    return sum(value < 0 for value in differences), len(differences)


def training_seconds(results: Results, setting: str) -> float:
    """Mean over runs; of a refined network with the frame network that it refines."""
    runs = results["cost"]["training"]
    own = [run["seconds"] for name, run in runs.items() if name.rpartition(".")[0] == setting]
    frame = f"frame/{setting.rpartition('.')[2]}" if setting.startswith("temporal/") else None
    return sum(own) / len(own) + (training_seconds(results, frame) if frame else 0.0)


def name_data(results: Results) -> str:
    return "synthetic data" if results["synthetic"] else "BMLmovi"


def is_smoke(results: Results) -> bool:
    return results["profile"]["name"] == "smoke"


def name_backbone(setting: str) -> str:
    """The backbone's label without its refiner."""
    return label(setting).partition(" + ")[0]
