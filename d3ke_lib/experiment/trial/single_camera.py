"""What each method predicts from one camera at a time, as `make predict` would for a user's video.

The focal length is the calibrated one; where cameras stand, no method is told.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.video import Progress, Video, no_progress
from d3ke_lib.experiment import video as room
from d3ke_lib.experiment.run import artifacts, run_folder
from d3ke_lib.experiment.trial.recording import Recording
from d3ke_lib.experiment.trial.reference import observable_deg
from d3ke_lib.experiment.video.landmark_methods import fit, follow, lift
from d3ke_lib.experiment.video.prediction import assume_camera
from d3ke_lib.landmarks import Landmarks
from d3ke_lib.landmarks.lifter import Lifter

_POSE = "pose"  # FrameConfig.head of networks that predict angles
Angles = Float[np.ndarray, "view frame coord"]  # degrees, of OBSERVABLE; NaN: no prediction


class Run(NamedTuple):
    """Folders of a frame run and, where its predictions are refined, of a temporal run."""

    frame: Path
    temporal: Path | None = None

    @property
    def name(self) -> str:
        """As in results.json."""
        return f"frame/{self.frame.name}" if self.temporal is None else f"temporal/{self.temporal.name}"


def find_runs(home: Path) -> list[Run]:
    """Finished runs in a profile's folder that predict angles: each frame run, then those that refine it."""

    def finished(kind: str, pattern: str) -> list[Path]:
        return sorted(found.parent for found in home.glob(f"{kind}/{pattern}/{run_folder.RESULT}"))

    runs = []
    for frame in finished("frame", "*"):
        config = artifacts.read_json(frame / run_folder.RESULT)["config"]
        if config.get("head", _POSE) == _POSE:
            refining = finished("temporal", f"*.{frame.name}")
            runs += [Run(frame), *(Run(frame, temporal) for temporal in refining)]
    return runs


def predict_runs(
    recording: Recording, runs: Sequence[Run], skeleton: Skeleton, progress: Progress = no_progress
) -> dict[str, Angles]:
    """Every run's predictions for every view, by the run's name; the moving person's box, as by default."""
    people = [room.find_person(_request(video), progress) for video in recording.videos]
    found = {}
    for run in progress("networks", runs, len(runs)):
        networks = room.load_networks(run.frame, run.temporal)
        views = []
        for camera, person in zip(recording.cameras, people):
            prediction = room.predict_video(person, networks, float(camera.camera.focal[0]))
            views.append(_placed(skeleton, prediction.pose, prediction.video, prediction.rows))
        found[run.name] = np.stack(views)
    return found


def _request(video: Video) -> room.Request:
    """For the person by default; the folder is not written."""
    return room.Request(video.path, None, None, Path(), method="d3ke")


def _placed(
    skeleton: Skeleton, pose: Pose, video: Video, rows: Int[np.ndarray, " some"]
) -> Float[np.ndarray, "frame coord"]:
    """A pose in the frames `rows` as a row for every frame of the video."""
    angles = observable_deg(skeleton, pose)
    whole = np.full((len(video.times), angles.shape[1]), np.nan)
    whole[rows] = angles
    return whole


def mean_pose(recording: Recording, data: Path, skeleton: Skeleton) -> Angles:
    """The mean angles of a profile's training records in every frame, whatever the image."""
    angles = FrameSet(data, "train", skeleton).labels().pose.angles.mean(0, keepdim=True)
    frames = len(recording.videos[0].times)
    pose = Pose(angles.expand(frames, -1), skeleton.generic_scales.expand(frames, -1, 3))
    return np.stack([observable_deg(skeleton, pose)] * len(recording.videos))


def predict_landmarks(
    recording: Recording, persons: Sequence[Landmarks], lifter: Lifter, skeleton: Skeleton
) -> dict[str, Angles]:
    """The methods that see landmarks instead of pixels, from each view's landmarks of the same person."""
    found: dict[str, list[np.ndarray]] = {"landmarks": [], "lifted": []}
    for calibrated, landmarks, video in zip(recording.cameras, persons, recording.videos):
        camera = assume_camera(video.size, float(calibrated.camera.focal[0]))
        person = follow(landmarks, video.times, camera)
        fitted, lifted = fit(skeleton, person, video.fps), lift(lifter, person, camera)
        for method, pose in (("landmarks", fitted), ("lifted", lifted)):
            found[method].append(_placed(skeleton, pose, video, person.rows))
    return {method: np.stack(views) for method, views in found.items()}
