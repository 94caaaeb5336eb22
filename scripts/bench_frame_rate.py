"""Frames per second of the frame networks, one image at a time:  python scripts/bench_frame_rate.py

At the paper's size, in float32 and bfloat16, the skeleton layer included; decoding a video, finding the
subject and cropping are not. The claims table reads data/results/frame_rate.json; a rate that is too low
counts only from a quiet machine.
"""

import argparse
import os
from pathlib import Path

import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import EvaluationConfig, FrameConfig
from d3ke_lib.experiment.run.train_frame import build_frame

BACKBONES = ("resnext50_32x4d", "resnext101_32x8d")
QUIET = 0.25  # processes per core that others may keep busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--px", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", default="auto")
    home = artifacts.REPOSITORY / "data" / "results"
    parser.add_argument("--to", type=Path, default=home / "frame_rate.json")
    given = parser.parse_args()
    machine = devices.describe()
    torch.set_num_threads(machine["cores"])
    quiet = os.getloadavg()[0] <= QUIET * machine["cores"]
    device = devices.choose(given.device)
    alone = EvaluationConfig(batch=1, timing_batches=given.repeats)
    rows = []
    for name in BACKBONES:
        for precision in ("fp32", "bf16"):
            config = FrameConfig(backbone=name, px=given.px, weights=None, precision=precision)
            net = devices.move(build_frame(config, default_skeleton()), device)
            found = cost.frame_cost(net, config, alone)
            rate = 1e3 / found["latency_ms"]
            rows.append({"backbone": name, "precision": precision, "frames_per_second": rate})
            print(f"{name} {precision}: {rate:.1f} frames/s")
    machine["threads"] = torch.get_num_threads()
    result = {"schema": 1, "machine": machine, "quiet": quiet, "px": given.px, "batch": 1, "rows": rows}
    artifacts.write_json(given.to, rounded(result))


if __name__ == "__main__":
    main()
