"""What results.json means in words: the answer, what to keep in mind, claims with verdicts.

No number is typed. Sentences are chosen by intervals: an effect counts where its 95 % interval leaves out 0.
"""

from typing import Any, Literal, NamedTuple

from d3ke_lib.experiment.evaluation.evaluate import MEAN_POSE
from d3ke_lib.experiment.report.method_names import label, settings_of
from d3ke_lib.experiment.run.config import PROFILES

ANGLE = "angle_mae_deg"
VIDEO_HZ = 30.0  # BMLmovi's videos: what "video framerate" has to reach
MANY = 20  # subjects from which a percentile bootstrap's interval is about as wide as it should be
Results = dict[str, Any]
Sign = Literal["lower", "higher", "unclear"]


class Claim(NamedTuple):
    """A row of the claims table; `theirs` or `ours` is empty where there is no number."""

    claim: str
    source: str
    command: str
    theirs: str
    ours: str
    tolerance: str
    verdict: str


def sign(effect: dict[str, float]) -> Sign:
    """Whether an interval lies below 0, above it, or holds it."""
    return "lower" if effect["high"] < 0 else "higher" if effect["low"] > 0 else "unclear"


def degrees(value: float, plus: bool = False) -> str:
    return f"{value:+.2f}°".replace("-", "−") if plus else f"{value:.2f}°"


def interval(effect: dict[str, float]) -> str:
    return f"{degrees(effect['low'], True)} to {degrees(effect['high'], True)}"


def plain(setting: str) -> str:
    """The backbone's label alone."""
    return label(setting).partition(" + ")[0]


def comparison(results: Results, first: str, second: str, metric: str = ANGLE) -> dict[str, float] | None:
    """mean, low, high, p, n of second − first; None where the two were not compared."""
    found = [c for c in results["comparisons"] if (c["first"], c["second"]) == (first, second)]
    return found[0]["metrics"][metric] if found else None


def mean_of(results: Results, setting: str, metric: str = ANGLE) -> float:
    return results["settings"][setting]["summary"][metric]["mean"]


def backbone_pairs(results: Results, kind: str) -> list[tuple[str, str]]:
    """(first, other) settings of a kind ("frame", "temporal") that differ in the backbone only."""
    pairs = [(c["first"], c["second"]) for c in results["comparisons"]]
    return [(a, b) for a, b in pairs if a.startswith(f"{kind}/") and b.startswith(f"{kind}/")]


# --- sentences ---------------------------------------------------------------------------------------------


def question(results: Results) -> str:
    first, other = (label(f"frame/{name}") for name in results["profile"]["backbones"][:2])
    return f"D3KE reads joint angles from one picture with a {first}. Is it better with a {other}?"


def answer(results: Results) -> str:
    """One sentence: verdict, effect, interval, subjects, and what the data are."""
    pairs = backbone_pairs(results, "frame")
    if not pairs:
        return "Only one backbone was trained: the question stays open."
    (first, second), effect = pairs[0], comparison(results, *pairs[0])
    small, large, change = label(first), label(second), effect["mean"]
    plain_words = f"{large} − {small} is {degrees(change, True)}"
    verdict = {
        "lower": f"yes: {large} makes {degrees(-change)} less angle error than {small}",
        "higher": f"no: {large} makes {degrees(change)} more angle error than {small}",
        "unclear": f"no difference was shown: {plain_words}",
    }[sign(effect)]
    verdict = plain_words if is_smoke(results) else verdict
    against = f"{degrees(mean_of(results, second))} against {degrees(mean_of(results, first))}"
    holds = ", which holds 0" if sign(effect) == "unclear" else ""
    runs = len(results["profile"]["seeds"])
    trained = "one training run of each" if runs == 1 else f"{runs} training runs of each"
    numbers = f"{against}; 95 % interval {interval(effect)}{holds}; {effect['n']} test subjects, {trained}"
    return f"{_preface(results)}n {pictures(results)}, {verdict} ({numbers}){_refined(results)}."


def pictures(results: Results) -> str:
    return "synthetic data" if results["synthetic"] else "BMLmovi"


def _preface(results: Results) -> str:
    return "A test of the path, whose numbers mean nothing: o" if is_smoke(results) else "O"


def is_smoke(results: Results) -> bool:
    return results["profile"]["name"] == "smoke"


def _refined(results: Results) -> str:
    pairs = backbone_pairs(results, "temporal")
    if not pairs:
        return ""
    effect = comparison(results, *pairs[0])
    refiner = pairs[0][0].partition("/")[2].partition(".")[0]
    return f", and after the {refiner} the difference is {degrees(effect['mean'], True)} ({interval(effect)})"


def caveats(results: Results) -> list[str]:
    """What to keep in mind, one sentence each."""
    profile, seeds = results["profile"], len(results["profile"]["seeds"])
    frame, subjects = profile["frame"], len(results["subjects"])
    budget = f"{frame['images']:,} pictures" if frame["images"] else f"{frame['epochs']} epochs"
    start = "random weights" if frame["weights"] is None else f"weights from {frame['weights']}"
    found = [
        f"All people are rendered. The networks started from {start} and saw {budget} of {frame['px']} px; "
        "nothing here confirms or refutes the paper's numbers on recordings of people.",
        "One run of each: how much runs differ is not known and may exceed what the backbones differ."
        if seeds == 1
        else f"{seeds} runs of each; intervals are over subjects, for the mean of the runs. "
        + _by_run(results),
    ]
    if {"resnext50_32x4d", "resnext101_32x8d"} <= set(profile["backbones"]):
        found.append(
            "ResNeXt-101 32×8d is deeper than ResNeXt-50 32×4d and its groups are twice as wide: the "
            "comparison cannot tell depth from width."
        )
    if subjects < MANY:
        found.append(
            f"With {subjects} test subjects a bootstrap interval is too narrow: true 95 % would be wider."
        )
    return found + reading(results)


def _by_run(results: Results) -> str:
    """What the runs differ by, and the backbones in each: the spread that no interval shows."""
    found = []
    for first, second in backbone_pairs(results, "frame")[:1] + backbone_pairs(results, "temporal")[:1]:
        one, other = (results["settings"][setting]["seeds"][ANGLE] for setting in (first, second))
        changes = ", ".join(degrees(b - a, True) for a, b in zip(one, other, strict=True))
        spread = max(max(values) - min(values) for values in (one, other))
        found.append(
            f"{label(second)} − {label(first)} by run: {changes}, where runs of one of them differ by up to "
            f"{degrees(spread)}."
        )
    return " ".join(found)


def reading(results: Results) -> list[str]:
    """Whether the networks are better than always giving the mean pose: if not, a comparison means little."""
    said = []
    for setting in settings_of(results):
        effect = comparison(results, MEAN_POSE, setting)
        if effect:
            constant, verdict = mean_of(results, MEAN_POSE), sign(effect)
            words = {
                "lower": "is better than",
                "higher": "is worse than",
                "unclear": "is not shown to be better than",
            }
            numbers = f"{degrees(mean_of(results, setting))} against {degrees(constant)}"
            said.append(f"{label(setting)} {words[verdict]} always answering with the mean pose ({numbers}).")
            said += _sizes(results, setting)
    return said


def _sizes(results: Results, setting: str) -> list[str]:
    """A network may read poses and not sizes: said where its scale factors are worse than the mean ones."""
    effect = comparison(results, MEAN_POSE, setting, "scale_sum")
    if sign(effect) != "higher":
        return []
    ours, constant = (mean_of(results, one, "scale_sum") for one in (setting, MEAN_POSE))
    return [
        f"Body sizes are not learnt by {label(setting)}: its scale factors are further from the truth than "
        f"the mean ones ({ours:.3f} against {constant:.3f}, summed over three axes)."
    ]


# --- claims -------------------------------------------------------------------------------------------------


def claims(results: Results, paper: list[dict[str, str]]) -> list[Claim]:
    """What can be checked here, then the paper's numbers, which need gated data."""
    gated = "not reproducible here: the recordings need registration"
    quoted = [Claim(row["claim"], row["source"], "", row["value"], "", "", gated) for row in paper]
    checked = _backbone_claims(results) + _refiner_claims(results) + _gap_claims(results)
    return [*checked, _speed(results), *quoted]


def command(results: Results) -> str:
    """What to call for these results."""
    name, seeds = results["profile"]["name"], results["profile"]["seeds"]
    usual = PROFILES[name].seeds if name in PROFILES else (0,)
    chosen = "" if tuple(seeds) == usual else f' SEEDS="{" ".join(map(str, seeds))}"'
    return f"make reproduce P={name}{chosen}"


def _checked(results: Results, text: str, source: str, effect: dict[str, float], wanted: Sign) -> Claim:
    """Confirmed where the interval lies on the wanted side of 0, refuted on the other, else not shown."""
    found = sign(effect)
    verdict = "not shown" if found == "unclear" else "confirmed" if found == wanted else "refuted"
    count = len(results["profile"]["seeds"])
    runs = "one run of each" if count == 1 else f"the mean of {count} runs"
    verdict = "none: a smoke run" if is_smoke(results) else f"{verdict} for {runs}, on {pictures(results)}"
    ours = f"{degrees(effect['mean'], True)} ({interval(effect)})"
    side = "below" if wanted == "lower" else "above"
    return Claim(text, source, command(results), "", ours, f"95 % interval {side} 0", verdict)


def _backbone_claims(results: Results) -> list[Claim]:
    rows = []
    for kind, where in (("frame", ""), ("temporal", ", refined over time")):
        for first, second in backbone_pairs(results, kind)[:1]:
            large, small = plain(second), plain(first)
            text = f"{large} has a smaller angle error than {small}"
            effect = comparison(results, first, second)
            rows.append(_checked(results, text + where, "a student blog's proposal", effect, "lower"))
    return rows


def _refiner_claims(results: Results) -> list[Claim]:
    rows = []
    for setting in settings_of(results):
        if setting.startswith("temporal/"):
            frame = f"frame/{setting.rpartition('.')[2]}"
            text = f"A temporal network lowers the angle error ({label(setting)})"
            rows.append(
                _checked(results, text, "D3KE's second step", comparison(results, frame, setting), "lower")
            )
    return rows


def _gap_claims(results: Results) -> list[Claim]:
    rows = []
    for setting, found in results["overfitting"].items():
        if found["difference"]:
            text = f"{label(setting)} overfits more: its error grows more from people seen to people not seen"
            rows.append(_checked(results, text, "asked here", found["difference"], "higher"))
    return rows


def _speed(results: Results) -> Claim:
    setting = f"frame/{results['profile']['backbones'][0]}"
    network, machine = results["cost"]["networks"][setting], results["machine"]
    rate = network["images_per_second"]
    ours = f"{rate:.0f} frames/s at {network['px']} px on {machine['gpu'] or machine['processor']}"
    enough = "confirmed" if rate >= VIDEO_HZ else "refuted"
    limits = "" if network["px"] == 256 else f", at {network['px']} px only"
    return Claim(
        "The frame network keeps up with video (the paper gives no number)",
        "paper, abstract",
        command(results),
        "",
        ours,
        f"at least {VIDEO_HZ:.0f} frames/s, crops given",
        "none: a smoke run" if is_smoke(results) else enough + limits,
    )


# --- conclusion -----------------------------------------------------------------------------------------


def conclusion(results: Results) -> list[str]:
    """The answer, what it costs, what the temporal network adds, and what stays open."""
    said = [answer(results)]
    networks, names = results["cost"]["networks"], results["profile"]["backbones"]
    if len(names) > 1:
        small, large = (networks[f"frame/{name}"] for name in names[:2])
        more = {key: large[key] / small[key] for key in ("parameters", "multiply_adds")}
        slower = small["images_per_second"] / large["images_per_second"]
        said.append(
            f"{label(f'frame/{names[1]}')} has {more['parameters']:.1f} times the parameters of "
            f"{label(f'frame/{names[0]}')}; a picture takes {more['multiply_adds']:.1f} times the operations "
            f"and {slower:.1f} times the time."
        )
    for setting in settings_of(results):
        effect = comparison(results, f"frame/{setting.rpartition('.')[2]}", setting)
        if setting.startswith("temporal/") and effect:
            words = {"lower": "lowers", "higher": "raises", "unclear": "does not clearly change"}[
                sign(effect)
            ]
            numbers = f"{degrees(effect['mean'], True)}, {interval(effect)}"
            said.append(f"The temporal network {words} the angle error of {plain(setting)} ({numbers}).")
    said.append(
        "Whether any of this holds for recordings of people is open: the data need registration. "
        "The same code and commands would answer it."
    )
    return said
