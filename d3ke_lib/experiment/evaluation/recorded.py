"""results.json in the short form that may be committed (data/results/*.json)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d3ke_lib.experiment.evaluation.scores import ANGLE
from d3ke_lib.files import D3keError, write_text

MOST_BYTES = 1_000_000
# Of comparisons: what tables, findings and claims speak of.
_COMPARED = (
    *(ANGLE, "moving_mae_deg", "humerus_deg", "mpblpe_mm", "mpjpe_mm", "pelvis_deg", "turned_percent"),
    *("scale_sum", "size_percent", "acceleration_mps2"),
)
_ESTIMATE = ("mean", "low", "high")  # of conditions
_OF_METHOD = ("kind", "refiner", "backbone", "seed", "sizes")


def reduce_results(results: dict[str, Any]) -> dict[str, Any]:
    """results.json without what no document needs, so that it may be committed: under 1 MB for a study.

    Of methods the angle error by subject and by coordinate; of comparisons fewer metrics; of conditions the
    intervals alone.
    """
    methods = {name: _reduce_method(method) for name, method in results["methods"].items()}
    settings = {name: _reduce_conditions(setting) for name, setting in results["settings"].items()}
    comparisons = [_reduce_conditions(_reduce_comparison(each)) for each in results["comparisons"]]
    return {**results, "methods": methods, "settings": settings, "comparisons": comparisons}


def write_reduced(path: Path, results: dict[str, Any]) -> Path:
    """The short form without blanks. Raises D3keError where it is over 1 MB."""
    text = json.dumps(reduce_results(results), sort_keys=True, allow_nan=False, separators=(",", ":"))
    if len(text) > MOST_BYTES:
        raise D3keError(f"{path.name}: expected at most {MOST_BYTES} bytes, found {len(text)}")
    return write_text(path, text + "\n")


def _reduce_method(method: Mapping[str, Any]) -> dict[str, Any]:
    coordinates = {name: {"mae_deg": each["mae_deg"]} for name, each in method["coordinates"].items()}
    about = {key: method[key] for key in _OF_METHOD if key in method}
    return {**about, "subjects": _choose(method["subjects"], (ANGLE,)), "coordinates": coordinates}


def _reduce_comparison(found: Mapping[str, Any]) -> dict[str, Any]:
    metrics = _choose(found["metrics"], _COMPARED)
    by_unit = {unit: _choose(found[unit], (ANGLE,)) for unit in ("subjects", "runs")}
    return {**found, "metrics": metrics, **by_unit}


def _reduce_conditions(found: Mapping[str, Any]) -> dict[str, Any]:
    conditions = {
        name: {metric: _choose(estimate, _ESTIMATE) for metric, estimate in metrics.items()}
        for name, metrics in found.get("conditions", {}).items()
    }
    return {**found, "conditions": conditions}


def _choose(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
