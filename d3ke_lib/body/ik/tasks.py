"""Marker weights from an OpenSim InverseKinematicsTool setup or IKTaskSet file."""

import math
import warnings
from pathlib import Path

from d3ke_lib.body.opensim.model import OsimError
from d3ke_lib.body.opensim.xml import flag, floats, parse


def read_marker_weights(path: str | Path) -> dict[str, float]:
    """Weight of each marker with an IKMarkerTask, 0 where the task does not apply.

    Coordinate tasks are passed over with a warning. Raises OsimError for a file without marker tasks, and
    for weights that are not finite numbers of 0 or more.
    """
    path = Path(path)
    root = parse(path)
    weights = {}
    for task in root.iter("IKMarkerTask"):
        weight = floats(task, "weight", path, 1, "1")[0]
        if not (math.isfinite(weight) and weight >= 0):
            raise OsimError(f"{path}: {task.get('name')}: expected a weight of 0 or more, found {weight:g}")
        weights[task.get("name", "")] = weight if flag(task, "apply", path, "true") else 0.0
    if not weights:
        raise OsimError(f"{path}: expected IKMarkerTask elements, found none in <{root.tag}>")
    if unused := [t.get("name") for t in root.iter("IKCoordinateTask") if flag(t, "apply", path, "true")]:
        warnings.warn(f"{path}: coordinate tasks are not used: {', '.join(map(str, unused))}", stacklevel=2)
    return weights
