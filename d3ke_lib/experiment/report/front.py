"""The practical answer: which networks no other one beats in both training cost and error."""

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from d3ke_lib.experiment.report import plots
from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Effect,
    Results,
    degrees,
    estimate_of,
    frame_of,
    training_seconds,
)
from d3ke_lib.experiment.report.method_names import EQUAL_COMPUTE, MULTI_STEP, label, settings_of


class _Option(NamedTuple):
    """A network that one could train; minutes and error are None where it was not."""

    setting: str
    minutes: float | None
    error: Effect | None

    @property
    def name(self) -> str:
        return label(self.setting)


def list_options(results: Results) -> list[_Option]:
    """Both backbones alone and refined, the first with equal compute, and multi-step: trained or not."""
    profile = results["profile"]
    first, refiner = profile["backbones"][0], profile["refiners"][0]
    networks = [first, f"{first}@{EQUAL_COMPUTE}", *profile["backbones"][1:2], f"{first}@{MULTI_STEP}"]
    settings = [s for network in networks for s in (f"frame/{network}", f"temporal/{refiner}.{network}")]
    return [_describe(results, setting) for setting in settings]


def _describe(results: Results, setting: str) -> _Option:
    if setting not in results["settings"]:
        return _Option(setting, None, None)
    seconds = training_seconds(results, setting, cost_of(results)[0])
    return _Option(setting, seconds and seconds / 60, estimate_of(results, setting, ANGLE))


def cost_of(results: Results) -> tuple[str, str]:
    """What training is measured in, and its unit: core-seconds where every run states them."""
    stated = all(run.get("core_seconds") for run in results["cost"]["training"].values())
    return ("core_seconds", "core-minutes") if stated else ("seconds", "minutes")


def find_front(options: list[_Option]) -> list[_Option]:
    """Those trained of which no other costs as little and has a lower mean error, the cheapest first."""
    trained = sorted((each for each in options if each.error), key=lambda each: each.minutes)
    front: list[_Option] = []
    for each in trained:
        if not front or each.error["mean"] < front[-1].error["mean"]:
            front.append(each)
    return front


def say_front(results: Results) -> str:
    """One sentence: what is worth its training, what is not, and what was not trained."""
    options, unit = list_options(results), cost_of(results)[1]
    front = find_front(options)
    if not front:
        return "No network was trained."
    told = (f"{each.name} ({each.minutes:.0f} {unit}, {degrees(each.error['mean'])})" for each in front)
    others, missing = [each.name for each in options if each.error and each not in front], _missing(options)
    said = f"By mean error and {unit} of training, nothing trained here beats {'; '.join(told)}"
    said += f"; beaten in both: {'; '.join(others)}" if others else ""
    return said + (f"; not trained: {'; '.join(missing)}." if missing else ".")


def _missing(options: list[_Option]) -> list[str]:
    """What was not trained; refinements only of networks that were."""
    trained = {each.setting for each in options if each.error}
    absent = [each for each in options if not each.error]
    return [o.name for o in absent if o.setting.startswith("frame/") or frame_of(o.setting) in trained]


def draw_front(results: Results, note: str) -> tuple[Figure, pd.DataFrame]:
    """The options' errors over their cost, those of the front joined; what was not trained in the note."""
    options, unit = list_options(results), cost_of(results)[1]
    front, missing = find_front(options), _missing(options)
    rows = [
        {
            "method": each.name,
            "cost": each.minutes,
            **_interval(results, each.setting),
            "front": each in front,
        }
        for each in options
        if each.error
    ]
    note += f" · not trained: {'; '.join(missing)}" if missing else ""
    table = pd.DataFrame(rows)
    drawn = plots.accuracy_against_cost(table, f"training [{unit}]", "°", note, "What training buys")
    return drawn, table


def draw_latency(results: Results, note: str) -> tuple[Figure, pd.DataFrame]:
    """Errors over the time per frame in batches, of every network whose time was measured."""
    networks = results["cost"]["networks"]
    rows = [
        {"method": label(setting), **_sum_costs(networks, setting), **_interval(results, setting)}
        for setting in settings_of(results)
        if setting in networks and (setting.startswith("frame/") or frame_of(setting) in networks)
    ]
    table = pd.DataFrame(rows)
    drawn = plots.accuracy_against_cost(table, "time per frame [ms]", "°", note, "Accuracy against cost")
    return drawn, table


def _sum_costs(networks: dict[str, dict[str, Any]], setting: str) -> dict[str, float]:
    """Of a frame network, or of a temporal one and the frame network that it refines."""
    refined = setting.startswith("temporal/")
    frame, own = networks[frame_of(setting) if refined else setting], networks[setting]
    total = {key: frame[key] + refined * own[key] for key in ("parameters", "multiply_adds")}
    return {"cost": 1e3 / frame["images_per_second"] + refined * own["latency_ms"], **total}


def _interval(results: Results, setting: str) -> dict[str, float]:
    found = estimate_of(results, setting, ANGLE)
    return {key: found[key] for key in ("mean", "low", "high")}
