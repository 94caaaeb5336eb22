"""The recording's views with skeletons drawn over them: made where they are looked at, never committed."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from d3ke_lib.data.video import Frame, read_frames
from d3ke_lib.experiment.report.image_grids import PREDICTED_COLOUR, bones
from d3ke_lib.experiment.trial.calibration import project
from d3ke_lib.experiment.trial.recording import Recording
from d3ke_lib.experiment.trial.reference import Reference, reference_skeleton
from d3ke_lib.files import replacing

_HEIGHT = 480  # px, of one view


def write_views(path: Path, recording: Recording, reference: Reference, moments: int = 3) -> Path:
    """A row per moment, a column per view: the reference's skeleton, and the triangulated landmarks."""
    skeleton = reference_skeleton()
    joints = skeleton(reference.pose).joints + reference.residuals.root[:, None]
    frames = np.linspace(0, len(joints) - 1, moments + 2).round().astype(int)[1:-1].tolist()
    columns = []
    for camera, video in zip(recording.cameras, recording.videos):
        images = read_frames(video, only=frames)
        parts = (joints, reference.triangulated.points)
        bodies, landmarks = (project(camera, part[frames]) for part in parts)
        columns.append([_draw(*each, bones(skeleton)) for each in zip(images, bodies, landmarks)])
    width = max(image.width for column in columns for image in column)
    sheet = Image.new("RGB", (width * len(columns), _HEIGHT * moments))
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            sheet.paste(image, (x * width, y * _HEIGHT))
    with replacing(path) as partial:
        sheet.quantize(256).save(partial, "png", optimize=True)
    return path


def _draw(
    frame: Frame,
    body: Float[Tensor, "joint 2"],
    points: Float[Tensor, "point 2"],
    pairs: list[tuple[int, int]],
) -> Image.Image:
    image = Image.fromarray(frame)
    pen, width = ImageDraw.Draw(image), max(2, image.height // 400)
    for joint, parent in pairs:
        line = [tuple(body[joint].tolist()), tuple(body[parent].tolist())]
        pen.line(line, fill="#000000", width=width + 3)
        pen.line(line, fill="#FFFFFF", width=width)
    for x, y in points[torch.isfinite(points).all(-1)].tolist():
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=PREDICTED_COLOUR)
    return image.resize((round(image.width * _HEIGHT / image.height), _HEIGHT))
