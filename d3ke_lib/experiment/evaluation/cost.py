"""What a network costs: parameters, operations, time. Times are those of this machine."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from d3ke_lib.experiment.run import artifacts, devices, run_folder
from d3ke_lib.experiment.run.config import EvaluationConfig, FrameConfig, TemporalConfig
from d3ke_lib.nets import temporal
from d3ke_lib.nets.frame import CAMERA_VALUES


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def multiply_adds(net: nn.Module, *inputs: Any) -> int:
    """Multiply–add pairs of one forward pass: what papers call FLOP (torch's counter counts each twice)."""
    with FlopCounterMode(display=False) as counter:
        net.eval()(*inputs)
    return counter.get_total_flops() // 2


def seconds(action: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median time of an action, after two to warm up; a GPU is waited for."""

    def once() -> float:
        began = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    return statistics.median([once() for _ in range(repeats + 2)][2:])


def frame_cost(net: nn.Module, config: FrameConfig, evaluation: EvaluationConfig) -> dict[str, Any]:
    """multiply_adds per image of config.px; latency of one image, images/s in batches, skeleton included."""
    device, batch, repeats = next(net.parameters()).device, evaluation.batch, evaluation.timing_batches
    images = torch.rand(batch, 3, config.px, config.px, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    cameras = (torch.zeros(batch, CAMERA_VALUES, device=device),) if config.camera_input else ()

    def forward(count: int) -> Callable[[], Any]:
        @torch.no_grad()
        def run() -> None:
            with devices.autocast(device, config.precision):
                net(images[:count], *(values[:count] for values in cameras))

        return run

    net.eval()
    return {
        "parameters": parameters(net),
        "multiply_adds": multiply_adds(net, images[:1], *(values[:1] for values in cameras)),
        "px": config.px,
        "precision": config.precision,
        "latency_ms": 1e3 * seconds(forward(1), device, repeats),
        "images_per_second": batch / seconds(forward(batch), device, repeats),
        "batch": batch,
    }


def temporal_cost(net: nn.Module, config: TemporalConfig, evaluation: EvaluationConfig) -> dict[str, Any]:
    """multiply_adds and latency of one window; without the skeleton layer."""
    device = next(net.parameters()).device
    features = temporal.feature_count(net.skeleton, net.predicts)
    window = torch.zeros(1, config.window, features, device=device)
    forward = torch.no_grad()(net.net)
    net.eval()
    return {
        "parameters": parameters(net),
        "multiply_adds": multiply_adds(net.net, window),
        "window": config.window,
        "latency_ms": 1e3 * seconds(lambda: forward(window), device, evaluation.timing_batches),
    }


def training_cost(run: Path) -> dict[str, Any]:
    """A finished run's steps, seconds, core-seconds (validation included, pauses not), items per second."""
    result = artifacts.read_json(run / run_folder.RESULT)
    speeds = [line["per_second"] for line in artifacts.read_log(run / run_folder.LOG) if "per_second" in line]
    return {
        "steps": result["step"],
        "items": result["step"] * result["config"]["batch"],
        "seconds": result["seconds"],
        "core_seconds": result["core_seconds"],
        "items_per_second": statistics.median(speeds),
        "machine": result["machine"],
    }
