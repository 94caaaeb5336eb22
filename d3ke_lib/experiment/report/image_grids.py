"""Pictures with people in them: sheets of crops, and skeletons drawn over what the camera saw.

Pictures are uint8 RGB, (3, height, width) as tensors and (height, width, 3) as arrays for files.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points
from d3ke_lib.data.camera import Camera, pixels
from d3ke_lib.experiment.report.plots import COLOURS, figure

TRUE_COLOUR, PREDICTED_COLOUR = "#FFFFFF", COLOURS[4]


def bones(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(joint, its parent) for every joint that has one."""
    return [(joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0]


def contact_sheet(
    images: UInt8[Tensor, "image 3 height width"],
    labels: Sequence[str],
    note: str,
    title: str,
    columns: int = 8,
) -> tuple[Figure, pd.DataFrame]:
    """Pictures in rows with a label below each, and the table of labels."""
    columns = min(columns, max(4, len(images)))
    rows = -(-len(images) // columns)
    with figure(7.6, 0.5 + rows * 1.15 * 7.6 / columns, note) as drawn:
        panels = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, image, label in zip(panels, images, labels):
            axes.imshow(image.permute(1, 2, 0).numpy())
            axes.set_title(label, fontsize=6, fontweight="normal", loc="center", y=-0.16)
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    return drawn, pd.DataFrame({"picture": range(1, len(labels) + 1), "label": list(labels)})


def skeleton_over_image(
    skeleton: Skeleton,
    images: UInt8[Tensor, "image 3 height width"],
    cameras: Camera,
    true: Points,
    predicted: Points,
    labels: Sequence[str],
    note: str,
    title: str,
) -> tuple[Figure, pd.DataFrame]:
    """True (white) and predicted (orange) joints over crops; points in m in the frame of `cameras` (image,).

    Predicted points are relative to the pelvis joint: for drawing they are put where the true pelvis is.
    """
    placed = predicted.joints - predicted.joints[:, :1] + true.joints[:, :1]
    xy = {"true": pixels(cameras, true.joints), "predicted": pixels(cameras, placed)}
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    with figure(7.6, 0.6 + rows * 1.1 * 7.6 / columns, note) as drawn:
        panels = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for i, (axes, image) in enumerate(zip(panels, images)):
            axes.imshow(image.permute(1, 2, 0).numpy(), extent=(0, image.shape[2], image.shape[1], 0))
            _lines(axes, xy["true"][i], skeleton, TRUE_COLOUR, "truth")
            _lines(axes, xy["predicted"][i], skeleton, PREDICTED_COLOUR, "prediction")
            axes.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))
            axes.set_title(labels[i], fontsize=7, fontweight="normal", loc="center")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    return drawn, _table(xy, skeleton, labels)


def _lines(axes: Axes, xy: Float[Tensor, "joint 2"], skeleton: Skeleton, colour: str, label: str) -> None:
    segments = [[xy[a].tolist(), xy[b].tolist()] for a, b in bones(skeleton)]
    axes.add_collection(LineCollection(segments, colors="black", linewidths=2.0, alpha=0.6))
    axes.add_collection(LineCollection(segments, colors=colour, linewidths=1.2, label=label))


def _table(xy: dict[str, Tensor], skeleton: Skeleton, labels: Sequence[str]) -> pd.DataFrame:
    rows = [
        (labels[i], joint, what, round(float(x), 2), round(float(y), 2))
        for what, points in xy.items()
        for i, picture in enumerate(points)
        for joint, (x, y) in zip(skeleton.joints, picture)
    ]
    return pd.DataFrame(rows, columns=["picture", "joint", "what", "x_px", "y_px"])


# --- over a video's frame -------------------------------------------------------------------------------


def draw_over(
    frame: UInt8[np.ndarray, "height width 3"],
    xy: Float[np.ndarray, "joint 2"],
    pairs: Sequence[tuple[int, int]],
    box: Float[np.ndarray, " 4"],
    text: str,
) -> UInt8[np.ndarray, "taller width 3"]:
    """A copy of a frame with the skeleton (px), the box (x0, y0, x1, y1) and a line of text below."""
    picture = Image.fromarray(frame)
    pen = ImageDraw.Draw(picture)
    width = max(2, round(max(frame.shape) / 500))
    pen.rectangle([float(side) for side in box], outline="#FFFFFF", width=max(1, width // 2))
    for a, b in pairs:
        line = [tuple(map(float, xy[a])), tuple(map(float, xy[b]))]
        pen.line(line, fill="#000000", width=width + 2)
        pen.line(line, fill=PREDICTED_COLOUR, width=width)
    return np.asarray(captioned(picture, text))


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """The picture above a dark strip with `text` in white; the height is even, as videos need it."""
    size = max(11, round(max(picture.size) / 65))
    strip = round(1.7 * size)
    strip += (picture.height + strip) % 2
    whole = Image.new("RGB", (picture.width, picture.height + strip), "#111827")
    whole.paste(picture, (0, 0))
    at = (0.6 * size, picture.height + 0.25 * size)
    ImageDraw.Draw(whole).text(at, text, fill="#FFFFFF", font=ImageFont.load_default(size))
    return whole


def grid(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size side by side, row by row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * width, i // columns * height))
    return sheet


def to_tensor(frame: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "3 height width"]:
    """A file's picture as a network wants it: RGB in [0, 1], channels first."""
    return torch.from_numpy(frame.copy()).permute(2, 0, 1).float() / 255
