"""Images of a prediction: the skeleton over the video's frames, and what the network saw."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.video import Frame, read_frames
from d3ke_lib.experiment.report.image_grids import PREDICTED_COLOUR, bones
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.experiment.video.accuracy import warning
from d3ke_lib.experiment.video.prediction import Example, Prediction

_CROP_PX = 320


def draw_overlay(prediction: Prediction, skeleton: Skeleton) -> Iterator[Frame]:
    """The video with box, skeleton and a warning; frames that do not show the person get only the text."""
    joints = stored_predictions.points_of(skeleton, prediction.pose).joints + prediction.positions[:, None]
    xy, boxes = pixels(prediction.camera, joints).numpy(), prediction.boxes.numpy()
    pairs, caption = bones(skeleton), warning(prediction.method)
    row_of = {index: row for row, index in enumerate(prediction.rows.tolist())}
    for index, frame in enumerate(read_frames(prediction.video)):
        image = Image.fromarray(frame)
        if (row := row_of.get(index)) is not None:
            _draw_body(image, xy[row], pairs, boxes[row])
        yield np.asarray(_add_caption(image, caption))


def draw_examples(examples: tuple[Example, ...]) -> Image.Image:
    """Frames from the whole stretch with the box, and below each what the network saw."""
    width, height = max(_CROP_PX, examples[0].frame.shape[1]), examples[0].frame.shape[0]
    sheet = Image.new("RGB", (width * len(examples), height + _CROP_PX))
    for i, example in enumerate(examples):
        image = Image.fromarray(example.frame)
        ImageDraw.Draw(image).rectangle(example.box.tolist(), outline=PREDICTED_COLOUR, width=3)
        sheet.paste(image, (i * width, 0))
        crop = Image.fromarray(example.crop).resize((_CROP_PX, _CROP_PX), Image.Resampling.NEAREST)
        sheet.paste(crop, (i * width, height))
    return sheet.quantize(256)


def _draw_body(
    image: Image.Image,
    xy: Float[np.ndarray, "joint 2"],
    pairs: list[tuple[int, int]],
    box: Float[np.ndarray, " 4"],
) -> None:
    pen, width = ImageDraw.Draw(image), max(2, round(max(image.size) / 500))
    pen.rectangle(box.tolist(), outline="#FFFFFF", width=max(1, width // 2))
    for joint, parent in pairs:
        line = [tuple(xy[joint].tolist()), tuple(xy[parent].tolist())]
        pen.line(line, fill="#000000", width=width + 2)
        pen.line(line, fill=PREDICTED_COLOUR, width=width)


def _add_caption(image: Image.Image, text: str) -> Image.Image:
    """The image above a dark strip with `text` in white; the height is even, as videos need it."""
    size = max(11, round(max(image.size) / 65))
    strip = round(1.7 * size)
    strip += (image.height + strip) % 2
    whole = Image.new("RGB", (image.width, image.height + strip), "#111827")
    whole.paste(image, (0, 0))
    position = (0.6 * size, image.height + 0.25 * size)
    ImageDraw.Draw(whole).text(position, text, fill="#FFFFFF", font=ImageFont.load_default(size))
    return whole
