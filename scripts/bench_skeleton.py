"""The skeleton layer against a plain loop over joints: forward, and forward with backward, ms.

Batches 1, 64, 256, 1024; eager and torch.compile(fullgraph=True); CPU and, where there is one, CUDA. A table
and one JSON, which notebook 08 shows when recorded:

    python scripts/bench_skeleton.py --out data/results/skeleton.json
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from d3ke_lib.body.kinematics import Points, Pose, Skeleton
from d3ke_lib.body.spec import default_skeleton

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/body"))
from plain_layer import plain

BATCHES = (1, 64, 256, 1024)
TARGET = {64: {"eager": (1.0, 3.5), "compiled": (0.25, 1.5)}, 1024: {"eager": (7, 28), "compiled": (4.5, 13)}}


def pose_of(skeleton: Skeleton, batch: int) -> Pose:
    angles = skeleton.angle_middle + 0.3 * skeleton.angle_half * torch.randn(batch, 69).to(skeleton.ranges)
    R = torch.linalg.qr(torch.randn(batch, 3, 3))[0].to(skeleton.ranges)
    scales = skeleton.generic_scales.expand(batch, -1, -1).clone()
    return Pose(*(t.requires_grad_() for t in (angles, scales, R)))


def milliseconds(run: Callable[[], None], seconds: float, device: str) -> float:
    """Best of three means: what the machine can do, not what else it was doing."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        run()
    wait()
    best = float("inf")
    for _ in range(3):
        begin, count = time.perf_counter(), 0
        while count < 3 or time.perf_counter() - begin < seconds / 3:
            run()
            count += 1
        wait()
        best = min(best, (time.perf_counter() - begin) / count)
    return best * 1e3


def measured(layer: Callable[[Pose], Points], pose: Pose, seconds: float, device: str) -> dict[str, float]:
    def forward() -> None:
        with torch.no_grad():
            layer(pose)

    def both() -> None:
        torch.autograd.grad(sum(p.sum() for p in layer(pose)), tuple(pose))

    return {k: milliseconds(f, seconds, device) for k, f in (("forward", forward), ("backward", both))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time per number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/bench/skeleton.json"))
    parser.add_argument("--kinds", nargs="*", default=["plain", "eager", "compiled"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    print(f"{'device':6} {'kind':9} {'batch':>5} {'forward':>9} {'+ backward':>11}  target")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        skeleton = default_skeleton().to(device)
        kinds = {"plain": lambda pose, s=skeleton: plain(s, pose), "eager": skeleton}
        kinds["compiled"] = torch.compile(skeleton, fullgraph=True, dynamic=False)
        # One frame's backward, compiled by torch 2.11 for several CPU threads, writes beyond its memory.
        alone = torch.compile(skeleton, fullgraph=True, dynamic=False, options={"cpp.threads": 1})
        for kind in options.kinds:
            for batch in BATCHES:
                layer = alone if (kind, batch, device) == ("compiled", 1, "cpu") else kinds[kind]
                found = measured(layer, pose_of(skeleton, batch), options.seconds, device)
                rows.append({"device": device, "kind": kind, "batch": batch, **found})
                target = TARGET.get(batch, {}).get(kind, "") if device == "cpu" else ""
                numbers = f"{found['forward']:9.3f} {found['backward']:11.3f}"
                print(f"{device:6} {kind:9} {batch:5} {numbers}  {target}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "rows": rows,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
