"""What `make predict` hands out: files for OpenSim, a table, the video with the skeleton, and a page."""

import html
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.coordinates import all_coordinates
from d3ke_lib.body.opensim.motion_files import (
    Motion,
    Trajectories,
    rotational_coordinates,
    write_mot,
    write_trc,
)
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import body_file
from d3ke_lib.data import video as videos
from d3ke_lib.data.camera import Camera, pixels
from d3ke_lib.experiment.report import image_grids
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.experiment.video.predict import Found, Nets, seen_by
from d3ke_lib.files import write_text

WARNING = "trained on synthetic data: accuracy on real video unknown"
# A camera (x right, y down, z forward) that stands upright and level, seen from OpenSim's ground (x forward,
# y up, z right): who faces the camera looks along ground x, and has pelvis rotation 0.
R_ground_camera = torch.tensor([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
PAGE = Path(__file__).with_name("predict_page.html")
EXAMPLES = 6


def write_all(found: Found, nets: Nets, folder: Path, note: str) -> Path:
    """All files into `folder`, which is replaced as a whole at the end; returns its index.html."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        write_motion(found, beside)
        videos.write(beside / "overlay.mp4", overlay(found, default_skeleton()), found.video.fps)
        boxes_picture(found, nets).save(beside / "boxes.png", optimize=True)
        write_text(beside / "index.html", page(found, nets, note))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder / "index.html"


def write_motion(found: Found, folder: Path) -> None:
    """angles.mot, angles.csv, markers.trc and the person's own person.osim."""
    skeleton = default_skeleton()
    pose = found.pose._replace(R_ground_root=R_ground_camera @ found.pose.R_ground_root)
    place = on_floor(skeleton, pose, found.place @ R_ground_camera.T)
    names, values = all_coordinates(skeleton, pose, place)
    write_mot(folder / "angles.mot", Motion(found.times, names, values), model=skeleton.body)
    angles = table(found.times, names, values, rotational_coordinates(skeleton.body))
    write_text(folder / "angles.csv", angles.to_csv(index=False, float_format="%.6f"))
    markers = (stored_predictions.points_of(skeleton, pose).markers + place[:, None]).double().numpy()
    write_trc(
        folder / "markers.trc", Trajectories(found.times, skeleton.markers, markers), rate=found.video.fps
    )
    scales = pose.scales.mean(0).double().numpy()
    write_osim(folder / "person.osim", body_file(), dict(zip(skeleton.bodies, scales)))


def on_floor(skeleton: Skeleton, pose: Pose, place: Float[Tensor, "frame 3"]) -> Float[Tensor, "frame 3"]:
    """Places moved so that the first is over the origin and the lowest markers are at height 0."""
    height = (stored_predictions.points_of(skeleton, pose).markers + place[:, None])[..., 1].amin(-1)
    origin = torch.stack([place[0, 0], torch.quantile(height, 0.05), place[0, 2]])
    return place - origin


def table(
    times: Float[np.ndarray, " frame"],
    names: tuple[str, ...],
    values: Float[np.ndarray, "frame coord"],
    rotational: Collection[str],
) -> pd.DataFrame:
    """Time in s, angles in degrees, translations in metres; the unit ends each column's name."""
    columns = {
        f"{name}_deg" if name in rotational else f"{name}_m": np.rad2deg(column)
        if name in rotational
        else column
        for name, column in zip(names, values.T)
    }
    return pd.DataFrame({"time_s": times, **columns})


# --- to look at -------------------------------------------------------------------------------------------


def overlay(found: Found, skeleton: Skeleton) -> Iterator[videos.Frame]:
    """The video with box and skeleton; frames that show nobody keep only the text."""
    xy = skeleton_px(found, skeleton)
    pairs = image_grids.bones(skeleton)
    for index, frame in enumerate(videos.frames(found.video.path)):
        i = index - found.start
        if 0 <= i < len(xy):
            yield image_grids.draw_over(frame, xy[i], pairs, found.boxes[i].numpy(), WARNING)
        else:
            yield np.asarray(image_grids.captioned(Image.fromarray(frame), WARNING))


def skeleton_px(found: Found, skeleton: Skeleton) -> Float[np.ndarray, "frame joint 2"]:
    joints = stored_predictions.points_of(skeleton, found.pose).joints + found.place[:, None]
    return pixels(found.camera, joints).numpy()


def boxes_picture(found: Found, nets: Nets) -> Image.Image:
    """Frames from the whole stretch with the box, and below each what the network saw."""
    chosen = np.linspace(0, len(found.boxes) - 1, min(EXAMPLES, len(found.boxes))).round().astype(int)
    height = round(320 * found.video.size[1] / found.video.size[0])
    above, below = [], []
    for index, frame in enumerate(videos.frames(found.video.path)):
        i = index - found.start
        if i in chosen:
            above.append(_boxed(frame, found.boxes[i].tolist()).resize((320, height)))
            below.append(_crop(found, frame, i, nets.config.px).resize((320, 320), Image.Resampling.NEAREST))
    columns = len(above)
    sheet = Image.new("RGB", (320 * columns, height + 320))
    sheet.paste(image_grids.grid(above, columns), (0, 0))
    sheet.paste(image_grids.grid(below, columns), (0, height))
    return sheet.quantize(256)


def _boxed(frame: videos.Frame, box: list[float]) -> Image.Image:
    picture = Image.fromarray(frame)
    width = max(3, round(max(frame.shape) / 160))
    ImageDraw.Draw(picture).rectangle(box, outline=image_grids.PREDICTED_COLOUR, width=width)
    return picture


def _crop(found: Found, frame: videos.Frame, i: int, px: int) -> Image.Image:
    crop = Camera(*(part[i] for part in found.crops))
    seen = seen_by(frame, found.camera, crop, found.boxes[i], px)
    return Image.fromarray((seen * 255).round().byte().permute(1, 2, 0).numpy())


def page(found: Found, nets: Nets, note: str) -> str:
    """A page that opens without network and claims nothing about accuracy."""
    film = found.video
    facts = {
        "video": f"{film.path.name}, {film.size[0]} × {film.size[1]} px",
        "frames": f"{len(film.times)} at {film.fps:.2f} Hz",
        "person seen": f"{found.times[0]:.2f} s to {found.times[-1]:.2f} s, {len(found.times)} frames",
        "box": note,
        "camera": f"still, upright and level (assumed); focal length {float(found.camera.focal[0]):.0f} px",
        "networks": ", ".join(nets.names),
        "crop": f"{nets.config.px} × {nets.config.px} px",
    }
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    template = Template(PAGE.read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(film.path.name), rows=rows, start=f"{found.times[0]:.2f}")
