"""The life of a training run in its folder: found finished, resumed or begun; logged, saved, finished.

    run.json               the result; there only when the run is finished. seconds: of the clock;
                           core_seconds: processor time of the process that writes it, all threads together
    model.safetensors      the weights
    log.jsonl              one line every few steps, one line per validation
    checkpoint.safetensors weights, optimiser, average and state between two steps; gone when finished

All randomness of a step comes from (seed, epoch, step), so a checkpoint holds no generator: there is none.
"""

import contextlib
import copy
import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from tqdm import tqdm

from d3ke_lib import settings
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.artifacts import Checkpoint
from d3ke_lib.experiment.run.distributed import ProcessGroup
from d3ke_lib.files import D3keError
from d3ke_lib.nets import weights
from d3ke_lib.nets.losses import Losses

MODEL, RESULT, LOG, CHECKPOINT = "model.safetensors", "run.json", "log.jsonl", "checkpoint.safetensors"
_CLOCKS = ("seconds", "core_seconds")


def _read_clocks() -> dict[str, float]:
    return dict(zip(_CLOCKS, (time.perf_counter(), devices.processor_seconds()), strict=True))


@dataclass
class Run:
    """What changes while a run goes on. `identity` does not: configuration, seed, hashes, fingerprint."""

    folder: Path
    identity: dict[str, Any]
    net: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None  # `net` with the moving average of its weights, where one is kept
    ema: float | None
    log: TextIO
    step: int  # steps done
    before: dict[str, float]  # what `spent` was at the last start
    is_main: bool = True  # whether this process validates and writes
    validation: dict[str, float] = field(default_factory=dict)  # the last one's
    began: dict[str, float] = field(default_factory=_read_clocks)
    pending: list[Tensor] = field(default_factory=list)  # losses of steps not yet in the log
    logged: float = field(default_factory=time.perf_counter)  # when the last line was written

    @property
    def best(self) -> nn.Module:
        """What the run is for: the average where one is kept."""
        return self.net if self.average is None else self.average

    def spent(self) -> dict[str, float]:
        """Seconds of the clock and of all cores together, pauses left out."""
        return {name: self.before[name] + now - self.began[name] for name, now in _read_clocks().items()}


def find_finished(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The result of a finished run of this fingerprint whose weights are whole; else None."""
    if not ((folder / RESULT).is_file() and (folder / MODEL).is_file()):
        return None
    result = artifacts.read_json(folder / RESULT)
    return result if result.get("fingerprint") == fingerprint and _has_its_weights(folder, result) else None


def _has_its_weights(folder: Path, result: dict[str, Any]) -> bool:
    """Whether the file of weights is whole, and what was trained where it was written after the result."""
    try:
        artifacts.read_about(folder / MODEL)
        changed = (folder / MODEL).stat().st_mtime_ns > (folder / RESULT).stat().st_mtime_ns
        weights_of = artifacts.read_tensors(folder / MODEL)[0] if changed else {}
    except D3keError:
        return False
    return not changed or artifacts.digest(weights_of) == result["weights_sha256"]


@contextmanager
def claim(folder: Path, fingerprint: str, group: ProcessGroup) -> Iterator[None]:
    """`folder`, claimed by the main process and free of what another configuration left; then all go on."""
    with artifacts.claimed(folder) if group.is_main else contextlib.nullcontext():
        if group.is_main and _read_fingerprint(folder) not in (None, fingerprint):
            artifacts.set_aside(folder)
            folder.mkdir()
        group.wait()
        yield


def _read_fingerprint(folder: Path) -> str | None:
    if (folder / RESULT).is_file():
        return artifacts.read_json(folder / RESULT)["fingerprint"]
    if (folder / CHECKPOINT).is_file():
        return artifacts.read_about(folder / CHECKPOINT)["state"]["fingerprint"]
    return None


@contextmanager
def open_run(
    folder: Path,
    identity: dict[str, Any],
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: float | None = None,
    is_main: bool = True,
) -> Iterator[Run]:
    """A run at its last checkpoint, or at step 0; closes its log, which only the main process writes."""
    average = copy.deepcopy(net).requires_grad_(False) if ema else None
    step, before, offset = 0, dict.fromkeys(_CLOCKS, 0.0), 0
    if (folder / CHECKPOINT).is_file():
        saved = artifacts.read_checkpoint(folder / CHECKPOINT)
        weights.fit(net, saved.model, str(folder / CHECKPOINT))
        artifacts.load_optimizer(optimizer, saved.optimizer)
        if average:
            weights.fit(average, saved.average, str(folder / CHECKPOINT))
        step, offset = saved.state["step"], saved.state["log_offset"]
        before = {name: saved.state[name] for name in _CLOCKS}
    with artifacts.open_log(folder / LOG, offset) if is_main else open(os.devnull, "w") as log:
        yield Run(folder, identity, net, optimizer, average, ema, log, step, before, is_main)


@contextmanager
def _open_terminal() -> Iterator[TextIO | None]:
    """Where somebody sees a bar: run_notebook's terminal, an interactive one, a browser; or None."""
    found = settings.read()
    if found.terminal:
        with found.terminal.open("w") as pipe:
            yield pipe
    else:
        yield sys.stderr if sys.stderr.isatty() or found.browser else None


@contextmanager
def progress(name: str, total: int, done: int = 0, unit: str = "step", shown: bool = True) -> Iterator[tqdm]:
    """A progress bar on the terminal, where there is one: never in the output of a notebook."""
    with (
        _open_terminal() if shown else contextlib.nullcontext() as file,
        tqdm(total=total, initial=done, desc=name, file=file, disable=file is None, unit=unit) as bar,
    ):
        yield bar


@contextmanager
def redirect_bars() -> Iterator[None]:
    """The same for bars that others draw on stderr."""
    with _open_terminal() as file, contextlib.redirect_stderr(file or io.StringIO()):
        yield


def update_weights(run: Run, rate: float) -> None:
    """One optimiser step at this learning rate; the average follows, its counters are copied."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.average:
        newest = run.net.state_dict()
        for name, value in run.average.state_dict().items():
            value.lerp_(newest[name], 1 - run.ema) if value.is_floating_point() else value.copy_(newest[name])


def record_losses(run: Run, terms: Losses, total: Tensor) -> None:
    """Counts a step and keeps its losses on their device: reading each at once would stall a GPU."""
    run.step += 1
    run.pending.append(torch.stack([*terms, total]).detach())


def log_losses(run: Run, rate: float, batch: int, bar: tqdm) -> None:
    """One line for the steps since the last: mean losses, learning rate, items per second (training only).

    Raises D3keError naming the first step whose loss is not finite; the last checkpoint stays as it was.
    """
    values = torch.stack(run.pending).float().cpu()
    wrong = (~values.isfinite().all(1)).nonzero()[:, 0].tolist()
    if wrong:
        step = run.step - len(values) + 1 + wrong[0]
        terms = dict(zip((*Losses._fields, "total"), values[wrong[0]].tolist()))
        raise D3keError(f"{run.folder}: the loss of step {step} is not finite: {terms}")
    mean = dict(zip((*Losses._fields, "total"), values.mean(0).tolist()))
    now = time.perf_counter()
    speed = len(values) * batch / (now - run.logged)
    line = {"step": run.step, "lr": rate, **mean, "per_second": speed, **run.spent()}
    artifacts.append(run.log, line)
    bar.set_postfix_str(f"loss {mean['total']:.3f}, {speed:.0f} per second", refresh=False)
    bar.update(len(values))
    run.pending, run.logged = [], now


def log_validation(run: Run, values: dict[str, float]) -> None:
    run.validation = values
    artifacts.append(run.log, {"step": run.step, "validation": values, **run.spent()})
    run.logged = time.perf_counter()


def save(run: Run) -> None:
    """A checkpoint after `run.step` steps; the log is on the disk before the file that counts its bytes.

    Only where the log is up to date: what is pending would be lost (and a loss that is not finite kept).
    """
    assert not run.pending, f"{len(run.pending)} steps are not in the log"
    state = {
        **run.identity,
        "step": run.step,
        **run.spent(),
        "log_offset": artifacts.settle(run.log),
    }
    average = run.average.state_dict() if run.average else {}
    checkpoint = Checkpoint(run.net.state_dict(), run.optimizer.state_dict(), average, state)
    artifacts.write_checkpoint(run.folder / CHECKPOINT, checkpoint)
    run.logged = time.perf_counter()


def finish(run: Run) -> dict[str, Any]:
    """Weights, then run.json, then the checkpoint goes: killed in between, the run is only finished again."""
    artifacts.settle(run.log)
    state = run.best.state_dict()
    artifacts.write_tensors(run.folder / MODEL, state, run.identity)
    result = {
        **run.identity,
        "step": run.step,
        **run.spent(),
        "validation": run.validation,
        "weights_sha256": artifacts.digest(state),
    }
    artifacts.write_json(run.folder / RESULT, result)
    (run.folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def load_weights(net: nn.Module, folder: Path) -> nn.Module:
    """`net` with a finished run's weights; raises where the run is not finished or the weights do not fit."""
    state, _ = artifacts.read_tensors(folder / MODEL)
    weights.fit(net, state, str(folder / MODEL))
    return net
