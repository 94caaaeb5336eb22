"""Training of a temporal network: windows of a frame network's stored predictions → refined poses."""

import copy
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import TemporalSet
from d3ke_lib.experiment.run import artifacts, devices, run_folder, schedule, stored_predictions
from d3ke_lib.experiment.run.config import TemporalConfig
from d3ke_lib.experiment.run.distributed import ProcessGroup
from d3ke_lib.experiment.run.fit import fit
from d3ke_lib.experiment.run.identity import (
    metrics_code,
    provenance,
    records_hash,
    run_identity,
    training_code,
)
from d3ke_lib.experiment.run.temporal_windows import (
    dropout_of_step,
    on,
    open_windows,
    rate_hz,
    target_frame,
    window_losses,
)
from d3ke_lib.files import D3keError
from d3ke_lib.nets import temporal
from d3ke_lib.nets.losses import Losses


def train_temporal(
    config: TemporalConfig, data: Path, source: Path, folder: Path, seed: int, skeleton: Skeleton
) -> dict[str, Any]:
    """Trains on the stored predictions of the frame run in `source` (splits train and validation).

    Otherwise as `train_frame`, in one process.
    """
    identity = identify(config, data, source, seed)
    _check_head(config, source)
    if result := run_folder.find_finished(folder, identity["fingerprint"]):
        return result
    device = devices.choose(config.device)
    with run_folder.claim(folder, identity["fingerprint"], ProcessGroup(device)):
        windows, validation = (
            open_windows(config.window, data, source, split, subjects, skeleton, config.causal)
            for split, subjects in subjects_for(config, data).items()
        )
        net = build_temporal(config, skeleton, seed).to(device)
        amsgrad = config.kind == "tcn" if config.amsgrad is None else config.amsgrad
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=0.0, weight_decay=config.weight_decay, amsgrad=amsgrad
        )
        per_epoch, steps = schedule.budget(len(windows[0]), config.batch, config.epochs, None, "windows")
        about = identity | provenance() | {"metrics": metrics_code()} | {"rate_hz": rate_hz(windows[1])}
        with run_folder.open_run(folder, about, net, optimizer) as run:
            batches = schedule.pieces(len(windows[0]), config.batch, seed, run.step, steps)

            def step(indices: Int[Tensor, " window"]) -> tuple[Losses, Tensor]:
                momentum = schedule.geometric(*config.norm_momentum, run.step, steps)
                temporal.set_norm_momentum(net, momentum)
                pose, points, truth = windows[0].load(indices, whole=True)
                with dropout_of_step(device, seed, *divmod(run.step, per_epoch)):
                    refined = net(on(device, pose), on(device, points))
                return window_losses(config, refined, truth.to(device), net.skeleton)

            def validate(net: nn.Module) -> dict[str, float]:
                return _validate_temporal(net, *validation, config, skeleton)

            fit(run, config, steps, batches, step, validate)
    return run_folder.find_finished(folder, identity["fingerprint"])


def identify(config: TemporalConfig, data: Path, source: Path, seed: int) -> dict[str, Any]:
    """The identity of the run that trains on the predictions of the frame run in `source`."""
    frame = artifacts.read_json(source / run_folder.RESULT)["weights_sha256"]
    code = training_code(__name__)
    return run_identity("temporal", config, seed, code, records=records_hash(data), frame=frame)


def _check_head(config: TemporalConfig, source: Path) -> None:
    predicted = artifacts.read_json(source / run_folder.RESULT)["config"]["head"]
    if predicted != config.head:
        raise D3keError(f"{source}: expected a network with the head {config.head}, found {predicted}")


def build_temporal(config: TemporalConfig, skeleton: Skeleton, seed: int = 0) -> temporal.Refiner:
    """The network with its initial weights and a skeleton layer of its own, on the CPU."""
    own = copy.deepcopy(skeleton)
    options = {"seed": seed, "predicts": config.head, "causal": config.causal}
    return temporal.build_refiner(config.kind, own, config.window, **options)


def _validate_temporal(
    net: nn.Module, windows: TemporalSet, labels: Batch, config: TemporalConfig, skeleton: Skeleton
) -> dict[str, float]:
    """Mean metrics over evenly spaced target frames."""
    indices = schedule.spread(len(windows), config.validation_windows)
    target = target_frame(config.kind, config.window, config.causal)
    pose = stored_predictions.refine(net, windows, indices, target)
    return stored_predictions.mean_metrics(pose, labels[indices], skeleton)


def subjects_for(config: TemporalConfig, data: Path) -> dict[str, list[int]]:
    """Whose stored predictions a temporal training reads: the first few to train on, all to validate."""
    return {
        "train": stored_predictions.subjects_of(data, "train", config.subjects),
        "validation": stored_predictions.subjects_of(data, "validation"),
    }
