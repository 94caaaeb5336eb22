"""What the temporal networks learn from: windows of stored predictions, and the loss on them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch, apply
from d3ke_lib.data.datasets import FrameSet, TemporalSet, window_offsets
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.experiment.run import artifacts, run_folder, stored_predictions
from d3ke_lib.experiment.run.config import TemporalConfig
from d3ke_lib.nets.losses import Losses, losses, total


def open_windows(
    window: int,
    data: Path,
    source: Path,
    split: str,
    subjects: Sequence[int],
    skeleton: Skeleton,
    causal: bool = False,
) -> tuple[TemporalSet, Batch]:
    """Windows over the predictions stored in the frame run `source`, and the labels of their targets."""
    labels = FrameSet(data, split, skeleton, subjects=subjects).labels()
    identity = stored_predictions.identity(artifacts.read_json(source / run_folder.RESULT))
    found = stored_predictions.load(source, split, subjects, identity, skeleton)
    pose, points = None if isinstance(found, Points) else found, stored_predictions.points_of(skeleton, found)
    return TemporalSet(pose, points, labels, window, causal), labels


def rate_hz(labels: Batch) -> float:
    """Frames per second of the motions, to three digits."""
    between = labels.time.diff()
    return float(f"{1 / between[between > 0].median():.3g}")


def target_in(window: int, causal: bool = False) -> int:
    """The window's target: its middle frame, or its last if causal."""
    return -int(window_offsets(window, causal)[0])


def target_frame(kind: str, window: int, causal: bool = False) -> int:
    """Which of the frames a network predicts is the window's target."""
    return {"tcn": 0, "transformer": window, "lstm": target_in(window, causal)}[kind]


def _other_frames(kind: str, window: int, causal: bool = False) -> list[int]:
    """The other frames it predicts, numbered alike in its prediction and in the window."""
    others = [frame for frame in range(window) if frame != target_in(window, causal)]
    return {"tcn": [], "transformer": list(range(window)), "lstm": others}[kind]


def window_losses(
    config: TemporalConfig, refined: tuple[Pose | None, Points], truth: Batch, skeleton: Skeleton
) -> tuple[Losses, Tensor]:
    """The target frame's four terms, and the loss: those and, where there are any, the other frames'."""

    def compare(predicted: list[int], true: list[int]) -> Losses:
        return losses(
            (_frames_of(refined[0], predicted), _frames_of(refined[1], predicted)),
            (_frames_of(truth.pose, true), _frames_of(truth.points, true)),
            _frames_of(truth.valid, true),
            skeleton,
            norm=config.norm,
        )

    how = (config.kind, config.window, config.causal)
    terms = compare([target_frame(*how)], [target_in(config.window, config.causal)])
    loss = total(terms, config.loss)
    if others := _other_frames(*how):
        loss = loss + config.intermediate * total(compare(others, others), config.loss)
    return terms, loss


def _frames_of(part, frames: list[int]):
    """Some frames of a Pose, Points or Validity with axes (window, time, …); of None, None."""
    return apply(lambda tensor: tensor[:, frames], part)


def on(device: torch.device, part):
    """A Pose or Points on the device."""
    return apply(lambda tensor: tensor.to(device), part)


@contextmanager
def dropout_of_step(device: torch.device, seed: int, epoch: int, step: int) -> Iterator[None]:
    """Dropout draws from torch's global generators: seeded for one step, and put back after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_generator(seed, epoch, step).initial_seed())
        yield
