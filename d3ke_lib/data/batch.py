"""Frames and their labels as tensors: what data sets return, augmentation changes and training takes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.data.camera import Camera


@dataclass(frozen=True)
class Batch:
    """Frames and what is known of them, with any leading batch axes: (frame,) or (window, time).

    image: RGB crops as stored, None where only labels were asked for. camera: the crop's own, R = I and
    t = 0, because everything else is in its frame: points absolute in m, `pose.R_ground_root` =
    R_camera_root. x_camera = R_camera_world x_world + t_camera_world. margin: the image's side covers
    that many sides of the network's crop. index counts in the FrameSet; action and view count in its
    `actions` and `cameras`; frame is the video's, time (s) the motion's.
    """

    image: UInt8[Tensor, "*batch 3 height width"] | None
    camera: Camera
    pose: Pose
    points: Points
    valid: Validity
    R_camera_world: Float[Tensor, "*batch 3 3"]
    t_camera_world: Float[Tensor, "*batch 3"]
    margin: Float[Tensor, "*batch"]
    index: Int[Tensor, "*batch"]
    subject: Int[Tensor, "*batch"]
    view: Int[Tensor, "*batch"]
    action: Int[Tensor, "*batch"]
    frame: Int[Tensor, "*batch"]
    time: Float[Tensor, "*batch"]

    def __getitem__(self, key: object) -> "Batch":
        """Frames by anything that indexes the leading axes of a tensor."""
        return self.each(lambda tensor: tensor[key])

    def to(self, device: torch.device | str) -> "Batch":
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """A Batch with `change` applied to every tensor."""
        return Batch(*(apply(change, getattr(self, field.name)) for field in fields(self)))


def apply(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """`change` applied to a tensor, or to each of a named tuple of them; None stays None."""
    if isinstance(value, tuple):
        return type(value)(*(apply(change, part) for part in value))
    return None if value is None else change(value)
