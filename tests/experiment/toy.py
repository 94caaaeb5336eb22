"""A toy of all a run needs: records without a renderer, a backbone of one convolution, short runs.

The people are points drawn on noise, so that there is something to see; the labels are exact.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import records
from d3ke_lib.data.schema import Metadata, file_name, names_of
from d3ke_lib.experiment.run.config import FrameConfig, Phase, TemporalConfig
from d3ke_lib.nets import backbone, temporal
from d3ke_lib.nets.lstm import LSTM
from d3ke_lib.nets.tcn import TCN
from d3ke_lib.nets.transformer import Transformer

PX, STORED, MARGIN, FOCAL, DEPTH = 32, 48, 1.5, 72.0, 4.0
SPLITS = {"train": [1, 2, 3], "validation": [4], "test": [5, 6, 7]}
ACTIONS, FRAMES = ("wave", "bow"), 6
# Body forward, up, right → camera x right, y down, z forward: the person looks into the camera.
FACING = torch.tensor([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]])

FRAME = FrameConfig(
    px=PX,
    batch=4,
    images=32,
    every=1,
    moved=0.0,
    phases=(Phase(1.0, 1e-3, 1e-4),),
    weights=None,
    validations=2,
    validation_images=8,
    checkpoint_every=3,
    log_every=2,
    device="cpu",
)
TEMPORAL = TemporalConfig(
    window=9,
    batch=8,
    epochs=2,
    validations=2,
    validation_windows=8,
    subjects=2,
    device="cpu",
    checkpoint_every=3,
    log_every=2,
)


def make_records(folder: Path, splits: dict[str, list[int]] = SPLITS) -> Path:
    """A folder of records: every subject from one camera, two motions of six frames."""
    for subject in (each for members in splits.values() for each in members):
        columns = draw(subject)
        metadata = Metadata(subject, "PG1", STORED, MARGIN, names_of(default_skeleton()), {})
        records.write(folder / file_name(subject, "PG1"), columns, metadata)
    records.write_manifest(folder, {"toy": True}, splits)
    return folder


def draw(subject: int) -> dict:
    skeleton, rng = default_skeleton(), np.random.default_rng(subject)
    count = len(ACTIONS) * FRAMES
    phase = torch.tensor(rng.normal(size=(len(ACTIONS), 1, 69)), dtype=torch.float32)
    beat = torch.sin(phase + torch.linspace(0, 2, FRAMES)[:, None]).reshape(count, 69)
    unique = skeleton.scale_middle + 0.3 * skeleton.scale_half * torch.tensor(rng.normal(size=51)).float()
    scales = skeleton.spread_scales(unique).expand(count, -1, -1)
    pose = Pose(skeleton.angle_middle + 0.3 * skeleton.angle_half * beat, scales, FACING.expand(count, 3, 3))
    place = torch.tensor([0.0, 0.0, DEPTH])
    joints, markers = (points + place for points in skeleton(pose))
    images = torch.tensor(rng.integers(0, 60, (count, 3, STORED, STORED)), dtype=torch.uint8)
    at = (joints[..., :2] / joints[..., 2:] * FOCAL + STORED / 2).long().clamp(0, STORED - 1)
    for image, pixels in zip(images, at):
        image[:, pixels[:, 1], pixels[:, 0]] = 255
    ones = {
        f"valid_{name}": np.ones((count, size), bool)
        for name, size in {"angles": 69, "joints": 50, "markers": 65}.items()
    }
    time = np.tile(np.arange(FRAMES) / 10, len(ACTIONS))
    return ones | {
        "image": records.encode(images),
        "subject": np.full(count, subject),
        "action": np.repeat(ACTIONS, FRAMES),
        "frame": np.arange(count),
        "time": time,
        "angles": pose.angles,
        "scales": scales,
        "R_camera_root": pose.R_ground_root,
        "joints": joints,
        "markers": markers,
        "focal": np.full((count, 2), FOCAL),
        "center": np.full((count, 2), STORED / 2),
        "R_camera_world": np.tile(np.eye(3), (count, 1, 1)),
        "t_camera_world": np.zeros((count, 3)),
        "box": np.tile([0.0, 0, STORED, STORED], (count, 1)),
    }


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Networks of a few channels in place of the real ones."""
    patch.setattr(backbone, "build", small_backbone)
    small = {
        "transformer": partial(Transformer, channels=16, hidden=16, heads=2),
        "tcn": partial(TCN, channels=16),
        "lstm": partial(LSTM, channels=16),
    }
    patch.setattr(temporal, "KINDS", small)


def small_backbone(*args: object, **options: object) -> nn.Module:
    """In place of nets.backbone.build: one strided convolution and a batch norm."""
    return nn.Sequential(nn.Conv2d(3, backbone.CHANNELS, 8, stride=16), nn.BatchNorm2d(backbone.CHANNELS))
