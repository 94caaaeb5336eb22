"""What is known about a method's accuracy on real people: from the record of the real trial, or nothing."""

import json
from pathlib import Path
from typing import Any

from d3ke_lib.settings import REPOSITORY

_REAL_TRIAL = REPOSITORY / "data" / "results" / "real_trial.json"
_TRAINED = {
    "lifted": "trained on synthetic motions",
    "landmarks": "scaling and inverse kinematics from landmarks",
    "d3ke": "trained on synthetic images",
}


def warning(method: str, path: Path = _REAL_TRIAL) -> str:
    """One line for every output: what the method is and how far off it was on a real person."""
    error = real_error(method, path)
    if error is None:
        return f"METHOD={method}: {_TRAINED[method]}; accuracy on real video unknown"
    low, high = error
    shown = f"{low:.0f}°" if round(low) == round(high) else f"{low:.0f}–{high:.0f}°"
    return f"METHOD={method}: {_TRAINED[method]}; mean error {shown} on one real person (12 coordinates)"


def real_error(method: str, path: Path = _REAL_TRIAL) -> tuple[float, float] | None:
    """Least and largest mean error, degrees, of the method's runs on the real trial; None: not measured."""
    if not path.is_file():
        return None
    methods: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["methods"]
    own = [name for name in methods if name == method or (method == "d3ke" and "/" in name)]
    errors = [methods[name]["mae"]["mean"] for name in own if methods[name].get("mae")]
    return (min(errors), max(errors)) if errors else None
