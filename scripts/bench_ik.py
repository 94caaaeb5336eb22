"""Inverse kinematics: ours against OpenSim's InverseKinematicsTool on the same .trc files, in one run.

Fresh trajectories: two models × gentle and wide × with and without 5 % of markers missing, 2 mm noise,
by seeds that nothing was tuned on; ours solves each twice and the quicker time counts, OpenSim once. With a
folder that holds opensim-org/opensim-models its public trials are solved too, each in a process of its own,
where the first call counts. Prints tables and writes one JSON, which notebook 10 shows when recorded:

    python scripts/bench_ik.py --models FOLDER --to data/results/ik.json
"""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import _cli
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.solve import Prior, solve
from d3ke_lib.body.ik.tasks import read_marker_weights
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.studies.benchmarks import public_table, trial_table
from d3ke_lib.experiment.studies.ik_trials import (
    RATE,
    evaluate_angles,
    observed,
    rotations_of,
    trajectory,
)  # fmt: skip
from d3ke_lib.experiment.studies.opensim_oracle import opensim_inverse
from d3ke_lib.files import write_text

RELEASED = BODY_FILE.parents[3] / "shared/assets/d3ke/full_body_wo_hands.osim"
AMASS = 1_000_000  # frames
REPEATS = 2


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


def compare(path: Path, width: float, missing: float, seed: int, frames: int, device: str) -> dict:
    skeleton = Skeleton(load_osim(path))
    truth = trajectory(skeleton, frames, width, seed)
    clean, noisy = observed(skeleton, truth, missing, seed)
    layer = Skeleton(skeleton.body).to(device)
    markers = noisy.to(device)
    solve(layer, markers[:16], prior=Prior(RATE))  # warm
    seconds = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        pose, residuals = solve(layer, markers, prior=Prior(RATE))
        ours = pose.angles.cpu()
        seconds = min(seconds, time.perf_counter() - begin)
    labels, values, their_seconds = opensim_inverse(path, skeleton.markers, noisy.double().numpy(), RATE)
    found = torch.from_numpy(values[:, [labels.index(n) for n in skeleton.coordinates]]).float()
    free = rotations_of(skeleton)
    return {
        "model": path.stem, "width": width, "missing": missing, "seed": seed, "frames": frames,
        "ours": evaluate_angles(skeleton, ours, truth, clean, free)
        | {"frames_per_second": frames / seconds, "converged": float(residuals.converged.float().mean())},
        "opensim": evaluate_angles(skeleton, found, truth, clean, free)
        | {"frames_per_second": frames / their_seconds},
    }  # fmt: skip


def throughput(path: Path, frames: int, device: str) -> dict:
    """A long take: what a million frames of AMASS (120 Hz) would cost."""
    skeleton = Skeleton(load_osim(path)).to(device)
    truth = trajectory(skeleton.cpu(), frames, 0.3, 4)
    _, markers = observed(skeleton, truth, 0.0, 4)
    skeleton, markers = skeleton.to(device), markers.to(device)
    solve(skeleton, markers[:32], prior=Prior(RATE))
    begin = time.perf_counter()
    pose, _ = solve(skeleton, markers, prior=Prior(RATE))
    pose.angles.cpu()
    rate = frames / (time.perf_counter() - begin)
    return {"device": device, "frames": frames, "frames_per_second": rate, "amass_hours": AMASS / rate / 3600}


def compare_public(folder: Path, trial: PublicTrial) -> dict:
    """The first and a second call, alone and under the prior, and OpenSim's; for a process of its own."""
    loaded = load_trial(folder, trial)
    skeleton, markers, weights, rate = loaded
    seconds = {}
    for name, prior in (("first_s", None), ("again_s", None), ("smooth_s", Prior(rate))):
        begin = time.perf_counter()
        pose, residuals = solve(skeleton, markers, weights=weights, prior=prior)
        seconds[name] = time.perf_counter() - begin
        if prior is None:
            ours, converged = skeleton(pose).markers, float(residuals.converged.float().mean())
    used = [i for i in range(len(skeleton.markers)) if weights[i] > 0 and markers[:, i].isfinite().any()]
    labels, values, their_seconds = opensim_inverse(
        folder / trial.model, tuple(skeleton.markers[i] for i in used), markers[:, used].numpy(), rate,
        weights[used].numpy(),
    )  # fmt: skip
    columns = [labels.index(name) for name in skeleton.coordinates]
    theirs = skeleton(Pose(torch.from_numpy(values[:, columns].copy()), skeleton.generic_scales)).markers
    return {
        "trial": trial.name, "frames": len(markers), "markers": len(used), **seconds,
        "opensim_s": their_seconds, "rms_mm": weighted_rms(loaded, ours),
        "opensim_rms_mm": weighted_rms(loaded, theirs), "converged": converged,
    }  # fmt: skip


def in_own_process(folder: Path, trial: PublicTrial, threads: int) -> dict:
    """`compare_public` where nothing was computed before."""
    command = [sys.executable, __file__, "--models", str(folder), "--only", trial.name]
    done = subprocess.run([*command, "--threads", str(threads)], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{trial.name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def show(rows: pd.DataFrame, header: bool) -> None:
    print(rows.to_string(index=False, header=header), flush=True)


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, Path("out/bench/ik.json"))
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--long", type=int, default=1920, help="frames of the throughput run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--models", type=Path, help="a checkout of opensim-org/opensim-models")
    parser.add_argument("--only", choices=[t.name for t in PUBLIC_TRIALS], help="solve it, print its JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    if options.only:
        trial = next(t for t in PUBLIC_TRIALS if t.name == options.only)
        print(json.dumps(compare_public(options.models, trial)))
        return
    public = []
    for trial in PUBLIC_TRIALS if options.models else ():
        public.append(in_own_process(options.models, trial, options.threads))
        show(public_table({"public": public[-1:]}), len(public) == 1)
    paths = [path for path in (BODY_FILE, RELEASED) if path.exists()]
    cases = [(p, w, m) for p in paths for w in (0.12, 0.6) for m in (0.0, 0.05)]
    rows = []
    for seed, (path, width, missing) in enumerate(cases, 100):
        rows.append(compare(path, width, missing, seed, options.frames, options.device))
        show(trial_table({"rows": rows[-1:]}), len(rows) == 1)
    long = throughput(BODY_FILE, options.long, options.device)
    print(
        f"{long['frames']} frames at once: {long['frames_per_second']:.0f} frames/s on {options.device}; "
        f"a million frames of AMASS would take {long['amass_hours']:.1f} h"
    )
    result = {"device": options.device, "threads": options.threads, "load": os.getloadavg()[0]}
    result |= {"rows": rows, "public": public, "long": long}
    write_text(options.to, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
