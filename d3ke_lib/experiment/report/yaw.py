"""Signed yaw errors of the pelvis: front and back exchanged show as a second peak at ± 180°."""

import pandas as pd

from d3ke_lib.experiment.evaluation.methods import variant_of
from d3ke_lib.experiment.report.effects import Results
from d3ke_lib.experiment.report.method_names import is_reference, label, methods_of, setting_of


def yaw_table(results: Results) -> pd.DataFrame | None:
    """Columns camera, method, yaw (a bin's middle, °), share (% of the camera's frames, mean over runs).

    Of the profile's networks without variants; None where the results do not say it.
    """
    methods = {name: results["methods"][name] for name in methods_of(results) if not is_reference(name)}
    chosen = [name for name, each in methods.items() if each.get("yaw") and not variant_of(each["backbone"])]
    rows = [
        {"camera": camera, "method": label(setting_of(name)), "yaw": _middle(i, len(shares)), "share": share}
        for name in chosen
        for camera, shares in methods[name]["yaw"].items()
        for i, share in enumerate(shares)
    ]
    if not rows:
        return None
    return pd.DataFrame(rows).groupby(["camera", "method", "yaw"], sort=False, as_index=False).share.mean()


def _middle(number: int, bins: int) -> float:
    return -180 + 360 * (number + 0.5) / bins
