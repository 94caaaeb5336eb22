"""The training loop of both networks.

Interrupted at any point, a run resumes at its last checkpoint and ends with the weights of an undisturbed
one, because all randomness of a step comes from (seed, epoch, step). An interrupt by keyboard waits for the
end of the step and leaves a checkpoint.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import Tensor, nn

from d3ke_lib.experiment.run import run_folder, schedule
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.run_folder import Run
from d3ke_lib.nets.losses import Losses

T = TypeVar("T")


def fit(
    run: Run,
    config: FrameConfig | TemporalConfig,
    steps: int,
    batches: Iterable[T],
    step: Callable[[T], tuple[Losses, Tensor]],
    validate: Callable[[nn.Module], dict[str, float]],
) -> None:
    """Trains from step `run.step` to `steps` and finishes the run.

    batches: those of the remaining steps. step: the forward pass of one of them, the four losses and their
    weighted sum. validate: metrics of a network.
    """
    validating = schedule.milestones(steps, config.validations)
    name = f"{run.identity['name']}, seed {run.identity['seed']}"
    with (
        run_folder.progress(name, steps, run.step, shown=run.is_main) as bar,
        _deferred_interrupt() as is_interrupted,
    ):
        for batch in batches:
            rate = schedule.learning_rate(config.phases, config.warmup, run.step, steps)
            terms, loss = step(batch)
            loss.backward()
            run_folder.update_weights(run, rate)

            run_folder.record_losses(run, terms, loss)
            if _is_due(run.step, steps, config) or is_interrupted():
                run_folder.log_losses(run, rate, config.batch, bar)
            if run.step in validating and run.is_main:
                run_folder.log_validation(run, validate(run.best))
            saving = run.step % config.checkpoint_every == 0 or is_interrupted()
            if saving and run.step < steps and run.is_main and not run.pending:
                run_folder.save(run)
            if is_interrupted() and run.step < steps:
                raise KeyboardInterrupt
        if run.is_main:
            run_folder.finish(run)
        if is_interrupted():
            raise KeyboardInterrupt


def _is_due(step: int, steps: int, config: FrameConfig | TemporalConfig) -> bool:
    """Whether the log gets a line: every few steps, before every checkpoint and at the end."""
    return step % config.log_every == 0 or step % config.checkpoint_every == 0 or step == steps


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether SIGINT came; a second one interrupts at once, as usual."""
    arrived = threading.Event()

    def note(*_: object) -> None:
        arrived.set()
        signal.signal(signal.SIGINT, usual)

    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield arrived.is_set
        return
    usual = signal.signal(signal.SIGINT, note)
    try:
        yield arrived.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
