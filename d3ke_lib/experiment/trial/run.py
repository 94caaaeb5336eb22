"""The real trial from the download to its record."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.video import Progress, no_progress, read_frames
from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.trial import single_camera
from d3ke_lib.experiment.trial.association import Seen, Views, associate, stack
from d3ke_lib.experiment.trial.overlay import write_views
from d3ke_lib.experiment.trial.record import describe, synthetic_errors
from d3ke_lib.experiment.trial.recording import Recording, fetch_recording
from d3ke_lib.experiment.trial.reference import compare_with_opensim, make_reference
from d3ke_lib.experiment.trial.single_camera import Angles
from d3ke_lib.experiment.video.lifter_training import LifterConfig, load_lifter
from d3ke_lib.files import D3keError
from d3ke_lib.landmarks import LandmarkNetworks, Landmarks, detect_people, load_networks

FOLDER = "real-trial"  # in the folder of outputs
_WANTED = ("frame/resnext50_32x4d.0", "frame/resnext101_32x8d.0")


def run(out: Path, profile: str, progress: Progress = no_progress) -> dict[str, Any]:
    """Everything anew but the download: the record (see record.py), and views.png in out/real-trial.

    What the profile has not trained is recorded as missing. Raises D3keError where the recording cannot be
    fetched or read.
    """
    recording = fetch_recording("one", out / FOLDER)
    networks = load_networks(out / "landmarks")
    lifter, _ = load_lifter(LifterConfig(), out / "landmarks", progress)
    people = [detect(networks, recording, view, progress) for view in range(len(recording.cameras))]
    views, persons = choose(recording, people)
    reference = make_reference(recording.cameras, views, recording.rate)
    predictions, missing = _predict_trained(recording, out / profile, progress)
    predictions |= single_camera.predict_landmarks(recording, persons, lifter, default_skeleton())
    write_views(out / FOLDER / "views.png", recording, reference)
    results = out / profile / "results.json"
    synthetic = artifacts.read_json(results) if results.is_file() else {"methods": {}}
    return describe(
        recording,
        reference,
        compare_with_opensim(reference, recording.rate),
        predictions,
        missing,
        synthetic_errors(synthetic, list(predictions)),
    )


def detect(
    networks: LandmarkNetworks, recording: Recording, view: int, progress: Progress = no_progress
) -> list[Landmarks]:
    """Everybody whom one camera shows."""
    video = recording.videos[view]
    frames = progress(f"landmarks of {video.path.stem}", read_frames(video), len(video.times))
    return detect_people(networks, frames, None, video.fps)


def choose(
    recording: Recording, people: list[list[Landmarks]], person: int = 1
) -> tuple[Views, list[Landmarks]]:
    """A person whom all views show, and the same one's landmarks by view; 1: whose views meet best.

    Raises D3keError as `associate`, and where fewer persons are seen by all.
    """
    persons = associate(recording.cameras, [[_to_seen(each) for each in found] for found in people])
    if not 1 <= person <= len(persons):
        raise D3keError(f"PERSON: expected 1 to {len(persons)} (whom all views show), found {person}")
    own = [found[i] for found, i in zip(people, persons[person - 1])]
    return stack([_to_seen(each) for each in own]), own


def _to_seen(landmarks: Landmarks) -> Seen:
    visibility = torch.from_numpy(landmarks.visibility).nan_to_num()
    return Seen(torch.from_numpy(landmarks.image), visibility)


def _predict_trained(
    recording: Recording, home: Path, progress: Progress
) -> tuple[dict[str, Angles], Mapping[str, str]]:
    """The mean pose and every finished run's predictions, and what there is not."""
    skeleton, missing, found = default_skeleton(), {}, {}
    command = f"not trained: make reproduce P={home.name}"
    if (home / "data" / "manifest.json").is_file():
        found[MEAN_POSE] = single_camera.mean_pose(recording, home / "data", skeleton)
    else:
        missing[MEAN_POSE] = f"no training records: make reproduce P={home.name}"
    runs = single_camera.find_runs(home)
    found |= single_camera.predict_runs(recording, runs, skeleton, progress)
    return found, missing | {name: command for name in _WANTED if name not in found}
