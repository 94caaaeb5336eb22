"""Chosen frames of a recording, counted exactly, and D3KE's crops of them.

Frames are counted as they are decoded, from 0. Every frame's own time stamp must agree with its number: a
dropped or doubled frame would shift all labels after it, so it is an error, not a guess.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ
from d3ke_lib.data.camera import Camera, resample

_BATCH = 16  # frames cropped per call


def read_frames(
    path: Path, wanted: Iterable[int], size: tuple[int, int]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The frames of these numbers (never falling, from 0), RGB, decoded as they are asked for.

    Raises BmlmoviError: not a video, another size or rate, frames missing on the way or at the end.
    """
    ahead = iter(wanted)
    number = next(ahead, None)
    for index, frame in enumerate(_decode_checked(path, size)):
        while index == number:
            yield frame.to_ndarray(format="rgb24")
            number = next(ahead, None)
        if number is None:
            return
    if number is not None:
        last = max(itertools.chain([number], ahead))
        raise BmlmoviError(f"{path}: expected {last + 1} frames or more (flags30), found {index + 1}")


def _decode_checked(path: Path, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    began = None
    for index, frame in enumerate(_decode(path)):
        if (frame.width, frame.height) != tuple(size):
            raise BmlmoviError(
                f"{path}: frame {index}: expected {size[0]}×{size[1]} px, found {frame.width}×{frame.height}"
            )
        if frame.time is not None:
            began = frame.time if began is None else began
            _check_time(path, index, frame.time - began)
        yield frame


def _check_time(path: Path, index: int, time: float) -> None:
    if abs(time * VIDEO_HZ - index) > 0.5:
        raise BmlmoviError(
            f"{path}: frame {index}: expected at {index / VIDEO_HZ:.3f} s ({VIDEO_HZ:g} Hz), found at "
            f"{time:.3f} s: frames are missing or the rate is another, so labels would not fit"
        )


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    if not path.is_file():
        raise BmlmoviError(f"{path}: expected a video, found no file")
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BmlmoviError(f"{path}: expected a video stream, found none")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # each worker has one processor
            for frame in container.decode(stream):
                yield frame
                count += 1
    except av.FFmpegError as error:
        found = f"{count} readable frames in {path.stat().st_size} bytes ({error.strerror})"
        raise BmlmoviError(f"{path}: expected a whole video, found {found}") from None
    if not count:
        raise BmlmoviError(f"{path}: expected frames, found none in {path.stat().st_size} bytes")


def crop_frames(
    images: Iterable[UInt8[np.ndarray, "height width 3"]], full: Camera, crop: Camera, px: int, quality: int
) -> list[bytes]:
    """JPEGs of px × px as the cameras `crop` (frame,) would have taken them; in the order of `images`."""
    found: list[bytes] = []
    images = iter(images)
    while batch := list(itertools.islice(images, _BATCH)):
        part = Camera(*(value[len(found) : len(found) + len(batch)] for value in crop))
        found += records.encode(_crop_batch(np.stack(batch), full, part, px), quality)
    return found


def _crop_batch(
    images: UInt8[np.ndarray, "frame height width 3"], full: Camera, crop: Camera, px: int
) -> UInt8[Tensor, "frame 3 px px"]:
    """Video frames resampled through their rays; black beyond their edges."""
    batch: Float[Tensor, "frame 3 height width"] = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return resample(batch, full.to(torch.float32), crop.to(torch.float32), px).round().clamp(0, 255).byte()
