"""Where the time of METHOD=lifted and METHOD=landmarks goes, per frame:  bench_video.py [--video FILE]

Writes data/results/video_speed.json, or what --to names. Decoding and drawing are apart.
"""

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _cli
import torch

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.video import probe, read_frames
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.video.by_landmarks import locate
from d3ke_lib.experiment.video.landmark_methods import fit, follow, lift
from d3ke_lib.experiment.video.lifter_training import LifterConfig, load_lifter
from d3ke_lib.experiment.video.overlay import draw_overlay
from d3ke_lib.experiment.video.prediction import Prediction, assume_camera
from d3ke_lib.files import write_text
from d3ke_lib.landmarks import detect_people, load_networks
from d3ke_lib.landmarks.person_detector import detect_regions
from d3ke_lib.landmarks.tracking import LOOK_EVERY


@_cli.command(interrupted="nothing was written")
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "video_speed.json")
    parser.add_argument("--video", type=Path, default=_cli.ROOT / "out/demo-video/demo.mp4")
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = measure(options.video, options.frames, options.threads)
    write_text(options.to, json.dumps(facts | {"load": os.getloadavg()[0]}, indent=1) + "\n")
    for stage, milliseconds in facts["ms_per_frame"].items():
        print(f"{stage}: {milliseconds:.2f} ms per frame")
    print(f"without decoding and drawing: {facts['frames_per_s']}")


def measure(path: Path, most: int, threads: int) -> dict[str, Any]:
    skeleton, video = default_skeleton(), probe(path)
    networks = load_networks(settings.read().out / "landmarks", threads)
    lifter, _ = load_lifter(LifterConfig())
    count = min(most, len(video.times))
    frames, decoding = timed(lambda: list(itertools.islice(read_frames(video), count)))
    _, detecting = timed(lambda: [detect_regions(networks.detector, frame) for frame in frames[::LOOK_EVERY]])
    people, following = timed(lambda: detect_people(networks, frames, fps=video.fps))
    landmarks, camera = people[0], assume_camera(video.size)
    person = follow(landmarks, video.times[:count], camera)
    pose, lifting = timed(lambda: lift(lifter, person, camera))
    _, fitting = timed(lambda: fit(skeleton, person, video.fps))
    positions, locating = timed(lambda: locate(skeleton, pose, person, camera, video))
    prediction = Prediction(
        video, person.rows, person.seen, "", "lifted", {}, camera, person.boxes, person.crops, pose,
        positions, (),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        drawn = itertools.islice(draw_overlay(prediction, skeleton), count)
        _, drawing = timed(lambda: write_video(Path(folder) / "overlay.mp4", drawn, video.fps))
    observing = (following - detecting) / sum(int(each.valid.sum()) for each in people)
    times = {
        "decode": decoding / count,
        "detector (twice per second)": detecting / count,
        "landmarks, per person": observing,
        "lifted: network": lifting / len(person.rows),
        "landmarks: scaling and inverse kinematics": fitting / len(person.rows),
        "position": locating / len(person.rows),
        "draw and encode": drawing / count,
    }
    shared = ("detector (twice per second)", "landmarks, per person", "position")
    common = sum(times[stage] for stage in shared)
    speeds = {
        method: round(1 / (common + times[stage]), 1)
        for method, stage in (
            ("lifted", "lifted: network"),
            ("landmarks", "landmarks: scaling and inverse kinematics"),
        )
    }
    return {
        "video": f"{path.name}, {video.size[0]} × {video.size[1]} px",
        "frames": count,
        "persons": len(people),
        "threads": threads,
        "ms_per_frame": {stage: round(1e3 * seconds, 2) for stage, seconds in times.items()},
        "frames_per_s": speeds,
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    done = work()
    return done, time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
