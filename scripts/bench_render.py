"""Rendering time: a table of image sizes, threads and processes, ms per frame.

python scripts/bench_render.py [--sizes 64 128 256] [--threads 1] [--device cpu] [--repeats 5]

Takes of dressed subjects, one per look, 1.4 times their box in view, 20 frames per call, with all that the
takes have around them. "image" is the renderer alone; "frame" adds posing, scenery, labels, sensor and JPEG,
as records are made: so many processes at once, one thread each, wall time over all their frames. Reports the
fastest of the repeats; "bytes" is the mean JPEG.
"""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator

import _cli
import torch

from d3ke_lib.data import records
from d3ke_lib.data.camera import crop_camera
from d3ke_lib.data.synthetic import generate, people_scene, people_take, surroundings
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.mixtures import vary_motion

FRAMES, MARGIN = 20, 1.4
ACTIONS = ("walking", "sitting_down", "jumping_jacks", "waving", "throwing")  # one per look


def performed() -> Iterator[tuple]:
    """(skeleton, subject, take, key, look): one take per look."""
    (skeleton, _), people = generate.load_body(), generate._load_people()
    subject = people_take.draw_subject(skeleton, people, 0, 1)
    t = torch.arange(FRAMES).double() / 10
    for number, (look, action) in enumerate(zip(LOOKS, ACTIONS)):
        seed = (0, 1, number)
        exposure = people_take.draw_exposure(seed)
        motion = vary_motion(action, subject.style, people_take.list_instants(t, exposure), seed)
        take = people_take.perform(skeleton, subject, motion, action, exposure)
        yield skeleton, subject, take, surroundings.TakeKey(action, seed, t), look


def render_images(px: int, device: str) -> list[Callable[[], object]]:
    """The renderer's call for every take."""
    calls = []
    for skeleton, subject, take, key, look in performed():
        scenery = surroundings.set_scene(skeleton, take, subject, key, look)
        box = people_scene._bound(scenery.camera, take.vertices[:, subject.worn])
        crop = crop_camera(scenery.camera, box, px, zoom=1 / MARGIN)
        calls.append(lambda call=(take, subject, scenery, crop, px, device): people_scene._render(*call))
    return calls


def fastest(calls: list[Callable[[], object]], repeats: int) -> float:
    """ms per frame of the fastest of several rounds after a first one that warms up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for call in calls:
            call()
        times.append(time.perf_counter() - start)
    return min(times[1:]) / len(calls) / FRAMES * 1e3


def make_frames(px: int) -> list[int]:
    """Sizes of the JPEGs of one subject in five short takes seen by all looks."""
    config = generate.DataConfig(
        train=1, validation=0, test=0, actions=ACTIONS[:4], train_cameras=LOOKS, seconds=2.0, fps=10.0, px=px
    )
    shots = (shot for take in generate.make_takes(config, (1, LOOKS)) for shot in take.values())
    return [len(jpeg) for _, images, quality in shots for jpeg in records.encode(images, quality)]


def worker(px: int, repeats: int, start, found) -> None:
    """A process of its own: seconds and sizes of its fastest repeat, once all are ready."""
    torch.set_num_threads(1)
    make_frames(px)
    times = []
    for _ in range(repeats):
        start.wait()
        began = time.perf_counter()
        sizes = make_frames(px)
        times.append(time.perf_counter() - began)
    found.put((min(times), sizes))


def together(px: int, repeats: int, processes: int) -> tuple[float, float]:
    """ms per frame when so many processes make frames at once, and bytes per frame."""
    context = multiprocessing.get_context("spawn")
    start, queue = context.Barrier(processes), context.Queue()
    every = [context.Process(target=worker, args=(px, repeats, start, queue)) for _ in range(processes)]
    for process in every:
        process.start()
    found = [queue.get() for _ in every]
    for process in every:
        process.join()
    seconds, sizes = max(time for time, _ in found), found[0][1]
    return seconds / processes / len(sizes) * 1e3, sum(sizes) / len(sizes)


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2, help="on the CPU")
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    columns = [f"image, {threads} thread{'s' * (threads > 1)}" for threads in options.threads]
    columns += [f"frame, {options.processes} processes", "bytes"] if on_cpu else []
    print(f"{FRAMES} frames per call, {options.device}; ms per frame")
    print("| px | " + " | ".join(columns) + " |")
    print("|---:|" + "---:|" * len(columns))
    for px in options.sizes:
        row = []
        for threads in options.threads:
            torch.set_num_threads(threads)
            row.append(f"{fastest(render_images(px, options.device), options.repeats):.2f}")
        if on_cpu:
            time_per_frame, size = together(px, options.repeats, options.processes)
            row += [f"{time_per_frame:.2f}", f"{size:.0f}"]
        print(f"| {px} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
