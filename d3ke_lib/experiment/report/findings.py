"""What results.json means in words: the question, the answer, what limits it, the conclusion.

No number is typed: every sentence is chosen by intervals and written from results.
"""

from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, MEAN_POSE
from d3ke_lib.experiment.report.claims import LEAST_RUNS, MARGIN_DEG, SUPPORTED, decide
from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Effect,
    Results,
    backbone_pairs,
    counts_lower,
    degrees,
    effect_of,
    find_comparison,
    interval,
    is_smoke,
    mean_of,
    name_backbone,
    name_data,
    sign,
    training_seconds,
)
from d3ke_lib.experiment.report.method_names import label, settings_of

_ACCEPTABLE_DEG = 2.0  # McGinley et al. 2009, a review of gait analysis' reliability


def question(results: Results) -> str:
    first, other = (label(f"frame/{name}") for name in results["profile"]["backbones"][:2])
    return f"D3KE estimates joint angles from one camera with a {first}. Is it better with a {other}?"


def answer(results: Results) -> list[str]:
    """Sentences: the verdict with its numbers, the cheaper alternative, the strongest reference."""
    pairs = backbone_pairs(results, "frame")
    if not pairs:
        return ["Only one backbone was trained: the question stays open."]
    said = [_verdict(results), _difference(results, *pairs[0]), _certainty(results, *pairs[0])]
    return [*said, *_refined(results), *_alternative(results), *_compare_with_table(results)]


def _verdict(results: Results) -> str:
    """One word, or the warning that a smoke run's numbers mean nothing."""
    if is_smoke(results):
        return "A test of the path, whose numbers mean nothing."
    found = find_comparison(results, *backbone_pairs(results, "frame")[0])
    verdict = decide(found["metrics"][ANGLE], found["runs"][ANGLE]).partition(";")[0]
    return {SUPPORTED: "Yes.", "contradicted": "No."}.get(verdict, "Undecided.")


def _difference(results: Results, first: str, second: str) -> str:
    change = effect_of(results, first, second)["mean"]
    side = "lower" if change < 0 else "higher"
    hours = training_seconds(results, second) / training_seconds(results, first)
    against = f"{degrees(mean_of(results, second))} against {degrees(mean_of(results, first))}"
    return (
        f"On {name_data(results)}, with equal images and {hours:.1f} times the training time, the angle "
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
            share = 100 * training_seconds(results, first) / training_seconds(results, second)
            return [
                f"{label(second)} − ({label(first)}) is {_numbers(comparison['metrics'][ANGLE])}: the "
                f"smaller network and its {_refiner_of(first)} take {share:.0f} % of the training time."
            ]
    return []


def _compare_with_table(results: Results) -> list[str]:
    """Whether networks have a lower error than the mean pose of the action, which sees no image."""
    effects = {s: effect_of(results, ACTION_MEAN, s) for s in settings_of(results)}
    effects = {setting: effect for setting, effect in effects.items() if effect}
    if not effects:
        return []
    better = [label(setting) for setting, effect in effects.items() if sign(effect) == "lower"]
    subject = "None of the networks" if not better else "Only " + " and ".join(better)
    subject = "Every network" if len(better) == len(effects) else subject
    verb = "have" if len(better) > 1 and len(better) < len(effects) else "has"
    table = degrees(mean_of(results, ACTION_MEAN))
    return [
        f"{subject} {verb} a lower error than the mean pose of the action ({table}), which is told the "
        "action and sees no image."
    ]


# --- limits -------------------------------------------------------------------------------------------------


def caveats(results: Results) -> list[str]:
    """What limits the answer, one sentence each."""
    return [
        _data_and_budget(results),
        *_runs(results),
        *_width(results),
        *_relevance(results),
        *_learnt(results),
    ]


def _data_and_budget(results: Results) -> str:
    frame = results["profile"]["frame"]
    budget = f"{frame['images']:,} images" if frame["images"] else f"{frame['epochs']} epochs"
    start = "random weights" if frame["weights"] is None else f"weights from {frame['weights']}"
    trained = f"The networks started from {start} and saw {budget} of {frame['px']} px"
    if results["synthetic"]:
        return (
            f"All subjects are rendered. {trained}; nothing here supports or contradicts the paper's numbers "
            "on recordings."
        )
    return f"The subjects are BMLmovi's. {trained}."


def _runs(results: Results) -> list[str]:
    """What the runs differ by, and the backbones in each."""
    count = len(results["profile"]["seeds"])
    if count == 1:
        return [
            "One run of each: how much runs differ is not known and may exceed what the backbones differ by; "
            "intervals are over subjects alone."
        ]
    few = f" A verdict needs {LEAST_RUNS} or more." if count < LEAST_RUNS else ""
    found = [f"{count} runs of each network.{few}"]
    for first, second in backbone_pairs(results, "frame")[:1] + backbone_pairs(results, "temporal")[:1]:
        changes = find_comparison(results, first, second)["runs"][ANGLE]
        effect = effect_of(results, first, second)
        by_run = ", ".join(degrees(change, True) for change in changes)
        found.append(
            f"{label(second)} − {label(first)} by run: {by_run}; standard error from subjects "
            f"{effect['se_subjects']:.3f}°, from runs {effect['se_runs']:.3f}°."
        )
    return found


def _width(results: Results) -> list[str]:
    if not {"resnext50_32x4d", "resnext101_32x8d"} <= set(results["profile"]["backbones"]):
        return []
    return [
        "ResNeXt-101 32×8d is deeper than ResNeXt-50 32×4d and its groups are twice as wide: the comparison "
        "cannot tell depth from width."
    ]


def _relevance(results: Results) -> list[str]:
    """Whether the networks differ by less than what gait analysis commonly regards as acceptable."""
    errors = [mean_of(results, setting) for setting in settings_of(results) if "/" in setting]
    largest = max(errors) - min(errors)
    if largest >= _ACCEPTABLE_DEG:
        return []
    return [
        f"No two networks differ by more than {degrees(largest)}; gait analysis commonly regards errors "
        f"up to {_ACCEPTABLE_DEG:.0f}° as acceptable (McGinley et al., doi 10.1016/j.gaitpost.2008.09.003)."
    ]


def _learnt(results: Results) -> list[str]:
    """Whether the frame networks are better than the mean pose: if not, a comparison means little."""
    said = []
    for setting in settings_of(results):
        effect = effect_of(results, MEAN_POSE, setting)
        if effect:
            words = {"lower": "lower than", "higher": "higher than", "unclear": "not shown to differ from"}
            ours, constant = (degrees(mean_of(results, one)) for one in (setting, MEAN_POSE))
            better, coordinates = _count_better_coordinates(results, setting)
            pose = (
                f"The error of {label(setting)} is {words[sign(effect)]} that of the mean pose ({ours} "
                f"against {constant}), in {better} of {coordinates} coordinates."
            )
            said.append(" ".join([pose, *_sizes(results, setting)]))
    return said


def _count_better_coordinates(results: Results, setting: str) -> tuple[int, int]:
    """In how many coordinates, and of how many, the setting's mean over runs is closer than the mean pose."""
    runs = [m["coordinates"] for n, m in results["methods"].items() if n.rpartition(".")[0] == setting]
    constant = results["methods"][MEAN_POSE]["coordinates"]
    lower = [
        sum(run[name]["mae_deg"] for run in runs) / len(runs) < constant[name]["mae_deg"] for name in constant
    ]
    return sum(lower), len(lower)


def _sizes(results: Results, setting: str) -> list[str]:
    """A network may estimate poses and not sizes: its scale factors are no better than the mean ones."""
    effect = effect_of(results, MEAN_POSE, setting, "scale_sum")
    if sign(effect) == "lower":
        return []
    ours, constant = (mean_of(results, one, "scale_sum") for one in (setting, MEAN_POSE))
    return [
        f"It is not shown to learn body sizes: the error of its scale factors is {ours:.3f}, that of the "
        f"mean ones {constant:.3f} (summed over three axes)."
    ]


# --- conclusion ---------------------------------------------------------------------------------------------


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
        effect = effect_of(results, f"frame/{setting.rpartition('.')[2]}", setting)
        if setting.startswith("temporal/") and effect:
            landmarks = effect_of(results, f"frame/{setting.rpartition('.')[2]}", setting, "mpblpe_mm")
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
