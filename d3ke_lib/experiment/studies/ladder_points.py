"""Points that the rungs of the error ladder start from: true ones, true ones with noise, networks'.

Noise has the size of a network's errors, marker by marker, on the validation subjects. White noise is another
in every frame; slow noise is correlated over time (Gaussian, _SECONDS).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet, sequences
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.experiment.evaluation.measure import Trained
from d3ke_lib.experiment.run import artifacts, forward, run_folder, schedule, stored_predictions
from d3ke_lib.files import D3keError
from d3ke_lib.nets.losses import relative

TRUE, WHITE, SLOW, DIRECT, POINTS = "true", "white noise", "slow noise", "D3KE", "points"
REFINED = {DIRECT: "D3KE, refined", POINTS: "points, refined"}
_SECONDS = 0.5  # standard deviation of the kernel that correlates slow noise
_SEED = 13


class Frames(NamedTuple):
    """Labels of some frames of a split, and where they are among all of its frames."""

    split: str
    chosen: Int[Tensor, " frame"]
    labels: Batch


class Source(NamedTuple):
    """One run's points (m, relative to the pelvis joint); `pose` where it predicts poses."""

    points: Points
    pose: Pose | None = None


Sources = dict[str, list[Source]]  # name → one per run


def choose_frames(frames: FrameSet, split: str, motions: int, every: int) -> Frames:
    """Every n-th frame of so many motions per subject, evenly spread over its motions."""
    labels, rows = frames.labels(), []
    spans = sequences(labels)
    owner = [int(labels.subject[start]) for start, _ in spans]
    for subject in sorted(set(owner)):
        own = [span for span, each in zip(spans, owner, strict=True) if each == subject]
        for number in schedule.spread(len(own), motions).tolist():
            rows.append(torch.arange(*own[number], every))
    chosen = torch.cat(rows)
    return Frames(split, chosen, labels[chosen])


def find_sources(
    runs: Mapping[str, Sequence[Trained]], data: Path, frames: Frames, skeleton: Skeleton
) -> Sources:
    """The networks' points for these frames; what they have not stored is predicted first.

    runs: source (DIRECT, POINTS or one of REFINED) → its runs. Raises D3keError for a run of another head.
    """
    subjects = sorted(set(frames.labels.subject.tolist()))
    found: Sources = {}
    for name, each in runs.items():
        expected = "points" if name in (POINTS, REFINED[POINTS]) else "pose"
        for run in each:
            if (head := run.result["config"]["head"]) != expected:
                raise D3keError(f"{run.folder}: expected a network with the head {expected}, found {head}")
            predicted = _load(run, data, frames.split, subjects, skeleton)
            pose = type(predicted)(*(part[frames.chosen] for part in predicted))
            points = stored_predictions.points_of(skeleton, pose)
            known = None if isinstance(pose, Points) else pose
            found.setdefault(name, []).append(Source(relative(points), known))
    return found


def _load(run: Trained, data: Path, split: str, subjects: list[int], skeleton: Skeleton) -> Pose | Points:
    """Of whole subjects; all of the split's, as `frames.chosen` counts."""
    everyone = stored_predictions.subjects_of(data, split)
    forward.predict_frames(run.source, data, split, everyone, skeleton)
    if run.folder != run.source:
        forward.predict_windows(run.folder, run.source, data, split, everyone, skeleton)
    identity = stored_predictions.identity(artifacts.read_json(run.folder / run_folder.RESULT))
    return stored_predictions.load(run.folder, split, everyone, identity, skeleton)


def measure_noise(sources: Sources, labels: Batch) -> Float[Tensor, " marker"]:
    """Root mean square error per axis of every marker, m, of networks that predict points, else of D3KE."""
    true = relative(labels.points).markers
    errors = [source.points.markers - true for source in sources.get(POINTS) or sources[DIRECT]]
    return torch.stack(errors).square().mean((0, 1, 3)).sqrt()


def add_noise(labels: Batch, size: Float[Tensor, " marker"]) -> Sources:
    """True points, and with white and slow noise of this size."""
    true = relative(labels.points)
    draws = torch.randn(true.markers.shape, generator=seed_generator(_SEED))
    slow = torch.cat([_correlate(labels.time[a:b], draws[a:b]) for a, b in sequences(labels)])
    noise = {TRUE: torch.zeros_like(draws), WHITE: draws, SLOW: slow}
    return {
        name: [Source(true._replace(markers=true.markers + size[:, None] * each))]
        for name, each in noise.items()
    }


def _correlate(time: Float[Tensor, " time"], white: Float[Tensor, "time marker 3"]) -> Tensor:
    """White noise → of the same variance, correlated over time."""
    lag = (time[:, None] - time) / _SECONDS
    covariance = torch.exp(-(lag.double() ** 2) / 4) + 1e-6 * torch.eye(len(time)).double()
    return torch.einsum("st,tmc->smc", torch.linalg.cholesky(covariance).to(white), white)
