"""Frames per second of whole predictions on a video, one image at a time:  python scripts/bench_frame_rate.py

At 64, 128 and the paper's 256 px, in float32 and bfloat16, both backbones. network: the frame network with
its skeleton layer. whole: predict_video on a file of 1280 × 720 px, i.e. decoding, cropping, the same network
image by image, a transformer over windows of 27 frames, positions; finding the subject is left out. The
claims table reads data/results/frame_rate.json at 256 px; too low counts only from a quiet machine.
"""

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import _cli
import numpy as np
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import video as videos
from d3ke_lib.data.person_tracking import Track
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import EvaluationConfig, FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.train_frame import build_frame
from d3ke_lib.experiment.run.train_temporal import build_temporal
from d3ke_lib.experiment.video.networks import Networks
from d3ke_lib.experiment.video.person import Person
from d3ke_lib.experiment.video.predict import predict_video

BACKBONES = ("resnext50_32x4d", "resnext101_32x8d")
SIZE, FPS, BOX = (1280, 720), 30.0, (400.0, 60.0, 800.0, 680.0)
QUIET = 0.25  # processes per core that others may keep busy


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--px", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, default=20, help="single images, and frames of the video")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--to", type=Path, default=_cli.RESULTS / "frame_rate.json")
    given = parser.parse_args()
    machine = devices.describe()
    torch.set_num_threads(machine["cores"])
    quiet = os.getloadavg()[0] <= QUIET * machine["cores"]
    with tempfile.TemporaryDirectory() as folder:
        person = make_person(Path(folder), given.repeats)
        asked = itertools.product(given.px, BACKBONES, ("fp32", "bf16"))
        configs = [FrameConfig(name, px, batch=1, precision=how, weights=None) for px, name, how in asked]
        rows = [measure(config, person, given) for config in configs]
    machine["threads"] = torch.get_num_threads()
    result = {"schema": 2, "machine": machine, "quiet": quiet, "batch": 1, "video_px": SIZE, "rows": rows}
    artifacts.write_json(given.to, rounded(result))


def measure(config: FrameConfig, person: Person, given: object) -> dict[str, object]:
    """A row: frames per second of the network alone and of the whole path."""
    device, skeleton = devices.choose(given.device), default_skeleton()
    net = devices.move(build_frame(config, skeleton), device).eval()
    alone = cost.frame_cost(net, config, EvaluationConfig(batch=1, timing_batches=given.repeats))
    refining = TemporalConfig(window=27, batch=1)
    refiner = build_temporal(refining, skeleton).to(device).eval()
    networks = Networks(skeleton, net, config, refiner, refining, FPS, ())
    predict_video(person, networks)  # warms up
    began = time.perf_counter()
    predict_video(person, networks)
    whole = len(person.track.boxes) / (time.perf_counter() - began)
    row = {"backbone": config.backbone, "precision": config.precision, "px": config.px}
    network = 1e3 / alone["latency_ms"]
    print(f"{config.backbone} {config.precision} {config.px} px: {network:.1f} network, {whole:.1f} whole")
    return row | {"network_per_second": network, "whole_per_second": whole}


def make_person(folder: Path, count: int) -> Person:
    """Somebody who fills a large box in a video of noise: what is seen does not change the time."""
    path = write_video(folder / "video.mp4", make_frames(count), FPS)
    track = Track(0, np.tile(np.float32(BOX), (count, 1)), np.ones(count, bool))
    return Person(videos.probe(path), track, "")


def make_frames(count: int) -> Iterator[videos.Frame]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, SIZE[1] // 16, SIZE[0] // 16, 3), dtype=np.uint8)
    yield from (frame.repeat(16, 0).repeat(16, 1) for frame in coarse)


if __name__ == "__main__":
    sys.exit(main())
