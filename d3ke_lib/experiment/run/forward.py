"""Predictions of trained networks for whole subjects; what is stored already is not computed again."""

from collections.abc import Sequence
from pathlib import Path

import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.run import artifacts, devices, run_folder, stored_predictions
from d3ke_lib.experiment.run.codec import from_values
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.temporal_windows import open_windows, target_frame
from d3ke_lib.experiment.run.train_frame import build_frame
from d3ke_lib.experiment.run.train_temporal import build_temporal
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.points import PointsNet
from d3ke_lib.nets.temporal import Refiner


def load_frame_net(run: Path, skeleton: Skeleton) -> tuple[FrameNet | PointsNet, FrameConfig]:
    """A finished frame run's network, in evaluation mode on the device its configuration names."""
    config = from_values(FrameConfig, artifacts.read_json(run / run_folder.RESULT)["config"])
    net = run_folder.load_weights(build_frame(config, skeleton), run)
    return devices.move(net, devices.choose(config.device)).eval(), config


def load_temporal_net(run: Path, skeleton: Skeleton) -> tuple[Refiner, TemporalConfig]:
    """The same for a temporal run."""
    config = from_values(TemporalConfig, artifacts.read_json(run / run_folder.RESULT)["config"])
    net = run_folder.load_weights(build_temporal(config, skeleton), run)
    return net.to(devices.choose(config.device)).eval(), config


def predict_frames(
    run: Path, data: Path, split: str, subjects: Sequence[int], skeleton: Skeleton, batch: int = 64
) -> str:
    """Stores a frame run's missing predictions for these subjects; returns their identity."""
    identity = stored_predictions.identity(artifacts.read_json(run / run_folder.RESULT))
    missing = stored_predictions.find_missing(run, split, subjects, identity)
    if missing:
        net, config = load_frame_net(run, skeleton)
        with run_folder.progress(f"{config.backbone} on {split}", len(missing), unit="subject") as bar:
            for subject in missing:
                frames = FrameSet(data, split, skeleton, subjects=[subject])
                every = torch.arange(len(frames))
                pose = stored_predictions.predict(net, frames, every, config.px, config.precision, batch)
                path = stored_predictions.path_of(run, split, subject)
                stored_predictions.write(path, pose, identity, skeleton)
                bar.update()
    return identity


def predict_windows(
    run: Path, source: Path, data: Path, split: str, subjects: Sequence[int], skeleton: Skeleton
) -> str:
    """Stores a temporal run's missing predictions; those of the frame run `source` must be there."""
    identity = stored_predictions.identity(artifacts.read_json(run / run_folder.RESULT))
    missing = stored_predictions.find_missing(run, split, subjects, identity)
    if missing:
        net, config = load_temporal_net(run, skeleton)
        target = target_frame(config.kind, config.window, config.causal)
        for subject in missing:
            windows, _ = open_windows(config.window, data, source, split, [subject], skeleton, config.causal)
            pose = stored_predictions.refine(net, windows, torch.arange(len(windows)), target)
            path = stored_predictions.path_of(run, split, subject)
            stored_predictions.write(path, pose, identity, skeleton)
    return identity
