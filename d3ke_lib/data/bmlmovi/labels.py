"""One subject's labels: SMPL-H fits → markers → scale factors → coordinates, with residuals.

Time: motion k takes the video frames of row k of `flags30`; its fit has four frames (120 Hz) for each of the
video's (30 Hz), so that video frame first + i shows the fit's frame 4·i.
"""

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib import files
from d3ke_lib.body.ik.joint_scaling import solve_with_scales
from d3ke_lib.body.ik.solve import Prior, solve
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.scaling.factors import scale_factors
from d3ke_lib.data.bmlmovi import smplh
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.bmlmovi.points import (
    NAMES,
    R_GROUND_WORLD,
    make_static_trial,
    pose_points,
    select_vertices,
    set_t_pose,
    to_ground,
)
from d3ke_lib.data.bmlmovi.read import MOCAP_HZ, VIDEO_HZ, Fit, Ranges

_STEP = round(MOCAP_HZ / VIDEO_HZ)
_LATE = 2  # video frames past the fit's end that keep its last pose, for rounding
_SCALING_FRAMES = 24


class Labels(NamedTuple):
    """All labelled video frames of a subject; everything in the world, m and rad, float64 but `points`."""

    motion: Int[np.ndarray, " frame"]  # from 1
    frame: Int[np.ndarray, " frame"]  # of the video, from 0
    time: Float[np.ndarray, " frame"]  # s since the motion began
    angles: Float[np.ndarray, "frame coord"]
    R_world_root: Float[np.ndarray, "frame 3 3"]
    root: Float[np.ndarray, "frame 3"]  # the root joint
    distance: Float[np.ndarray, "frame marker"]  # between the body's marker and SMPL-H's
    converged: np.ndarray  # bool (frame,)
    scales: Float[np.ndarray, "body 3"]
    points: Float[np.ndarray, "frame point 3"]  # SMPL-H's, in the order of NAMES, float32


class _FramePairs(NamedTuple):
    """One motion's video frames, and the frames of its fit at the same times."""

    number: int
    video: Int[np.ndarray, " frame"]
    fit: Int[np.ndarray, " frame"]


def pair_frames(number: int, span: Int[np.ndarray, " 2"], fit_frames: int) -> _FramePairs:
    """The fit's frame at the time of each video frame; video frames past the fit are left out.

    D3KE: frames past the fit's end all keep its last pose; here only `_LATE` of them do.
    """
    count = int(span[1] - span[0])
    at = _STEP * np.arange(count)
    at = at[at < fit_frames + _STEP * _LATE]
    return _FramePairs(number, span[0] + np.arange(len(at)), np.minimum(at, fit_frames - 1))


def make_labels(
    skeleton: Skeleton, model: smplh.SmplhModel, ranges: Ranges, fits: Mapping[int, Fit], scaling: str
) -> tuple[Labels, list[str]]:
    """A subject's labels, and notes on data that could not be used. `skeleton` in float64.

    Raises BmlmoviError: fits of different shapes, or no fit of any range.
    """
    betas = _shared_betas(fits)
    motions = [
        pair_frames(k, ranges.frames[k - 1], len(fits[k].poses))
        for k in sorted(fits)
        if k <= len(ranges.frames)
    ]
    motions = [motion for motion in motions if len(motion.video)]
    if not motions:
        path, count = next(iter(fits.values())).path, len(ranges.frames)
        raise BmlmoviError(f"{path}: expected motions among 1 to {count}, found {sorted(fits)}")
    few = select_vertices(model)
    points = [
        pose_points(few, betas, fits[m.number].poses[m.fit], fits[m.number].trans[m.fit]) for m in motions
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scales = _fit_scales(skeleton, model, betas, points, scaling)
        solved = [_solve_motion(skeleton, part, scales) for part in points]
    messages = sorted({str(warning.message) for warning in caught})
    return _collect(motions, points, solved, scales), _list_unused(ranges, fits) + messages


def _shared_betas(fits: Mapping[int, Fit]) -> Float[np.ndarray, " beta"]:
    """The betas of all fits. Raises BmlmoviError where they differ."""
    first, *others = fits.values()
    for other in others:
        if other.sex != first.sex or not np.allclose(other.betas, first.betas, atol=1e-4):
            raise BmlmoviError(
                f"{other.path}: expected sex and betas of {first.path.name}, found other values"
            )
    return first.betas


def _list_unused(ranges: Ranges, fits: Mapping[int, Fit]) -> list[str]:
    """Ranges and fits that are not used, and why."""
    count, notes = len(ranges.frames), []
    for number in range(1, count + 1):
        if number not in fits:
            notes.append(f"motion {number}: no fit; its frames are left out")
    for number, fit in fits.items():
        if number > count:
            notes.append(f"{fit.path.name}: flags30 has only {count} motions; left out")
            continue
        wanted = int(np.diff(ranges.frames[number - 1])[0])
        kept = len(pair_frames(number, ranges.frames[number - 1], len(fit.poses)).video)
        if kept < wanted:
            notes.append(
                f"motion {number}: the fit ends {wanted - kept} video frames early; those are left out"
            )
        elif len(fit.poses) > _STEP * (wanted + _LATE):
            notes.append(f"motion {number}: the fit goes on for {len(fit.poses) - _STEP * wanted} frames")
    return notes


# -- size and motion -----------------------------------------------------------------------------------------


def _fit_scales(
    skeleton: Skeleton, model: smplh.SmplhModel, betas: np.ndarray, points: list[Tensor], scaling: str
) -> Float[Tensor, "body 3"]:
    """Scale factors as the .osim writes them: "measured" as D3KE does, or "fitted" to markers in motion."""
    if scaling == "fitted":
        every = torch.cat(points)
        some = torch.linspace(0, len(every) - 1, min(_SCALING_FRAMES, len(every))).long()
        return solve_with_scales(skeleton, select_markers(skeleton, every[some]))[0].scales[0]
    factors = scale_factors(set_t_pose(skeleton.body), make_static_trial(model, betas))
    measured = torch.tensor(np.stack([factors[name] for name in skeleton.bodies])).to(skeleton.generic_scales)
    return measured * skeleton.generic_scales


def select_markers(
    skeleton: Skeleton, points: Float[Tensor, "frame point 3"]
) -> Float[Tensor, "frame marker 3"]:
    """The skeleton's markers among the points, in the ground of inverse kinematics."""
    return to_ground(points[:, [NAMES.index(name) for name in skeleton.markers]])


def _solve_motion(
    skeleton: Skeleton, points: Float[Tensor, "frame point 3"], scales: Tensor
) -> dict[str, Tensor]:
    """Inverse kinematics of one motion with D3KE's marker weights; results in the world.

    D3KE: at 120 Hz, every frame on its own from the one before; here at the video's rate, all together.
    """
    pose, residuals = solve(
        skeleton, select_markers(skeleton, points), scales=scales, prior=Prior(rate=VIDEO_HZ)
    )
    R_world_ground = torch.tensor(R_GROUND_WORLD).to(scales).T
    return {
        "angles": pose.angles,
        "R_world_root": R_world_ground @ pose.R_ground_root,
        "root": residuals.root @ R_world_ground.T,
        "distance": residuals.distance,
        "converged": residuals.converged,
    }


def _collect(motions: list[_FramePairs], points: list[Tensor], solved: list[dict], scales: Tensor) -> Labels:
    columns = {name: torch.cat([part[name] for part in solved]).numpy() for name in solved[0]}
    return Labels(
        motion=np.concatenate([np.full(len(m.video), m.number) for m in motions]),
        frame=np.concatenate([m.video for m in motions]),
        time=np.concatenate([np.arange(len(m.video)) / VIDEO_HZ for m in motions]),
        scales=scales.numpy(),
        points=torch.cat(points).float().numpy(),
        **columns,
    )


def to_pose(labels: Labels) -> Pose:
    """The labels as a Pose in the world."""
    angles, R = torch.from_numpy(labels.angles), torch.from_numpy(labels.R_world_root)
    return Pose(angles, torch.from_numpy(labels.scales).expand(len(angles), -1, -1), R)


# -- files ---------------------------------------------------------------------------------------------------


def save_labels(path: Path, labels: Labels, about: Mapping[str, Any]) -> None:
    """Whole or not at all; the same bytes for the same labels."""
    sink = io.BytesIO()
    np.savez(sink, about=np.array(json.dumps(about, sort_keys=True)), **labels._asdict())
    files.write_bytes(path, sink.getvalue())


def load_labels(path: Path, about: Mapping[str, Any] | None = None) -> Labels | None:
    """Labels that `save_labels` wrote for the same `about` (None: any); None where there are none or
    they were made from something else.
    """
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if about is not None and json.loads(str(file["about"])) != json.loads(json.dumps(about)):
            return None
        return Labels(*(file[name] for name in Labels._fields))
