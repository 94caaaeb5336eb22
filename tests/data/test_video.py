"""Video: what was written is read back as a player shows it; files that need repair are, bad ones say why."""

import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from d3ke_lib.data.video import (
    Thumbnails,
    VideoError,
    _increasing_times,
    parse_box,
    probe,
    read_frames,
    read_size,
)
from d3ke_lib.data.video_writing import write_video

ONE = 1 << 16
# (a, b, c, d) of the ISO file format's matrix, x' = a·x + c·y, y' = b·x + d·y, and what a player shows.
ORIENTATIONS = {
    "upright": ((1, 0, 0, 1), lambda image: image),
    "clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "upside down": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "counter-clockwise": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "mirrored, upside down": ((1, 0, 0, -1), np.flipud),
    "mirrored, clockwise": ((0, 1, 1, 0), lambda image: np.rot90(np.flipud(image), -1)),
    "mirrored, counter-clockwise": ((0, -1, -1, 0), lambda image: np.rot90(np.flipud(image))),
}


def film(count: int = 12, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """A bright square that goes right on a dark ground, its top left corner bright too."""
    frames = np.full((count, height, width, 3), 40, np.uint8)
    frames[:, :8, :8] = 250
    for i, frame in enumerate(frames):
        frame[24:40, 10 + 5 * i : 26 + 5 * i, 0] = 230
    return list(frames)


def encode(
    path: Path,
    codec: str,
    pix_fmt: str,
    frames: list[np.ndarray],
    ticks: list[int] | None = None,
    ratio: Fraction | None = None,
    change: Callable[[int, av.Packet], av.Packet] = lambda _, packet: packet,
) -> Path:
    """A file as other programs write them: any codec and pixels, time stamps in 1/25 s, packets changed."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.sample_aspect_ratio = ratio or Fraction(1)
        if codec == "libx264":
            stream.options = {"bf": "0", "g": "1"}
        packets = [
            packet
            for image in frames
            for packet in stream.encode(av.VideoFrame.from_ndarray(image).reformat(format=pix_fmt))
        ]
        for i, packet in enumerate([*packets, *stream.encode()]):
            if packet.pts is not None and ticks:
                base = Fraction(1, 25) / packet.time_base
                packet.pts = packet.dts = int(ticks[i] * base)
            changed = change(i, packet)
            changed.stream = stream
            container.mux(changed)
    return path


def with_matrix(source: Path, target: Path, matrix: tuple[float, float, float, float]) -> Path:
    """A copy of an .mp4 whose track header has this display matrix."""
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, then 36 bytes before the matrix in version 0
    a, b, c, d = (round(value * ONE) for value in matrix)
    nine = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in nine)
    target.write_bytes(data)
    return target


def decoded(path: Path) -> np.ndarray:
    return np.stack(list(read_frames(probe(path))))


def error(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


def test_round_trip(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", film(), 25.0)
    video = probe(tmp_path / "a.mp4")
    assert video.fps == pytest.approx(25.0, abs=1e-6)
    assert video.size == read_size(tmp_path / "a.mp4") == (96, 64)
    assert video.notes == ()
    assert error(decoded(tmp_path / "a.mp4"), np.stack(film())) < 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_odd_sides_lose_a_row_and_column_when_written(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [image[:63, :95] for image in film()], 30.0)
    assert probe(tmp_path / "a.mp4").size == (94, 62)


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = np.array([0, 0.02, 0.05, 0.2, 0.21])
    write_video(tmp_path / "a.mp4", film(5), 25.0, times)
    np.testing.assert_allclose(probe(tmp_path / "a.mp4").times, times, atol=1e-4)


def test_thumbnails_can_be_read_again_and_picked(tmp_path: Path) -> None:
    small = Thumbnails(probe(write_video(tmp_path / "a.mp4", film(), 50.0)), longest=48)
    every = np.stack(list(small))
    assert every.shape == (len(small), 32, 48, 3) == (12, 32, 48, 3)
    np.testing.assert_array_equal(small[np.array([0, 5, 11])], np.stack(list(small))[[0, 5, 11]])


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_display_matrix_is_shown_as_players_do(tmp_path: Path, name: str) -> None:
    matrix, shown = ORIENTATIONS[name]
    write_video(tmp_path / "a.mp4", film(), 30.0)
    path = with_matrix(tmp_path / "a.mp4", tmp_path / "b.mp4", matrix)
    wanted = np.stack([shown(image) for image in film()])
    assert error(decoded(path), wanted) < 4
    assert probe(path).size == read_size(path) == wanted.shape[2:0:-1]
    small = np.stack(list(Thumbnails(probe(path), longest=48)))
    assert error(small, np.stack([shown(image[::2, ::2]) for image in film()])) < 8


def test_a_rotation_that_is_no_quarter_turn_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", film(), 30.0)
    path = with_matrix(tmp_path / "a.mp4", tmp_path / "b.mp4", (0.866, 0.5, -0.5, 0.866))
    with pytest.raises(VideoError, match=r"b\.mp4: is to be rotated by 30°: expected quarter turns"):
        read_size(path)


@pytest.mark.parametrize(("ratio", "size"), [(Fraction(2), (192, 64)), (Fraction(1, 2), (48, 64))])
def test_pixels_that_are_not_square_become_square(
    tmp_path: Path, ratio: Fraction, size: tuple[int, int]
) -> None:
    """As players do, the width is changed; a display matrix acts on the frame after that."""
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", film(), ratio=ratio)
    assert probe(path).size == size
    wanted = np.stack(film()).repeat(2, 2) if ratio == 2 else np.stack(film())[:, :, ::2]
    assert error(decoded(path), wanted) < 8
    turned = with_matrix(path, tmp_path / "b.mp4", (0, ratio, -1, 0))  # as muxers write both into one matrix
    assert probe(turned).size == size[::-1]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "grey"),
    [
        ("ffv1", "gray", True),
        ("ffv1", "gray10le", True),
        ("ffv1", "yuv420p10le", False),
        ("ffv1", "bgra", False),
        ("ffv1", "yuv444p", False),
        ("libvpx-vp9", "yuv420p", False),
        ("libx265", "yuv444p10le", False),
        ("libsvtav1", "yuv420p10le", False),
        ("mjpeg", "yuvj422p", False),
    ],
)
def test_pixels_of_all_kinds_and_odd_sizes(tmp_path: Path, codec: str, pix_fmt: str, grey: bool) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg does not encode {codec}")
    frames = [image[:63, :95].copy() for image in film()]
    path = encode(tmp_path / "a.mkv", codec, pix_fmt, frames)
    assert probe(path).size == (95, 63)
    wanted = np.stack(frames).astype(float)
    if grey:
        wanted = (wanted @ [0.299, 0.587, 0.114])[..., None].repeat(3, -1).round()
    assert error(decoded(path), wanted.astype(np.uint8)) < 6


# --- repairs ----------------------------------------------------------------------------------------------


def test_a_time_stamp_twice_is_interpolated_and_said(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 3, 3, 5, 6, 7, 8, 9, 10, 11]
    video = probe(encode(tmp_path / "a.mkv", "libx264", "yuv420p", film(), ticks))
    np.testing.assert_allclose(video.times, np.arange(12) / 25, atol=1e-3)
    assert video.notes == ("time stamps not later than those before, interpolated: frames 4",)


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([5.0, 5.1, 5.2], [0, 0.1, 0.2]),
        ([0.0, 0.1, 0.1, 0.5, 0.6], [0, 0.1, 0.3, 0.5, 0.6]),
        ([0.0, 0.1, 0.1], [0, 0.1, 0.2]),
        ([0.0, 0.1, 0.2, 0.0, 0.1, 0.2], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ([0.0, None, 0.7], [0, 0.1, 0.2]),
        ([0.0, 0.0, 0.0, 0.0], [0, 0.1, 0.2, 0.3]),
        ([3.0], [0]),
        ([None], [0]),
    ],
)
def test_times_increase_whatever_the_file_says(stamps: list[float | None], times: list[float]) -> None:
    found, notes = _increasing_times(stamps, 10.0)
    np.testing.assert_allclose(found, times, atol=1e-9)
    assert bool(notes) == (stamps != [3.0] and stamps[:1] != [5.0])


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_damaged_frame_is_left_out_alone(tmp_path: Path, codec: str) -> None:
    def damaged(i: int, packet: av.Packet) -> av.Packet:
        if i != 6:
            return packet
        noise = av.Packet(bytes(np.random.default_rng(0).integers(0, 256, packet.size, dtype=np.uint8)))
        noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
        return noise

    video = probe(encode(tmp_path / "a.mkv", codec, "yuv420p", film(), change=damaged))
    assert len(video.times) == len(list(read_frames(video))) == 11
    assert video.notes == (
        () if codec == "libx264" else ("1 damaged frames are left out",)
    )  # FFmpeg says nothing
    np.testing.assert_allclose(video.times, np.delete(np.arange(12), 6) / 25, atol=1e-3)


def test_a_resolution_that_changes_is_scaled_a_shape_that_changes_is_refused(tmp_path: Path) -> None:
    for name, size in (("half", (32, 48)), ("tall", (96, 64))):
        parts = [
            encode(tmp_path / f"{i}.ts", "libx264", "yuv420p", film(6, *s))
            for i, s in enumerate(((64, 96), size))
        ]
        (tmp_path / f"{name}.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert decoded(tmp_path / "half.ts").shape == (12, 64, 96, 3)
    with pytest.raises(VideoError, match=r"tall\.ts: frame 6 is 64×96 px, those before 96×64"):
        probe(tmp_path / "tall.ts")


# --- errors -----------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frame to write"):
        write_video(tmp_path / "a.mp4", [], 30.0)

    def broken() -> Iterator[np.ndarray]:
        yield film()[0]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_video(tmp_path / "a.mp4", broken(), 30.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [read_size, probe])
def test_unreadable_files_say_which_and_why(tmp_path: Path, read: Callable) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4: no such file"):
        read(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match=r": a folder, not a video"):
        read(tmp_path)
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match=r"empty\.mp4: not readable as video"):
        read(tmp_path / "empty.mp4")
    write_video(tmp_path / "whole.mp4", film(), 30.0)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:200])
    with pytest.raises(VideoError, match=r"cut\.mp4: "):
        read(tmp_path / "cut.mp4")
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    with pytest.raises(VideoError, match=r"text\.mp4: not readable as video"):
        read(tmp_path / "text.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(VideoError, match=r"sound\.wav: has no video stream"):
        read(tmp_path / "sound.wav")


def test_a_songs_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        sound, cover = container.add_stream("aac", rate=8000), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = (
            64,
            64,
            "yuvj420p",
            Disposition.attached_pic,
        )
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        for stream, frame in ((cover, image), (cover, None), (sound, silence), (sound, None)):
            container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"song\.m4a: has no video stream"):
        read_size(tmp_path / "song.m4a")


def test_a_file_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    video = probe(write_video(tmp_path / "a.mp4", film(), 30.0))
    write_video(tmp_path / "a.mp4", film(8), 30.0)
    with pytest.raises(VideoError, match="expected 12 frames as counted before, found 8"):
        list(read_frames(video))


def test_box_from_text() -> None:
    np.testing.assert_array_equal(parse_box("10,20,30,40", (100, 60)), [10, 20, 40, 60])
    for text in ("10,20,30", "a,b,c,d", "", "10,20,30,41", "-1,0,5,5", "0,0,0,5", "nan,0,5,5"):
        with pytest.raises(VideoError, match="BOX: expected"):
            parse_box(text, (100, 60))


@pytest.mark.parametrize("name", ["hflip", "sar_stored"])
def test_cases_look_as_the_file_they_were_made_from(shared: Path, name: str) -> None:
    videos = shared / "cases/videos"
    assert probe(videos / f"{name}.mp4").size == (320, 240)
    assert error(decoded(videos / f"{name}.mp4"), decoded(videos / "base.mp4")) < 4
