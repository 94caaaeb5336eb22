"""Scaling a model to a subject from a static trial, as OpenSim's ScaleTool does.

A measurement compares distances between pairs of markers in the trial (averaged over time) with those of the
model in its default pose; the mean ratio scales some axes of some bodies. The default set is D3KE's 83.
"""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Body
from d3ke_lib.body.opensim.motion_files import Trajectories
from d3ke_lib.body.pose import Pose


@dataclass(frozen=True)
class Measurement:
    """Pairs of markers whose distances decide the factor of some axes (0, 1, 2) of some bodies."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    bodies: tuple[str, ...]
    axes: tuple[tuple[int, ...], ...]


class SkippedMeasurement(UserWarning):
    """A measurement whose markers the model or the trial does not have (OpenSim skips it, too)."""


def _load(path: Path) -> tuple[Measurement, ...]:
    facts = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Measurement(
            name, tuple(map(tuple, m["pairs"])), tuple(m["bodies"]), tuple(tuple(axes) for axes in m["axes"])
        )
        for name, m in facts.items()
    )


D3KE_MEASUREMENTS = _load(Path(__file__).with_name("scale_measurements.json"))


def scale_factors(
    body: Body,
    trial: Trajectories,
    measurements: Iterable[Measurement] = D3KE_MEASUREMENTS,
    manual: Mapping[str, Float[np.ndarray, " 3"]] | None = None,
    seconds: tuple[float, float] | None = None,
) -> dict[str, Float[np.ndarray, " 3"]]:
    """Factors by body and axis, relative to the model as it is (times its own: what a Pose's scales are).

    Measurements follow each other, later ones overwrite, `manual` ones last. `seconds`: the part of the
    trial to average (all of it). A measurement without its markers is skipped with a warning, bodies the
    model lacks are passed over. Raises ValueError for a length of 0, a `manual` body that the model lacks
    and factors of 0 or less.
    """
    factors = {segment.name: np.ones(3) for segment in body.segments}
    places, trial = _default_markers(body), _cut(trial, seconds)
    for measurement in measurements:
        factor = _factor(measurement, places, trial)
        for name, axes in zip(measurement.bodies, measurement.axes, strict=True):
            if factor is not None and name in factors:
                factors[name][list(axes)] = factor
    for name, factor in (manual or {}).items():
        if name not in factors:
            raise ValueError(f"{body.source}: manual scale of body {name!r}, which the model does not have")
        factors[name] = np.asarray(factor, float)
    if bad := [name for name, f in factors.items() if not (np.isfinite(f) & (f > 0)).all()]:
        raise ValueError(f"{body.source}: scale factors of {bad} are not above 0")
    return factors


def _default_markers(body: Body) -> dict[str, np.ndarray]:
    """Markers in the model's default pose (couplers held), m in ground."""
    skeleton = Skeleton(body).double()
    known = {c.name: c.default for c in body.coordinates}
    angles = torch.tensor([known[name] for name in skeleton.coordinates], dtype=torch.float64)
    markers = skeleton(Pose(angles, skeleton.generic_scales)).markers
    return dict(zip(skeleton.markers, markers.numpy(), strict=True))


def _cut(trial: Trajectories, seconds: tuple[float, float] | None) -> Trajectories:
    if seconds is None:
        return trial
    rows = (trial.time >= seconds[0] - 1e-9) & (trial.time <= seconds[1] + 1e-9)
    if not rows.any():
        raise ValueError(
            f"no frame between {seconds[0]} and {seconds[1]} s; the trial has {trial.time[[0, -1]]}"
        )
    return Trajectories(trial.time[rows], trial.labels, trial.positions[rows])


def _factor(m: Measurement, places: dict[str, np.ndarray], trial: Trajectories) -> float | None:
    names = {name for pair in m.pairs for name in pair}
    for where, has in (("model", places), ("trial", trial.labels)):
        if lacking := sorted(names - set(has)):
            warnings.warn(
                f"{m.name}: the {where} has no {', '.join(lacking)}", SkippedMeasurement, stacklevel=3
            )
            return None
    ratios = [_ratio(m, pair, places, trial) for pair in m.pairs]
    return None if None in ratios else float(np.mean(ratios))


def _ratio(m: Measurement, pair: tuple[str, str], places: dict, trial: Trajectories) -> float | None:
    a, b = (trial.positions[:, trial.labels.index(name)] for name in pair)
    lengths = np.linalg.norm(a - b, axis=-1)
    if np.isnan(lengths).all():
        warnings.warn(f"{m.name}: {pair} are never seen together", SkippedMeasurement, stacklevel=4)
        return None
    own, theirs = np.linalg.norm(places[pair[0]] - places[pair[1]]), np.nanmean(lengths)
    if own < 1e-9 or theirs < 1e-9:
        raise ValueError(f"{m.name}: {pair} are {own:g} m apart in the model and {theirs:g} m in the trial")
    return theirs / own
