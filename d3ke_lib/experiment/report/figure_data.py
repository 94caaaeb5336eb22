"""What figures are drawn from: results.json, the test records, and the predictions that runs have stored."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.report.effects import Results, is_smoke, name_data
from d3ke_lib.experiment.report.method_names import is_reference, label, methods_of, setting_of
from d3ke_lib.experiment.run.cells import variant_of
from d3ke_lib.experiment.run.inverse_kinematics import load_poses


class FigureData(NamedTuple):
    """All that figures are drawn from. `predictions` are the first seed's, of every trained setting."""

    folder: Path
    results: dict[str, Any]
    skeleton: Skeleton
    test: FrameSet
    truth: Batch
    predictions: dict[str, Pose]

    @property
    def note(self) -> str:
        """One line about the data and the profile, for below a figure."""
        empty = ": a test of the path, its numbers mean nothing" if is_smoke(self.results) else ""
        data = name_data(self.results) + ("" if self.results["synthetic"] else ", not for publication")
        subjects = len(self.results["subjects"])
        return f"{data} · profile {self.results['profile']['name']}{empty} · {subjects} test subjects"


def gather(folder: Path, results: dict[str, Any]) -> FigureData:
    skeleton, predictions = default_skeleton(), {}
    subjects = results["subjects"]
    for name in methods_of(results):
        setting = setting_of(name)
        if setting != name and setting not in predictions:
            predictions[setting] = load_poses(folder / name, "test", subjects, skeleton)
    test = FrameSet(folder / "data", "test", skeleton, subjects=subjects)
    return FigureData(folder, results, skeleton, test, test.labels(), predictions)


# --- yaw ----------------------------------------------------------------------------------------------------


def yaw_table(results: Results) -> pd.DataFrame | None:
    """Columns camera, method, yaw (a bin's middle, °), share (% of the camera's frames, mean over runs).

    Front and back exchanged show as a second peak at ± 180°. Of networks trained by the profile's recipe;
    None where the results do not say it.
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
