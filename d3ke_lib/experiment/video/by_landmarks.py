"""From a request to a prediction by the methods that see landmarks."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import video as videos
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.video import Frame, Progress, Video, VideoError, no_progress
from d3ke_lib.experiment.video.landmark_methods import CROP_PX, Followed, fit, follow, lift, stretches
from d3ke_lib.experiment.video.lifter_training import LifterConfig, load_lifter
from d3ke_lib.experiment.video.position import estimate_positions_by_landmarks
from d3ke_lib.experiment.video.prediction import (
    Example,
    Prediction,
    assume_camera,
    make_example,
    shown_frames,
)
from d3ke_lib.experiment.video.request import Request
from d3ke_lib.landmarks import Landmarks, detect_people, load_networks
from d3ke_lib.landmarks.networks import PACKAGE, VERSION
from d3ke_lib.landmarks.regions import Region, cut
from d3ke_lib.landmarks.sites import landmark_skeleton
from d3ke_lib.landmarks.tracking import choose_person

_HOW = {
    "lifted": "a temporal network reads joint angles from landmarks (trained on synthetic motions)",
    "landmarks": "scale factors and inverse kinematics from landmarks",
}
_DETECTOR = f"BlazePose, from the package {PACKAGE} {VERSION}"


def _landmark_folder() -> Path:
    """Where the detector's wheel and the lifting network are kept."""
    return settings.read().out / "landmarks"


def predict_by_landmarks(
    request: Request, skeleton: Skeleton, progress: Progress = no_progress
) -> Prediction:
    """The person's poses in every frame that shows them. Raises VideoError naming the file, or D3keError."""
    detector = load_networks(_landmark_folder())
    lifter = None
    if request.method == "lifted":
        lifter, _ = load_lifter(LifterConfig(), _landmark_folder(), progress)
    video = videos.probe(request.video, progress)
    kept: dict[int, Frame] = {}
    count = len(video.times)
    frames = _keep(videos.read_frames(video), shown_frames(count), kept)
    people = detect_people(detector, progress("landmarks", frames, count), request.box, video.fps)
    try:
        landmarks = choose_person(people, request.person, request.box)
    except VideoError as error:
        raise VideoError(f"{video.path}: {error}") from None
    camera = assume_camera(video.size, request.focal)
    person = follow(landmarks, video.times, camera)
    pose = lift(lifter, person, camera) if lifter else fit(skeleton, person, video.fps)
    facts = {"method": _HOW[request.method], "landmarks": _DETECTOR}
    return Prediction(
        video, person.rows, person.seen, _describe(request, len(people)), request.method, facts, camera,
        person.boxes, person.crops, pose, locate(skeleton, pose, person, camera, video),
        _examples(kept, person, landmarks),
    )  # fmt: skip


def locate(skeleton: Skeleton, pose: Pose, person: Followed, camera: Camera, video: Video) -> torch.Tensor:
    """The root joint in the camera, m, each stretch of frames by itself."""
    sites = landmark_skeleton(skeleton.body)
    parts = [
        estimate_positions_by_landmarks(
            sites, apply(lambda x, part=part: x[part], pose), person.image[part], person.visibility[part],
            camera, video.fps,
        )
        for part in stretches(person.rows)
    ]  # fmt: skip
    return torch.cat(parts)


def _keep(frames: Iterable[Frame], wanted: list[int], kept: dict[int, Frame]) -> Iterator[Frame]:
    """The frames, some of them remembered."""
    for index, frame in enumerate(frames):
        if index in wanted:
            kept[index] = frame
        yield frame


def _describe(request: Request, count: int) -> str:
    if request.box is not None:
        return "given"
    which = "the person seen longest" if request.person == 1 else f"person {request.person} by time seen"
    return f"{which}; {count} were found (PERSON=1 … {count})" if count > 1 else which


def _examples(kept: dict[int, Frame], person: Followed, landmarks: Landmarks) -> tuple[Example, ...]:
    """The frames that were kept, with the landmarks in what the detector looked at."""
    examples = []
    for index, frame in kept.items():
        row = np.searchsorted(person.rows, index)
        if row == len(person.rows) or person.rows[row] != index:
            examples.append(make_example(frame, np.zeros(4), np.full((CROP_PX, CROP_PX, 3), 128, np.uint8)))
            continue
        box = person.boxes[row].numpy()
        examples.append(make_example(frame, box, _draw_landmarks(frame, box, landmarks.image[index])))
    return tuple(examples)


def _draw_landmarks(frame: Frame, box: np.ndarray, image: np.ndarray) -> UInt8[np.ndarray, "px px 3"]:
    side = float((box[2:] - box[:2]).max())
    center = (box[:2] + box[2:]) / 2
    crop = Image.fromarray(cut(frame, Region(tuple(center.tolist()), side, 0.0), CROP_PX, replicate=True))
    pen = ImageDraw.Draw(crop)
    for x, y in ((image - center) / side + 0.5) * CROP_PX:
        if np.isfinite(x):
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill="#D55E00", outline="#FFFFFF")
    return np.asarray(crop)
