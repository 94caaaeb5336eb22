"""The subject's box in each video frame: from the projected labels, or from a person detector.

Boxes are squares (x0, y0, x1, y1) in px of the video frame; they may extend beyond it, as crops do.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.models import detection, get_weight
from torchvision.ops import box_iou

from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.camera import Camera, pixels, to_camera

_PAD = 0.08  # of the points' extent, on each side: crown, fingertips and clothes reach beyond them
_NEAREST = 0.2  # m: a subject with a point nearer to the camera's plane is not in front of it
_PERSON, _MIN_SCORE, _BATCH = 1, 0.5, 4  # the detector's class, least score, images per call
Source = Literal["labels", "detector"]


class Boxes(NamedTuple):
    """`seen`: the subject is in the frame; `found`: the source itself found the box."""

    box: Float[Tensor, "frame 4"]
    seen: Bool[Tensor, " frame"]
    found: Bool[Tensor, " frame"]


def project_boxes(camera: Camera, world: Float[Tensor, "frame point 3"], size: tuple[int, int]) -> Boxes:
    """The square around the projected points, wider by `_PAD` on each side. `size`: width, height (px)."""
    local = to_camera(camera, world)
    ahead = (local[..., 2] > _NEAREST).all(-1)
    at = pixels(camera, torch.where(ahead[:, None, None], local, torch.ones_like(local)))
    box = _square(torch.cat([at.amin(-2), at.amax(-2)], -1), 1 + 2 * _PAD)
    width, height = size
    inside = (box[:, 2] > 0) & (box[:, 3] > 0) & (box[:, 0] < width) & (box[:, 1] < height)
    seen = ahead & inside
    return Boxes(box, seen, seen)


def _square(box: Float[Tensor, "frame 4"], grow: float = 1.0) -> Float[Tensor, "frame 4"]:
    """Squares with the same centre and the longer side, times `grow`."""
    low, high = box[:, :2], box[:, 2:]
    half = grow * (high - low).amax(-1, keepdim=True) / 2
    middle = (low + high) / 2
    return torch.cat([middle - half, middle + half], -1)


# -- the detector ------------------------------------------------------------------------------------------


def load_detector(weights: str) -> nn.Module:
    """torchvision's Faster R-CNN (ResNet-50 FPN), as D3KE's, with weights by name or from a file.

    weights: e.g. "FasterRCNN_ResNet50_FPN_Weights.COCO_V1" (fetched by torchvision) or a path to such a
    state dict. Raises BmlmoviError for a file that does not fit or an unknown name.
    """
    path = Path(weights)
    if not path.is_file():
        try:
            return detection.fasterrcnn_resnet50_fpn(
                weights=get_weight(weights), weights_backbone=None
            ).eval()
        except ValueError as error:
            raise BmlmoviError(
                f"detector {weights!r}: expected a file or torchvision's name ({error})"
            ) from None
    net = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, AttributeError, TypeError, EOFError, OSError) as error:
        first = str(error).splitlines()[0]
        raise BmlmoviError(f"{path}: expected weights of fasterrcnn_resnet50_fpn, found: {first}") from None
    return net.eval()


@torch.no_grad()
def detect_boxes(net: nn.Module, images: Iterable[np.ndarray], near: Float[Tensor, "frame 4"]) -> Boxes:
    """The square box of the person in each image; of several, the one with the largest IoU with `near`.

    A frame without a detection takes the previous frame's box, the first ones the next (D3KE); `found` says
    which have one.
    """
    best: list[Tensor | None] = []
    batch: list[Tensor] = []
    for image in images:
        batch.append(torch.from_numpy(image).permute(2, 0, 1).float() / 255)
        if len(batch) == _BATCH:
            best += _detect_batch(net, batch, near[len(best) :])
            batch = []
    best += _detect_batch(net, batch, near[len(best) :]) if batch else []
    found = torch.tensor([box is not None for box in best])
    if not found.any():
        return Boxes(near, torch.zeros_like(found), found)
    boxes = _square(torch.stack(_fill_gaps(best)).to(near))
    return Boxes(boxes, torch.ones_like(found), found)


def _detect_batch(net: nn.Module, batch: list[Tensor], near: Tensor) -> list[Tensor | None]:
    found = []
    for prediction, expected in zip(net(batch), near):
        sure = (prediction["labels"] == _PERSON) & (prediction["scores"] >= _MIN_SCORE)
        boxes = prediction["boxes"][sure]
        shared = box_iou(boxes, expected[None].to(boxes))[:, 0] if len(boxes) else boxes
        found.append(boxes[shared.argmax()] if len(boxes) else None)
    return found


def _fill_gaps(best: list[Tensor | None]) -> list[Tensor]:
    """Each frame's box, or the last one before, or the first one after."""
    last = next(box for box in best if box is not None)
    filled = []
    for box in best:
        last = last if box is None else box
        filled.append(last)
    return filled
