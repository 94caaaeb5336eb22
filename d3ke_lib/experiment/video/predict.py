"""Joint angles of a person in any video, with the networks that a profile has trained on synthetic pictures.

One person, one camera that stands still, upright and level; its focal length is assumed unless given. What is
written opens in OpenSim; nothing about its accuracy on real people is known, and every output says so.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import roma
import torch
from jaxtyping import Float
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data import video as videos
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, pixels, resample
from d3ke_lib.data.datasets import window_offsets
from d3ke_lib.data.person_tracking import Track, box_by_motion
from d3ke_lib.data.video import Video
from d3ke_lib.experiment.report.image_grids import to_tensor
from d3ke_lib.experiment.run import config, devices, stored_predictions
from d3ke_lib.experiment.run import forward as inference
from d3ke_lib.experiment.run.artifacts import D3keError, out_root
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.run_folder import RESULT
from d3ke_lib.experiment.run.temporal_windows import target_frame
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.temporal import Refiner

FOCAL = 1.2  # assumed focal length in longer sides of the picture: about 45° wide, a phone's main camera
ROOM = 1.25  # the picture is shrunk until the box has this many pixels for each of the crop's
FILL = 0.92  # of the box is spanned by joints and markers, the rest by flesh (embedded data: 0.92 ± 0.01)
SMOOTH_S = 0.2  # of the person's distance, which is only as steady as the box


class Nets(NamedTuple):
    """A frame network and, where one is trained, the temporal network that reads its answers."""

    frame: FrameNet
    config: FrameConfig
    refiner: Refiner | None
    refining: TemporalConfig | None
    rate: float  # of the training data, Hz
    names: tuple[str, ...]  # run folders within the profile's


class Found(NamedTuple):
    """One person in `times` (s) of a video; frames of the video from `start` on."""

    video: Video
    camera: Camera  # the whole picture's
    start: int
    times: Float[np.ndarray, " frame"]
    boxes: Float[Tensor, "frame 4"]
    crops: Camera  # the crops', (frame,)
    pose: Pose  # R_ground_root: root → the video's camera
    place: Float[Tensor, "frame 3"]  # root joint in the video's camera, m


def load(profile: str, backbone: str, refiner: str, seed: int = 0) -> Nets:
    """The networks of a profile's finished runs; without the temporal run, the frame network alone.

    Raises D3keError naming the frame run that is missing and how to make it.
    """
    home, rate = out_root() / profile, config.profile(profile).data.fps
    names = (f"frame/{backbone}.{seed}", f"temporal/{refiner}.{backbone}.{seed}")
    if not (home / names[0] / RESULT).is_file():
        raise D3keError(f"{home / names[0]}: no finished run; make one with: make reproduce P={profile}")
    net, settings = inference.load_frame_net(home / names[0], default_skeleton())
    if not (home / names[1] / RESULT).is_file():
        return Nets(net, settings, None, None, rate, names[:1])
    return Nets(net, settings, *inference.load_temporal_net(home / names[1], default_skeleton()), rate, names)


@torch.no_grad()
def find(path: Path, nets: Nets, box: str | None = None, focal: float | None = None) -> Found:
    """Box, network, temporal network and place for every frame that shows the person.

    `box` "x,y,w,h" (px) stays where it is for the whole video; without one the person is who moves.
    Raises VideoError: unreadable, nothing moves, a box outside the picture.
    """
    film = videos.probe(path)
    track = track_of(film, box)
    camera = assumed_camera(film.size, focal)
    boxes = torch.tensor(track.boxes, dtype=torch.float32)
    crops = crop_camera(camera, boxes, nets.config.px)
    seen = look(nets, film, track.start, camera, boxes, crops)
    times = film.times[track.start : track.start + len(boxes)]
    pose = refine(nets, seen, times) if nets.refiner else seen
    place = placed(default_skeleton(), pose, crops, nets.config.px, film.fps)
    turned = pose._replace(R_ground_root=crops.R.mT @ pose.R_ground_root)
    return Found(film, camera, track.start, times, boxes, crops, turned, place)


# --- where to look ----------------------------------------------------------------------------------------


def track_of(film: Video, box: str | None) -> Track:
    """The given box for the whole video, or the moving person's; px of the full picture."""
    if box is not None:
        return Track(0, np.tile(videos.parse_box(box, film.size), (len(film.times), 1)))
    small = videos.thumbnails(film.path)
    track = box_by_motion(small, film.fps)
    scale = np.array([film.size[0] / small.shape[2], film.size[1] / small.shape[1]] * 2)
    return Track(track.start, track.boxes * scale)


def assumed_camera(size: tuple[int, int], focal: float | None = None) -> Camera:
    """A pinhole for pictures of `size` (width, height), looking through the middle; `focal` in px."""
    if focal is not None and not 0.1 < focal / max(size) < 20:
        raise D3keError(
            f"FOCAL: expected px, near {FOCAL * max(size):.0f} for {size[0]}×{size[1]}, found {focal:g}"
        )
    length = focal or FOCAL * max(size)
    center = torch.tensor([size[0] / 2, size[1] / 2])
    return Camera(torch.eye(3), torch.zeros(3), torch.full((2,), length), center, torch.zeros(2))


# --- what the networks say --------------------------------------------------------------------------------


def look(
    nets: Nets, film: Video, start: int, camera: Camera, boxes: Float[Tensor, "frame 4"], crops: Camera
) -> Pose:
    """The frame network's answers, in each crop camera's frame."""
    device, answers, waiting = next(nets.frame.parameters()).device, [], []
    frames = zip(range(start + len(boxes)), videos.frames(film.path))
    for index, frame in frames:
        if index < start:
            continue
        i = index - start
        waiting.append(
            seen_by(frame, camera, apply(lambda part, i=i: part[i], crops), boxes[i], nets.config.px)
        )
        if len(waiting) == nets.config.batch or i == len(boxes) - 1:
            with devices.autocast(device, nets.config.precision):
                pose, _ = nets.frame(torch.stack(waiting).to(device))
            answers.append(apply(lambda part: part.float().cpu(), pose))
            waiting = []
    return stored_predictions.concatenate(answers)


def seen_by(
    frame: videos.Frame, camera: Camera, crop: Camera, box: Float[Tensor, " 4"], px: int
) -> Float[Tensor, "3 px px"]:
    """The crop camera's picture, in [0, 1]; a large person is shrunk first, or edges would flicker."""
    height, width = frame.shape[:2]
    share = min(1.0, ROOM * px / float((box[2:] - box[:2]).max()))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
    factor = torch.tensor([size[0] / width, size[1] / height])
    shrunk = camera._replace(focal=camera.focal * factor, center=camera.center * factor)
    return resample(to_tensor(small), shrunk, crop, px)


def refine(nets: Nets, pose: Pose, times: Float[np.ndarray, " frame"]) -> Pose:
    """The temporal network's answer for every frame, from a window around it at the rate of its training.

    Where the video's rate is another, the window's frames are interpolated; past an end, the end repeats.
    """
    how = nets.refining
    window, target = how.window, target_frame(how.kind, how.window, how.causal)
    device, skeleton = next(nets.refiner.parameters()).device, default_skeleton()
    beside = window_offsets(window, how.causal).numpy() / nets.rate
    answers = []
    for some in np.split(times, range(nets.refining.batch, len(times), nets.refining.batch)):
        asked = at_times(pose, times, (some[:, None] + beside).ravel())
        both = (asked, stored_predictions.points_of(skeleton, asked))
        shape = (len(some), window)
        windows = (
            apply(lambda part, shape=shape: part.unflatten(0, shape).to(device), each) for each in both
        )
        refined, _ = nets.refiner(*windows)
        answers.append(apply(lambda part: part[:, target].cpu(), refined))
    return stored_predictions.concatenate(answers)


def at_times(pose: Pose, known: Float[np.ndarray, " frame"], asked: Float[np.ndarray, " time"]) -> Pose:
    """A pose at other times: numbers linearly, the rotation along the shortest way, ends held."""
    after = np.searchsorted(known, asked.clip(known[0], known[-1])).clip(min(1, len(known) - 1))
    before = (after - 1).clip(0)
    share = (asked.clip(known[0], known[-1]) - known[before]) / np.maximum(known[after] - known[before], 1e-9)
    share, before, after = torch.from_numpy(share).float(), torch.from_numpy(before), torch.from_numpy(after)

    def between(values: Tensor) -> Tensor:
        return values[before].lerp(values[after], share.view(-1, *[1] * (values.ndim - 1)))

    R = pose.R_ground_root[before]
    turn = roma.rotmat_to_rotvec(R.mT @ pose.R_ground_root[after])
    return Pose(between(pose.angles), between(pose.scales), R @ roma.rotvec_to_rotmat(share[:, None] * turn))


# --- how far away -----------------------------------------------------------------------------------------


def placed(skeleton: Skeleton, pose: Pose, crops: Camera, px: int, fps: float) -> Float[Tensor, "frame 3"]:
    """Where the root joint is in the video's camera (m), so that the body fills its box: an estimate by size.

    The networks answer relative to the pelvis. Distance and direction follow from the box alone and carry its
    errors; they are smoothed over time.
    """
    points = torch.cat(stored_predictions.points_of(skeleton, pose), -2)
    size = (points.amax(-2) - points.amin(-2))[:, :2].amax(-1)
    place = torch.stack([0 * size, 0 * size, crops.focal[:, 0] * size / (FILL * px)], -1)
    for _ in range(8):
        flat = pixels(crops, points + place[:, None])
        low, high = flat.amin(-2), flat.amax(-2)
        place = place * ((high - low).amax(-1) / (FILL * px))[:, None].clamp(0.5, 2)
        shift = (px / 2 - (low + high) / 2) * place[:, 2:] / crops.focal
        place = place + F.pad(shift, (0, 1))
    place = (crops.R.mT @ place[..., None])[..., 0]
    return torch.from_numpy(gaussian_filter1d(place.numpy(), SMOOTH_S * fps, axis=0, mode="nearest"))
