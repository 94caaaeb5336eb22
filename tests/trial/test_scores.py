"""Scores of predictions whose errors are known."""

import numpy as np
import pytest

from d3ke_lib.experiment.trial import scores

RATE, NAMES, VIEWS = 60.0, ("a", "b", "c"), ("cam1", "cam2")
TIME = np.arange(120) / RATE
REFERENCE = np.stack([20 * np.sin(5 * TIME), 10 * np.cos(7 * TIME), 5 * np.sin(3 * TIME)], -1)


def scored(predicted: np.ndarray) -> dict:
    return scores.score(predicted, REFERENCE, NAMES, VIEWS, RATE)


def test_an_offset_is_told_from_noise() -> None:
    tilt = np.array([1.0, 0.0, -1.0])
    found = scored(np.stack([REFERENCE + 3.0 * tilt, REFERENCE + 5.0 * tilt]))
    assert found["mae"]["mean"] == pytest.approx(8 / 3)
    assert found["without_offset"] == pytest.approx(0.0, abs=1e-9)
    assert found["r"] == pytest.approx(1.0)
    assert found["across_views"] == pytest.approx(4 / 3)
    assert found["by_coordinate"] == pytest.approx({"a": 4.0, "b": 0.0, "c": 4.0})
    assert found["by_view"] == pytest.approx({"cam1": 2.0, "cam2": 10 / 3})


def test_a_constant_agrees_with_itself_and_says_nothing() -> None:
    found = scored(np.zeros((2, *REFERENCE.shape)))
    assert found["across_views"] == 0.0
    assert found["spread"] == 0.0
    assert found["r"] is None
    assert found["mae"]["mean"] == pytest.approx(np.abs(REFERENCE).mean())


def test_frames_without_prediction_count_as_such_alone() -> None:
    predicted = np.stack([REFERENCE + 2.0, np.full_like(REFERENCE, np.nan)])
    predicted[0, :30] = np.nan
    found = scored(predicted)
    assert found["valid"] == pytest.approx(0.375)
    assert found["mae"]["mean"] == pytest.approx(2.0)
    assert found["across_views"] is None
    assert np.isnan(found["by_view"]["cam2"])
    assert scored(np.full((2, *REFERENCE.shape), np.nan)) == {"valid": 0.0}


def test_blocks_cover_what_dependent_frames_hide() -> None:
    """95 % of intervals hold the mean of a process whose errors last; single frames would be too sure."""
    draws = np.random.default_rng(3)
    held, widths = 0, []
    for _ in range(60):
        noise = draws.standard_normal(1000)
        slow = np.convolve(noise, np.ones(10) / np.sqrt(10), "same")
        interval = scores.over_time(slow, RATE)
        held += interval.low <= 0.0 <= interval.high
        widths.append(interval.high - interval.low)
    assert held >= 50
    assert np.mean(widths) > 2 * 3.92 / np.sqrt(1000)  # twice that of independent frames


def test_differences_are_paired() -> None:
    draws = np.random.default_rng(4)
    noise = 30 * np.abs(draws.standard_normal((2, *REFERENCE.shape)))
    first, second = REFERENCE + noise, REFERENCE + noise - 1.0
    second = np.maximum(second, REFERENCE)
    found = scores.difference(first, second, REFERENCE, RATE)
    assert found["high"] < 0
    assert found["mean"] == pytest.approx(np.mean(np.abs(second - REFERENCE) - np.abs(first - REFERENCE)))


def test_synthetic_errors_of_the_same_coordinates() -> None:
    results = {"methods": {"frame/x.0": {"coordinates": {"a": {"mae_deg": 2.0}, "b": {"mae_deg": 4.0}}}}}
    assert scores.synthetic_mae(results, "frame/x.0", ("a", "b")) == 3.0
    assert scores.synthetic_mae(results, "frame/x.0", ("a", "c")) is None
    assert scores.synthetic_mae(results, "frame/y.0", ("a",)) is None
