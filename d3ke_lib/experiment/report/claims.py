"""Claims, each with a verdict from its interval: supported, contradicted, undecided or not testable here.

A claim that an error is lower means: by MARGIN or more. It is supported where the interval over subjects and
runs lies below 0 and its mean at or below −MARGIN, contradicted where the interval excludes −MARGIN.
Fewer than LEAST_RUNS runs per network decide nothing: how often it was seen is all that they can say.
"""

from typing import Any, NamedTuple

from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Effect,
    Results,
    backbone_pairs,
    degrees,
    find_comparison,
    interval,
    is_smoke,
    name_backbone,
    name_data,
)
from d3ke_lib.experiment.report.method_names import SHORT, label, settings_of
from d3ke_lib.experiment.run.config import PROFILES

MARGIN_DEG = 0.2
LEAST_RUNS = 3
VIDEO_HZ, _VIDEO_PX = 30.0, 256  # BMLmovi's videos, the paper's crops
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTABLE = "not testable here"


class Claim(NamedTuple):
    """A row of the claims table; `published` or `ours` is empty where there is no number."""

    claim: str
    verdict: str
    ours: str
    published: str
    criterion: str
    source: str
    command: str


def list_claims(
    results: Results, paper: list[dict[str, str]], frame_rates: dict[str, Any] | None
) -> list[Claim]:
    """What these results say, then the published numbers; frame_rates: data/results/frame_rate.json."""
    checked = _backbone_claims(results) + _refiner_claims(results) + _overfitting_claims(results)
    return [*checked, *_speed_claims(results, frame_rates), *(_quote(results, row) for row in paper)]


def command(results: Results) -> str:
    """What to call for these results."""
    name, seeds = results["profile"]["name"], results["profile"]["seeds"]
    if name == "study":
        return "make study"
    usual = PROFILES[name].seeds if name in PROFILES else (0,)
    chosen = "" if tuple(seeds) == usual else f' SEEDS="{" ".join(map(str, seeds))}"'
    return f"make reproduce P={name}{chosen}"


def decide(effect: Effect, runs: list[float]) -> str:
    """The verdict on "lower by MARGIN_DEG or more"; runs: the difference in each."""
    if len(runs) < LEAST_RUNS:
        return f"{UNDECIDED}; lower in {sum(run < 0 for run in runs)} of {len(runs)} runs"
    if effect["high"] < 0 and effect["mean"] <= -MARGIN_DEG:
        return SUPPORTED
    return CONTRADICTED if effect["low"] > -MARGIN_DEG else UNDECIDED


def _check(results: Results, text: str, source: str, first: str, second: str) -> Claim:
    found = find_comparison(results, first, second)
    effect, runs = found["metrics"][ANGLE], found["runs"][ANGLE]
    verdict = "none: a smoke run" if is_smoke(results) else f"{decide(effect, runs)} ({name_data(results)})"
    ours = f"{degrees(effect['mean'], True)} ({interval(effect)})"
    criterion = f"lower by {MARGIN_DEG}° or more, {LEAST_RUNS} runs or more"
    return Claim(text, verdict, ours, "", criterion, source, command(results))


def _backbone_claims(results: Results) -> list[Claim]:
    rows = []
    for kind, where in (("frame", ""), ("temporal", ", both refined over time")):
        for first, second in backbone_pairs(results, kind)[:1]:
            text = f"{name_backbone(second)} has a lower angle error than {name_backbone(first)}{where}"
            rows.append(_check(results, text, "a student blog's proposal", first, second))
    return rows


def _refiner_claims(results: Results) -> list[Claim]:
    rows = []
    for setting in settings_of(results):
        if setting.startswith("temporal/"):
            frame = f"frame/{setting.rpartition('.')[2]}"
            text = f"A temporal network lowers the angle error ({label(setting)})"
            rows.append(_check(results, text, "D3KE's second step", frame, setting))
    return rows


def _overfitting_claims(results: Results) -> list[Claim]:
    rows, epochs = [], count_epochs(results)
    for setting, found in results["overfitting"].items():
        if not (effect := found["difference"]):
            continue
        text = f"{label(setting)} overfits more: its error grows more from training to unseen subjects"
        ours = f"{degrees(effect['mean'], True)} ({interval(effect)})"
        if is_smoke(results):
            verdict = "none: a smoke run"
        elif epochs <= 1:
            verdict, ours = f"{NOT_TESTABLE}: {epochs:.1f} epochs, no frame was seen twice", ""
        else:
            less = {"mean": -effect["mean"], "low": -effect["high"], "high": -effect["low"]}
            verdict = decide(less, [-run for run in found["runs"]]).replace("lower", "higher")
        criterion = f"higher by {MARGIN_DEG}° or more, {LEAST_RUNS} runs or more"
        rows.append(Claim(text, verdict, ours, "", criterion, "asked here", command(results)))
    return rows


def count_epochs(results: Results) -> float:
    """How often the first frame network saw each of its training frames."""
    name = f"frame/{results['profile']['backbones'][0]}.{results['profile']['seeds'][0]}"
    frames = results["data"]["counts"]["train"]["frames"] / results["profile"]["frame"]["every"]
    return results["cost"]["training"][name]["items"] / frames


def _speed_claims(results: Results, frame_rates: dict[str, Any] | None) -> list[Claim]:
    """One image at a time, at the paper's size: scripts/bench_frame_rate.py; too slow counts when quiet."""
    rows, limit = (
        [],
        f"at least {VIDEO_HZ:.0f} frames/s at {_VIDEO_PX} px: decoding, crop, networks",
    )
    names = dict.fromkeys(name.partition("@")[0] for name in results["profile"]["backbones"])
    for name in [each for each in names if each in SHORT] or names:
        text = f"{SHORT.get(name, name)} keeps up with video (paper: no number)"
        verdict, ours = _decide_rate(name, frame_rates)
        call = "python scripts/bench_frame_rate.py"
        rows.append(Claim(text, verdict, ours, "", limit, "paper, abstract", call))
    return rows


def _decide_rate(backbone: str, frame_rates: dict[str, Any] | None) -> tuple[str, str]:
    """Verdict and number of one backbone, by the faster precision; without the whole path only "too slow"."""
    found = frame_rates["rows"] if frame_rates else []
    rows = [row for row in found if row["backbone"] == backbone and row["px"] == _VIDEO_PX]
    if not rows:
        return f"{UNDECIDED}: not measured at {_VIDEO_PX} px", ""
    kind = "whole" if all("whole_per_second" in row for row in rows) else "network"
    rate, machine = max(row[f"{kind}_per_second"] for row in rows), frame_rates["machine"]
    where = machine["gpu"] or f"{machine['cores']} cores, {machine['processor']}"
    slow = CONTRADICTED if frame_rates["quiet"] else f"{UNDECIDED}: loaded machine"
    fast = SUPPORTED if kind == "whole" else f"{UNDECIDED}: whole path not measured"
    alone = "" if kind == "whole" else ", network alone"
    return f"{fast if rate >= VIDEO_HZ else slow} ({where})", f"{rate:.1f} frames/s at {_VIDEO_PX} px{alone}"


def _quote(results: Results, row: dict[str, str]) -> Claim:
    """A published number, with ours where the same data and the same kind of method were used."""
    setting = next((one for one in settings_of(results) if one.startswith(row.get("kind", "none/"))), None)
    lacking = None if row["data"] == name_data(results) else f"needs {row['data']}"
    if lacking or setting is None:
        verdict = f"{NOT_TESTABLE}: {lacking or 'no such method was run'}"
        return Claim(row["claim"], verdict, "", row["value"], "", row["source"], "")
    found, published = results["settings"][setting]["summary"][ANGLE], float(row["value"].rstrip("°"))
    ours = f"{degrees(found['mean'])} ({degrees(found['low'])} to {degrees(found['high'])}), {label(setting)}"
    verdict = _decide_value(found, published, len(results["profile"]["seeds"]))
    criterion = f"within {MARGIN_DEG}°, {LEAST_RUNS} runs or more"
    return Claim(row["claim"], verdict, ours, row["value"], criterion, row["source"], command(results))


def _decide_value(found: Effect, published: float, runs: int) -> str:
    """Supported within MARGIN_DEG of the published number, contradicted where the interval excludes that."""
    if runs < LEAST_RUNS:
        return f"{UNDECIDED}; {runs} of {LEAST_RUNS} runs"
    if abs(found["mean"] - published) <= MARGIN_DEG:
        return SUPPORTED
    excluded = found["low"] > published + MARGIN_DEG or found["high"] < published - MARGIN_DEG
    return CONTRADICTED if excluded else UNDECIDED
