"""Inverse kinematics: an OpenSim model and a .trc of markers → a .mot of coordinates, and residuals.

    python -m d3ke_lib.body.ik model.osim trial.trc -o coordinates.mot

Exit codes: 0 done, 1 written but some frames did not converge, 2 an error, 130 interrupted.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from d3ke_lib.body.ik.solve import Prior, Residuals, solve
from d3ke_lib.body.ik.tasks import read_marker_weights
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import Motion, Trajectories, read_trc, write_mot
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.command_line import INCOMPLETE, command
from d3ke_lib.files import write_text


@command()
def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    body = load_osim(options.model, options.markers)
    skeleton = Skeleton(body).double()
    trial = _between(read_trc(options.trial), options.time, options.trial)
    markers = _markers_of(skeleton, trial, options)
    weights = _weights(skeleton, options.tasks)
    prior = Prior(_rate(trial, options.trial)) if options.smooth else None
    with tqdm(total=len(trial.time), unit="frame", disable=None) as bar:
        pose, residuals = solve(
            skeleton, torch.from_numpy(markers), weights=weights, prior=prior, progress=bar.update
        )
    write_mot(options.output, Motion(trial.time, skeleton.coordinates, pose.angles.numpy()), model=body)
    if options.residuals:
        write_text(options.residuals, _residual_csv(skeleton, trial.time, residuals))
    _report(skeleton, residuals, weights)
    print(f"{options.output}: {len(trial.time)} frames, {len(skeleton.coordinates)} coordinates")
    seen = residuals.rms.isfinite()
    return INCOMPLETE if bool((seen & ~residuals.converged).any()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m d3ke_lib.body.ik", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="OpenSim model (.osim)")
    parser.add_argument("trial", type=Path, help="marker trajectories (.trc)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="coordinates to write (.mot)")
    parser.add_argument("--markers", type=Path, help="MarkerSet file (.xml) to put into the model")
    parser.add_argument("--tasks", type=Path, help="weights: OpenSim's IK setup or IKTaskSet file (.xml)")
    parser.add_argument("--time", type=float, nargs=2, metavar=("START", "END"), help="part of the trial, s")
    parser.add_argument("--smooth", action="store_true", help="all frames together, motion being smooth")
    parser.add_argument("--residuals", type=Path, help="distances per frame and marker to write, mm (.csv)")
    return parser


def _between(trial: Trajectories, seconds: list[float] | None, path: Path) -> Trajectories:
    first, last = seconds or (-np.inf, np.inf)
    rows = (trial.time >= first - 1e-9) & (trial.time <= last + 1e-9)
    if not rows.any():
        found = f"{trial.time[0]:g} to {trial.time[-1]:g} s" if len(trial.time) else "no frame"
        raise ValueError(f"{path}: expected frames between {first:g} and {last:g} s, found {found}")
    return Trajectories(trial.time[rows], trial.labels, trial.positions[rows])


def _markers_of(
    skeleton: Skeleton, trial: Trajectories, options: argparse.Namespace
) -> Float[np.ndarray, "frame marker 3"]:
    """The trial's markers in the model's order, NaN where the trial has none."""
    common = [name for name in skeleton.markers if name in trial.labels]
    if not common:
        has = {options.model: skeleton.markers, options.trial: trial.labels}
        names = "; ".join(f"{path} has {', '.join(labels) or 'none'}" for path, labels in has.items())
        raise ValueError(f"expected markers of the same names in model and trial: {names}")
    found = np.full((len(trial.time), len(skeleton.markers), 3), np.nan)
    for i, name in enumerate(skeleton.markers):
        if name in trial.labels:
            found[:, i] = trial.positions[:, trial.labels.index(name)]
    return found


def _weights(skeleton: Skeleton, tasks: Path | None) -> Float[torch.Tensor, " marker"]:
    """1 for every marker, or what the tasks say; a marker without a task has weight 0."""
    if tasks is None:
        return torch.ones(len(skeleton.markers), dtype=torch.float64)
    weights = read_marker_weights(tasks)
    if not set(weights) & set(skeleton.markers):
        raise ValueError(f"{tasks}: expected tasks for markers of the model, found {', '.join(weights)}")
    return torch.tensor([weights.get(name, 0.0) for name in skeleton.markers], dtype=torch.float64)


def _rate(trial: Trajectories, path: Path) -> float:
    if len(trial.time) < 2:
        raise ValueError(f"{path}: --smooth: expected two frames or more, found {len(trial.time)}")
    return float(1 / np.median(np.diff(trial.time)))


def _report(skeleton: Skeleton, residuals: Residuals, weights: Float[torch.Tensor, " marker"]) -> None:
    """RMS and largest distance of each marker, and of the frames, mm, on standard output."""
    width = max(len(name) for name in skeleton.markers)
    print(f"{'marker':<{width}}  weight     RMS     max  mm")
    for name, weight, distance in zip(skeleton.markers, weights.tolist(), 1e3 * residuals.distance.T):
        if (found := distance[distance.isfinite()]).numel():
            rms = float(found.square().mean().sqrt())
            print(f"{name:<{width}}  {weight:6.3g}  {rms:6.1f}  {float(found.max()):6.1f}")
    rms = 1e3 * residuals.rms[residuals.rms.isfinite()]
    print(f"per frame: RMS {float(rms.mean()):.2f} mm on average, {float(rms.max()):.2f} mm at most")
    for label, frames in (
        ("not converged", residuals.rms.isfinite() & ~residuals.converged),
        ("much worse than the others", residuals.outlying),
        ("without markers", ~residuals.rms.isfinite()),
    ):
        if numbers := (torch.nonzero(frames)[:, 0] + 1).tolist():
            shown = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
            print(f"{len(numbers)} frames {label}: {shown}")


def _residual_csv(skeleton: Skeleton, time: Float[np.ndarray, " frame"], residuals: Residuals) -> str:
    lines = [",".join(("time", "rms_mm", "converged", *skeleton.markers))]
    columns = (time.tolist(), (1e3 * residuals.rms).tolist(), residuals.converged.tolist())
    for *head, distances in zip(*columns, (1e3 * residuals.distance).tolist(), strict=True):
        cells = ["" if np.isnan(value) else f"{value:.4f}" for value in (head[1], *distances)]
        lines.append(",".join((f"{head[0]:.12g}", cells[0], str(int(head[2])), *cells[1:])))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
