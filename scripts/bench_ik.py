"""Inverse kinematics: ours against OpenSim's InverseKinematicsTool on the same .trc files, in one run.

Fresh trajectories: two models × gentle and wide × with and without 5 % of markers missing, 2 mm noise,
by seeds that nothing was tuned on. Each solves each twice, in turn; the quicker time counts. Prints a
table and writes one JSON, which notebook 08 shows when recorded:

    python scripts/bench_ik.py --out data/results/ik.json
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import pandas as pd
import torch

from d3ke_lib.body.ik.solve import Prior, solve
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.studies.ik_trials import RATE, judged, observed, trajectory, trial_table, turning
from d3ke_lib.experiment.studies.opensim_oracle import opensim_inverse

RELEASED = BODY_FILE.parents[3] / "shared/assets/d3ke/full_body_wo_hands.osim"
AMASS = 1_000_000  # frames
TURNS = 2


def compare(path: Path, width: float, missing: float, seed: int, frames: int, device: str) -> dict:
    skeleton = Skeleton(load_osim(path))
    truth = trajectory(skeleton, frames, width, seed)
    clean, noisy = observed(skeleton, truth, missing, seed)
    layer = Skeleton(skeleton.body).to(device)
    markers = noisy.to(device)
    solve(layer, markers[:16], prior=Prior(RATE))  # warm
    seconds = their_seconds = float("inf")
    for _ in range(TURNS):
        begin = time.perf_counter()
        pose, residuals = solve(layer, markers, prior=Prior(RATE))
        ours = pose.angles.cpu()
        seconds = min(seconds, time.perf_counter() - begin)
        labels, values, took = opensim_inverse(path, skeleton.markers, noisy.double().numpy(), RATE)
        their_seconds = min(their_seconds, took)
    found = torch.from_numpy(values[:, [labels.index(n) for n in skeleton.coordinates]]).float()
    free = turning(skeleton)
    return {
        "model": path.stem, "width": width, "missing": missing, "seed": seed, "frames": frames,
        "ours": judged(skeleton, ours, truth, clean, free)
        | {"frames_per_second": frames / seconds, "converged": float(residuals.converged.float().mean())},
        "opensim": judged(skeleton, found, truth, clean, free)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--long", type=int, default=1920, help="frames of the throughput run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/bench/ik.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    paths = [path for path in (BODY_FILE, RELEASED) if path.exists()]
    cases = [(p, w, m) for p in paths for w in (0.12, 0.6) for m in (0.0, 0.05)]
    rows = []
    for seed, (path, width, missing) in enumerate(cases, 100):
        rows.append(compare(path, width, missing, seed, options.frames, options.device))
        print(pd.DataFrame(trial_table(rows[-1:])).to_string(index=False, header=len(rows) == 1), flush=True)
    long = throughput(BODY_FILE, options.long, options.device)
    print(
        f"{long['frames']} frames at once: {long['frames_per_second']:.0f} frames/s on {options.device}; ",
        end="",
    )
    print(f"a million frames of AMASS would take {long['amass_hours']:.1f} h")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    result = {"device": options.device, "threads": options.threads, "load": load, "rows": rows, "long": long}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
