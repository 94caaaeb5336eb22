"""Training of the frame network: images → pose. Test subjects stay unread.

Several processes may share it (`distributed`).
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data import augment
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet, stream
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.experiment.run import devices, distributed, run_folder, schedule, stored_predictions
from d3ke_lib.experiment.run.config import FrameConfig
from d3ke_lib.experiment.run.fit import fit
from d3ke_lib.experiment.run.identity import (
    initial_weights_hash,
    metrics_code,
    occluders_hash,
    provenance,
    records_hash,
    run_identity,
    training_code,
)
from d3ke_lib.nets import frame, points
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.losses import Losses, losses, total
from d3ke_lib.nets.points import PointsNet

_NORMS = {"pose": "L1", "points": "L2"}  # of position differences (C; points are compared as MPJPE does)
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


def train_frame(
    config: FrameConfig, data: Path, folder: Path, seed: int, skeleton: Skeleton
) -> dict[str, Any]:
    """Trains on `data`'s split train into `folder`; the content of run.json, at once where it is there.

    Under torchrun each process takes its share of every batch; the log holds the losses of the main one's.
    Raises D3keError: fewer frames than a batch, a loss that is not finite, a folder in use.
    """
    identity = identify(config, data, seed)
    if result := run_folder.find_finished(folder, identity["fingerprint"]):
        return result
    with (
        distributed.init(config.device, config.batch) as group,
        run_folder.claim(folder, identity["fingerprint"], group),
    ):
        frames, validation = open_frames(config, data, skeleton)
        net = devices.move(build_frame(config, skeleton, seed), group.device)
        net = group.synchronise_norms(net)
        optimizer = OPTIMIZERS[config.optimizer](
            net.parameters(), lr=0.0, weight_decay=config.weight_decay, fused=True
        )
        per_epoch, steps = schedule.budget(len(frames), config.batch, config.epochs, config.images, "images")
        about = identity | provenance() | {"metrics": metrics_code()}
        with run_folder.open_run(folder, about, net, optimizer, config.ema, group.is_main) as run:
            order = schedule.pieces(len(frames), config.batch, seed, run.step, steps)
            batches = stream(frames, map(group.share, order), config.workers, 2 * config.workers)
            parallel = group.synchronise_gradients(net)

            def step(batch: Batch) -> tuple[Losses, Tensor]:
                px = schedule.resolution(config.resolutions, config.px, run.step, steps)
                generator = seed_generator(seed, *divmod(run.step, per_epoch), *group.stream)
                image, truth = augment.augment(batch.to(group.device), px, generator, config.augment)
                return _compute_losses(config, parallel, image, truth, net.skeleton)

            def validate(net: nn.Module) -> dict[str, float]:
                return _validate_frame(net, validation, config, skeleton)

            fit(run, config, steps, batches, step, validate)
        group.wait()
    return run_folder.find_finished(folder, identity["fingerprint"])


def identify(config: FrameConfig, data: Path, seed: int) -> dict[str, Any]:
    """The identity of the run that trains on the records in `data`."""
    inputs = {"records": records_hash(data), "start": initial_weights_hash(config)} | occluders_hash(config)
    return run_identity("frame", config, seed, training_code(__name__), **inputs)


def open_frames(config: FrameConfig, data: Path, skeleton: Skeleton) -> tuple[FrameSet, FrameSet]:
    """Training and validation frames."""
    thinned = {"every": config.every, "moved": config.moved, "cache_bytes": int(config.cache_gb * 1e9)}
    subjects = stored_predictions.subjects_of(data, "train", config.subjects)
    train = FrameSet(data, "train", skeleton, subjects=subjects, **thinned)
    return train, FrameSet(data, "validation", skeleton)


def build_frame(config: FrameConfig, skeleton: Skeleton, seed: int = 0) -> FrameNet | PointsNet:
    """The network with its initial weights and a skeleton layer of its own, on the CPU."""
    options = (config.backbone, config.center_striding, config.weights)
    own = copy.deepcopy(skeleton)
    if config.head == "points":
        return points.build(own, *options, seed=seed)
    switches = {"squash": config.squash, "camera_input": config.camera_input}
    return frame.build(own, *options, **switches, seed=seed)


def _compute_losses(
    config: FrameConfig, net: nn.Module, image: Tensor, truth: Batch, skeleton: Skeleton
) -> tuple[Losses, Tensor]:
    """The four losses of a batch and their weighted sum."""
    camera = (augment.camera_values(truth, image.shape[-1]),) if config.camera_input else ()
    with devices.autocast(image.device, config.precision):
        prediction = net(image.contiguous(memory_format=torch.channels_last), *camera)
    target, norm = (truth.pose, truth.points), _NORMS[config.head]
    terms = losses(prediction, target, truth.valid, skeleton, norm=norm, mask_angles=config.mask_angles)
    return terms, total(terms, config.loss)


def _validate_frame(
    net: nn.Module, frames: FrameSet, config: FrameConfig, skeleton: Skeleton
) -> dict[str, float]:
    """Mean metrics over evenly spaced frames, in plain crops of the final size."""
    indices = schedule.spread(len(frames), config.validation_images)
    pose = stored_predictions.predict(net, frames, indices, config.px, config.precision, config.batch)
    return stored_predictions.mean_metrics(pose, frames.labels()[indices], skeleton)
