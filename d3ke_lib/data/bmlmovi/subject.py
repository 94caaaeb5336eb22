"""One subject of BMLmovi: labels, then a record file for each camera."""

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
from d3ke_lib.data.bmlmovi.boxes import Boxes, detect_boxes, load_detector, project_boxes
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig, describe, is_finished
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, Downloads
from d3ke_lib.data.bmlmovi.labels import Labels, to_pose
from d3ke_lib.data.bmlmovi.masks import mask_labels, report_residuals
from d3ke_lib.data.bmlmovi.read import Fit, Ranges, read_fit, read_ranges
from d3ke_lib.data.bmlmovi.video import crop_frames, read_frames
from d3ke_lib.data.camera import Camera, calibrated, crop_camera, to_camera
from d3ke_lib.data.record_jobs import write_json
from d3ke_lib.data.schema import Metadata, file_name, names_of
from d3ke_lib.files import sha256


@cache
def load_body() -> Skeleton:
    return default_skeleton().double()


@cache
def load_model(path: Path) -> smplh.SmplhModel:
    return smplh.load_model(path)


def make_subject(config: BmlmoviConfig, tree: Downloads, out: Path, subject: int) -> dict[str, str]:
    """Makes the subject's files; returns those that could not be made and why.

    Raises BmlmoviError when nothing can be written (a full disk, a read-only folder).
    """
    try:
        return _make_files(config, tree, out, subject)
    except OSError as error:
        raise BmlmoviError(f"{out}: cannot write the files of subject {subject}: {error}") from error


def _make_files(config: BmlmoviConfig, tree: Downloads, out: Path, subject: int) -> dict[str, str]:
    cameras = [c for c in config.files[subject] if not is_finished(config, out, subject, c)]
    try:
        labels, ranges = load_or_make_labels(config, tree, out, subject)
    except (ValueError, RuntimeError) as error:
        return {file_name(subject, camera): _error_text(error) for camera in cameras}
    failed: dict[str, str] = {}
    for camera in cameras:
        try:
            make_file(config, tree, out, labels, ranges, (subject, camera))
        except (ValueError, RuntimeError) as error:
            failed[file_name(subject, camera)] = _error_text(error)
    return failed


def _error_text(error: Exception) -> str:
    known = isinstance(error, BmlmoviError | smplh.SmplhError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def load_or_make_labels(
    config: BmlmoviConfig, tree: Downloads, out: Path, subject: int
) -> tuple[Labels, Ranges]:
    """The subject's labels, made unless they are stored. Raises BmlmoviError, SmplhError."""
    if subject not in tree.ranges:
        raise BmlmoviError(f"{tree.raw}: expected F_v3d_Subject_{subject}.mat, found none")
    ranges = read_ranges(tree.ranges[subject], subject)
    about, path = describe(config), out / "labels" / f"subject_{subject:03d}.npz"
    if (labels := bmlmovi_labels.load_labels(path, about)) is not None:
        return labels, ranges
    if not tree.fits.get(subject):
        raise BmlmoviError(f"{tree.raw}: expected Subject_{subject}_F_1_poses.npz and others, found none")
    fits = {number: read_fit(file) for number, file in sorted(tree.fits[subject].items())}
    model = choose_model(tree, ranges, next(iter(fits.values())))
    labels, notes = bmlmovi_labels.make_labels(load_body(), model, ranges, fits, config.scaling)
    about_subject = {"sex": next(iter(fits.values())).sex} | report_residuals(
        load_body(), labels, ranges, notes
    )
    write_json(out / "subjects" / f"subject_{subject:03d}.json", about_subject)
    bmlmovi_labels.save_labels(path, labels, about)
    return labels, ranges


def choose_model(tree: Downloads, ranges: Ranges, fit: Fit) -> smplh.SmplhModel:
    """The model of the subject's sex, on which the V3D file and the fit must agree."""
    if ranges.sex not in (None, fit.sex):
        raise BmlmoviError(f"{fit.path}: gender: expected {ranges.sex} (the V3D file's), found {fit.sex}")
    if fit.sex not in tree.models:
        raise BmlmoviError(f"{tree.raw}: expected {fit.sex}/model.npz of SMPL-H, found {sorted(tree.models)}")
    mine = tree.models[fit.sex]
    for sex, path in tree.models.items():
        same = sex != fit.sex and path.stat().st_size == mine.stat().st_size
        if same and sha256(path) == sha256(mine):
            raise BmlmoviError(f"{mine}: expected the {fit.sex} model, found the same file as {path}")
    return load_model(mine.resolve())


# -- one file --------------------------------------------------------------------------------


def make_file(
    config: BmlmoviConfig, tree: Downloads, out: Path, labels: Labels, ranges: Ranges, job: tuple[int, str]
) -> None:
    """Crops and labels of one subject and camera. Raises BmlmoviError."""
    subject, name = job
    if job not in tree.videos:
        raise BmlmoviError(f"{tree.raw}: expected F_{name}_Subject_{subject}_L.avi, found none")
    path, size, full = tree.videos[job], D3KE.cameras[name].size, calibrated(name, torch.float64)
    boxes = _find_boxes(config, path, labels, full, size)
    kept = torch.nonzero(boxes.seen)[:, 0].numpy()
    if not len(kept):
        raise BmlmoviError(
            f"{path}: expected the subject in the frame, found none in {len(boxes.seen)} frames"
        )
    labels, box = _select_rows(labels, kept), boxes.box[kept]
    crop = crop_camera(full, box, config.px, zoom=1 / config.margin)
    columns = _record_columns(labels, ranges, crop, box, subject)
    columns["image"] = _crop_video(config, path, labels.frame, full, crop, size)
    about = {
        "frames": len(kept),
        "out_of_image": _list_missing(boxes.seen),
        "no_box": _list_missing(boxes.found),
    }
    write_json(out / "subjects" / f"subject_{subject:03d}_{name}.json", about)
    metadata = Metadata(subject, name, config.px, config.margin, names_of(load_body()), describe(config))
    records.write(out / file_name(subject, name), columns, metadata)


def _find_boxes(
    config: BmlmoviConfig, path: Path, labels: Labels, full: Camera, size: tuple[int, int]
) -> Boxes:
    near = project_boxes(full, torch.from_numpy(labels.points).double(), size)
    if config.boxes == "labels":
        return near
    return detect_boxes(
        load_detector(config.detector), read_frames(path, labels.frame.tolist(), size), near.box
    )


def _crop_video(
    config: BmlmoviConfig, path: Path, frames: np.ndarray, full: Camera, crop: Camera, size: tuple[int, int]
) -> list[bytes]:
    """Each row's crop; the video is read once, in its own order, whatever the order of the motions."""
    order = np.argsort(frames, kind="stable")
    sorted_crop = Camera(*(value[order] for value in crop))
    images = read_frames(path, frames[order].tolist(), size)
    jpegs = crop_frames(images, full, sorted_crop, config.px, config.jpeg_quality)
    return [jpegs[row] for row in np.argsort(order)]


def _select_rows(labels: Labels, rows: np.ndarray) -> Labels:
    return labels._replace(**{k: v[rows] for k, v in labels._asdict().items() if k != "scales"})


def _list_missing(there: torch.Tensor) -> list[int]:
    return torch.nonzero(~there)[:, 0].tolist()


def _record_columns(
    labels: Labels, ranges: Ranges, crop: Camera, box: torch.Tensor, subject: int
) -> dict[str, Any]:
    """A record's columns except the images; points are the body's own, so that they agree with the angles."""
    pose = to_pose(labels)
    root = torch.from_numpy(labels.root)[:, None]
    points = apply(lambda part: to_camera(crop, part + root), load_body()(pose))
    valid = mask_labels(load_body(), torch.from_numpy(labels.distance))
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
