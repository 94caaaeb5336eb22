"""What a prediction is written as: files for OpenSim, a table, the video with the skeleton, and a page."""

import os
import shutil
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.coordinates import all_coordinates
from d3ke_lib.body.opensim.motion_files import (
    Motion,
    Trajectories,
    rotational_coordinates,
    write_mot,
    write_trc,
)
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.spec import body_file
from d3ke_lib.data import video as videos
from d3ke_lib.data.batch import apply
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.experiment.video.overlay import draw_examples, draw_overlay
from d3ke_lib.experiment.video.page import make_page
from d3ke_lib.experiment.video.prediction import Prediction
from d3ke_lib.experiment.video.request import R_GROUND_CAMERA
from d3ke_lib.files import write_text

R_ground_camera = torch.tensor(R_GROUND_CAMERA)


def write_prediction(
    prediction: Prediction, skeleton: Skeleton, folder: Path, progress: videos.Progress = videos.no_progress
) -> Path:
    """All files into `folder`, which is replaced as a whole at the end; returns its index.html.

    Interrupted (Ctrl-C) while the overlay is drawn, everything else is kept, and KeyboardInterrupt says so.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        motion, markers = _write_motion(prediction, skeleton, partial)
        draw_examples(prediction.examples).save(partial / "boxes.png", optimize=True)
        drawn = _write_overlay(prediction, skeleton, partial / "overlay.mp4", progress)
        write_text(partial / "index.html", make_page(prediction, skeleton, motion, markers, drawn))
        _replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not drawn:
        raise KeyboardInterrupt(f"{folder} has everything but overlay.mp4")
    return folder / "index.html"


def _write_overlay(prediction: Prediction, skeleton: Skeleton, path: Path, progress: videos.Progress) -> bool:
    """False where it was interrupted."""
    video = prediction.video
    frames = progress("overlay", draw_overlay(prediction, skeleton), len(video.times))
    try:
        write_video(path, frames, video.fps, video.times)
    except KeyboardInterrupt:
        return False
    return True


def _replace_folder(new: Path, folder: Path) -> None:
    """A process killed at any point leaves the old folder or the new one, perhaps under a hidden name."""
    old = new.with_suffix(".old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


# --- files for OpenSim, and the table ---------------------------------------------------------------------


def _write_motion(
    prediction: Prediction, skeleton: Skeleton, folder: Path
) -> tuple[Motion, Float[np.ndarray, "frame joint 3"]]:
    """angles.mot, angles.csv, markers.trc and the person's own person.osim, which angles.mot moves.

    Returns the motion and the joints in ground, m.
    """
    pose, R = apply(Tensor.double, prediction.pose), R_ground_camera.double()
    pose = pose._replace(R_ground_root=R @ pose.R_ground_root)
    joints, markers = stored_predictions.points_of(deepcopy(skeleton).double(), pose)
    positions = _on_floor(markers, prediction.positions.double() @ R.T)
    names, values = all_coordinates(skeleton, pose, positions)
    motion = Motion(prediction.times, names, values)
    write_mot(folder / "angles.mot", motion, model=skeleton.body)
    table = _tabulate(prediction, names, values, rotational_coordinates(skeleton.body))
    write_text(folder / "angles.csv", table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    in_ground = (markers + positions[:, None]).numpy()
    write_trc(
        folder / "markers.trc",
        Trajectories(prediction.times, skeleton.markers, in_ground),
        rate=prediction.video.fps,
    )
    scales = dict(zip(skeleton.bodies, pose.scales[0].numpy()))
    write_osim(folder / "person.osim", body_file(), scales)
    return motion, (joints + positions[:, None]).numpy()


def _on_floor(
    markers: Float[Tensor, "frame marker 3"], positions: Float[Tensor, "frame 3"]
) -> Float[Tensor, "frame 3"]:
    """Positions moved so that the first is over the origin and the lowest markers are at height 0."""
    height = (markers + positions[:, None])[..., 1].amin(-1)
    return positions - torch.stack([positions[0, 0], torch.quantile(height, 0.05), positions[0, 2]])


def _tabulate(
    prediction: Prediction,
    names: tuple[str, ...],
    values: Float[np.ndarray, "frame coord"],
    rotational: Collection[str],
) -> pd.DataFrame:
    """A row per frame of the video: time (s), angles (degrees), translations (m); names end in the unit.

    `person`: seen, hidden (for a moment: the box is interpolated) or absent, and then without values.
    """
    columns = {
        f"{name}_deg" if name in rotational else f"{name}_m": np.rad2deg(column)
        if name in rotational
        else column
        for name, column in zip(names, values.T)
    }
    video, rows = prediction.video, prediction.rows
    every = pd.RangeIndex(len(video.times))
    person = pd.Series(np.where(prediction.seen, "seen", "hidden"), rows).reindex(every, fill_value="absent")
    about = pd.DataFrame({"time_s": video.times, "person": person})
    return pd.concat([about, pd.DataFrame(columns, rows).reindex(every)], axis=1)
