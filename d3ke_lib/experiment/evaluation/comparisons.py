"""Errors by subject of every run → estimates by setting, comparisons of settings, and overfitting."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from d3ke_lib.experiment.evaluation import stats
from d3ke_lib.experiment.evaluation.methods import Method, pairs
from d3ke_lib.experiment.evaluation.scores import ALL, ANGLE, Scores

# Of other subjects than Scores, and as many as chosen.
TrainingScores = dict[str, Float[np.ndarray, " trained"]]


class _Runs(NamedTuple):
    """The runs of one setting."""

    seeds: tuple[int | None, ...]
    values: dict[str, dict[str, Float[np.ndarray, "run subject"]]]  # condition → metric

    def of(self, metric: str) -> Float[np.ndarray, "run subject"]:
        return self.values[ALL][metric]

    def choose(self, seeds: Sequence[int | None]) -> "_Runs":
        """Of these seeds; a method that is not trained is the same for any."""
        rows = [self.seeds.index(seed) if seed in self.seeds else 0 for seed in seeds]
        chosen = {
            name: {metric: v[rows] for metric, v in found.items()} for name, found in self.values.items()
        }
        return _Runs(tuple(seeds), chosen)


def summarise(methods: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """settings and comparisons, from the kind, refiner, backbone, seed and scores of every method."""
    of = {_method_of(one): {ALL: one["subjects"], **one["conditions"]} for one in methods}
    runs = _by_setting(of)
    settings = {
        setting: {
            "summary": _summary(found.values[ALL]),
            "conditions": {name: _summary(v) for name, v in found.values.items() if name != ALL},
            "seeds": {name: values.mean(1) for name, values in found.values[ALL].items()},
            "runs": len(found.seeds),
        }
        for setting, found in runs.items()
    }
    named = list(dict.fromkeys(method._replace(seed=None) for method in of))
    comparisons = [
        {"first": first.setting, "second": second.setting, **_compare(first, second, runs)}
        for first, second in pairs(named)
        if first.setting in runs and second.setting in runs
    ]
    return {"settings": settings, "comparisons": comparisons}


def _method_of(entry: Mapping[str, Any]) -> Method:
    return Method(*(entry[field] for field in Method._fields))


def _summary(metrics: Mapping[str, Float[np.ndarray, "run subject"]]) -> dict[str, Any]:
    return {name: estimate_mean(values) for name, values in metrics.items()}


def _by_setting(found: Mapping[Method, Mapping[str, Mapping[str, Any]]]) -> dict[str, _Runs]:
    settings: dict[str, dict[int | None, Mapping[str, Any]]] = {}
    for method, values in found.items():
        settings.setdefault(method.setting, {})[method.seed] = values
    return {setting: _stack(members) for setting, members in settings.items()}


def _stack(members: Mapping[int | None, Mapping[str, Mapping[str, Any]]]) -> _Runs:
    """Conditions and metrics that every run has."""
    runs = list(members.values())
    values = {
        condition: {
            metric: np.array([run[condition][metric] for run in runs])
            for metric in runs[0][condition]
            if all(metric in run[condition] for run in runs)
        }
        for condition in runs[0]
        if all(condition in run for run in runs)
    }
    return _Runs(tuple(members), values)


def _compare(first: Method, second: Method, runs: Mapping[str, _Runs]) -> dict[str, Any]:
    """Paired by subject, and by run where the second refines the first; see the schema."""
    one, other = runs[first.setting], runs[second.setting]
    refines = first.kind == "frame" and second.kind == "temporal" and first.backbone == second.backbone
    common = _common_seeds(one, other)
    both = one.choose(common), other.choose(common)
    if refines:
        one, other = both
    shared = [name for name in one.values[ALL] if name in other.values[ALL]]
    conditions = [name for name in one.values if name in other.values and name != ALL]

    def estimate(condition: str, metric: str) -> dict[str, Any]:
        values = (each.values[condition][metric] for each in (one, other))
        return stats.compare(*values, refines)._asdict()

    return {
        "metrics": {name: estimate(ALL, name) for name in shared},
        "conditions": {name: {ANGLE: estimate(name, ANGLE)} for name in conditions},
        "subjects": {name: other.of(name).mean(0) - one.of(name).mean(0) for name in shared},
        "runs": {name: (both[1].of(name) - both[0].of(name)).mean(1) for name in shared},
    }


def _common_seeds(one: _Runs, other: _Runs) -> list[int | None]:
    """Seeds of both; all of the trained one's where the other is not trained."""
    if None in one.seeds:
        return list(other.seeds)
    return [seed for seed in one.seeds if seed in other.seeds or None in other.seeds]


def overfitting(train: Mapping[Method, TrainingScores], test: Mapping[Method, Scores]) -> dict[str, Any]:
    """How much larger the error is for unseen subjects than for those trained on, in plain crops."""
    seen, unseen = ({}, {})
    for values, target in ((train, seen), (test, unseen)):
        runs = _by_setting({method: {ALL: found} for method, found in values.items() if method in train})
        target |= {setting: found.of(ANGLE) for setting, found in runs.items()}
    if not seen:
        return {}
    first = next(iter(seen))

    def row(setting: str) -> dict[str, Any]:
        groups = seen[setting], unseen[setting]
        more = [
            now.mean(0) - then.mean(0) for now, then in zip(groups, (seen[first], unseen[first]), strict=True)
        ]
        gaps = [_gap(seen[name], unseen[name]) for name in (first, setting)]
        common = min(map(len, gaps))
        return {
            "train": estimate_mean(groups[0]),
            "test": estimate_mean(groups[1]),
            "gap": _gap_estimate([group.mean(0) for group in groups], gaps[1:]),
            "difference": None if setting == first else _gap_estimate(more, gaps),
            "runs": [] if setting == first else gaps[1][:common] - gaps[0][:common],
        }

    return {setting: row(setting) for setting in seen}


def _gap(seen: np.ndarray, unseen: np.ndarray) -> Float[np.ndarray, " run"]:
    return unseen.mean(1) - seen.mean(1)


def _gap_estimate(means: Sequence[np.ndarray], runs: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of unseen − seen, from the values by subject of both groups."""
    return stats.estimate(float(means[1].mean() - means[0].mean()), means, runs)._asdict()


def estimate_mean(runs: Float[np.ndarray, "run subject"]) -> dict[str, Any]:
    """A stats.Estimate of the mean over runs and subjects."""
    means = runs.mean(0)
    return stats.estimate(float(means.mean()), [means], [runs.mean(1)])._asdict()
