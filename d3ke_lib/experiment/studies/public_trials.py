"""Public trials of inverse kinematics, in the folder of a checkout of opensim-org/opensim-models."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.tasks import read_marker_weights
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import read_trc
from d3ke_lib.body.opensim.read import load_osim


class PublicTrial(NamedTuple):
    """Files relative to the folder; `tasks`: OpenSim's weights, all 1 where None; at most `frames`."""

    name: str
    model: str
    markers: str
    tasks: str | None
    frames: int = 151


_ARM = "Tutorials/Computed_Muscle_Control/InverseKinematics/arm26"
_10DOF = "Pipelines/Gait10dof18musc"
PUBLIC_TRIALS = (
    *(
        PublicTrial(
            f"{name} walk1", f"{folder}/OutputReference/subject01_simbody.osim",
            f"{folder}/subject01_walk1.trc", f"{folder}/subject01_Setup_IK.xml",
        )
        for name, folder in (
            ("gait2354", "Pipelines/Gait2354_Simbody"), ("gait2392", "Pipelines/Gait2392_Simbody"),
        )
    ),
    PublicTrial(
        "gait10dof18musc walk", f"{_10DOF}/OutputReference/subject01.osim",
        f"{_10DOF}/ExperimentalData/subject01_walk.trc", f"{_10DOF}/IK/walk_Setup_IK.xml",
    ),
    PublicTrial("leg39 swing", "Models/Leg39/leg39.osim", "Pipelines/Leg39/leg39_swing.trc", None),
    PublicTrial(
        "Hamner subject02 running", "Pipelines/Hamner/outputReference/subject02_registered.osim",
        "Pipelines/Hamner/subject02_running.trc", "Pipelines/Hamner/Tasks_IK.xml", 60,
    ),
    PublicTrial("arm26 elbow flexion", f"{_ARM}.osim", f"{_ARM}_elbow_flex.trc", None),
)  # fmt: skip


class _LoadedTrial(NamedTuple):
    """Markers that model and trial share (others are NaN), weights, and the frame rate in Hz."""

    skeleton: Skeleton
    markers: Float[Tensor, "frame marker 3"]
    weights: Float[Tensor, " marker"]
    rate: float


def load_trial(folder: Path, trial: PublicTrial) -> _LoadedTrial:
    """Raises FileNotFoundError, or ValueError naming the file that cannot be read."""
    skeleton = Skeleton(load_osim(folder / trial.model)).double()
    found = read_trc(folder / trial.markers)
    time, positions = found.time[: trial.frames], found.positions[: trial.frames]
    markers = np.full((len(time), len(skeleton.markers), 3), np.nan)
    for i, name in enumerate(skeleton.markers):
        if name in found.labels:
            markers[:, i] = positions[:, found.labels.index(name)]
    weights = torch.ones(len(skeleton.markers), dtype=torch.float64)
    if trial.tasks:
        tasks = read_marker_weights(folder / trial.tasks)
        weights = torch.tensor([tasks.get(name, 0.0) for name in skeleton.markers], dtype=torch.float64)
    rate = round((len(time) - 1) / float(time[-1] - time[0]), 4)
    return _LoadedTrial(skeleton, torch.from_numpy(markers), weights, rate)


def weighted_rms(trial: _LoadedTrial, markers: Float[Tensor, "frame marker 3"]) -> float:
    """√(Σ weight · distance² / Σ weight) of each frame, its mean over the frames, mm."""
    square = (markers - trial.markers).square().sum(-1)
    weight = trial.weights * square.isfinite()
    return 1e3 * float(((weight * square.nan_to_num()).sum(-1) / weight.sum(-1)).sqrt().mean())


def public_table(rows: list[dict]) -> list[dict]:
    """Recorded rows (scripts/bench_ik.py) to read: ours / OpenSim's."""
    return [
        {
            "trial": row["trial"],
            "frames, markers": f"{row['frames']}, {row['markers']}",
            "s, first call / again / OpenSim": f"{row['first_s']:.3f} / {row['again_s']:.3f} / "
            f"{row['opensim_s']:.3f}",
            "times as fast, first call": round(row["opensim_s"] / row["first_s"], 1),
            "weighted RMS, mm": f"{row['rms_mm']:.3f} / {row['opensim_rms_mm']:.3f}",
            "not converged": f"{1 - row['converged']:.0%}",
        }
        for row in rows
    ]
