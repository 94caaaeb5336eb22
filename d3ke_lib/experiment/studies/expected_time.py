"""How long a profile will take here: every stage done in small, then multiplied. Rough, ± a quarter."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import check as bmlmovi_check
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.run import artifacts, devices, stored_predictions
from d3ke_lib.experiment.run import forward as inference
from d3ke_lib.experiment.run.config import FrameConfig, Profile, TemporalConfig
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.experiment.run.train_temporal import build_temporal
from d3ke_lib.nets import temporal

STEPS = 6  # a trial's; the median of their speeds counts
EVALUATION_S = 60.0  # metrics, bootstrap, figures and report


class Expected(NamedTuple):
    stage: str
    minutes: float


def calibrate(profile: Profile, folder: Path) -> list[Expected]:
    """Minutes of each stage, by trials in `folder`: under a minute for the demo on two cores."""
    if isinstance(profile.data, BmlmoviConfig):
        estimate = recordings_cost(profile.data)
        made = Expected("data", 60 * estimate["hours"])
        return [made, *calibrate(stand_in(profile, estimate["frames"]), folder)[1:]]
    data = folder / "data"
    trial = small_data(profile)
    synthetic.make(trial, data)
    expected = [Expected("data", rendering_seconds(profile.data) / 60)]
    for backbone in profile.backbones:
        config = dataclasses.replace(profile.frame, backbone=backbone)
        train, answer = frame_seconds(config, data, folder / backbone, profile)
        expected.append(Expected(f"frame {backbone}", len(profile.seeds) * train / 60))
        expected.append(Expected(f"answers {backbone}", len(profile.seeds) * answer / 60))
    networks = len(profile.backbones) * len(profile.seeds)
    for refiner in profile.refiners:
        config = dataclasses.replace(profile.temporal, kind=refiner)
        expected.append(Expected(f"temporal {refiner}", networks * temporal_seconds(config, profile) / 60))
    return [*expected, Expected("evaluation", EVALUATION_S / 60)]


def recordings_cost(data: BmlmoviConfig) -> dict[str, float | int]:
    """`check_data`'s estimate for the downloads in D3KE_RAW. Raises D3keError where none is named."""
    return bmlmovi_check.check_data(artifacts.raw_folder(), data)["estimate"]


def stand_in(profile: Profile, frames: int) -> Profile:
    """The profile with as many synthetic pictures: training on recordings costs the same."""
    data, counts = profile.data, {name: len(found) for name, found in profile.data.splits.items()}
    made = DataConfig(cameras=data.cameras, px=data.px, margin=data.margin, fps=data.fps, **counts)
    actions = len(made.actions) * len(made.cameras) * sum(counts.values())
    return dataclasses.replace(
        profile, data=dataclasses.replace(made, seconds=max(frames / actions, 2) / data.fps)
    )


def small_data(profile: Profile) -> DataConfig:
    """Two subjects, one action: a batch and a half for training."""
    count = 1.5 * profile.frame.batch / len(profile.data.cameras)
    one = {"train": 1, "validation": 1, "test": 0, "actions": profile.data.actions[:1]}
    return dataclasses.replace(profile.data, **one, seconds=max(count, 2) / profile.data.fps)


def rendering_seconds(data: DataConfig) -> float:
    """All files, by one take; on the CPU every core makes files of its own."""
    device = devices.choose("auto")
    one = dataclasses.replace(data, actions=data.actions[:1])

    def take() -> None:
        for _, images in synthetic.make_takes(one, (1, data.cameras[0]), device.type):
            records.encode(images, data.jpeg_quality)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    take()  # the skeleton and the flesh are read once
    each = elapsed(take) / round(data.seconds * data.fps)
    torch.set_num_threads(threads)
    return each * frames(data) / (devices.describe()["cores"] if device.type == "cpu" else 1)


def frames(data: DataConfig, subjects: int | None = None) -> int:
    """Frames of so many subjects, or of all."""
    each = len(data.actions) * len(data.cameras) * round(data.seconds * data.fps)
    return each * (data.train + data.validation + data.test if subjects is None else subjects)


def frame_seconds(config: FrameConfig, data: Path, folder: Path, profile: Profile) -> tuple[float, float]:
    """One network's training with its validations, and its answers for temporal training and evaluation."""
    trial = dataclasses.replace(
        config, images=STEPS * config.batch, validations=1, validation_images=2, log_every=1
    )
    train_frame(trial, data, folder, 0, default_skeleton())
    images = config.images or config.epochs * frames(profile.data, profile.data.train) // config.every
    training = images / cost.training_cost(folder)["items_per_second"]
    speed = answering_speed(folder, data, config, profile.evaluation.batch)
    checks = config.validations * config.validation_images / speed
    answered = profile.data.validation + profile.data.test + (profile.temporal.subjects or profile.data.train)
    return training + checks, frames(profile.data, answered) / speed


def answering_speed(run: Path, data: Path, config: FrameConfig, batch: int) -> float:
    """Images a second that the network answers for, decoding included."""
    net, _ = inference.load_frame_net(run, default_skeleton())
    some = FrameSet(data, "train", default_skeleton())
    indices = torch.arange(2 * batch) % len(some)

    def answer() -> None:
        stored_predictions.predict(net, some, indices, config.px, config.precision, batch)

    answer()
    return len(indices) / elapsed(answer)


def temporal_seconds(config: TemporalConfig, profile: Profile) -> float:
    """One temporal network's training, by steps on windows of nothing."""
    device, skeleton = devices.choose(config.device), default_skeleton()
    net = build_temporal(config, skeleton).to(device)
    windows = torch.zeros(config.batch, config.window, temporal.feature_count(skeleton), device=device)
    optimizer = torch.optim.AdamW(net.parameters())

    def step() -> None:
        net.net(windows).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    one = cost.seconds(step, device, 3)
    steps = config.epochs * frames(profile.data, config.subjects or profile.data.train) // config.batch
    return 1.5 * one * steps  # the skeleton layer, the loss and the reading of windows cost as much as half


def elapsed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def table(expected: list[Expected]) -> str:
    """A line a stage and their sum, minutes."""
    total = sum(each.minutes for each in expected)
    rows = [*expected, Expected("all", total)]
    width = max(len(row.stage) for row in rows)
    return "\n".join(f"{row.stage:<{width}}  {row.minutes:7.1f} min" for row in rows)
