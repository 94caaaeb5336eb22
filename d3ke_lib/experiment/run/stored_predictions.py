"""Predictions of a trained network for whole subjects, stored once, for temporal training and evaluation.

    <run>/predictions/<split>/subject_003.safetensors  angles, unique scales, R_camera_root; one row per frame

Rows are in the order of FrameSet(data, split, subjects=[3]): by camera, motion and time. Points are not
stored: the skeleton layer gives them back; but of a network with the head "points" they are all there is.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data import augment, records
from d3ke_lib.data.batch import Batch, apply
from d3ke_lib.data.datasets import FrameSet, TemporalSet, stream
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import D3keError
from d3ke_lib.nets import metrics
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.points import PointsNet

_CHUNK = 1024  # frames the skeleton layer takes at once
Predicted = Pose | Points  # what a network's head gives: a pose, or points relative to the pelvis joint (m)


@torch.no_grad()
def predict(
    net: FrameNet | PointsNet,
    frames: FrameSet,
    indices: Int[Tensor, " frame"],
    px: int,
    precision: str,
    batch: int = 64,
    workers: int = 2,
) -> Predicted:
    """A frame network's predictions for plain centred crops, on the CPU; the net's mode is left as it was."""
    device, training = next(net.parameters()).device, net.training
    net.eval()
    reads_camera = isinstance(net, FrameNet) and net.camera_head is not None
    predictions = []
    for loaded in stream(frames, indices.split(batch), workers):
        image, labels = augment.crop(loaded.to(device), px)
        camera = (augment.camera_values(labels, px),) if reads_camera else ()
        with devices.autocast(device, precision):
            pose, points = net(image.contiguous(memory_format=torch.channels_last), *camera)
        predictions.append(apply(Tensor.cpu, points if pose is None else pose))
    net.train(training)
    return concatenate(predictions)


@torch.no_grad()
def refine(
    net: nn.Module, windows: TemporalSet, indices: Int[Tensor, " frame"], target: int, batch: int = 256
) -> Predicted:
    """A temporal network's predictions for the target frames, on the CPU.

    target: as `temporal_windows.target_frame` gives it.
    """
    device, training = next(net.parameters()).device, net.training
    net.eval()
    predictions = []
    for some in indices.split(batch):
        pose, points, _ = windows.load(some)
        pose, points = net(*(apply(lambda tensor: tensor.to(device), part) for part in (pose, points)))
        refined = points if pose is None else pose
        predictions.append(apply(lambda tensor: tensor[:, target].cpu(), refined))
    net.train(training)
    return concatenate(predictions)


def concatenate(predictions: Iterable[Predicted]) -> Predicted:
    predictions = list(predictions)
    return type(predictions[0])(*(torch.cat(parts) for parts in zip(*predictions)))


@torch.no_grad()
def points_of(skeleton: Skeleton, pose: Predicted) -> Points:
    """Points of many frames, in pieces that stay in the cache; points stay as they are."""
    if isinstance(pose, Points):
        return pose
    pieces = zip(*(part.split(_CHUNK) for part in pose))
    return Points(*(torch.cat(parts) for parts in zip(*(skeleton(Pose(*piece)) for piece in pieces))))


def mean_metrics(pose: Predicted, truth: Batch, skeleton: Skeleton) -> dict[str, float]:
    """Plain means over frames; not by group of joints. Of points alone those that compare positions."""
    if isinstance(pose, Points):
        values = metrics.points_per_frame(pose, truth.points, skeleton)
    else:
        found = (pose, points_of(skeleton, pose))
        values = metrics.per_frame(found, (truth.pose, truth.points), skeleton)
    return {name: float(value.mean()) for name, value in values.items() if "/" not in name}


# --- on disk ----------------------------------------------------------------------------------------------


def subjects_of(data: Path, split: str, count: int | None = None) -> list[int]:
    """A split's subjects by number, or the first `count` of them; D3keError where there are fewer."""
    files = records.load_manifest(data)["files"].values()
    subjects = sorted({file["subject"] for file in files if file["split"] == split})
    if count is not None and count > len(subjects):
        raise D3keError(f"{count} subjects of the split {split} are asked for, it has {len(subjects)}")
    return subjects[:count]


def identity(run: dict[str, Any]) -> str:
    """Names what a finished run (the content of its run.json) predicts, and from which records."""
    return fingerprint(run["weights_sha256"], run["records"])


def path_of(run: Path, split: str, subject: int) -> Path:
    return run / "predictions" / split / f"subject_{subject:03d}.safetensors"


def find_missing(run: Path, split: str, subjects: Iterable[int], identity: str) -> list[int]:
    """Subjects without predictions of this identity."""
    paths = {subject: path_of(run, split, subject) for subject in subjects}
    return [
        subject
        for subject, path in paths.items()
        if not path.is_file() or artifacts.read_about(path).get("identity") != identity
    ]


def write(path: Path, pose: Predicted, identity: str, skeleton: Skeleton) -> None:
    if isinstance(pose, Points):
        tensors = pose._asdict()
    else:
        tensors = {
            "angles": pose.angles,
            "unique_scales": skeleton.unique_scales(pose.scales),
            "R_camera_root": pose.R_ground_root,
        }
    artifacts.write_tensors(path, tensors, {"identity": identity})


def load(run: Path, split: str, subjects: Sequence[int], identity: str, skeleton: Skeleton) -> Predicted:
    """The subjects' predictions, lowest number first, as FrameSet lists them.

    Raises D3keError where a file is missing or was written by another network or from other records.
    """
    return concatenate(_read(path_of(run, split, each), identity, skeleton) for each in sorted(subjects))


def _read(path: Path, identity: str, skeleton: Skeleton) -> Predicted:
    tensors, about = artifacts.read_tensors(path)
    if about.get("identity") != identity:
        raise D3keError(f"{path} was written by another network or from other records; delete it")
    if "joints" in tensors:
        return Points(tensors["joints"], tensors["markers"])
    return Pose(tensors["angles"], skeleton.spread_scales(tensors["unique_scales"]), tensors["R_camera_root"])
