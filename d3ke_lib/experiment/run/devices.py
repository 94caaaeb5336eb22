"""Where a computation runs, in which precision, and how that machine is described: kinds, never names."""

import os
import platform
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from d3ke_lib.files import D3keError


def choose(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu` or `cuda`; D3keError for others or a CUDA that is not."""
    if name not in ("auto", "cpu", "cuda"):
        raise D3keError(f"unknown device {name!r}; known: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise D3keError("device cuda was asked for and torch finds none; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """bf16: convolutions and products in bfloat16; fp32: nothing changes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def move(net: nn.Module, device: torch.device) -> nn.Module:
    """To the device, convolution weights channels last: what both oneDNN and cuDNN run fastest."""
    net = net.to(device)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # not the whole net: the skeleton's constants have other axes
            module.to(memory_format=torch.channels_last)
    return net


def describe() -> dict[str, Any]:
    """Processor model, cores, threads, GPU model and versions; no host, user or path."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def processor_seconds() -> float:
    """Processor time of this process, all its threads and its ended children, user and system, s."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
