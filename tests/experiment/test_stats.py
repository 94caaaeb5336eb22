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


def coverage(runs: int, subjects: int, spread: tuple[float, float], between: float) -> float:
    """Share of 95 % intervals that hold the true difference 0; spread: SD of each network's runs.

    error[network, run, subject] = run + subject's own difference between networks + what is left.
    """
    rng, trials, held = np.random.default_rng(runs), 2000, 0
    for _ in range(trials):
        own = rng.normal(0, between, subjects)  # by how much a subject differs from others in the difference
        arms = [
            share * own + rng.normal(0, sd, (runs, 1)) + rng.normal(0, 0.02, (runs, subjects))
            for share, sd in zip((0.5, -0.5), spread, strict=True)
        ]
        found = stats.compare(*arms, paired=False)
        held += found.low <= 0 <= found.high
    return held / trials


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(runs):
    """With the recorded run's sizes: 8 subjects, SD of runs 0.07°, of subjects' differences 0.06°."""
    assert coverage(runs, 8, (0.07, 0.07), 0.06) == pytest.approx(0.95, abs=0.02)


def test_one_network_may_vary_twice_as_much_from_run_to_run():
    assert coverage(2, 8, (0.05, 0.09), 0.06) == pytest.approx(0.95, abs=0.03)


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
