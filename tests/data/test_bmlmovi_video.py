"""The right frames, exactly: a frame too many or too few is an error, never another frame."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import small_bmlmovi
import torch

from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.bmlmovi.video import crop_frames, read_frames
from d3ke_lib.data.camera import calibrated, crop_camera
from d3ke_lib.data.records import decode

SIZE = (64, 48)
LEVELS = [10 * i + 5 for i in range(24)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "F_PG1_Subject_1_L.avi"
    return small_bmlmovi.write_video(path, LEVELS, SIZE)


def levels(path: Path, wanted: Sequence[int]) -> list[int]:
    """The frames' numbers, read from their grey."""
    return [round((float(image.mean()) - 5) / 10) for image in read_frames(path, wanted, SIZE)]


@pytest.mark.parametrize("wanted", [[0], [23], [3, 4, 5], [0, 7, 7, 8, 22], list(range(24)), []])
def test_frames_are_those_of_the_numbers(video: Path, wanted: list[int]) -> None:
    assert levels(video, wanted) == wanted


def test_frames_out_of_order_in_the_file_are_counted_as_shown(tmp_path: Path) -> None:
    """With B-frames the order of decoding is not that of the file."""
    path = tmp_path / "b.avi"
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.options = {"qscale": "2"}
        for level in LEVELS:
            frame = np.full((*SIZE[::-1], 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert levels(path, [0, 1, 9, 10, 23]) == [0, 1, 9, 10, 23]


def test_a_video_shorter_than_the_ranges_is_said(video: Path) -> None:
    with pytest.raises(BmlmoviError, match=r"_L.avi: expected 31 frames or more \(flags30\), found 24"):
        levels(video, [3, 29, 30])


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_video_cut_short_is_said(video: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(video.read_bytes()[: int(share * video.stat().st_size)])
    with pytest.raises(BmlmoviError, match=r"cut.avi: expected"):
        levels(path, range(24))


def test_no_video_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"not a video" * 100)
    with pytest.raises(BmlmoviError, match=r"a.avi: expected a whole video, found 0 readable frames"):
        levels(tmp_path / "a.avi", [0])
    with pytest.raises(BmlmoviError, match="found no file"):
        levels(tmp_path / "b.avi", [0])


def test_another_rate_is_said(tmp_path: Path) -> None:
    path = small_bmlmovi.write_video(tmp_path / "a.avi", LEVELS, SIZE, fps=25)
    with pytest.raises(BmlmoviError, match=r"frame 3: expected at 0.100 s \(30 Hz\), found at 0.120"):
        levels(path, [20])


def test_another_size_is_said(video: Path) -> None:
    with pytest.raises(BmlmoviError, match="expected 800×600 px, found 64×48"):
        next(read_frames(video, [0], (800, 600)))


def test_a_dropped_frame_is_said(tmp_path: Path) -> None:
    """An empty chunk stands for a frame that was not taken: all later ones would be one early."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in (i for i in range(20) if i != 11):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE[::-1], 3), LEVELS[i], np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert levels(path, [10]) == [10]
    with pytest.raises(BmlmoviError, match=r"frame 11: .* at 0.367 s .* at 0.400 s: frames are missing"):
        levels(path, [15])


def test_crops_look_where_their_camera_does() -> None:
    """A white square in the frame fills the middle of the crop around it, whose camera is turned there."""
    full = calibrated("PG1", torch.float64)
    image = np.zeros((600, 800, 3), np.uint8)
    image[100:200, 500:600] = 255
    box = torch.tensor([[500.0, 100, 600, 200]], dtype=torch.float64)
    (jpeg,) = crop_frames([image], full, crop_camera(full, box, 64, zoom=1 / 2), 64, 95)
    found = decode(jpeg).float().mean(0) > 127
    assert found[18:46, 18:46].all()
    assert not found[:14].any()
    assert not found[:, :14].any()
    assert not found[50:].any()
    assert not found[:, 50:].any()
