"""Means of several settings against each other: main effects, interactions, one setting against another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from d3ke_lib.experiment.evaluation import stats

Methods = Mapping[str, Mapping[str, Any]]  # as in results.json


def contrast(methods: Methods, first: Sequence[str], second: Sequence[str], metric: str) -> dict[str, Any]:
    """Mean of the settings in `second` − mean of those in `first`: estimate, differences by subject, by run.

    Networks of one backbone and seed share their frame network and are paired; only seeds that all settings
    of a backbone have are used. Raises KeyError naming a setting without runs.
    """
    weights = {name: -1 / len(first) for name in first} | {name: 1 / len(second) for name in second}
    runs = {name: _find_runs(methods, name, metric) for name in weights}
    if missing := [name for name, found in runs.items() if not found]:
        raise KeyError(", ".join(missing))
    groups: dict[str, list[str]] = {}
    for name in weights:
        groups.setdefault(name.partition("/")[2].rpartition(".")[2], []).append(name)
    sums = [_sum_paired([(weights[name], runs[name]) for name in names]) for names in groups.values()]
    subjects = sum(group.mean(0) for group in sums)
    found = stats.estimate(float(subjects.mean()), [subjects], [group.mean(1) for group in sums])
    return {
        "estimate": found._asdict(),
        "subjects": subjects,
        "runs": _sum_by_rank([group.mean(1) for group in sums]),
    }


def _find_runs(methods: Methods, setting: str, metric: str) -> dict[int, Float[np.ndarray, " subject"]]:
    """Seed → the metric of every subject."""
    return {
        method["seed"]: np.asarray(method["subjects"][metric])
        for name, method in methods.items()
        if method["seed"] is not None and name.rpartition(".")[0] == setting
    }


def _sum_paired(
    members: Sequence[tuple[float, Mapping[int, Float[np.ndarray, " subject"]]]],
) -> Float[np.ndarray, "run subject"]:
    """The weighted sum of settings that share their frame networks, for every seed that all of them have."""
    seeds = set.intersection(*(set(runs) for _, runs in members))
    if not seeds:
        raise KeyError("settings of one backbone have no seed in common")
    return np.array([sum(weight * runs[seed] for weight, runs in members) for seed in sorted(seeds)])


def _sum_by_rank(groups: Sequence[Float[np.ndarray, " _"]]) -> Float[np.ndarray, " run"]:
    """The contrast in the first run of every group, in the second, … as far as all have one."""
    count = min(map(len, groups))
    return np.sum([group[:count] for group in groups], axis=0)
