"""What every method predicts of a person in a video, and what it is told about the camera."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor

from d3ke_lib.body.pose import Pose
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.video import Frame, Video
from d3ke_lib.experiment.video.request import FOCAL

_EXAMPLES = 6
_EXAMPLE_PX = 320  # longer side


class Example(NamedTuple):
    """A frame, small, its box in px of it, and what the method looked at."""

    frame: Frame
    box: Float[np.ndarray, " 4"]
    crop: UInt8[np.ndarray, "px px 3"]


class Prediction(NamedTuple):
    """A person's poses in the frames `rows` of a video; in the other frames there is nobody."""

    video: Video
    rows: Int[np.ndarray, " frame"]
    seen: Bool[np.ndarray, " frame"]  # False: hidden for a moment, interpolated
    choice: str  # how the person was chosen
    method: str  # one of request.METHODS
    facts: dict[str, str]  # about the method, for the page
    camera: Camera  # of whole frames
    boxes: Float[Tensor, "frame 4"]
    crops: Camera  # (frame,)
    pose: Pose  # R_ground_root: root → the video's camera
    positions: Float[Tensor, "frame 3"]  # root joint in the video's camera, m
    examples: tuple[Example, ...]

    @property
    def times(self) -> Float[np.ndarray, " frame"]:
        """s from the video's first frame."""
        return self.video.times[self.rows]


def assume_camera(size: tuple[int, int], focal: float | None = None) -> Camera:
    """A pinhole for frames of `size` (width, height), looking through the middle; `focal` in px."""
    length = focal or FOCAL * max(size)
    center = torch.tensor([size[0] / 2, size[1] / 2])
    return Camera(torch.eye(3), torch.zeros(3), torch.full((2,), length), center, torch.zeros(2))


def shown_frames(count: int) -> list[int]:
    """Which of `count` frames are shown as examples: evenly spread."""
    return sorted(set(np.linspace(0, count - 1, min(_EXAMPLES, count)).round().astype(int).tolist()))


def make_example(frame: Frame, box: Float[np.ndarray, " 4"], crop: UInt8[np.ndarray, "px px 3"]) -> Example:
    """`box` in px of the frame, which is shrunk."""
    image = Image.fromarray(frame)
    scale = _EXAMPLE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return Example(np.asarray(image.resize(size)), box * scale, crop)
