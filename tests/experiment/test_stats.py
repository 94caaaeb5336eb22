"""Means, intervals over subjects and runs, and paired differences against formulas and scipy written out."""

import numpy as np
import pytest
import scipy.stats

from d3ke_lib.experiment.evaluation import stats


def test_by_subject_counts_each_subject_once():
    values = np.array([1.0, 3.0, 10.0, 2.0], np.float32)
    names, means = stats.by_subject(values, np.array([7, 7, 3, 7]))
    assert names.tolist() == [3, 7]
    np.testing.assert_allclose(means, [10.0, 2.0])


def test_by_subject_keeps_further_axes():
    values = np.arange(12.0).reshape(4, 3)
    _, means = stats.by_subject(values, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(means, [[3, 4, 5], [6, 7, 8]])


def test_without_repeated_runs_the_interval_is_students():
    values = np.random.default_rng(1).normal(5, 1, 8)
    found = stats.estimate(values.mean(), [values])
    low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.se_runs, found.df, found.n) == (None, 7, 8)


def test_two_groups_of_subjects_without_runs_are_welchs():
    rng = np.random.default_rng(2)
    seen, unseen = rng.normal(5, 1, 8), rng.normal(6, 2, 12)
    found = stats.estimate(unseen.mean() - seen.mean(), [seen, unseen])
    low, high = scipy.stats.ttest_ind(unseen, seen, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_two_parts_of_the_standard_error():
    rng = np.random.default_rng(3)
    first, second = rng.normal(5, 1, (2, 8)), rng.normal(4, 1, (3, 8))
    found = stats.compare(first, second, paired=False)
    changes = second.mean(0) - first.mean(0)
    assert found.mean == pytest.approx(changes.mean())
    assert found.se_subjects**2 == pytest.approx(changes.var(ddof=1) / 8)
    one, other = first.mean(1), second.mean(1)
    pooled = (one.var(ddof=1) + 2 * other.var(ddof=1)) / 3
    assert found.se_runs**2 == pytest.approx(pooled / 2 + pooled / 3)
    total = found.se_subjects**2 + found.se_runs**2
    assert found.df == pytest.approx(total**2 / (found.se_subjects**4 / 7 + found.se_runs**4 / 3))
    assert found.high - found.mean == pytest.approx(total**0.5 * scipy.stats.t.ppf(0.975, found.df))


def test_runs_made_from_each_other_are_paired():
    rng = np.random.default_rng(4)
    first = 5 + rng.normal(0, 1, (3, 1)) + rng.normal(0, 0.1, (3, 8))  # runs differ much, and alike in both
    second = first - 1 + rng.normal(0, 0.01, (3, 8))
    paired, separate = (stats.compare(first, second, paired=each) for each in (True, False))
    assert paired.high < -0.9
    assert separate.high > 0
    assert paired.se_runs**2 == pytest.approx((second - first).mean(1).var(ddof=1) / 3)


def test_a_method_without_runs_adds_no_variance_of_runs():
    constant, runs = np.full((1, 8), 7.0), np.random.default_rng(5).normal(5, 1, (2, 8))
    found = stats.compare(constant, runs, paired=False)
    assert found.se_runs**2 == pytest.approx(runs.mean(1).var(ddof=1) / 2)


def test_equal_differences_have_no_width():
    first = np.array([[10.0, 20.0, 30.0, 40.0, 50.0]])
    found = stats.compare(first, first - 1, paired=False)
    assert (found.mean, found.low, found.high, found.n) == (-1, -1, -1, 5)


def test_one_subject_has_no_interval():
    with pytest.raises(ValueError, match="at least 2 subjects, found 1"):
        stats.compare(np.ones((2, 1)), np.ones((2, 1)), paired=False)


def two_way(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """stats.compare for many trials at once, (trial, run, subject): means, half-widths of the intervals."""
    changes = second.mean(1) - first.mean(1)
    of_subjects, free_subjects = changes.var(1, ddof=1) / changes.shape[1], changes.shape[1] - 1
    arms = [first.mean(2), second.mean(2)]
    free_runs = sum(arm.shape[1] - 1 for arm in arms)
    pooled = sum(arm.var(1) * arm.shape[1] for arm in arms) / free_runs
    of_runs = pooled * sum(1 / arm.shape[1] for arm in arms)
    total = of_subjects + of_runs
    df = total**2 / (of_subjects**2 / free_subjects + of_runs**2 / free_runs)
    return changes.mean(1), np.sqrt(total) * scipy.stats.t.ppf(0.975, df)


def draw(
    runs: tuple[int, int], subjects: int, spread: tuple[float, float], between: float, trials: int = 3000
) -> list[np.ndarray]:
    """Errors of both networks, whose true means are equal; spread: SD of each network's runs.

    error[trial, run, subject] = run + half the subject's own difference between networks + what is left.
    """
    rng = np.random.default_rng(0)
    own = rng.normal(0, between, (trials, 1, subjects))
    return [
        share * own + rng.normal(0, sd, (trials, count, 1)) + rng.normal(0, 0.02, (trials, count, subjects))
        for share, sd, count in zip((-0.5, 0.5), spread, runs, strict=True)
    ]


def coverage(*words: object) -> float:
    """Share of 95 % intervals that hold the true difference 0."""
    means, reach = two_way(*draw(*words))
    return float((np.abs(means) <= reach).mean())


def test_the_simulation_computes_the_library_s_interval():
    first, second = draw((2, 3), 8, (0.05, 0.1), 0.06, trials=5)
    means, reach = two_way(first, second)
    for trial in range(5):
        found = stats.compare(first[trial], second[trial], paired=False)
        assert (found.mean, found.high - found.mean) == pytest.approx((means[trial], reach[trial]))


# With the recorded demo's sizes: SD of runs 0.07°, of subjects' differences between networks 0.06°. Measured
# with 10,000 trials: 3 runs 94.2 to 94.6 %, 5 runs 94.6 to 95.3 %, 2 runs 92.7 to 93.2 %.
@pytest.mark.parametrize("subjects", [8, 12, 16, 24])
@pytest.mark.parametrize(("runs", "short"), [(2, 0.03), (3, 0.02), (5, 0.02)])
def test_intervals_hold_the_truth_as_often_as_they_say(runs, short, subjects):
    """95 ± 2 % from three runs on, which a verdict needs; two runs fall short by 2 to 3 %."""
    assert 0.95 - short < coverage((runs, runs), subjects, (0.07, 0.07), 0.06) < 0.97


@pytest.mark.parametrize(("spread", "between"), [(0.07, 0.0), (0.04, 0.11), (0.01, 0.11)])
def test_they_do_whichever_part_is_the_larger(spread, between):
    assert coverage((3, 3), 12, (spread, spread), between) == pytest.approx(0.95, abs=0.02)


def test_where_they_fall_short_and_by_how_much():
    """Runs of one network that scatter more than the other's: the pooled variance then has less freedom."""
    assert coverage((3, 3), 24, (0.05, 0.1), 0.06) == pytest.approx(0.935, abs=0.015)
    assert coverage((2, 2), 24, (0.05, 0.1), 0.06) == pytest.approx(0.92, abs=0.015)
    assert coverage((3, 3), 24, (0.0, 0.1), 0.06) == pytest.approx(0.89, abs=0.02)
    assert coverage((3, 5), 24, (0.1, 0.05), 0.06) == pytest.approx(0.90, abs=0.02)


def test_an_interval_over_subjects_alone_would_be_far_too_narrow():
    """What the two-way interval is for: with two runs, Student's over subjects often misses the truth."""
    rng, held, trials = np.random.default_rng(0), 0, 500
    for _ in range(trials):
        arms = [rng.normal(0, 0.07, (2, 1)) + rng.normal(0, 0.06, (2, 8)) for _ in range(2)]
        changes = arms[1].mean(0) - arms[0].mean(0)
        found = stats.estimate(changes.mean(), [changes])
        held += found.low <= 0 <= found.high
    assert held / trials < 0.75


def test_agreement_and_correlation():
    true = np.linspace(0, 1, 50)
    predicted = 2 * true + 3
    result = stats.agreement(predicted, true)
    assert result.bias == pytest.approx(3.5)
    assert result.high - result.bias == pytest.approx(1.96 * true.std(ddof=1)) == result.bias - result.low
    assert stats.correlation(predicted, true) == pytest.approx(1)
    assert stats.correlation(-predicted, true) == pytest.approx(-1)
    assert stats.correlation(np.ones(50), true) is None
