"""A run's log as a tidy table, for curves."""

from pathlib import Path

import pandas as pd

from d3ke_lib.experiment.run import artifacts, run_folder

_ABOUT = ("step", "seconds", "core_seconds")  # of a line; all else in it is a quantity


def table(run: Path, name: str) -> pd.DataFrame:
    """Columns run (`name`), step, thousand items, seconds, quantity, value.

    Quantities: lr, the four losses, total, per_second; of validations, `validation/` and the metric.
    """
    batch = artifacts.read_json(run / run_folder.RESULT)["config"]["batch"]
    rows = []
    for line in artifacts.read_log(run / run_folder.LOG):
        about = {"run": name, "thousand items": line["step"] * batch / 1e3} | {k: line[k] for k in _ABOUT}
        checked = {f"validation/{metric}": value for metric, value in line.get("validation", {}).items()}
        values = {k: v for k, v in line.items() if k not in (*_ABOUT, "validation")} | checked
        rows += [about | {"quantity": quantity, "value": value} for quantity, value in values.items()]
    return pd.DataFrame(rows)
