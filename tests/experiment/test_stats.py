"""The subject is the unit: means, intervals and paired differences against numpy and scipy written out."""

import numpy as np
import pytest
import scipy.stats

from d3ke_lib.experiment.evaluation import stats

DRAWS = 2000


def test_by_subject_counts_each_person_once():
    values = np.array([1.0, 3.0, 10.0, 2.0], np.float32)
    names, means = stats.by_subject(values, np.array([7, 7, 3, 7]))
    assert names.tolist() == [3, 7]
    np.testing.assert_allclose(means, [10.0, 2.0])


def test_by_subject_keeps_further_axes():
    values = np.arange(12.0).reshape(4, 3)
    _, means = stats.by_subject(values, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(means, [[3, 4, 5], [6, 7, 8]])


def test_estimate_is_deterministic_and_holds_its_mean():
    values = np.random.default_rng(1).normal(5, 1, 8)
    first, again = stats.estimate(values, DRAWS, 3), stats.estimate(values, DRAWS, 3)
    assert first == again != stats.estimate(values, DRAWS, 4)
    assert first.low < first.mean == values.mean() < first.high
    assert first.sd == pytest.approx(values.std(ddof=1))


def test_estimate_agrees_with_scipy():
    values = np.random.default_rng(2).gamma(2, 1, 12)
    ours = stats.estimate(values, 20000, 0)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, rel=0.02)
    assert ours.high == pytest.approx(theirs.high, rel=0.02)


@pytest.mark.parametrize(("subjects", "expected"), [(3, 0.75), (8, 0.89), (18, 0.92)])
def test_coverage_is_what_the_docstring_says(subjects, expected):
    rng = np.random.default_rng(0)
    intervals = [stats.estimate(rng.normal(size=subjects), 300, seed) for seed in range(600)]
    covered = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert covered == pytest.approx(expected, abs=0.04)


def test_difference_is_paired():
    first = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    result = stats.difference(first, first - 1, DRAWS, 0)
    assert (result.mean, result.low, result.high, result.n) == (-1, -1, -1, 5)
    assert result.p == pytest.approx(2 / 2**5)  # all five of one sign: exact two-sided signed-rank
    assert stats.difference(first, first, DRAWS, 0).p == 1


def test_one_subject_has_no_interval():
    with pytest.raises(ValueError, match="at least 2"):
        stats.estimate(np.ones(1), DRAWS, 0)


def test_agreement_and_correlation():
    true = np.linspace(0, 1, 50)
    predicted = 2 * true + 3
    result = stats.agreement(predicted, true)
    assert result.bias == pytest.approx(3.5)
    assert result.high - result.bias == pytest.approx(1.96 * true.std(ddof=1)) == result.bias - result.low
    assert stats.correlation(predicted, true) == pytest.approx(1)
    assert stats.correlation(-predicted, true) == pytest.approx(-1)
    assert stats.correlation(np.ones(50), true) is None
