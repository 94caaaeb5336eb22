"""What a training step of the frame network is made of: python scripts/bench_step.py

ms and shares of five parts, timed in the step itself, in bf16 and fp32. Loading: JPEGs to a batch, by one
thread (in training, threads do it ahead of the step); augmentation: crops through moved cameras; network:
backbone and head, forward and backward; body: range mapping, skeleton layer and losses, forward and backward;
optimiser. Aim: body and loading at most a tenth of the step at 128 px. Its records are made first.
"""

import dataclasses
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import _cli
import torch
from torch import Tensor

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import augment
from d3ke_lib.data.augment import AugmentConfig
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.motion import ACTIONS
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import FrameConfig
from d3ke_lib.experiment.run.train_frame import OPTIMIZERS, build_frame
from d3ke_lib.experiment.studies import benchmarks
from d3ke_lib.nets.losses import losses, total

_MARGIN = 1.40625  # the demo's
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


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "step.json")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--backbone", default="resnext50_32x4d")
    parser.add_argument("--augmentation", choices=("paper", "none"), default="paper")
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    stored = round(given.px * _MARGIN)
    subjects = DataConfig(
        train=1, validation=0, test=0, actions=ACTIONS[:4], seconds=1.0, fps=10.0, px=stored, margin=_MARGIN
    )
    records = artifacts.out_root() / "bench" / f"step_{stored}"
    synthetic.make(subjects, records, len(os.sched_getaffinity(0)))
    settings = FrameConfig(backbone=given.backbone, px=given.px, batch=given.batch, weights=None)
    if given.augmentation == "none":
        settings = dataclasses.replace(settings, augment=AugmentConfig(None, None, None))
    result = measure(records, settings, given.repeats)
    artifacts.write_json(given.to, result | {"load": os.getloadavg()[0]})
    print(benchmarks.step_profile(result))


if __name__ == "__main__":
    sys.exit(main())
