"""Video files (PyAV), read frame by frame.

Frames are (height, width, 3) uint8 RGB as a player shows them: the file's display matrix (rotation, mirror)
and its pixel aspect ratio are applied. Boxes are (x0, y0, x1, y1) in px of such a frame, which spans
[0, width] × [0, height].
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from jaxtyping import Float, Int, UInt8

from d3ke_lib.files import D3keError

Frame = UInt8[np.ndarray, "height width 3"]
# (stage, items, how many if known) → the same items
Progress = Callable[[str, Iterable[Any], int | None], Iterable[Any]]

_SKEWED = 0.1  # of the larger entry of the display matrix's column: about 6° off a quarter turn
_WIDEST_PIXEL = 8  # pixel aspect ratios beyond 1:8 and 8:1 are errors in the file


class VideoError(D3keError):
    """A video that cannot be read, or a request that does not fit it; the message names the file and why."""


class Video(NamedTuple):
    """What a file holds: `times` in s from the first frame, perhaps uneven; `size` (width, height) in px.

    `notes` say what had to be repaired: damaged frames, time stamps that do not increase.
    """

    path: Path
    times: Float[np.ndarray, " frame"]
    size: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Mean frame rate, Hz; 30 for a single frame."""
        return (len(self.times) - 1) / float(self.times[-1]) if len(self.times) > 1 else 30.0


def no_progress(stage: str, items: Iterable[Any], total: int | None = None) -> Iterable[Any]:
    """Shows nothing."""
    return items


def read_size(path: Path) -> tuple[int, int]:
    """(width, height) in px of the first frame, without decoding the rest. Raises VideoError."""
    with _Source(path) as source:
        for frame in source.decode():
            return source.shown_size(frame)
    raise VideoError(f"{path}: no frame could be decoded: the video is empty")


def probe(path: Path, progress: Progress = no_progress) -> Video:
    """Decodes the file once: how many frames it really has, when, and how large. Raises VideoError."""
    stamps: list[float | None] = []
    with _Source(path) as source:
        for frame in progress("reading", source.decode(), source.expected_frames):
            size = source.shown_size(frame) if not stamps else size
            _check_same_shape(path, len(stamps), source.shown_size(frame), size)
            stamps.append(frame.time)
        if not stamps:
            raise VideoError(f"{path}: no frame could be decoded: the video is empty")
        times, repaired = _increasing_times(stamps, source.rate)
        notes = (f"{source.damaged} damaged frames are left out",) if source.damaged else ()
    return Video(Path(path), times, size, (*notes, *repaired))


def read_frames(
    video: Video, size: tuple[int, int] | None = None, only: Collection[int] | None = None
) -> Iterator[Frame]:
    """Frames one by one, at `size` (width, height; default: the video's); `only` lists frames to give.

    Raises VideoError where the file no longer has the frames that `probe` counted.
    """
    count = 0
    with _Source(video.path) as source:
        for index, frame in enumerate(source.decode()):
            if only is None or index in only:
                yield _to_rgb(frame, size or video.size)
            count += 1
    if count != len(video.times):
        raise VideoError(f"{video.path}: expected {len(video.times)} frames as counted before, found {count}")


class Thumbnails:
    """A video's frames with the longer side `longest` px at most, decoded anew each time: constant memory."""

    def __init__(self, video: Video, longest: int = 240, progress: Progress = no_progress) -> None:
        self.video, self.progress, self.size = video, progress, _limited(video.size, longest)

    def __len__(self) -> int:
        return len(self.video.times)

    def __iter__(self) -> Iterator[Frame]:
        yield from self.progress("finding the person", read_frames(self.video, self.size), len(self))

    def __getitem__(self, indices: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n height width 3"]:
        """Some frames, in the video's order."""
        only = set(indices.tolist())
        return np.stack(list(read_frames(self.video, self.size, only)))


def parse_box(text: str, size: tuple[int, int]) -> Float[np.ndarray, " 4"]:
    """ "x,y,w,h" in px of a frame of `size` (width, height) → (x0, y0, x1, y1). Raises VideoError."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise VideoError(f"BOX: expected four numbers x,y,w,h in px, found {text!r}") from None
    if not (w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= size[0] and y + h <= size[1]):
        raise VideoError(
            f"BOX: expected a box inside {size[0]}×{size[1]} px, found x={x:g} y={y:g} w={w:g} h={h:g}"
        )
    return np.array([x, y, x + w, y + h])


# --- decoding ---------------------------------------------------------------------------------------------


def _limited(size: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class _Source:
    """An open file's first video stream; PyAV's errors become VideoErrors that name the file."""

    def __init__(self, path: Path) -> None:
        self.path, self.damaged = Path(path), 0
        if not self.path.is_file():
            raise VideoError(f"{path}: {'a folder, not a video' if self.path.is_dir() else 'no such file'}")
        try:
            self.container = av.open(str(path))
        except av.FFmpegError as error:
            raise self._unreadable(error) from error

    def __enter__(self) -> "_Source":
        try:
            streams = [
                stream
                for stream in self.container.streams.video
                if not stream.disposition & Disposition.attached_pic  # a song's cover
            ]
            if not streams:
                raise VideoError(f"{self.path}: has no video stream")
            self.stream = streams[0]
            self.stream.thread_type = "AUTO"
        except BaseException:
            self.container.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def expected_frames(self) -> int | None:
        """Frames by the file's header, which may be wrong; None where it has none."""
        return self.stream.frames or None

    @property
    def rate(self) -> float:
        """The nominal frame rate, Hz; 30 where the file has none."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 30)

    def decode(self) -> Iterator[av.VideoFrame]:
        """Stored frames; those that cannot be decoded are counted in `damaged` and left out."""
        found, failure = 0, None
        try:
            for packet in self.container.demux(self.stream):
                try:
                    decoded = packet.decode()
                except av.InvalidDataError as error:
                    self.damaged, failure = self.damaged + 1, error
                    continue
                found += len(decoded)
                yield from decoded
        except av.FFmpegError as error:
            raise self._unreadable(error) from error
        if failure is not None and not found:
            raise self._unreadable(failure) from failure

    def shown_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(width, height) in px as a player shows a frame: square pixels, upright. Raises VideoError."""
        ratio = self.stream.sample_aspect_ratio or Fraction(1)
        if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
            raise VideoError(f"{self.path}: expected pixels of aspect ratio near 1, found {ratio}")
        across, down = _display_matrix(frame)
        for column in (across, down):
            if min(abs(column)) > _SKEWED * max(abs(column)):
                angle = math.degrees(math.atan2(down[0], across[0]))
                raise VideoError(f"{self.path}: is to be rotated by {angle:.0f}°: expected quarter turns")
        stored = (max(1, round(frame.width * ratio)), frame.height)
        return stored[::-1] if _swaps_axes(frame) else stored

    def _unreadable(self, error: av.FFmpegError) -> VideoError:
        return VideoError(f"{self.path}: not readable as video: {error.strerror or error}")


def _increasing_times(
    stamps: list[float | None], rate: float
) -> tuple[Float[np.ndarray, " frame"], tuple[str, ...]]:
    """Strictly increasing times in s from 0, and a note where stamps were repaired.

    A stamp that is not later than all before it is interpolated over frames; where stamps are missing, or
    more than a tenth do not increase, all times follow the nominal `rate` (Hz).
    """
    index = np.arange(len(stamps))
    if None in stamps:
        return index / rate, (f"time stamps are missing: {rate:g} Hz is assumed",)
    times = np.array(stamps, float)
    later = np.append(True, times[1:] > np.maximum.accumulate(times)[:-1])
    if later.all():
        return times - times[0], ()
    wrong = np.count_nonzero(~later)
    if wrong > max(1, len(times) // 10):
        return index / rate, (f"{wrong} time stamps are not later than those before: {rate:g} Hz is assumed",)
    last = index[later][-1]
    good = np.interp(index, index[later], times[later])
    good[last:] = good[last] + (index[last:] - last) / rate
    named = ", ".join(map(str, index[~later][:5])) + (", …" if wrong > 5 else "")
    return good - good[0], (f"time stamps not later than those before, interpolated: frames {named}",)


def _check_same_shape(path: Path, index: int, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Frames may change their resolution, as calls over the internet do, but not their shape."""
    if abs(found[0] * expected[1] / (found[1] * expected[0]) - 1) > 0.02:
        raise VideoError(
            f"{path}: frame {index} is {found[0]}×{found[1]} px, those before {expected[0]}×{expected[1]}"
        )


def _to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> Frame:
    """A stored frame as shown, at `size` (width, height)."""
    width, height = size[::-1] if _swaps_axes(frame) else size
    if (frame.width, frame.height) != (width, height):
        method = "AREA" if width * height < frame.width * frame.height else "BICUBIC"
        frame, stored = frame.reformat(width, height, "rgb24", interpolation=method), frame
    else:
        stored = frame
    image, (across, down) = frame.to_ndarray(format="rgb24"), _display_matrix(stored)
    if _swaps_axes(stored):
        image, across, down = image.swapaxes(0, 1), across[::-1], down[::-1]
    return np.ascontiguousarray(image[:: -1 if down[1] < 0 else 1, :: -1 if across[0] < 0 else 1])


def _display_matrix(frame: av.VideoFrame) -> Int[np.ndarray, "2 2"]:
    """((∂x'/∂x, ∂x'/∂y), (∂y'/∂x, ∂y'/∂y)) of shown x', y' (right, down), in 1/65536."""
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    matrix = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].T if data else np.eye(2) * 65536
    return (matrix if matrix.any() else np.eye(2) * 65536).astype(np.int64)


def _swaps_axes(frame: av.VideoFrame) -> bool:
    (across_x, across_y), _ = _display_matrix(frame)
    return bool(abs(across_y) > abs(across_x))
