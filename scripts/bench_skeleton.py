"""The skeleton layer against the loop over joints of reference.py: forward, and forward with backward, ms.

Batches 1, 64, 256, 1024; eager and torch.compile(fullgraph=True); CPU and, where there is one, CUDA. The
three alternate for several rounds and the best round counts: other load then disturbs all alike.
Every measurement is a process of its own, as compiled code brings its own threads, and those wait awake
on the cores of the others' (OMP_WAIT_POLICY=active). A table and one JSON, which notebook 08 shows when
recorded:

    python scripts/bench_skeleton.py --to data/results/skeleton.json
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import _cli
import torch
from tqdm import tqdm

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.reference import forward_kinematics
from d3ke_lib.experiment.run import artifacts

BATCHES = (1, 64, 256, 1024)
TARGET = {64: {"eager": (1.0, 3.5), "compiled": (0.25, 1.5)}, 1024: {"eager": (7, 28), "compiled": (4.5, 13)}}


def pose_of(skeleton: Skeleton, batch: int) -> Pose:
    angles = skeleton.angle_middle + 0.3 * skeleton.angle_half * torch.randn(batch, 69).to(skeleton.ranges)
    R = torch.linalg.qr(torch.randn(batch, 3, 3))[0].to(skeleton.ranges)
    scales = skeleton.generic_scales.expand(batch, -1, -1).clone()
    return Pose(*(t.requires_grad_() for t in (angles, scales, R)))


def milliseconds(run: Callable[[], None], seconds: float, device: str) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        run()
    wait()
    begin, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - begin < seconds:
        run()
        count += 1
    wait()
    return (time.perf_counter() - begin) / count * 1e3


def measured(layer: Callable[[Pose], Points], pose: Pose, seconds: float, device: str) -> dict[str, float]:
    def forward() -> None:
        with torch.no_grad():
            layer(pose)

    def both() -> None:
        torch.autograd.grad(sum(p.sum() for p in layer(pose)), tuple(pose))

    return {k: milliseconds(f, seconds, device) for k, f in (("forward", forward), ("backward", both))}


def time_layer(kind: str, device: str, seconds: float, threads: int) -> dict[int, dict[str, float]]:
    """Times by batch."""
    torch.set_num_threads(threads)
    skeleton = default_skeleton().to(device)
    layer = {"plain": lambda pose: forward_kinematics(skeleton, pose), "eager": skeleton}.get(kind)
    times = {}
    for batch in BATCHES:
        if kind == "compiled":
            # One frame's backward, compiled by torch 2.11 for several CPU threads, writes beyond its memory.
            single = {"cpp.threads": 1} if (batch, device) == (1, "cpu") else None
            layer = torch.compile(skeleton, fullgraph=True, dynamic=False, options=single)
        times[batch] = measured(layer, pose_of(skeleton, batch), seconds, device)
    return times


def best_of(rounds: list[dict[int, dict[str, float]]]) -> dict[int, dict[str, float]]:
    names = ("forward", "backward")
    return {b: {n: min(found[b][n] for found in rounds) for n in names} for b in BATCHES}


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.ROOT / "out" / "bench" / "skeleton.json")
    parser.add_argument("--seconds", type=float, default=0.3, help="time per number and round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--kinds", nargs="*", default=["plain", "eager", "compiled"])
    options = parser.parse_args()
    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    found = {(device, kind): [] for device in devices for kind in options.kinds}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for _ in tqdm(range(options.rounds), "rounds"):
            for (device, kind), times in found.items():
                times.append(pool.submit(time_layer, kind, device, options.seconds, options.threads).result())
    rows = [
        {"device": device, "kind": kind, "batch": batch, **best}
        for (device, kind), rounds in found.items()
        for batch, best in best_of(rounds).items()
    ]
    print(f"{'device':6} {'kind':9} {'batch':>5} {'forward':>9} {'+ backward':>11}  target")
    for row in rows:
        target = TARGET.get(row["batch"], {}).get(row["kind"], "") if row["device"] == "cpu" else ""
        numbers = f"{row['forward']:9.3f} {row['backward']:11.3f}"
        print(f"{row['device']:6} {row['kind']:9} {row['batch']:5} {numbers}  {target}")
    result = {
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "rows": rows,
    }
    artifacts.write_json(options.to, result)


if __name__ == "__main__":
    sys.exit(main())
