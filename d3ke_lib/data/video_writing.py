"""Video files, written frame by frame."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float

from d3ke_lib.data.video import Frame, VideoError
from d3ke_lib.files import replacing

_CLOCK = 90_000  # ticks per second, as MPEG counts


def write_video(
    path: Path, frames: Iterable[Frame], fps: float, times: Float[np.ndarray, " frame"] | None = None
) -> Path:
    """An .mp4 (H.264, else MPEG-4), whole or not at all; an odd last row or column is dropped.

    Frames are `1 / fps` apart, or shown at `times` (s, increasing). Raises VideoError without a frame.
    """
    with (
        replacing(Path(path)) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        _encode(container, frames, fps, times, Path(path))
    return Path(path)


def _encode(
    container: av.container.OutputContainer,
    frames: Iterable[Frame],
    fps: float,
    times: Float[np.ndarray, " frame"] | None,
    path: Path,
) -> None:
    stream = None
    for index, image in enumerate(frames):
        height, width = (side // 2 * 2 for side in image.shape[:2])
        if stream is None:
            stream = _stream(container, width, height, fps, variable=times is not None)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        if times is not None:
            frame.pts, frame.time_base = round(float(times[index]) * _CLOCK), Fraction(1, _CLOCK)
        container.mux(stream.encode(frame))
    if stream is None:
        raise VideoError(f"{path}: no frame to write")
    container.mux(stream.encode())


def _stream(
    container: av.container.OutputContainer, width: int, height: int, fps: float, variable: bool
) -> av.video.stream.VideoStream:
    codec = next(name for name in ("libx264", "mpeg4") if name in av.codecs_available)
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    if variable:
        stream.codec_context.time_base = Fraction(1, _CLOCK)
    stream.options = {"crf": "23", "preset": "veryfast"} if codec == "libx264" else {"qscale": "4"}
    return stream
