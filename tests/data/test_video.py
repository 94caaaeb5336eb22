"""Video: what was written is read back, sideways files stand upright, bad ones say what is wrong."""

import wave
from pathlib import Path

import numpy as np
import pytest

from d3ke_lib.data.video import VideoError, parse_box, probe, read, thumbnails, write


def pictures(count: int = 12, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """A bright square that goes right on a dark ground, its top left corner bright too."""
    frames = np.full((count, height, width, 3), 40, np.uint8)
    frames[:, :8, :8] = 250
    for i, frame in enumerate(frames):
        frame[24:40, 10 + 5 * i : 26 + 5 * i, 0] = 230
    return list(frames)


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", pictures(), 25.0)
    frames, fps = read(tmp_path / "a.mp4")
    back = np.stack(list(frames))
    assert back.shape == (12, 64, 96, 3)
    assert fps == pytest.approx(25.0, abs=1e-6)
    assert np.abs(back.astype(int) - np.stack(pictures())).mean() < 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_odd_sides_lose_a_row_and_column(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [p[:63, :95] for p in pictures()], 30.0)
    assert probe(tmp_path / "a.mp4").size == (94, 62)


def test_times_and_thumbnails(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", pictures(), 50.0)
    np.testing.assert_allclose(probe(tmp_path / "a.mp4").times, np.arange(12) / 50, atol=1e-4)
    assert thumbnails(tmp_path / "a.mp4", longest=48).shape == (12, 32, 48, 3)


def test_a_sideways_recording_stands_upright(tmp_path: Path) -> None:
    """The display matrix (0 1; −1 0) of the ISO file format turns clockwise: x' = height − y, y' = x."""
    write(tmp_path / "a.mp4", pictures(), 30.0)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, then 36 bytes before the matrix in version 0
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, 64 << 16, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    (tmp_path / "b.mp4").write_bytes(data)
    assert probe(tmp_path / "b.mp4").size == (64, 96)
    first = next(iter(read(tmp_path / "b.mp4")[0]))
    assert np.abs(first.astype(int) - np.rot90(pictures()[0], -1)).mean() < 4
    assert first[:8, -8:].mean() > 200  # the bright corner, once top left, is now top right
    assert thumbnails(tmp_path / "b.mp4", longest=48).shape == (12, 48, 32, 3)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frame to write"):
        write(tmp_path / "a.mp4", [], 30.0)

    def broken():
        yield pictures()[0]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write(tmp_path / "a.mp4", broken(), 30.0)
    assert not list(tmp_path.iterdir())


def test_unreadable_files_say_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4: no such file"):
        read(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match=r"empty\.mp4: not readable as video"):
        read(tmp_path / "empty.mp4")
    write(tmp_path / "whole.mp4", pictures(), 30.0)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:200])
    with pytest.raises(VideoError, match=r"cut\.mp4: "):
        read(tmp_path / "cut.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(VideoError, match=r"sound\.wav: has no video stream"):
        read(tmp_path / "sound.wav")


def test_box_from_text() -> None:
    np.testing.assert_array_equal(parse_box("10,20,30,40", (100, 60)), [10, 20, 40, 60])
    for text in ("10,20,30", "a,b,c,d", "", "10,20,30,41", "-1,0,5,5", "0,0,0,5", "nan,0,5,5"):
        with pytest.raises(VideoError, match="BOX: expected"):
            parse_box(text, (100, 60))
