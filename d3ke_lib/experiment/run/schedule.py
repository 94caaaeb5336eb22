"""What happens at which step: learning rate, resolution, frames, validations. Functions of the step alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from d3ke_lib.data.datasets import epoch_order
from d3ke_lib.files import D3keError


@dataclass(frozen=True)
class Phase:
    """A stretch of training and its learning rate, which falls exponentially within it."""

    share: float  # of all steps
    start: float
    end: float


@dataclass(frozen=True)
class Resolution:
    """Training crops have `px` pixels a side until `until`, a share of all steps."""

    until: float
    px: int


def check_phases(phases: tuple[Phase, ...]) -> None:
    if not math.isclose(sum(phase.share for phase in phases), 1.0, abs_tol=1e-9):
        raise D3keError(f"phases: shares must sum to 1, found {[phase.share for phase in phases]}")
    if any(min(phase.start, phase.end) <= 0 for phase in phases):
        raise D3keError("phases: learning rates must be above 0 to fall exponentially")


def learning_rate(phases: Sequence[Phase], warmup: int, step: int, steps: int) -> float:
    """Exponential from each phase's start to its end, both reached; a ramp over the first `warmup` steps.

    D3KE: lowers the rate once an epoch; here it falls every step, so that short budgets have the same shape.
    """
    begin, until = 0, 0.0
    for phase in phases:
        until += phase.share
        end = max(begin + 1, round(until * steps))
        if step < end or phase is phases[-1]:
            break
        begin = end
    progress = (step - begin) / max(1, end - 1 - begin)
    rate = math.exp((1 - progress) * math.log(phase.start) + progress * math.log(phase.end))
    return rate * min(1.0, (step + 1) / (warmup + 1))


def geometric(first: float, last: float, step: int, steps: int) -> float:
    """From `first` at step 0 to `last` at the final step."""
    return first * (last / first) ** (step / max(1, steps - 1))


def resolution(schedule: Sequence[Resolution], px: int, step: int, steps: int) -> int:
    """Side of the training crops, px."""
    return next((stage.px for stage in schedule if step < round(stage.until * steps)), px)


def budget(items: int, batch: int, epochs: int, asked: int | None, what: str) -> tuple[int, int]:
    """Steps per epoch, which has whole batches only, and steps in all: `asked` items of them, or `epochs`.

    Raises D3keError where there are fewer items than one batch, or than one batch is asked for.
    """
    per_epoch = items // batch
    steps = per_epoch * epochs if asked is None else asked // batch
    if not per_epoch or not steps:
        raise D3keError(f"one batch is {batch} {what}; there are {items}, the budget is {asked or 'epochs'}")
    return per_epoch, steps


def pieces(items: int, batch: int, seed: int, first: int, steps: int) -> Iterator[Int[Tensor, " item"]]:
    """Items of steps first, first + 1, …, steps − 1; another order every epoch, odd ones left out."""
    per_epoch = items // batch
    order, of_epoch = None, -1
    for step in range(first, steps):
        epoch, number = divmod(step, per_epoch)
        if epoch != of_epoch:
            order, of_epoch = epoch_order(items, seed, epoch), epoch
        yield order[number * batch : (number + 1) * batch]


def milestones(steps: int, count: int) -> set[int]:
    """Numbers of steps done after which to validate: `count` of them, evenly spaced, the last at the end."""
    return {max(1, round(steps * i / count)) for i in range(1, count + 1)}


def spread(items: int, count: int) -> Int[Tensor, " item"]:
    """At most `count` of so many items, evenly spaced."""
    return torch.arange(items) if items <= count else (torch.arange(count) * items) // count
