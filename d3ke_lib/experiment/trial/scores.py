"""How far predictions from single cameras are from the reference: one person, many dependent frames.

Intervals are a moving-block bootstrap over time: they say what other moments of this recording would change,
nothing of other persons. Cross-view agreement stands next to the spread over time, because a prediction that
never changes agrees with itself from every side. NaN: no prediction.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from d3ke_lib.experiment.evaluation.stats import correlation

_DRAWS, _SEED = 2000, 0
_BLOCK_S = 0.25  # about the time within which errors resemble each other
_FEW = 0.5  # of the frames: a view with fewer has no correlation


class Interval(NamedTuple):
    """A mean with its 95 % interval over time."""

    mean: float
    low: float
    high: float


def score(
    predicted: Float[np.ndarray, "view frame coord"],
    reference: Float[np.ndarray, "frame coord"],
    names: tuple[str, ...],
    views: tuple[str, ...],
    rate: float,
) -> dict[str, Any]:
    """Errors (degrees) of one method.

    `valid`: share of frames and views with a prediction; `mae` over coordinates, views and frames;
    `without_offset`: the same after each view's and coordinate's mean difference is taken away; `r`: median
    of the correlations over time; `across_views`: mean difference between two views of one moment;
    `spread`: SD over time. Without any prediction only `valid`.
    """
    error = predicted - reference
    valid = float(np.isfinite(error).mean())
    if not valid:
        return {"valid": 0.0}
    absolute = np.abs(error)
    moved = np.abs(error - _mean(error, 1)[:, None])
    spread = np.sqrt(_mean((predicted - _mean(predicted, 1)[:, None]) ** 2, 1))
    return {
        "valid": valid,
        "mae": over_time(_mean(_mean(absolute, 2), 0), rate)._asdict(),
        "without_offset": float(_mean(moved)),
        "r": _typical_correlation(predicted, reference),
        "across_views": _across_views(predicted),
        "spread": float(_mean(spread)),
        "by_coordinate": dict(zip(names, _mean(absolute, (0, 1)).tolist(), strict=True)),
        "by_view": dict(zip(views, _mean(absolute, (1, 2)).tolist(), strict=True)),
    }


def difference(
    first: Float[np.ndarray, "view frame coord"],
    second: Float[np.ndarray, "view frame coord"],
    reference: Float[np.ndarray, "frame coord"],
    rate: float,
) -> dict[str, float]:
    """Mean of |second's error| − |first's|, degrees, where both predict; below 0: the second is nearer."""
    change = np.abs(second - reference) - np.abs(first - reference)
    return over_time(_mean(_mean(change, 2), 0), rate)._asdict()


def over_time(values: Float[np.ndarray, " frame"], rate: float) -> Interval:
    """Mean over frames and its interval, from blocks of consecutive frames drawn with replacement."""
    frames = len(values)
    length = min(frames, max(1, round(_BLOCK_S * rate)))
    draws = np.random.default_rng(_SEED)
    count = -(-frames // length)
    starts = draws.integers(0, frames - length + 1, (_DRAWS, count))
    rows = (starts[..., None] + np.arange(length)).reshape(_DRAWS, -1)[:, :frames]
    means = _mean(values[rows], 1)
    low, high = np.percentile(means[np.isfinite(means)], [2.5, 97.5])
    return Interval(float(_mean(values)), float(low), float(high))


def _typical_correlation(predicted: np.ndarray, reference: np.ndarray) -> float | None:
    """Median over views and coordinates; None where nothing that is predicted varies."""
    found = []
    for view in predicted:
        for column, true in zip(view.T, reference.T):
            known = np.isfinite(column) & np.isfinite(true)
            if known.mean() >= _FEW:
                found.append(correlation(column[known], true[known]))
    varying = [r for r in found if r is not None]
    return float(np.median(varying)) if varying else None


def _across_views(predicted: Float[np.ndarray, "view frame coord"]) -> float | None:
    """Mean absolute difference between two views; None where no moment is predicted from two."""
    apart = np.stack([np.abs(a - b) for a, b in combinations(predicted, 2)])
    found = float(_mean(apart))
    return found if np.isfinite(found) else None


def _mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of what is finite; NaN where nothing is, without a warning."""
    known = np.isfinite(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def synthetic_mae(results: Mapping[str, Any], method: str, names: tuple[str, ...]) -> float | None:
    """A method's mean error in the same coordinates on synthetic test subjects; None: not in `results`."""
    coordinates = results["methods"].get(method, {}).get("coordinates", {})
    if not set(names) <= set(coordinates):
        return None
    return float(np.mean([coordinates[name]["mae_deg"] for name in names]))
