"""Statistics with two units: frames of one subject are not independent, nor are subjects seen by one network.

An interval covers what a repetition would change: other subjects and, where networks were trained more than
once, other training runs. Frames are averaged within a subject first.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float, Int


class Estimate(NamedTuple):
    """A mean (or a difference of means) with its 95 % interval over subjects and runs, and where it is from.

    se_subjects, se_runs: the two parts of the standard error; se_runs is None where no network was trained
    twice, so that the interval leaves the differences between runs out. df: Satterthwaite's.
    """

    mean: float
    low: float
    high: float
    se_subjects: float
    se_runs: float | None
    df: float
    n: int  # subjects


class Agreement(NamedTuple):
    """Bland–Altman, in the values' unit: mean of predicted − true and its 95 % limits of agreement."""

    bias: float
    low: float
    high: float


def by_subject(
    values: Float[np.ndarray, "frame *metric"], subjects: Int[np.ndarray, " frame"]
) -> tuple[Int[np.ndarray, " subject"], Float[np.ndarray, "subject *metric"]]:
    """Sorted subject numbers and the mean of each one's frames, in float64."""
    names, position = np.unique(subjects, return_inverse=True)
    means = [values[position == i].mean(axis=0, dtype=np.float64) for i in range(len(names))]
    return names, np.stack(means)


def estimate(
    mean: float,
    subjects: Sequence[Float[np.ndarray, " _"]],
    runs: Sequence[Float[np.ndarray, " _"]] = (),
) -> Estimate:
    """A two-way t interval. Raises ValueError for fewer than two subjects.

    subjects: for each independent group of subjects its members' values, averaged over runs. runs: for each
    independent group of trained networks its members' values, averaged over subjects.
    V = Σ var(group of subjects) / size + s² Σ 1 / size of a group of runs, where s² is the runs' variance
    pooled over their groups: two or three runs say too little of a variance for one of each group's own.
    What subjects and runs have in common is in both parts, so that V is rather too large. Simulated
    (tests/experiment/test_stats.py): 94 to 95 % of the intervals hold the truth with 8 to 24 subjects and 3
    or more runs, 93 % with 2; 93 % with 3 runs where one network's runs scatter twice as much as the other's,
    90 % where that network has the fewer runs.
    """
    if min(map(len, subjects)) < 2:
        raise ValueError(f"an interval needs at least 2 subjects, found {min(map(len, subjects))}")
    variances = [(values.var(ddof=1) / len(values), len(values) - 1) for values in subjects]
    se_subjects = math.sqrt(sum(variance for variance, _ in variances))
    free = sum(len(values) - 1 for values in runs)
    se_runs = None
    if free:
        pooled = sum(float(((values - values.mean()) ** 2).sum()) for values in runs) / free
        variances.append((pooled * sum(1 / len(values) for values in runs), free))
        se_runs = math.sqrt(variances[-1][0])
    se, df = _satterthwaite(variances)
    reach = se * float(scipy.stats.t.ppf(0.975, df))
    return Estimate(mean, mean - reach, mean + reach, se_subjects, se_runs, df, len(subjects[-1]))


def _satterthwaite(variances: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of independent (variance, degrees of freedom)."""
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return 0.0, float(variances[0][1])
    return math.sqrt(total), total**2 / sum(variance**2 / df for variance, df in variances)


def compare(
    first: Float[np.ndarray, "run subject"], second: Float[np.ndarray, "other subject"], paired: bool
) -> Estimate:
    """Mean of second − first over the same subjects; below 0: the second has less error.

    paired: run r of the second was made from run r of the first, so that their differences are the unit.
    Otherwise the runs of each are independent. A method that is not trained has one run without variance.
    """
    changes = second.mean(0) - first.mean(0)
    means = [second.mean(1) - first.mean(1)] if paired else [first.mean(1), second.mean(1)]
    return estimate(float(changes.mean()), [changes], [runs for runs in means if len(runs) > 1])


def agreement(predicted: Float[np.ndarray, " frame"], true: Float[np.ndarray, " frame"]) -> Agreement:
    """Bias ± 1.96 SD of all frames' differences, as they come (repeated measures are not modelled)."""
    delta = predicted.astype(np.float64) - true
    bias, spread = float(delta.mean()), 1.96 * float(delta.std(ddof=1))
    return Agreement(bias, bias - spread, bias + spread)


def correlation(predicted: Float[np.ndarray, " frame"], true: Float[np.ndarray, " frame"]) -> float | None:
    """Pearson's r; None when either does not vary: a constant prediction has no correlation, not one of 0."""
    if min(np.ptp(predicted), np.ptp(true)) < 1e-9:
        return None
    return float(np.corrcoef(predicted.astype(np.float64), true.astype(np.float64))[0, 1])
