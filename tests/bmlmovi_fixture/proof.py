"""What the real path makes of the synthetic BMLmovi, against the truth stored with it."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from bmlmovi_fixture.shapes import selection
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import records

# A coordinate counts as observable where 1 mm in the bony landmarks moves it by 10° at most: each marker with
# its weight in inverse kinematics, other coordinates free (± 1 rad), in every frame.
NOISE, FREE, OBSERVABLE = 1e-3, 1.0, np.deg2rad(10)


class Truth(NamedTuple):
    """What is true of the video frames that belong to a subject's motions, in their order; world, m, rad."""

    angles: Float[np.ndarray, "frame coord"]
    R_world_root: Float[np.ndarray, "frame 3 3"]
    root: Float[np.ndarray, "frame 3"]
    video_frame: Int[np.ndarray, " frame"]  # from 0
    scales: Float[np.ndarray, "body 3"]


def truth(raw: Path, subject: int) -> Truth:
    """Raises FileNotFoundError where `raw` has no truth of this subject."""
    paths = sorted((raw / "truth").glob(f"subject_{subject}_*.npz"))
    if not paths:
        raise FileNotFoundError(f"{raw / 'truth'}: expected subject_{subject}_1.npz and others, found none")
    motions = [dict(np.load(path, allow_pickle=False)) for path in paths]
    shown = [motion["video_frame"] >= 0 for motion in motions]
    columns = {
        name: np.concatenate([motion[name][rows] for motion, rows in zip(motions, shown, strict=True)])
        for name in Truth._fields[:-1]
    }
    order = np.argsort(columns["video_frame"])
    return Truth(*(column[order] for column in columns.values()), motions[0]["scales"])


def pose_of(true: Truth) -> Pose:
    return Pose(*map(torch.from_numpy, (true.angles, true.scales, true.R_world_root)))


def observable(skeleton: Skeleton, true: Truth, step: float = 1e-5) -> Bool[np.ndarray, " coord"]:
    """Which coordinates the markers tell, by the curvature of inverse kinematics at the truth."""
    angles, weight = torch.from_numpy(true.angles), skeleton.marker_weights / 20
    scales, upright = torch.from_numpy(true.scales), torch.eye(3, dtype=torch.float64)
    moves = step * torch.eye(angles.shape[-1], dtype=torch.float64)[:, None]
    ahead, behind = (skeleton(Pose(angles + sign * moves, scales, upright)).markers for sign in (1, -1))
    slope = (ahead - behind) / (2 * step)
    curvature = torch.einsum("utmc,m,vtmc->tuv", slope, weight, slope) / NOISE**2
    spread = torch.linalg.inv(curvature + torch.eye(len(slope)) / FREE**2).diagonal(dim1=-2, dim2=-1).sqrt()
    return (spread.amax(0) < OBSERVABLE).numpy()


def rms_deg(difference: Float[np.ndarray, "frame *rest"]) -> Float[np.ndarray, "*rest"]:
    return np.rad2deg(np.sqrt(np.square(difference).mean(0)))


def turned_deg(
    a: Float[np.ndarray, "frame 3 3"], b: Float[np.ndarray, "frame 3 3"]
) -> Float[np.ndarray, " frame"]:
    """Angles between rotations; by sines, exact also where they are small."""
    twist = np.swapaxes(a, -1, -2) @ b
    sine = np.stack([twist[:, i, j] - twist[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], -1)
    return np.rad2deg(np.arctan2(np.linalg.norm(sine, axis=-1), np.trace(twist, axis1=1, axis2=2) - 1))


def off(
    skeleton: Skeleton, true: Truth, found: records.Record
) -> dict[str, Float[np.ndarray, "frame point"]]:
    """How far a record's joints and markers are from their true places, m."""
    R, t = found.column("R_camera_world").astype(float), found.column("t_camera_world")[:, None]
    places = skeleton(pose_of(true))
    return {
        name: np.linalg.norm(
            found.column(name) - (part.numpy() + true.root[:, None]) @ R.transpose(0, 2, 1) - t, axis=-1
        )
        for name, part in zip(("joints", "markers"), places, strict=True)
    }


def recovered(raw: Path, out: Path) -> dict[str, Any]:
    """Errors of every record of `out` by subject and camera, as JSON values."""
    paths = sorted(out.glob("*.arrow"))
    return {path.stem: compared(raw, records.read(path)) for path in paths}


def compared(raw: Path, found: records.Record) -> dict[str, Any]:
    skeleton, true = selection(), truth(raw, found.metadata.subject)
    shown = np.isin(true.video_frame, found.column("frame"))
    true = Truth(*(column[shown] for column in true[:-1]), true.scales)
    known = observable(skeleton, true)
    error = rms_deg(found.column("angles") - true.angles)
    R_world_root = found.column("R_camera_world").transpose(0, 2, 1) @ found.column("R_camera_root")
    points = off(skeleton, true, found)
    table = {name: round(float(value), 3) for name, value in zip(skeleton.coordinates, error, strict=True)}
    return {
        "frames": len(true.angles),
        "observable_rms_deg": {n: table[n] for n, seen in zip(skeleton.coordinates, known) if seen},
        "unobservable_rms_deg": {n: table[n] for n, seen in zip(skeleton.coordinates, known) if not seen},
        "worst_observable_deg": round(float(error[known].max()), 3),
        "pelvis_deg": round(float(turned_deg(R_world_root, true.R_world_root).max()), 3),
        "scales_percent": round(100 * float(np.abs(found.column("scales") / true.scales - 1).max()), 3),
        "points_mm": {
            name: {"mean": round(1e3 * float(far.mean()), 3), "max": round(1e3 * float(far.max()), 3)}
            for name, far in points.items()
        },
    }


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of everything in a folder but what a killed writer left half."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.suffix != ".partial")
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
