"""Inverse kinematics: ours against OpenSim's InverseKinematicsTool on the same .trc files, in one run.

Fresh trajectories: two models × gentle and wide × with and without 5 % of markers missing, 2 mm noise,
by seeds that nothing was tuned on. Writes one JSON; `python scripts/bench_ik.py --help`.
"""

import argparse
import json
import math
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d3ke_lib.body.files import Trajectories, read_mot, write_trc
from d3ke_lib.body.inverse import Prior, solve
from d3ke_lib.body.kinematics import Pose, Skeleton
from d3ke_lib.body.osim import load_osim
from d3ke_lib.body.spec import BODY_FILE

RATE = 60.0
RELEASED = BODY_FILE.parents[3] / "shared/assets/d3ke/full_body_wo_hands.osim"
AMASS = 1_000_000  # frames


def trajectory(skeleton: Skeleton, frames: int, width: float, seed: int) -> Tensor:
    """Three sinusoids up to 1 Hz a coordinate, within `width` of its half range about the middle."""
    draws = np.random.default_rng(seed)
    count = len(skeleton.coordinates)
    time_ = np.arange(frames)[:, None, None] / RATE
    hertz, phase = draws.uniform(0.1, 1.0, (count, 3)), draws.uniform(0, 2 * math.pi, (count, 3))
    share = draws.uniform(0, 1, (count, 3))
    share /= share.sum(1, keepdims=True)
    wave = (share * np.sin(2 * math.pi * hertz * time_ + phase)).sum(-1)
    low, high = skeleton.ranges.double().numpy().T
    whole = high - low > 10  # whole turns and rooms: about 0, within 1 rad or m
    middle, half = np.where(whole, 0, (low + high) / 2), np.where(whole, 1.0, (high - low) / 2)
    return torch.from_numpy(middle + width * half * wave).float()


def observed(skeleton: Skeleton, angles: Tensor, missing: float, seed: int) -> tuple[Tensor, Tensor]:
    """Clean markers, and the same with 2 mm noise an axis and gaps."""
    draws = torch.Generator().manual_seed(seed)
    clean = skeleton(Pose(angles, skeleton.generic_scales)).markers
    noisy = clean + 2e-3 * torch.randn(clean.shape, generator=draws)
    noisy[torch.rand(clean.shape[:2], generator=draws) < missing] = torch.nan
    return clean, noisy


def theirs(path: Path, skeleton: Skeleton, markers: Tensor, folder: Path) -> tuple[Tensor, float]:
    """OpenSim's coordinates and the seconds its tool took."""
    import opensim

    opensim.Logger.setLevelString("Off")
    times = np.arange(len(markers)) / RATE
    write_trc(folder / "m.trc", Trajectories(times, skeleton.markers, markers.double().numpy()))
    tool, model = opensim.InverseKinematicsTool(), opensim.Model(str(path))
    model.initSystem()
    tool.setModel(model)
    tool.setMarkerDataFileName(str(folder / "m.trc"))
    tool.setOutputMotionFileName(str(folder / "ik.mot"))
    tool.setResultsDir(str(folder))
    tool.setEndTime(float(times[-1]) + 1e-6)
    tool.set_report_errors(False)
    tool.set_accuracy(1e-5)
    for name in skeleton.markers:
        task = opensim.IKMarkerTask()
        task.setName(name)
        task.setApply(True)
        task.setWeight(1.0)
        tool.getIKTaskSet().cloneAndAppend(task)
    begin = time.perf_counter()
    tool.run()
    seconds = time.perf_counter() - begin
    found = read_mot(folder / "ik.mot")
    columns = [found.labels.index(name) for name in skeleton.coordinates]
    return torch.from_numpy(found.values[:, columns]).float(), seconds


def judged(skeleton: Skeleton, angles: Tensor, truth: Tensor, clean: Tensor, free: list[int]) -> dict:
    """Marker RMS to clean, mm; angle RMSE, degrees: over all, mean and median of coordinates."""
    off = skeleton(Pose(angles, skeleton.generic_scales)).markers - clean
    by_coordinate = (angles - truth)[:, free].square().mean(0).sqrt() * 180 / math.pi
    return {
        "marker_rms_mm": float(off.square().sum(-1).mean().sqrt()) * 1e3,
        "angle_rmse_deg": float(by_coordinate.square().mean().sqrt()),
        "angle_rmse_mean_deg": float(by_coordinate.mean()),
        "angle_rmse_median_deg": float(by_coordinate.median()),
    }


def turning(skeleton: Skeleton) -> list[int]:
    """Rotations that follow no coupler and no lock."""
    body = skeleton.body
    tied = {c.dependent for c in body.couplers if c.enforced}
    slides = {a.coordinate for j in body.joints for a in j.translations}
    held = {c.name for c in body.coordinates if c.locked}
    return [i for i, name in enumerate(skeleton.coordinates) if name not in tied | slides | held]


def compare(path: Path, width: float, missing: float, seed: int, frames: int, device: str) -> dict:
    skeleton = Skeleton(load_osim(path))
    truth = trajectory(skeleton, frames, width, seed)
    clean, noisy = observed(skeleton, truth, missing, seed)
    layer = Skeleton(skeleton.body).to(device)
    markers = noisy.to(device)
    solve(layer, markers[:16], prior=Prior(RATE))  # warm
    begin = time.perf_counter()
    pose, residuals = solve(layer, markers, prior=Prior(RATE))
    ours = pose.angles.cpu()
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        found, their_seconds = theirs(path, skeleton, noisy, Path(folder))
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
        print(json.dumps(rows[-1]), flush=True)
    long = throughput(BODY_FILE, options.long, options.device)
    print(json.dumps(long))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    result = {"device": options.device, "threads": options.threads, "load": load, "rows": rows, "long": long}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
