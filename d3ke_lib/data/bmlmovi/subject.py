"""One subject of BMLmovi: labels, then a record file for each camera."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data import records
from d3ke_lib.data.batch import apply
from d3ke_lib.data.bmlmovi import labels as bmlmovi_labels
from d3ke_lib.data.bmlmovi import smplh
from d3ke_lib.data.bmlmovi.boxes import Boxes, from_detector, from_points, load_detector
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig, described, is_finished
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, Tree
from d3ke_lib.data.bmlmovi.labels import Labels, pose_of
from d3ke_lib.data.bmlmovi.masks import masks, report
from d3ke_lib.data.bmlmovi.read import Fit, Ranges, read_fit, read_ranges
from d3ke_lib.data.bmlmovi.video import crops, pictures
from d3ke_lib.data.camera import Camera, calibrated, crop_camera, to_camera
from d3ke_lib.data.schema import Metadata, file_name, names_of


@cache
def body() -> Skeleton:
    return default_skeleton().double()


@cache
def model_of(path: Path) -> smplh.Model:
    return smplh.load(path)


def make_subject(config: BmlmoviConfig, tree: Tree, out: Path, subject: int) -> dict[str, str]:
    """The subject's files; returns those that could not be made and why.

    Raises BmlmoviError when nothing can be written (a full disk, a read-only folder): going on is no use.
    """
    try:
        return made_or_why(config, tree, out, subject)
    except OSError as error:
        raise BmlmoviError(f"{out}: cannot write the files of subject {subject}: {error}") from error


def made_or_why(config: BmlmoviConfig, tree: Tree, out: Path, subject: int) -> dict[str, str]:
    cameras = [c for c in config.files[subject] if not is_finished(config, out, subject, c)]
    try:
        labels, ranges = subject_labels(config, tree, out, subject)
    except (ValueError, RuntimeError) as error:
        return {file_name(subject, camera): said(error) for camera in cameras}
    failed: dict[str, str] = {}
    for camera in cameras:
        try:
            make_file(config, tree, out, labels, ranges, (subject, camera))
        except (ValueError, RuntimeError) as error:
            failed[file_name(subject, camera)] = said(error)
    return failed


def said(error: Exception) -> str:
    known = isinstance(error, BmlmoviError | smplh.SmplhError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def subject_labels(config: BmlmoviConfig, tree: Tree, out: Path, subject: int) -> tuple[Labels, Ranges]:
    """The subject's labels, made unless they are there. Raises BmlmoviError, SmplhError."""
    if subject not in tree.ranges:
        raise BmlmoviError(f"{tree.raw}: expected F_v3d_Subject_{subject}.mat, found none")
    ranges = read_ranges(tree.ranges[subject], subject)
    about, path = described(config), out / "labels" / f"subject_{subject:03d}.npz"
    if (labels := bmlmovi_labels.load(path, about)) is not None:
        return labels, ranges
    if not tree.fits.get(subject):
        raise BmlmoviError(f"{tree.raw}: expected Subject_{subject}_F_1_poses.npz and others, found none")
    fits = {number: read_fit(file) for number, file in sorted(tree.fits[subject].items())}
    model = chosen_model(tree, ranges, next(iter(fits.values())))
    labels, notes = bmlmovi_labels.make(body(), model, ranges, fits, config.scaling)
    about_subject = {"sex": next(iter(fits.values())).sex} | report(body(), labels, ranges, notes)
    write_json(out / "subjects" / f"subject_{subject:03d}.json", about_subject)
    bmlmovi_labels.save(path, labels, about)
    return labels, ranges


def chosen_model(tree: Tree, ranges: Ranges, fit: Fit) -> smplh.Model:
    """The model of the subject's sex, on which the V3D file and the fit must agree."""
    if ranges.sex not in (None, fit.sex):
        raise BmlmoviError(f"{fit.path}: gender: expected {ranges.sex} (the V3D file's), found {fit.sex}")
    if fit.sex not in tree.models:
        raise BmlmoviError(f"{tree.raw}: expected {fit.sex}/model.npz of SMPL-H, found {sorted(tree.models)}")
    mine = tree.models[fit.sex]
    for sex, path in tree.models.items():
        same = sex != fit.sex and path.stat().st_size == mine.stat().st_size
        if same and records.sha256(path) == records.sha256(mine):
            raise BmlmoviError(f"{mine}: expected the {fit.sex} model, found the same file as {path}")
    return model_of(mine.resolve())


# -- one file --------------------------------------------------------------------------------


def make_file(
    config: BmlmoviConfig, tree: Tree, out: Path, labels: Labels, ranges: Ranges, job: tuple[int, str]
) -> None:
    """Crops and labels of one subject and camera. Raises BmlmoviError."""
    subject, name = job
    if job not in tree.videos:
        raise BmlmoviError(f"{tree.raw}: expected F_{name}_Subject_{subject}_L.avi, found none")
    path, size, full = tree.videos[job], D3KE.cameras[name].size, calibrated(name, torch.float64)
    boxes = find_boxes(config, path, labels, full, size)
    kept = torch.nonzero(boxes.seen)[:, 0].numpy()
    if not len(kept):
        raise BmlmoviError(
            f"{path}: expected the person in the picture, found none in {len(boxes.seen)} frames"
        )
    labels, box = at_rows(labels, kept), boxes.box[kept]
    crop = crop_camera(full, box, config.px, zoom=1 / config.margin)
    columns = columns_of(labels, ranges, crop, box, subject)
    columns["image"] = taken(config, path, labels.frame, full, crop, size)
    about = {
        "frames": len(kept),
        "out_of_picture": missing_rows(boxes.seen),
        "no_box": missing_rows(boxes.found),
    }
    write_json(out / "subjects" / f"subject_{subject:03d}_{name}.json", about)
    metadata = Metadata(subject, name, config.px, config.margin, names_of(body()), described(config))
    records.write(out / file_name(subject, name), columns, metadata)


def find_boxes(
    config: BmlmoviConfig, path: Path, labels: Labels, full: Camera, size: tuple[int, int]
) -> Boxes:
    near = from_points(full, torch.from_numpy(labels.points).double(), size)
    if config.boxes == "labels":
        return near
    return from_detector(
        load_detector(config.detector), pictures(path, labels.frame.tolist(), size), near.box
    )


def taken(
    config: BmlmoviConfig, path: Path, frames: np.ndarray, full: Camera, crop: Camera, size: tuple[int, int]
) -> list[bytes]:
    """Each row's crop; the video is read once, in its own order, whatever the order of the motions."""
    order = np.argsort(frames, kind="stable")
    sorted_crop = Camera(*(value[order] for value in crop))
    images = pictures(path, frames[order].tolist(), size)
    jpegs = crops(images, full, sorted_crop, config.px, config.jpeg_quality)
    return [jpegs[row] for row in np.argsort(order)]


def at_rows(labels: Labels, rows: np.ndarray) -> Labels:
    return labels._replace(**{k: v[rows] for k, v in labels._asdict().items() if k != "scales"})


def missing_rows(there: torch.Tensor) -> list[int]:
    return torch.nonzero(~there)[:, 0].tolist()


def columns_of(
    labels: Labels, ranges: Ranges, crop: Camera, box: torch.Tensor, subject: int
) -> dict[str, Any]:
    """A record's columns but the pictures; points are the body's own, so that they agree with the angles."""
    pose = pose_of(labels)
    root = torch.from_numpy(labels.root)[:, None]
    points = apply(lambda part: to_camera(crop, part + root), body()(pose))
    valid = masks(body(), torch.from_numpy(labels.distance))
    values = {
        "angles": pose.angles, "scales": pose.scales, "R_camera_root": crop.R @ pose.R_ground_root,
        "joints": points.joints, "markers": points.markers,
        "valid_angles": valid.angles, "valid_joints": valid.joints, "valid_markers": valid.markers,
        "focal": crop.focal, "center": crop.center,
        "R_camera_world": crop.R, "t_camera_world": crop.t, "box": box,
    }  # fmt: skip
    columns: dict[str, Any] = {name: value.numpy() for name, value in values.items()}
    names = [ranges.names[k - 1] for k in labels.motion]
    numbered = {"frame": labels.frame, "time": labels.time, "action": names}
    return columns | numbered | {"subject": [subject] * len(names)}


def write_json(path: Path, value: Any) -> None:
    records.write_whole(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
