"""The real trial as one JSON: the reference and its uncertainty, every method's scores, what is missing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.trial import recording as source
from d3ke_lib.experiment.trial.recording import Recording
from d3ke_lib.experiment.trial.reference import OBSERVABLE, Reference
from d3ke_lib.experiment.trial.scores import difference, score, synthetic_mae
from d3ke_lib.experiment.trial.single_camera import Angles

SCHEMA = 1


def describe(
    recording: Recording,
    reference: Reference,
    opensim: Mapping[str, Any],
    predictions: Mapping[str, Angles],
    missing: Mapping[str, str],
    synthetic: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that tables, figures and sentences are made from.

    predictions: by method, runs under their folder's name; missing: method → why; synthetic: method → mean
    error (degrees) of OBSERVABLE on synthetic test subjects.
    """
    views = tuple(camera.name for camera in recording.cameras)
    true, rate = reference.angles_deg, recording.rate
    methods = {
        name: score(angles, true, OBSERVABLE, views, rate) | {"synthetic_deg": synthetic.get(name)}
        for name, angles in predictions.items()
    }
    against = predictions.get(MEAN_POSE)
    for name, angles in predictions.items():
        if against is not None and name != MEAN_POSE:
            methods[name]["than_mean_pose"] = difference(against, angles, true, rate)
    return rounded(
        {
            "schema": SCHEMA,
            "source": {"package": source.PACKAGE, "version": source.VERSION, "sha256": source.SHA256},
            "recording": recording.name,
            "persons": 1,
            "frames": len(true),
            "rate_hz": rate,
            "views": list(views),
            "coordinates": list(OBSERVABLE),
            "reference": _describe_reference(reference, opensim),
            "methods": {name: _without_nan(found) for name, found in methods.items()},
            "missing": dict(missing),
            "curves": {name: _curve(angles) for name, angles in predictions.items()},
        }
    )


def _describe_reference(reference: Reference, opensim: Mapping[str, Any]) -> dict[str, Any]:
    error, angles = reference.triangulated.error_px, reference.angles_deg
    return {
        "reprojection_px": {
            "median": float(error.nanmedian()),
            "p95": float(error.nanquantile(0.95)),
            "by_view": [float(each.nanmedian()) for each in error],
        },
        "inlying": float(reference.triangulated.inlying[error.isfinite()].double().mean()),
        "marker_rms_mm": 1e3 * float(reference.residuals.rms.square().mean().sqrt()),
        "se_deg": dict(zip(OBSERVABLE, reference.se_deg.mean(0).tolist())),
        "se_mean_deg": float(reference.se_deg.mean()),
        "left_out_deg": [float(np.abs(each - angles).mean()) for each in reference.left_out_deg],
        "spread_deg": float(angles.std(0).mean()),
        "opensim": dict(opensim),
        "angles_deg": _curve(angles[None]),
        "se_by_frame_deg": _curve(reference.se_deg[None]),
    }


def _curve(angles: Angles) -> dict[str, list[float | None]]:
    """Mean over the views that predict, by coordinate, to a tenth of a degree; None where none does."""
    known = np.isfinite(angles)
    total = np.where(known, angles, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    columns = np.where(known.any(0), total.round(1), np.nan).T.tolist()
    return {
        name: [None if value != value else value for value in column]
        for name, column in zip(OBSERVABLE, columns)
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: None."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and value != value else value


def synthetic_errors(results: Mapping[str, Any], names: list[str]) -> dict[str, float]:
    """Mean error of OBSERVABLE on the synthetic test subjects of `results`, of those methods that it has."""
    found = {name: synthetic_mae(results, name, OBSERVABLE) for name in names}
    return {name: value for name, value in found.items() if value is not None}
