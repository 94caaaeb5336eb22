"""Where the degrees of a multi-step pipeline come from: rungs from true points to networks' poses.

A rung takes points (ladder_points.py), sizes and inverse kinematics, with or without beliefs learnt from
training labels, to poses. Sizes are estimated with beliefs, one per subject. Result, schema 1:

machine, git, records
frames       rule, subjects, motions, frames, of: how many of the test frames
runs         source → names of the runs behind it
noise_mm     root mean square per axis over the markers with weight
noises       source → m, the noise of the beliefs of each run (inverse_kinematics.choose_noise)
rungs        name → points, sizes, beliefs; metrics → estimate over subjects (and runs); seeds → angle MAE by
             run; groups → degrees that a group of joints contributes to the MAE
steps        list of name, first, second (rungs), metrics → estimate of second − first, runs: of the angle MAE
missing      sources without a run
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.record_jobs import run_jobs
from d3ke_lib.experiment.evaluation import stats
from d3ke_lib.experiment.evaluation.comparisons import estimate_mean
from d3ke_lib.experiment.evaluation.evaluate import rounded, with_points
from d3ke_lib.experiment.evaluation.measure import Trained
from d3ke_lib.experiment.run.identity import provenance, records_hash
from d3ke_lib.experiment.run.inverse_kinematics import (
    Beliefs,
    choose_noise,
    coupled_skeleton,
    find_poses,
    find_scales,
    learn_beliefs,
)
from d3ke_lib.experiment.studies.ladder_points import (
    DIRECT,
    POINTS,
    REFINED,
    SLOW,
    TRUE,
    WHITE,
    Frames,
    Sources,
    add_noise,
    choose_frames,
    find_sources,
    measure_noise,
)
from d3ke_lib.nets import metrics

SCHEMA = 1
KNOWN, ESTIMATED, GENERIC, OWN = "true sizes", "estimated sizes", "generic sizes", "its own pose"
METRICS = ("angle_mae_deg", "mpblpe_mm", "pelvis_deg", "scale_sum")


class Rung(NamedTuple):
    """OWN: the network's own pose, without inverse kinematics."""

    points: str
    sizes: str
    beliefs: bool = False

    @property
    def name(self) -> str:
        return self.points if self.sizes == OWN else ", ".join([*self[:2], *["beliefs"] * self.beliefs])


RUNGS = (
    *(Rung(TRUE, sizes) for sizes in (KNOWN, ESTIMATED, GENERIC)),
    *(Rung(points, ESTIMATED, beliefs) for points in (WHITE, SLOW, DIRECT) for beliefs in (False, True)),
    Rung(POINTS, ESTIMATED),
    *(Rung(POINTS, sizes, True) for sizes in (KNOWN, ESTIMATED, GENERIC)),
    Rung(REFINED[POINTS], ESTIMATED, True),
    Rung(DIRECT, OWN),
    Rung(REFINED[DIRECT], OWN),
)
STEPS = {  # what is changed → from which rung to which
    "sizes estimated, not known": (Rung(TRUE, KNOWN), Rung(TRUE, ESTIMATED)),
    "no sizes": (Rung(TRUE, ESTIMATED), Rung(TRUE, GENERIC)),
    "white noise in the points": (Rung(TRUE, ESTIMATED), Rung(WHITE, ESTIMATED)),
    "slow noise instead of white": (Rung(WHITE, ESTIMATED), Rung(SLOW, ESTIMATED)),
    "beliefs, white noise": (Rung(WHITE, ESTIMATED), Rung(WHITE, ESTIMATED, True)),
    "D3KE's points through inverse kinematics": (Rung(DIRECT, OWN), Rung(DIRECT, ESTIMATED)),
    "the same with beliefs": (Rung(DIRECT, OWN), Rung(DIRECT, ESTIMATED, True)),
    "points instead of D3KE": (Rung(DIRECT, OWN), Rung(POINTS, ESTIMATED, True)),
    "beliefs, predicted points": (Rung(POINTS, ESTIMATED), Rung(POINTS, ESTIMATED, True)),
    "sizes known, predicted points": (Rung(POINTS, ESTIMATED, True), Rung(POINTS, KNOWN, True)),
    "no sizes, predicted points": (Rung(POINTS, ESTIMATED, True), Rung(POINTS, GENERIC, True)),
    "points refined over time": (Rung(POINTS, ESTIMATED, True), Rung(REFINED[POINTS], ESTIMATED, True)),
    "points instead of D3KE, both refined": (
        Rung(REFINED[DIRECT], OWN),
        Rung(REFINED[POINTS], ESTIMATED, True),
    ),
}
_Scores = dict[str, np.ndarray]  # metric → (run, subject)


def climb(
    runs: Mapping[str, Sequence[Trained]],
    data: Path,
    skeleton: Skeleton,
    motions: int = 5,
    every: int = 2,
    workers: int = 2,
) -> dict[str, Any]:
    """The ladder on test subjects' frames (choose_frames); runs: of find_sources, at least D3KE or points."""
    train, validation, test = (FrameSet(data, split, skeleton) for split in ("train", "validation", "test"))
    tuning = choose_frames(validation, "validation", 4 * motions, 4 * every)
    frames = choose_frames(test, "test", motions, every)
    known, found = (find_sources(runs, data, some, skeleton) for some in (tuning, frames))
    size = measure_noise(known, tuning.labels)
    known, found = add_noise(tuning.labels, size) | known, add_noise(frames.labels, size) | found
    beliefs = _learn(skeleton, train.labels(), known, tuning.labels)
    poses = _solve_all(found, beliefs, frames.labels, workers)
    scores = {rung: _score(poses[rung], frames.labels, skeleton) for rung in RUNGS if rung in poses}
    weighted = skeleton.marker_weights > 0
    about = {
        "schema": SCHEMA,
        **provenance(),
        "records": records_hash(data),
        "frames": _describe_frames(frames, len(test), motions, every),
        "runs": {name: [run.folder.name for run in each] for name, each in runs.items()},
        "noise_mm": 1e3 * float(size[weighted].square().mean().sqrt()),
        "noises": {name: [each.prior.noise for each in by_run] for name, by_run in beliefs.items()},
        "missing": [name for name in (DIRECT, POINTS, *REFINED.values()) if name not in found],
    }
    return rounded(about | _describe_scores(scores, skeleton.coordinates))


def _describe_frames(frames: Frames, of: int, motions: int, every: int) -> dict[str, Any]:
    rule = f"every {every}nd frame" if every == 2 else f"every {every}th frame"
    return {
        "rule": f"{rule} of {motions} motions per subject, evenly spread over its motions",
        "subjects": len(set(frames.labels.subject.tolist())),
        "motions": motions,
        "frames": len(frames.chosen),
        "of": of,
    }


def _learn(skeleton: Skeleton, train: Batch, known: Sources, labels: Batch) -> dict[str, list[Beliefs]]:
    """Of every run that is solved for, its noise chosen on validation subjects."""
    coupled, solved = coupled_skeleton(skeleton), {rung.points for rung in RUNGS if rung.sizes != OWN}

    def learn(points) -> Beliefs:
        return learn_beliefs(skeleton, coupled, train, choose_noise(skeleton, coupled, train, points, labels))

    return {name: [learn(run.points) for run in known[name]] for name in known if name in solved}


# --- poses ------------------------------------------------------------------------------------------------


def _solve_all(
    found: Sources, beliefs: Mapping[str, list[Beliefs]], labels: Batch, workers: int
) -> dict[Rung, list[Pose]]:
    """Rung → one pose per run, all frames; subject by subject in worker processes, or here (0 workers)."""
    jobs = []
    for subject in labels.subject.unique().tolist():
        rows = labels.subject == subject
        markers = {name: [run.points.markers[rows] for run in found[name]] for name in beliefs}
        jobs.append((subject, markers, dict(beliefs), labels.pose.scales[rows][0]))
    by_subject = dict(run_jobs(_solve_subject, jobs, workers) if workers else map(_solve_subject, jobs))
    every = [by_subject[subject] for subject in sorted(by_subject)]
    poses = {rung: _join([one[rung] for one in every]) for rung in every[0]}
    for rung in RUNGS:
        if rung.sizes == OWN and rung.points in found:
            poses[rung] = [run.pose for run in found[rung.points]]
    return poses


def _join(subjects: list[list[Pose]]) -> list[Pose]:
    return [Pose(*(torch.cat(parts) for parts in zip(*run))) for run in zip(*subjects, strict=True)]


def _solve_subject(job: tuple) -> tuple[int, dict[Rung, list[Pose]]]:
    """The rungs of one subject (_solve_all says what a job is)."""
    subject, markers, beliefs, scales = job
    skeleton = default_skeleton()
    coupled, found = coupled_skeleton(skeleton), {}
    for name, by_run in markers.items():
        rungs = [rung for rung in RUNGS if rung.points == name and rung.sizes != OWN]
        for points, known in zip(by_run, beliefs[name], strict=True):
            sizes = {KNOWN: scales, GENERIC: skeleton.generic_scales}
            sizes[ESTIMATED] = find_scales(coupled, points, known)
            for rung in rungs:
                how = (skeleton, coupled, points, sizes[rung.sizes], known if rung.beliefs else None)
                found.setdefault(rung, []).append(find_poses(*how))
    return subject, found


# --- scores -----------------------------------------------------------------------------------------------


def _score(poses: Sequence[Pose], labels: Batch, skeleton: Skeleton) -> _Scores:
    runs = []
    for pose in poses:
        frames = metrics.per_frame(with_points(pose, skeleton), (labels.pose, labels.points), skeleton)
        chosen = {name: value for name, value in frames.items() if name.partition("/")[0] in METRICS}
        subjects = labels.subject.numpy()
        runs.append({name: stats.by_subject(value.numpy(), subjects)[1] for name, value in chosen.items()})
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def _describe_scores(scores: Mapping[Rung, _Scores], names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "rungs": {rung.name: _describe_rung(rung, found, names) for rung, found in scores.items()},
        "steps": [
            {
                "name": name,
                "first": first.name,
                "second": second.name,
                "metrics": _compare(first, second, scores),
                "runs": _differences(scores[first][METRICS[0]], scores[second][METRICS[0]]),
            }
            for name, (first, second) in STEPS.items()
            if first in scores and second in scores
        ],
    }


def _describe_rung(rung: Rung, found: _Scores, names: tuple[str, ...]) -> dict[str, Any]:
    sizes = {name: len(metrics.members(names, prefixes)) for name, prefixes in metrics.GROUPS.items()}
    shares = {name: size / len(names) for name, size in sizes.items()}
    return {
        **rung._asdict(),
        "metrics": {name: estimate_mean(found[name]) for name in METRICS},
        "seeds": found[METRICS[0]].mean(1),
        "groups": {name: share * found[f"{METRICS[0]}/{name}"].mean() for name, share in shares.items()},
    }


def _differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By run; where no network is behind one of them, its only value stands against every run."""
    runs = max(len(first), len(second)) if min(len(first), len(second)) == 1 else min(len(first), len(second))
    return np.resize(second.mean(1), runs) - np.resize(first.mean(1), runs)


def _compare(first: Rung, second: Rung, scores: Mapping[Rung, _Scores]) -> dict[str, Any]:
    """Paired by run where both come from the same networks."""
    related = first.points.partition(",")[0] == second.points.partition(",")[0]
    same = len(scores[first][METRICS[0]]) == len(scores[second][METRICS[0]])
    return {
        name: stats.compare(scores[first][name], scores[second][name], related and same)._asdict()
        for name in METRICS
    }
