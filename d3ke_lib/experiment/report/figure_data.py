"""What figures are drawn from: results.json, the test records, and the answers that runs have stored."""

from pathlib import Path
from typing import Any, NamedTuple

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.report.method_names import methods_of, setting_of
from d3ke_lib.experiment.run import artifacts, run_folder, stored_predictions


class Material(NamedTuple):
    """All that figures are drawn from. `answers` has the first seed of every trained setting."""

    folder: Path
    results: dict[str, Any]
    skeleton: Skeleton
    test: FrameSet
    truth: Batch
    answers: dict[str, Pose]

    @property
    def note(self) -> str:
        profile = self.results["profile"]["name"]
        empty = ": a test of the path, its numbers mean nothing" if profile == "smoke" else ""
        kind = "synthetic data" if self.results["synthetic"] else "BMLmovi, not for publication"
        return f"{kind} · profile {profile}{empty} · {len(self.results['subjects'])} test subjects"


def gather(folder: Path, results: dict[str, Any]) -> Material:
    skeleton, answers = default_skeleton(), {}
    subjects = results["subjects"]
    for name in methods_of(results):
        setting = setting_of(name)
        if setting != name and setting not in answers:
            identity = stored_predictions.identity(artifacts.read_json(folder / name / run_folder.RESULT))
            answers[setting] = stored_predictions.load(folder / name, "test", subjects, identity, skeleton)
    test = FrameSet(folder / "data", "test", skeleton)
    return Material(folder, results, skeleton, test, test.labels(), answers)
