"""Rendering time: a table of image sizes, threads and processes, ms per frame.

python scripts/bench_render.py [--sizes 64 128 256] [--threads 1 2] [--device cpu] [--repeats 7]

A dressed subject in random postures in front of camera PG1, 1.4 times its box in view, 30 frames per
call. Reports the fastest of the repeats.
Last column: so many processes at once, one thread each, as records are made; wall time over all their frames.
"""

import multiprocessing
import sys
import time

import _cli
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.camera import Camera, calibrated, crop_camera, project
from d3ke_lib.data.renderer.appearance import draw_appearance, draw_light, draw_room, paint_body
from d3ke_lib.data.renderer.body_surface import load_surface, pose_surface
from d3ke_lib.data.renderer.raytrace import Shading, render
from d3ke_lib.data.renderer.round_cones import Cones

FRAMES = 30
MARGIN = 1.4
# Upright, facing camera PG1; pelvis 1 m up.
UPRIGHT = torch.tensor([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
ROOT = torch.tensor([0.0, 0.0, 1.0])


def postures(skeleton: Skeleton, generator: torch.Generator) -> Pose:
    """Random postures within a fifth of every coordinate's range around standing."""
    share = 0.4 * (torch.rand(FRAMES, len(skeleton.coordinates), generator=generator) - 0.5)
    return Pose(share * skeleton.angle_half, skeleton.generic_scales.expand(FRAMES, -1, -1), UPRIGHT)


def scene(seed: int = 0) -> tuple[Cones, Shading]:
    generator = torch.Generator().manual_seed(seed)
    skeleton, surface = default_skeleton(), load_surface()
    cones = pose_surface(surface, skeleton, postures(skeleton, generator), ROOT)
    paint = paint_body(surface, draw_appearance(generator))
    return cones, Shading(paint, draw_room(generator), draw_light(generator))


def crops(cones: Cones, px: int) -> Camera:
    camera = calibrated("PG1")
    ends = project(camera, torch.cat((cones.a, cones.b), 1))
    return crop_camera(camera, torch.cat((ends.amin(1), ends.amax(1)), -1), px, zoom=1 / MARGIN)


def to(value: tuple, device: str) -> tuple:
    return type(value)(*(to(part, device) if isinstance(part, tuple) else part.to(device) for part in value))


def fastest(cones: Cones, shading: Shading, camera: Camera, px: int, repeats: int) -> float:
    """Seconds of the fastest of several calls after a first one that warms up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        render(cones, shading, camera, px, px).cpu()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def worker(px: int, repeats: int, start, seconds) -> None:
    """A process of its own: the mean of its repeats, once all are ready."""
    torch.set_num_threads(1)
    cones, shading = scene()
    camera = crops(cones, px)
    render(cones, shading, camera, px, px)
    start.wait()
    began = time.perf_counter()
    for _ in range(repeats):
        render(cones, shading, camera, px, px)
    seconds.put((time.perf_counter() - began) / repeats)


def together(px: int, repeats: int, processes: int) -> float:
    """Seconds of a call when so many processes render at once; the slowest of them."""
    context = multiprocessing.get_context("spawn")
    start, seconds = context.Barrier(processes), context.Queue()
    every = [context.Process(target=worker, args=(px, repeats, start, seconds)) for _ in range(processes)]
    for process in every:
        process.start()
    found = [seconds.get() for _ in every]
    for process in every:
        process.join()
    return max(found)


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2, help="on the CPU")
    options = parser.parse_args()
    cones, shading = scene()
    cones, shading = to(cones, options.device), to(shading, options.device)
    print(f"{cones.ra.shape[1]} cones, {FRAMES} frames per call, {options.device}; ms per frame")
    columns = [f"{threads} thread{'s' * (threads > 1)}" for threads in options.threads]
    if options.device == "cpu":
        columns.append(f"{options.processes} processes")
    print("| px | " + " | ".join(columns) + " |")
    print("|---:|" + "---:|" * len(columns))
    for px in options.sizes:
        camera = to(crops(cones, px), options.device)
        row = []
        for threads in options.threads:
            torch.set_num_threads(threads)
            row.append(fastest(cones, shading, camera, px, options.repeats) / FRAMES * 1e3)
        if options.device == "cpu":
            each = together(px, options.repeats, options.processes)
            row.append(each / FRAMES / options.processes * 1e3)
        print(f"| {px} | " + " | ".join(f"{value:.2f}" for value in row) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
