"""Training, twice: the frame network on pictures, the temporal network on the frame network's answers.

Both loops read top to bottom. Stopped at any point, they go on at the last checkpoint to the result of an
undisturbed run, because what is random in a step comes from (seed, epoch, step). Test subjects stay unread.
The frame network may be trained by several processes (`crews`).
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import augment, records
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet, TemporalSet, stream
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.experiment.run import artifacts, devices, distributed, run_folder, schedule, stored_predictions
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint, to_values
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.temporal_windows import (
    dropout_of_step,
    on,
    open_windows,
    rate_hz,
    target_frame,
    window_losses,
)
from d3ke_lib.nets import frame, metrics, temporal
from d3ke_lib.nets.losses import losses, total

OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}

# --- the frame network ------------------------------------------------------------------------------------


def train_frame(config: FrameConfig, data: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Trains on `data`'s split train into `folder`; the content of run.json, at once where it is there.

    Under torchrun each process takes its share of every batch; losses in the log are the first one's share's.
    Raises D3keError: fewer frames than a batch, a loss that is not finite, a folder in use.
    """
    inputs = {"records": records_hash(data), "start": start_of(config)} | occluders_of(config)
    about = describe("frame", config, seed, **inputs)
    if result := run_folder.finished(folder, about["fingerprint"]):
        return result
    with (
        distributed.joined(config.device, config.batch) as crew,
        run_folder.held(folder, about["fingerprint"], crew),
    ):
        device, skeleton = crew.device, default_skeleton()
        frames, checks = open_frames(config, data, skeleton)
        net = crew.prepared(devices.placed(build_frame(config, skeleton, seed), device))
        optimizer = OPTIMIZERS[config.optimizer](
            net.parameters(), lr=0.0, weight_decay=config.weight_decay, fused=True
        )
        per_epoch, steps = schedule.budget(len(frames), config.batch, config.epochs, config.images, "images")
        validating = schedule.milestones(steps, config.validations)
        joint = crew.joint(net)

        with (
            run_folder.opened(folder, about | here(), net, optimizer, config.ema, crew.leads) as run,
            run_folder.progress(f"{config.backbone}, seed {seed}", steps, run.step, shown=crew.leads) as bar,
        ):
            order = map(crew.share, schedule.pieces(len(frames), config.batch, seed, run.step, steps))
            for batch in stream(frames, order, config.workers, 2 * config.workers):
                rate = schedule.learning_rate(config.phases, config.warmup, run.step, steps)
                px = schedule.resolution(config.resolutions, config.px, run.step, steps)
                generator = seed_generator(seed, *divmod(run.step, per_epoch), *crew.stream)
                image, truth = augment.augment(batch.to(device), px, generator, config.augment)

                with devices.autocast(device, config.precision):
                    prediction = joint(image.contiguous(memory_format=torch.channels_last))
                target, masked = (truth.pose, truth.points), config.mask_angles
                terms = losses(prediction, target, truth.valid, net.skeleton, mask_angles=masked)
                loss = total(terms, config.loss)
                loss.backward()
                run_folder.descend(run, rate)

                run_folder.note(run, terms, loss)
                if due(run.step, steps, config):
                    run_folder.write_line(run, rate, config.batch, bar)
                if run.step in validating and crew.leads:
                    run_folder.write_validation(run, check_frame(run.best, checks, config))
                if run.step % config.checkpoint_every == 0 and run.step < steps and crew.leads:
                    run_folder.save(run)
            if crew.leads:
                run_folder.finish(run)
        crew.wait()
    return artifacts.read_json(folder / run_folder.RESULT)


def open_frames(config: FrameConfig, data: Path, skeleton: Skeleton) -> tuple[FrameSet, FrameSet]:
    """Training and validation frames."""
    thinned = {"every": config.every, "moved": config.moved, "cache_bytes": int(config.cache_gb * 1e9)}
    return FrameSet(data, "train", skeleton, **thinned), FrameSet(data, "validation", skeleton)


def build_frame(config: FrameConfig, skeleton: Skeleton, seed: int = 0) -> frame.FrameNet:
    options = (config.backbone, config.center_striding, config.weights)
    return frame.build(skeleton, *options, squash=config.squash, seed=seed)


def check_frame(net: nn.Module, frames: FrameSet, config: FrameConfig) -> dict[str, float]:
    """Mean metrics over evenly spaced frames, in plain crops of the final size."""
    indices = schedule.spread(len(frames), config.validation_images)
    pose = stored_predictions.predict(net, frames, indices, config.px, config.precision, config.batch)
    return mean_metrics(pose, frames.labels()[indices])


# --- the temporal network -----------------------------------------------------------------------------------


def train_temporal(
    config: TemporalConfig, data: Path, source: Path, folder: Path, seed: int
) -> dict[str, Any]:
    """Trains on the stored predictions of the frame run in `source` (splits train and validation).

    Otherwise as `train_frame`.
    """
    origin = artifacts.read_json(source / run_folder.RESULT)
    about = describe("temporal", config, seed, records=records_hash(data), frame=origin["weights_sha256"])
    if result := run_folder.finished(folder, about["fingerprint"]):
        return result
    with artifacts.claimed(folder):
        run_folder.set_aside_others(folder, about["fingerprint"])
        device, skeleton = devices.choose(config.device), default_skeleton()
        windows, checks = (
            open_windows(config.window, data, source, split, subjects, skeleton, config.causal)
            for split, subjects in subjects_for(config, data).items()
        )
        net = build_temporal(config, skeleton, seed).to(device)
        amsgrad = config.kind == "tcn" if config.amsgrad is None else config.amsgrad
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=0.0, weight_decay=config.weight_decay, amsgrad=amsgrad
        )
        per_epoch, steps = schedule.budget(len(windows[0]), config.batch, config.epochs, None, "windows")
        validating = schedule.milestones(steps, config.validations)

        about |= here() | {"rate_hz": rate_hz(windows[1])}
        with (
            run_folder.opened(folder, about, net, optimizer) as run,
            run_folder.progress(f"{config.kind}, seed {seed}", steps, run.step) as bar,
        ):
            for indices in schedule.pieces(len(windows[0]), config.batch, seed, run.step, steps):
                rate = schedule.learning_rate(config.phases, config.warmup, run.step, steps)
                momentum = schedule.geometric(*config.norm_momentum, run.step, steps)
                temporal.set_norm_momentum(net, momentum)
                pose, points, truth = windows[0].load(indices, whole=True)

                with dropout_of_step(device, seed, *divmod(run.step, per_epoch)):
                    refined = net(on(device, pose), on(device, points))
                terms, loss = window_losses(config, refined, truth.to(device), net.skeleton)
                loss.backward()
                run_folder.descend(run, rate)

                run_folder.note(run, terms, loss)
                if due(run.step, steps, config):
                    run_folder.write_line(run, rate, config.batch, bar)
                if run.step in validating:
                    run_folder.write_validation(run, check_temporal(net, *checks, config))
                if run.step % config.checkpoint_every == 0 and run.step < steps:
                    run_folder.save(run)
            return run_folder.finish(run)


def build_temporal(config: TemporalConfig, skeleton: Skeleton, seed: int = 0) -> temporal.Refiner:
    return temporal.build(config.kind, skeleton, config.window, seed=seed, causal=config.causal)


def check_temporal(
    net: nn.Module, windows: TemporalSet, labels: Batch, config: TemporalConfig
) -> dict[str, float]:
    """Mean metrics over evenly spaced target frames."""
    indices = schedule.spread(len(windows), config.validation_windows)
    target = target_frame(config.kind, config.window, config.causal)
    return mean_metrics(stored_predictions.refine(net, windows, indices, target), labels[indices])


def subjects_for(config: TemporalConfig, data: Path) -> dict[str, list[int]]:
    """Whose stored answers a temporal training reads: the first few to learn from, all to validate."""
    return {
        "train": stored_predictions.subjects_of(data, "train", config.subjects),
        "validation": stored_predictions.subjects_of(data, "validation"),
    }


# --- both -------------------------------------------------------------------------------------------------


def describe(kind: str, config: FrameConfig | TemporalConfig, seed: int, **inputs: str) -> dict[str, Any]:
    """What a run is: configuration, seed, hashes of what it reads and of the code, and their fingerprint.

    Not the code's revision: a finished run is not repeated because a comment was committed.
    """
    inputs |= {"code": code_hash()}
    mark = fingerprint(kind, config, seed, inputs)
    return {"kind": kind, "config": to_values(config), "seed": seed, **inputs, "fingerprint": mark}


def here() -> dict[str, Any]:
    """Which code runs on what machine."""
    return {"git": artifacts.git_revision(), "machine": devices.describe()}


def records_hash(data: Path) -> str:
    """Of the manifest, which holds the hash of every record file."""
    return artifacts.sha256(data / records.MANIFEST)


def start_of(config: FrameConfig) -> str:
    """Names the weights the backbone starts from; a file by its content."""
    is_file = config.weights is not None and Path(config.weights).is_file()
    return artifacts.sha256(Path(config.weights)) if is_file else str(config.weights)


def occluders_of(config: FrameConfig) -> dict[str, str]:
    """The hash of the cut-outs that stand in front of people, where they come from a file."""
    occluder = config.augment.occluder
    path = occluder and occluder.objects
    return {"occluders": artifacts.sha256(Path(path))} if path else {}


def mean_metrics(pose: Pose, truth: Batch) -> dict[str, float]:
    """Plain means over frames; not by group of joints."""
    skeleton = default_skeleton()
    found = (pose, stored_predictions.points_of(skeleton, pose))
    values = metrics.per_frame(found, (truth.pose, truth.points), skeleton)
    return {name: float(value.mean()) for name, value in values.items() if "/" not in name}


def due(step: int, steps: int, config: FrameConfig | TemporalConfig) -> bool:
    """Whether the log gets a line: every few steps, before every checkpoint and at the end."""
    return step % config.log_every == 0 or step % config.checkpoint_every == 0 or step == steps
