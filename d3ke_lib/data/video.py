"""Video files in and out (PyAV), frame by frame, and the box of the person who moves in one.

Frames are (height, width, 3) uint8 RGB, upright: a rotation that the file asks for is carried out.
Boxes are (x0, y0, x1, y1) in px of the upright picture, which spans [0, width] × [0, height].
"""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from jaxtyping import Float, UInt8

Frame = UInt8[np.ndarray, "height width 3"]


class VideoError(ValueError):
    """A video that cannot be read, or a request that does not fit it; the message names the file and why."""


class Video(NamedTuple):
    """What a file holds: `times` in s from the first frame, perhaps uneven; `size` (width, height)."""

    path: Path
    times: Float[np.ndarray, " frame"]
    size: tuple[int, int]

    @property
    def fps(self) -> float:
        """Mean frame rate, Hz; 30 for a single picture."""
        return (len(self.times) - 1) / float(self.times[-1]) if len(self.times) > 1 else 30.0


def read(path: Path) -> tuple[Iterator[Frame], float]:
    """Upright frames, decoded as they are asked for, and their rate in Hz. Raises VideoError."""
    video = probe(path)
    return frames(path), video.fps


def probe(path: Path) -> Video:
    """Decodes the file once: how many frames it really has, when, and how large. Raises VideoError."""
    times, size = [], (0, 0)
    for frame in _decoded(path):
        times.append(frame.time if frame.time is not None else len(times) / 30)
        turned = _quarter_turns(frame) % 2
        shape = (frame.height, frame.width) if turned else (frame.width, frame.height)
        if size not in ((0, 0), shape):
            raise VideoError(
                f"{path}: frame {len(times) - 1} is {shape[0]}×{shape[1]} px, those before {size}"
            )
        size = shape
    if not times:
        raise VideoError(f"{path}: no frame could be decoded: the video is empty")
    times = np.asarray(times) - times[0]
    if (np.diff(times) <= 0).any():
        raise VideoError(
            f"{path}: frame {int(np.argmax(np.diff(times) <= 0)) + 1} is not later than the one before"
        )
    return Video(Path(path), times, size)


def frames(path: Path) -> Iterator[Frame]:
    """Upright frames one by one."""
    for frame in _decoded(path):
        yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), _quarter_turns(frame)))


def thumbnails(path: Path, longest: int = 240) -> UInt8[np.ndarray, "frame height width 3"]:
    """All frames, upright, with the longer side `longest` px at most: small enough to look at all at once."""
    small = []
    for frame in _decoded(path):
        scale = min(1.0, longest / max(frame.width, frame.height))
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        picture = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
        small.append(np.rot90(picture, _quarter_turns(frame)))
    return np.stack(small)


def write(path: Path, frames: Iterable[Frame], fps: float) -> Path:
    """An .mp4 (H.264, else MPEG-4), whole or not at all; an odd last row or column is dropped.

    Raises VideoError when there is no frame to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(beside), "w", format="mp4", options={"movflags": "faststart"}) as container:
            _encode(container, frames, fps, path)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def parse_box(text: str, size: tuple[int, int]) -> Float[np.ndarray, " 4"]:
    """ "x,y,w,h" in px of a picture of `size` (width, height) → (x0, y0, x1, y1). Raises VideoError."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise VideoError(f"BOX: expected four numbers x,y,w,h in px, found {text!r}") from None
    if not (w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= size[0] and y + h <= size[1]):
        raise VideoError(
            f"BOX: expected a box inside {size[0]}×{size[1]} px, found x={x:g} y={y:g} w={w:g} h={h:g}"
        )
    return np.array([x, y, x + w, y + h])


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    if not Path(path).is_file():
        raise VideoError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield from container.decode(stream)
    except av.FFmpegError as error:
        raise VideoError(f"{path}: not readable as video: {error.strerror or error}") from error


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns (counter-clockwise, as np.rot90 counts) that make the stored picture upright."""
    return round(frame.rotation / 90) % 4


def _encode(container: av.container.OutputContainer, frames: Iterable[Frame], fps: float, path: Path) -> None:
    stream = None
    for picture in frames:
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if stream is None:
            stream = _stream(container, width, height, fps)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        container.mux(stream.encode(frame))
    if stream is None:
        raise VideoError(f"{path}: no frame to write")
    container.mux(stream.encode())


def _stream(
    container: av.container.OutputContainer, width: int, height: int, fps: float
) -> av.video.stream.VideoStream:
    codec = next(name for name in ("libx264", "mpeg4") if name in av.codecs_available)
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": "23", "preset": "veryfast"} if codec == "libx264" else {"qscale": "4"}
    return stream
