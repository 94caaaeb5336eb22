"""What a training step of the frame network is made of, timed between its parts in the step itself.

loading: JPEGs to a batch, by one thread; in training threads do it ahead of the step. augmentation: crops
through moved cameras. network: backbone and head, forward and backward. body: range mapping, skeleton layer
and losses, forward and backward. optimiser: weights are moved.
"""

import dataclasses
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import augment
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.experiment.report.tables import Table, markdown
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import FrameConfig
from d3ke_lib.experiment.run.train_frame import OPTIMIZERS, build_frame
from d3ke_lib.nets.losses import losses, total

PARTS = ("loading", "augmentation", "network", "body", "optimiser")
OURS = ("loading", "body")  # what must stay small compared with the network
_AIM = 0.10  # of the step


class _Clock:
    """Time between marks, given to the part that ends with the mark."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.parts = device, dict.fromkeys(PARTS, 0.0)
        self.last = time.perf_counter()

    def mark(self, part: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.parts[part] += now - self.last
        self.last = now


def profile_step(frames: FrameSet, settings: FrameConfig, repeats: int) -> dict[str, Any]:
    """Median ms of each part over `repeats` steps, after two to warm up; shares of their sum."""
    device = devices.choose(settings.device)
    net = devices.move(build_frame(settings, default_skeleton(), seed=0), device)
    optimizer = OPTIMIZERS[settings.optimizer](
        net.parameters(), lr=1e-6, weight_decay=settings.weight_decay, fused=True
    )
    steps = [_step(net, optimizer, frames, settings, step) for step in range(repeats + 2)][2:]
    ms = {part: 1e3 * statistics.median(step[part] for step in steps) for part in PARTS}
    whole = sum(ms.values())
    shares = {part: value / whole for part, value in ms.items()}
    about = {"backbone": settings.backbone, "px": settings.px, "batch": settings.batch}
    about |= {"precision": settings.precision, "repeats": repeats}
    return about | {"ms": ms, "shares": shares, "ours": sum(shares[part] for part in OURS)}


def _step(
    net: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    frames: FrameSet,
    settings: FrameConfig,
    step: int,
) -> dict[str, float]:
    """One step as train_frame takes it; hooks on the head mark where the network ends and begins again."""
    clock = _Clock(next(net.parameters()).device)

    def network_done(_module: object, _inputs: object, cells: Tensor) -> None:
        clock.mark("network")
        cells.register_hook(lambda _: clock.mark("body"))

    hook = net.head.register_forward_hook(network_done)
    batch = frames.load((torch.arange(settings.batch) + step * settings.batch) % len(frames))
    clock.mark("loading")
    draws = seed_generator(0, 0, step)
    image, truth = augment.augment(batch.to(clock.device), settings.px, draws, settings.augment)
    clock.mark("augmentation")
    with devices.autocast(clock.device, settings.precision):
        prediction = net(image.contiguous(memory_format=torch.channels_last))
    terms = losses(prediction, (truth.pose, truth.points), truth.valid, net.skeleton)
    total(terms, settings.loss).backward()
    clock.mark("network")
    optimizer.step()
    optimizer.zero_grad()
    clock.mark("optimiser")
    hook.remove()
    return clock.parts


def measure(records: Path, settings: FrameConfig, repeats: int) -> dict[str, Any]:
    """bf16 and float32 on one machine; also the load on it, since a busy one measures nothing."""
    frames = FrameSet(records, "train", default_skeleton())
    rows = [
        profile_step(frames, dataclasses.replace(settings, precision=precision), repeats)
        for precision in ("bf16", "fp32")
    ]
    return {"schema": 1, "machine": devices.describe(), "aim": _AIM, "rows": rows}


def table(result: Mapping[str, Any]) -> Table:
    """A row per precision: ms and share of each part, and of skeleton, losses and loading together."""
    rows = [
        (
            f"{row['backbone']}, {row['precision']}, {row['batch']} of {row['px']} px",
            *(f"{row['ms'][part]:.1f} ({row['shares'][part]:.1%})" for part in PARTS),
            f"{sum(row['ms'].values()):.0f}",
            f"{row['ours']:.1%}",
        )
        for row in result["rows"]
    ]
    return Table(("step", *(f"{part} [ms]" for part in PARTS), "whole [ms]", "loading + body"), tuple(rows))


def recorded(home: Path) -> str:
    """The table of data/results/step.json in the repository `home`, as Markdown."""
    path = home / "data" / "results" / "step.json"
    return (
        markdown(table(artifacts.read_json(path))) if path.is_file() else "*Not measured yet: `make bench`.*"
    )
