"""What results.json means in words: the question, the answer, the conclusion (limits.py: what limits it).

No number is typed: every sentence is chosen by intervals and written from results.
"""

from d3ke_lib.experiment.evaluation.conditions import SEEN, UNSEEN
from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, LANDMARKS, MEDIAN_POSE
from d3ke_lib.experiment.report.claims import MARGIN_DEG, SUPPORTED, decide
from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Effect,
    Results,
    backbone_pairs,
    condition_effect,
    counts_lower,
    degrees,
    effect_of,
    estimate_of,
    find_comparison,
    frame_of,
    interval,
    is_smoke,
    mean_of,
    name_backbone,
    name_data,
    sign,
    training_seconds,
)
from d3ke_lib.experiment.report.front import cost_of
from d3ke_lib.experiment.report.method_names import EQUAL_COMPUTE, label, settings_of


def question(results: Results) -> str:
    first, other = (label(f"frame/{name}") for name in results["profile"]["backbones"][:2])
    return f"D3KE estimates joint angles from one camera with a {first}. Is it better with a {other}?"


def answer(results: Results) -> list[str]:
    """Sentences: the verdict with its numbers, equal compute, the cheaper alternative, the references."""
    pairs = backbone_pairs(results, "frame")
    if not pairs:
        return ["Only one backbone was trained: the question stays open."]
    said = [_verdict(results), _difference(results, *pairs[0]), _certainty(results, *pairs[0])]
    said += [*_equal_compute(results), *_refined(results), *_alternative(results)]
    return [*said, *_compare_with_table(results), *_unseen(results), *_bound(results)]


def _verdict(results: Results) -> str:
    """One word and whether a reference is better than all networks, or the warning of a smoke run."""
    if is_smoke(results):
        return "A test of the path, whose numbers mean nothing."
    found = find_comparison(results, *backbone_pairs(results, "frame")[0])
    verdict = decide(found["metrics"][ANGLE], found["runs"][ANGLE]).partition(";")[0]
    word = {SUPPORTED: "Yes", "contradicted": "No"}.get(verdict, "Undecided")
    better, networks = _better_than(results, ACTION_MEAN, SEEN)
    if networks and not better:
        return f"{word}, and no network beats the mean pose of the action."
    return f"{word}."


def _difference(results: Results, first: str, second: str) -> str:
    change = effect_of(results, first, second)["mean"]
    side = "lower" if change < 0 else "higher"
    key, _ = cost_of(results)
    times = training_seconds(results, second, key) / training_seconds(results, first, key)
    unit = "core-minutes" if key == "core_seconds" else "training time"
    against = f"{degrees(mean_of(results, second))} against {degrees(mean_of(results, first))}"
    return (
        f"On {name_data(results)}, with equal images and {times:.1f} times the {unit}, the angle "
        f"error of {label(second)} was {degrees(abs(change))} {side} than that of {label(first)} ({against})."
    )


def _certainty(results: Results, first: str, second: str) -> str:
    found = find_comparison(results, first, second)
    effect = found["metrics"][ANGLE]
    (runs, of_runs), (subjects, of_subjects) = (counts_lower(found, unit) for unit in ("runs", "subjects"))
    over = "subjects and runs" if of_runs > 1 else "subjects, for this one run of each,"
    holds = {"unclear": "contains 0", "lower": "lies below 0", "higher": "lies above 0"}[sign(effect)]
    return (
        f"It was lower in {runs} of {of_runs} runs and for {subjects} of {of_subjects} test subjects; the "
        f"95 % interval over {over} is {interval(effect)} and {holds}."
    )


def _equal_compute(results: Results) -> list[str]:
    """The larger backbone and the smaller one that was trained for as long."""
    for comparison in results["comparisons"]:
        first, second = comparison["first"], comparison["second"]
        if first.startswith("frame/") and first.endswith(f"@{EQUAL_COMPUTE}"):
            lower, of_runs = counts_lower(comparison, "runs")
            return [
                "With as many core-minutes for the smaller network the difference is "
                f"{_numbers(comparison['metrics'][ANGLE])}; {label(second)} was better in {lower} of "
                f"{of_runs} runs."
            ]
    return []


def _refined(results: Results) -> list[str]:
    return [
        f"After the {_refiner_of(first)} the difference is {_numbers(effect)}."
        for first, second in backbone_pairs(results, "temporal")[:1]
        if (effect := effect_of(results, first, second))
    ]


def _numbers(effect: Effect) -> str:
    return f"{degrees(effect['mean'], True)} ({interval(effect)})"


def _refiner_of(setting: str) -> str:
    return setting.partition("/")[2].partition(".")[0]


def _alternative(results: Results) -> list[str]:
    """The refined smaller backbone against the larger one alone: what each costs in training."""
    for comparison in results["comparisons"]:
        first, second = comparison["first"], comparison["second"]
        if first.startswith("temporal/") and second.startswith("frame/"):
            key, _ = cost_of(results)
            share = 100 * training_seconds(results, first, key) / training_seconds(results, second, key)
            return [
                f"{label(second)} − ({label(first)}) is {_numbers(comparison['metrics'][ANGLE])}: the "
                f"smaller network and its {_refiner_of(first)} take {share:.0f} % of the training time."
            ]
    return []


def _better_than(results: Results, reference: str, condition: str) -> tuple[list[str], list[str]]:
    """Networks whose interval lies below the reference's error, and all compared; in the condition if any."""
    found = {}
    for setting in settings_of(results):
        effect = condition_effect(results, reference, setting, condition)
        found[setting] = effect or effect_of(results, reference, setting)
    compared = {setting: effect for setting, effect in found.items() if effect}
    return [name for name, effect in compared.items() if sign(effect) == "lower"], list(compared)


def _compare_with_table(results: Results) -> list[str]:
    """Whether networks have a lower error than the mean pose of the action, which sees no image."""
    better, networks = _better_than(results, ACTION_MEAN, SEEN)
    if not networks:
        return []
    error = estimate_of(results, ACTION_MEAN, ANGLE, SEEN)
    where = "On seen actions " if error else ""
    table = degrees((error or estimate_of(results, ACTION_MEAN, ANGLE))["mean"])
    return [
        f"{_capital(where + _name_group(better, networks))} a lower error than the mean pose of the action "
        f"({table}), which is told the action and sees no image."
    ]


def _name_group(chosen: list[str], everyone: list[str]) -> str:
    """Subject and verb of a sentence on networks."""
    if not chosen:
        return "none of the networks has"
    if len(chosen) == len(everyone):
        return "every network has"
    names = (
        " and ".join(map(label, chosen)) if len(chosen) < 4 else f"{len(chosen)} of {len(everyone)} networks"
    )
    return f"only {names} {'has' if len(chosen) == 1 else 'have'}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _unseen(results: Results) -> list[str]:
    """Actions that training lacks, against the best constant."""
    error = estimate_of(results, MEDIAN_POSE, ANGLE, UNSEEN) if MEDIAN_POSE in results["settings"] else None
    better, networks = _better_than(results, MEDIAN_POSE, UNSEEN)
    if not (error and networks):
        return []
    return [
        f"On actions that were never trained on {_name_group(better, networks)} a lower error than the "
        f"median pose ({degrees(error['mean'])})."
    ]


def _bound(results: Results) -> list[str]:
    """What could be read from the points' true positions."""
    known = [name for name in LANDMARKS.values() if name in results["settings"]]
    if not known:
        return []
    return [
        f"From the true positions of the points in the crop, with 1 px of noise, a small network reads the "
        f"angles to {degrees(mean_of(results, known[-1]))}."
    ]


def conclusion(results: Results) -> list[str]:
    """What it costs, what the temporal network adds, and what stays open."""
    return [" ".join(answer(results)), *_costs(results), *_temporal(results), *_open(results)]


def _costs(results: Results) -> list[str]:
    networks, names = results["cost"]["networks"], results["profile"]["backbones"]
    if len(names) < 2:
        return []
    small, large = (networks[f"frame/{name}"] for name in names[:2])
    more = {key: large[key] / small[key] for key in ("parameters", "multiply_adds", "latency_ms")}
    first, second = (label(f"frame/{name}") for name in names[:2])
    return [
        f"{second} has {more['parameters']:.1f} times the parameters of {first}; an image takes "
        f"{more['multiply_adds']:.1f} times the operations and {more['latency_ms']:.1f} times the time."
    ]


def _temporal(results: Results) -> list[str]:
    said = []
    for setting in settings_of(results):
        effect = effect_of(results, frame_of(setting), setting)
        if setting.startswith("temporal/") and effect:
            landmarks = effect_of(results, frame_of(setting), setting, "mpblpe_mm")
            low, mean, high = (f"{landmarks[key]:+.1f}".replace("-", "−") for key in ("low", "mean", "high"))
            said.append(
                f"The temporal network changes the angle error of {name_backbone(setting)} by "
                f"{_numbers(effect)} and its landmark error by {mean} mm ({low} to {high} mm)."
            )
    return said


def _open(results: Results) -> list[str]:
    if not results["synthetic"]:
        return []
    return [
        f"Differences below {MARGIN_DEG}° are treated as none. Whether any of this holds for recordings is "
        "open: the data need registration; the same code and commands would test it."
    ]
