"""What becomes of unusual videos:  python scripts/odd_videos.py [--method landmarks]

Makes about twenty files from one view of the real trial (rotated, uneven in time, of odd size, in other
codecs and pixels, damaged, of one frame, without a person …), predicts on each as `make predict` does, and
records for how many frames there are angles, the warnings, or the message it ended with.
"""

import subprocess
import sys
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import _cli
import av
import numpy as np
import pandas as pd

from d3ke_lib.data.video import Frame, read_frames
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.trial.recording import fetch_recording

_SIZE, _FRAMES, _RATE = (360, 640), 45, 30.0
_TIMEOUT = 300  # s
_PERSONS = (1, 2, 3)  # of the clip with two; the third is nobody
_RECORDED = _cli.RESULTS / "odd_videos.json"
_MATRIX = {  # a, b, c, d of the ISO file format's display matrix
    "rotated by metadata": (0, 1, -1, 0),
    "mirrored by metadata": (-1, 0, 0, 1),
}


def encode(path: Path, codec: str, pixels: str, frames: list[Frame], ratio: Fraction = Fraction(1)) -> Path:
    """A file of any codec and pixel format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=int(_RATE))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.sample_aspect_ratio = pixels, ratio
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image).reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def with_matrix(source: Path, target: Path, matrix: tuple[int, int, int, int]) -> Path:
    """A copy of an .mp4 with this display matrix in its track header."""
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    nine = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in nine)
    target.write_bytes(data)
    return target


def sound(path: Path) -> Path:
    """A file with a tone and no image."""
    tone = (8000 * np.sin(np.arange(44100) * 0.06)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(tone.tobytes())
    return path


def damaged(source: Path, target: Path) -> Path:
    """A copy with a tenth of its bytes overwritten, after the header."""
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = bytes(len(data) // 10)
    target.write_bytes(data)
    return target


def make_videos(frames: list[Frame], folder: Path) -> dict[str, Path | str]:
    """Name → file, or why it could not be made here."""
    room = np.median(frames, axis=0).astype(np.uint8)
    plain = write_video(folder / "plain.mp4", frames, _RATE)
    leaving = [*frames[: len(frames) // 2], *[room] * (len(frames) - len(frames) // 2)]
    uneven = np.cumsum(np.resize([1, 1, 3, 1, 2], len(frames))) / 60.0
    odd = [frame[:-1, :-1] for frame in frames]
    makers: dict[str, Callable[[Path], Path]] = {
        "plain": lambda _: plain,
        **{name: lambda p, m=matrix: with_matrix(plain, p, m) for name, matrix in _MATRIX.items()},
        "uneven in time": lambda p: write_video(p, frames, _RATE, uneven),
        "odd width and height": lambda p: encode(p, "libx264", "yuv444p", odd),
        "pixels twice as wide": lambda p: encode(
            p, "libx264", "yuv420p", [f[:, ::2] for f in frames], Fraction(2)
        ),
        "HEVC, 10 bit": lambda p: encode(p, "libx265", "yuv420p10le", frames),
        "VP9": lambda p: encode(p.with_suffix(".webm"), "libvpx-vp9", "yuv420p", frames),
        "AV1": lambda p: encode(p, "libsvtav1", "yuv420p", frames),
        "greyscale": lambda p: encode(p.with_suffix(".mkv"), "ffv1", "gray", frames),
        "with alpha": lambda p: encode(p.with_suffix(".mov"), "png", "rgba", frames),
        "damaged": lambda p: damaged(plain, p),
        "cut short": lambda p: _written(p, plain.read_bytes()[: plain.stat().st_size // 2]),
        "one frame": lambda p: write_video(p, frames[:1], _RATE),
        "two frames": lambda p: write_video(p, frames[:2], _RATE),
        "without a person": lambda p: write_video(p, [np.full_like(room, 90)] * len(frames), _RATE),
        "the person leaves": lambda p: write_video(p, leaving, _RATE),
        "sound only": lambda p: sound(p.with_suffix(".wav")),
        "text": lambda p: _written(p, b"not a video\n" * 40),
        "empty": lambda p: _written(p, b""),
        "not there": lambda p: p,
    }
    found: dict[str, Path | str] = {}
    for number, (name, make) in enumerate(makers.items()):
        try:
            found[name] = make(folder / f"{number:02d}.mp4")
        except (av.FFmpegError, ValueError) as error:
            found[name] = f"not made: {error}"
    return found


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def predict(video: Path, folder: Path, method: str, person: int = 1) -> dict[str, object]:
    """What `make predict` does with it: exit code, frames with angles, the last lines of its messages."""
    command = [sys.executable, str(_cli.ROOT / "scripts" / "predict.py"), str(video), "--out", str(folder)]
    ran = subprocess.run(
        [*command, "--method", method, "--person", str(person)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    table = folder / "angles.csv"
    rows = pd.read_csv(table) if table.is_file() else pd.DataFrame({"person": []})
    said = [line for line in ran.stderr.splitlines() if line.startswith(("error:", "note:", "warning:"))]
    return {
        "exit": ran.returncode,
        "frames": len(rows),
        "with_angles": int((rows.person != "absent").sum()),
        "said": [line.replace(str(video.parent) + "/", "") for line in said],
        "traceback": "Traceback" in ran.stderr,
    }


def frames_of_trial(persons: str, view: int) -> list[Frame]:
    """Every second frame of one view, small."""
    video = fetch_recording(persons, artifacts.out_root() / "real-trial").videos[view]
    return list(read_frames(video, _SIZE))[::2][:_FRAMES]


@_cli.command(interrupted="nothing was recorded")
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("--method", default="landmarks", help="of predict (default: %(default)s)")
    parser.add_argument(
        "--to", type=Path, default=_cli.RESULTS / "odd_videos.json", help="JSON file to write"
    )
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder, rows = Path(name), {}
        made = make_videos(frames_of_trial("one", 1), folder)
        both = write_video(folder / "both.mp4", frames_of_trial("two", 2), _RATE)
        made |= {f"two persons, PERSON={person}": both for person in _PERSONS}
        for label, video in made.items():
            if isinstance(video, str):
                rows[label] = {"said": [video]}
                continue
            person = int(label.partition("PERSON=")[2] or 1)
            rows[label] = predict(video, folder / "out" / f"{video.stem}.{person}", given.method, person)
            print(f"{label:24s} {rows[label]}", flush=True)
    artifacts.write_json(given.to, {"method": given.method, "videos": rows})
    return int(any(row.get("traceback") for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
