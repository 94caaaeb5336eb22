"""What limits the answer, one sentence each: data, budget, runs, relevance, what was learnt at all."""

from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.report.claims import LEAST_RUNS
from d3ke_lib.experiment.report.effects import (
    ANGLE,
    Results,
    backbone_pairs,
    count_runs,
    degrees,
    effect_of,
    find_comparison,
    mean_of,
    sign,
)
from d3ke_lib.experiment.report.method_names import is_reference, label, settings_of

_ACCEPTABLE_DEG = 2.0  # McGinley et al. 2009, a review of gait analysis' reliability


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
    counts = [count_runs(results, name) for name in settings_of(results) if not is_reference(name)]
    if max(counts) == 1:
        return [
            "One run of each: how much runs differ is not known and may exceed what the backbones differ by; "
            "intervals are over subjects alone."
        ]
    few = f" A verdict needs {LEAST_RUNS} or more." if min(counts) < LEAST_RUNS else ""
    often = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    found = [f"{often} runs of each network.{few}"]
    for first, second in backbone_pairs(results, "frame")[:1] + backbone_pairs(results, "temporal")[:1]:
        changes = find_comparison(results, first, second)["runs"][ANGLE]
        effect = effect_of(results, first, second)
        by_run = ", ".join(degrees(change, True) for change in changes)
        found.append(
            f"{label(second)} − {label(first)} by run: {by_run}; standard error from subjects "
            f"{effect['se_subjects']:.3f}°"
            + (f", from runs {effect['se_runs']:.3f}°." if len(changes) > 1 else ".")
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
    errors = [mean_of(results, setting) for setting in settings_of(results) if not is_reference(setting)]
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
        if effect and setting.startswith("frame/") and "@" not in setting:
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
