"""What a prediction is written as: files for OpenSim, a table, the video with the skeleton, and a page."""

import html
import os
import shutil
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path
from string import Template

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
from d3ke_lib.experiment.video.networks import Networks
from d3ke_lib.experiment.video.overlay import draw_examples, draw_overlay
from d3ke_lib.experiment.video.predict import Prediction
from d3ke_lib.files import write_text

# A camera (x right, y down, z forward) that stands upright and level, seen from OpenSim's ground (x forward,
# y up, z right): who faces the camera looks along ground x, and has pelvis rotation 0.
R_ground_camera = torch.tensor([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
_PAGE = Path(__file__).with_name("predict_page.html")


def write_prediction(
    prediction: Prediction, networks: Networks, folder: Path, progress: videos.Progress = videos.no_progress
) -> Path:
    """All files into `folder`, which is replaced as a whole at the end; returns its index.html.

    Interrupted (Ctrl-C) while the overlay is drawn, everything else is kept, and KeyboardInterrupt says so.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_motion(prediction, networks.skeleton, partial)
        draw_examples(prediction.examples).save(partial / "boxes.png", optimize=True)
        drawn = _write_overlay(prediction, networks.skeleton, partial / "overlay.mp4", progress)
        write_text(partial / "index.html", _page(prediction, networks, drawn))
        _replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not drawn:
        raise KeyboardInterrupt(f"{folder} has everything but overlay.mp4")
    return folder / "index.html"


def _write_overlay(prediction: Prediction, skeleton: Skeleton, path: Path, progress: videos.Progress) -> bool:
    """False where it was interrupted."""
    video = prediction.person.video
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


def _write_motion(prediction: Prediction, skeleton: Skeleton, folder: Path) -> None:
    """angles.mot, angles.csv, markers.trc and the person's own person.osim, which angles.mot moves."""
    pose, R = apply(Tensor.double, prediction.pose), R_ground_camera.double()
    pose = pose._replace(R_ground_root=R @ pose.R_ground_root)
    markers = stored_predictions.points_of(deepcopy(skeleton).double(), pose).markers
    positions = _on_floor(markers, prediction.positions.double() @ R.T)
    names, values = all_coordinates(skeleton, pose, positions)
    write_mot(folder / "angles.mot", Motion(prediction.times, names, values), model=skeleton.body)
    table = _tabulate(prediction, names, values, rotational_coordinates(skeleton.body))
    write_text(folder / "angles.csv", table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    in_ground = (markers + positions[:, None]).numpy()
    write_trc(
        folder / "markers.trc",
        Trajectories(prediction.times, skeleton.markers, in_ground),
        rate=prediction.person.video.fps,
    )
    scales = dict(zip(skeleton.bodies, pose.scales[0].numpy()))
    write_osim(folder / "person.osim", body_file(), scales)


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
    video, track, _ = prediction.person
    rows = np.arange(len(track.boxes)) + track.start
    every = pd.RangeIndex(len(video.times))
    person = pd.Series(np.where(track.seen, "seen", "hidden"), rows).reindex(every, fill_value="absent")
    about = pd.DataFrame({"time_s": video.times, "person": person})
    return pd.concat([about, pd.DataFrame(columns, rows).reindex(every)], axis=1)


# --- the page -------------------------------------------------------------------------------------------


def _page(prediction: Prediction, networks: Networks, drawn: bool = True) -> str:
    """A page that opens without network and claims nothing about accuracy; `drawn`: there is an overlay."""
    video, times = prediction.person.video, prediction.times
    absent = len(video.times) - len(times)
    hidden = int((~prediction.person.track.seen).sum())
    facts = {
        "video": f"{video.path.name}, {video.size[0]} × {video.size[1]} px",
        "frames": f"{len(video.times)} at {video.fps:.2f} Hz",
        "repaired": "; ".join(video.notes),
        "person seen": f"{times[0]:.2f} s to {times[-1]:.2f} s, {len(times) - hidden} frames"
        + (f"; hidden for a moment in {hidden}" if hidden else "")
        + (f"; absent from {absent}, which have no angles" if absent else ""),
        "box": prediction.person.choice,
        "camera": f"still, upright and level (assumed); focal length {prediction.camera.focal[0]:.0f} px",
        "networks": ", ".join(networks.names),
        "crop": f"{networks.config.px} × {networks.config.px} px",
    }
    escaped = {key: html.escape(value) for key, value in facts.items() if value}
    overlay = f'<video controls src="overlay.mp4#t={times[0]:.2f}"></video>'
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(video.path.name),
        rows="".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in escaped.items()),
        overlay=overlay if drawn else "The overlay was interrupted. Predict again to draw it.",
    )
