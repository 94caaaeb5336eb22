"""Joint angles of a person in any video, with the networks that a profile has trained on synthetic images.

One camera that stands still, upright and level; its focal length is assumed unless given. What is written
opens in OpenSim; nothing about its accuracy on real people is known, and every output says so.
"""

from functools import partial
from operator import itemgetter

import numpy as np
import roma
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from d3ke_lib.body.pose import Pose
from d3ke_lib.data import video as videos
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, describe_crop, resample
from d3ke_lib.data.datasets import window_offsets
from d3ke_lib.data.video import Frame, Progress, no_progress
from d3ke_lib.experiment.run import devices, stored_predictions
from d3ke_lib.experiment.run.temporal_windows import target_frame
from d3ke_lib.experiment.video.networks import Networks
from d3ke_lib.experiment.video.person import Person
from d3ke_lib.experiment.video.position import estimate_positions
from d3ke_lib.experiment.video.prediction import (
    Example,
    Prediction,
    assume_camera,
    make_example,
    shown_frames,
)

_OVERSAMPLED = 1.25  # a frame is shrunk until the box has this many pixels for each of the crop's


@torch.no_grad()
def predict_video(
    person: Person, networks: Networks, focal: float | None = None, progress: Progress = no_progress
) -> Prediction:
    """Pose, refined pose and position for every frame that shows the person; `focal` in px, None: assumed."""
    video, track = person.video, person.track
    camera, px = assume_camera(video.size, focal), networks.config.px
    boxes = torch.tensor(track.boxes, dtype=torch.float32)
    crops = crop_camera(camera, boxes, px)
    pose, examples = _predict_frames(networks, person, camera, boxes, crops, progress)
    rows = np.arange(track.start, track.start + len(boxes))
    times = video.times[rows]
    if networks.refiner:
        pose = refine(networks, pose, times)
    pose = pose._replace(scales=pose.scales.mean(0).expand_as(pose.scales))  # a person's size is constant
    positions = estimate_positions(networks.skeleton, pose, crops, px, video.fps)
    in_camera = pose._replace(R_ground_root=crops.R.mT @ pose.R_ground_root)
    facts = {"networks": ", ".join(networks.names), "crop": f"{px} × {px} px"}
    return Prediction(
        video, rows, track.seen, person.choice, "d3ke", facts, camera, boxes, crops, in_camera, positions,
        examples,
    )  # fmt: skip


def _predict_frames(
    networks: Networks,
    person: Person,
    camera: Camera,
    boxes: Float[Tensor, "frame 4"],
    crops: Camera,
    progress: Progress,
) -> tuple[Pose, tuple[Example, ...]]:
    """The frame network's predictions, each in its crop camera's frame, and examples of what it saw."""
    count, batch, px = len(boxes), networks.config.batch, networks.config.px
    shown = set(shown_frames(count))
    predictions, waiting, examples = [], [], []
    start = person.track.start
    frames = videos.read_frames(person.video, only=range(start, start + count))
    for i, frame in zip(range(count), progress("joint angles", frames, count)):
        crop = apply(lambda part, i=i: part[i], crops)
        waiting.append(_crop_image(frame, camera, crop, boxes[i], px))
        if i in shown:
            pixels = (waiting[-1] * 255).round().byte().permute(1, 2, 0).numpy()
            examples.append(make_example(frame, boxes[i].numpy(), pixels))
        if len(waiting) == batch or i == count - 1:
            seen = apply(itemgetter(slice(i + 1 - len(waiting), i + 1)), crops)
            predictions.append(_predict_batch(networks, waiting, seen))
            waiting = []
    return stored_predictions.concatenate(predictions), tuple(examples)


def _predict_batch(networks: Networks, images: list[Float[Tensor, "3 px px"]], crops: Camera) -> Pose:
    device = next(networks.frame.parameters()).device
    camera = ()
    if networks.config.camera_input:  # the video's camera is level: y points down
        camera = (describe_crop(crops, -crops.R[..., 1], networks.config.px).to(device),)
    with devices.autocast(device, networks.config.precision):
        pose, _ = networks.frame(torch.stack(images).to(device), *camera)
    return apply(lambda part: part.float().cpu(), pose)


def _crop_image(
    frame: Frame, camera: Camera, crop: Camera, box: Float[Tensor, " 4"], px: int
) -> Float[Tensor, "3 px px"]:
    """The crop camera's image, RGB in [0, 1]; a large person is shrunk first, or edges would flicker."""
    height, width = frame.shape[:2]
    share = min(1.0, _OVERSAMPLED * px / float((box[2:] - box[:2]).max()))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = np.array(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
    factor = torch.tensor([size[0] / width, size[1] / height])
    shrunk = camera._replace(focal=camera.focal * factor, center=camera.center * factor)
    return resample(torch.from_numpy(small).permute(2, 0, 1).float() / 255, shrunk, crop, px)


def refine(networks: Networks, pose: Pose, times: Float[np.ndarray, " frame"]) -> Pose:
    """The temporal network's prediction for every frame, from a window around it at the rate of its training.

    Where the video's rate is another, the window's frames are interpolated; past an end, the end repeats.
    """
    how = networks.refining
    window, target = how.window, target_frame(how.kind, how.window, how.causal)
    device = next(networks.refiner.parameters()).device
    offsets = window_offsets(window, how.causal).numpy() / networks.rate
    refined = []
    for some in np.split(times, range(how.batch, len(times), how.batch)):
        poses = _interpolate_pose(pose, times, (some[:, None] + offsets).ravel())
        points = stored_predictions.points_of(networks.skeleton, poses)
        unflat = partial(_unflatten, shape=(len(some), window), device=device)
        prediction, _ = networks.refiner(apply(unflat, poses), apply(unflat, points))
        refined.append(apply(lambda part: part[:, target].cpu(), prediction))
    return stored_predictions.concatenate(refined)


def _unflatten(part: Tensor, shape: tuple[int, int], device: torch.device) -> Tensor:
    return part.unflatten(0, shape).to(device)


def _interpolate_pose(
    pose: Pose, known: Float[np.ndarray, " frame"], wanted: Float[np.ndarray, " time"]
) -> Pose:
    """A pose at other times (s): numbers linearly, the rotation along the shortest way; ends repeat."""
    clipped = wanted.clip(known[0], known[-1])
    after = np.searchsorted(known, clipped).clip(min(1, len(known) - 1))
    before = (after - 1).clip(0)
    share = (clipped - known[before]) / np.maximum(known[after] - known[before], 1e-9)
    share, before, after = torch.from_numpy(share).float(), torch.from_numpy(before), torch.from_numpy(after)

    def between(values: Tensor) -> Tensor:
        return values[before].lerp(values[after], share.view(-1, *[1] * (values.ndim - 1)))

    R = pose.R_ground_root[before]
    rotation = roma.rotmat_to_rotvec(R.mT @ pose.R_ground_root[after])
    between_R = R @ roma.rotvec_to_rotmat(share[:, None] * rotation)
    return Pose(between(pose.angles), between(pose.scales), between_R)
