"""Synthetic people do the actions in front of both cameras: subjects × actions × cameras → records.

Everything follows from a `DataConfig`: each person, take and place has a random stream of its own, so that
the files are the same bytes for any number of workers and however often the making was interrupted.
"""

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.spec import BODY_FILE, D3KE, body_file
from d3ke_lib.data import records
from d3ke_lib.data.camera import calibrated
from d3ke_lib.data.records import RecordError
from d3ke_lib.data.renderer.body_surface import FLESH_FILE, Flesh, load_flesh
from d3ke_lib.data.schema import Metadata, file_name, names_of
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import motion, scene

Job = tuple[int, str]  # subject, camera: one file
# Files that decide what is made besides the configuration.
SOURCES = (BODY_FILE, FLESH_FILE, motion.ACTIONS_FILE)
FILES_AHEAD = 2  # rendered on the device while earlier ones are compressed


@dataclass(frozen=True)
class DataConfig:
    """What to make. Subjects are numbered from 1: training, then validation, then test.

    66, 3 and 15 subjects are those of BMLmovi that D3KE can use; its videos have 30 frames a second.
    Raises ValueError for unknown or repeated names and numbers that make no sense.
    """

    seed: int = 0
    train: int = 66
    validation: int = 3
    test: int = 15
    actions: tuple[str, ...] = motion.ACTIONS
    cameras: tuple[str, ...] = ("PG1", "PG2")
    seconds: float = 4.0  # of each action
    fps: float = 30.0
    px: int = 360  # side of a stored crop
    margin: float = 1.4  # how many sides of the network's crop it covers
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        for name, known in (("actions", motion.ACTIONS), ("cameras", tuple(D3KE.cameras))):
            values = getattr(self, name)
            if not values or len({*values} & {*known}) != len(values):
                raise ValueError(f"DataConfig.{name}: expected different ones of {known}, found {values}")
        for name in ("train", "frames", "px"):
            if getattr(self, name) < 1:
                raise ValueError(f"DataConfig.{name}: expected 1 or more, found {getattr(self, name)}")
        if self.margin < 1 or min(self.seed, self.validation, self.test) < 0:
            raise ValueError(f"DataConfig: expected margin >= 1 and no negative number, found {self}")

    @property
    def frames(self) -> int:
        """Frames of each action."""
        return round(self.seconds * self.fps)

    @property
    def splits(self) -> dict[str, list[int]]:
        """Split -> subjects."""
        ends = itertools.accumulate((self.train, self.validation, self.test), initial=1)
        spans = itertools.pairwise(ends)
        return {name: list(range(*span)) for name, span in zip(("train", "validation", "test"), spans)}


def make(config: DataConfig, out: Path, workers: int = 1, device: str = "cpu") -> dict[str, Any]:
    """Make what is missing of the records of `config` in the folder `out`; returns its manifest.

    A finished file is never made again, an unfinished one never has its name, the manifest comes last.
    On the CPU `workers` processes of one thread each give the same bytes whatever their number. With
    another device one process renders on it and `workers` threads compress; its pictures differ in
    last bits. Raises RecordError where `out` holds files of another configuration, and where another body
    than our own is asked for.
    """
    if body_file() != BODY_FILE:
        raise RecordError(f"{body_file()}: embedded pictures are of our own body; leave BODY out")
    jobs = [(s, c) for subjects in config.splits.values() for s in subjects for c in config.cameras]
    there = [path.name for path in sorted(out.glob("*.arrow")) if is_finished(config, path)]
    todo = [job for job in jobs if file_name(*job) not in there]
    done = (
        in_processes(config, out, todo, workers)
        if device == "cpu"
        else on_device(config, out, todo, workers, device)
    )
    for _ in tqdm(done, total=len(todo), desc=f"records in {out.name}", unit="file", disable=not todo):
        pass
    return records.write_manifest(out, described(config), config.splits)


def is_finished(config: DataConfig, path: Path) -> bool:
    """True: a file under its name is whole. Raises RecordError where it is one of another configuration."""
    expected, found = described(config), records.read(path).metadata.config
    differ = [key for key in sorted({*expected, *found}) if expected.get(key) != found.get(key)]
    if differ:
        pairs = ", ".join(f"{key}: expected {expected.get(key)}, found {found.get(key)}" for key in differ)
        raise RecordError(f"{path}: made otherwise ({pairs}); make the records in another folder")
    return True


def described(config: DataConfig) -> dict[str, Any]:
    """The configuration and the hashes of `SOURCES`, as JSON values."""
    values = {
        key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()
    }
    return values | {"sources": {path.name: records.sha256(path) for path in SOURCES}}


# -- one file ------------------------------------------------------------------------------------------------


@cache
def cast() -> tuple[Skeleton, Flesh]:
    """The skeleton (float64) and the surface that everybody is a variant of."""
    return default_skeleton().double(), load_flesh()


def takes(
    config: DataConfig, job: Job, device: str = "cpu"
) -> Iterator[tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"]]]:
    """Columns and pictures of each action in turn; what happens is the same before every camera."""
    subject, name = job
    skeleton, flesh = cast()
    person = scene.draw_person(skeleton, flesh, config.seed, subject)
    numbers = torch.arange(config.frames)
    for i, action in enumerate(config.actions):
        t = numbers.double() / config.fps
        stream = (config.seed, subject, motion.ACTIONS.index(action))
        take = scene.act(skeleton, person, action, t, (*stream, scene.TAKE))
        place = seed_generator(*stream, scene.PLACE)
        camera = calibrated(name, torch.float64)
        columns, images = scene.film(take, person, camera, config.px, config.margin, place, device)
        columns |= {"frame": numbers + i * config.frames, "time": t, "action": [action] * config.frames}
        yield columns, images


def write(config: DataConfig, out: Path, job: Job, parts: list[dict[str, Any]]) -> None:
    """Write a file from the columns of its takes."""
    subject, camera = job
    frames = len(config.actions) * config.frames
    columns: dict[str, Any] = {"subject": [subject] * frames}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        whole = torch.is_tensor(first)
        columns[name] = torch.cat(values).numpy() if whole else list(itertools.chain.from_iterable(values))
    names = names_of(cast()[0])
    metadata = Metadata(subject, camera, config.px, config.margin, names, described(config))
    records.write(out / file_name(*job), columns, metadata)


def make_file(config: DataConfig, out: Path, job: Job) -> None:
    parts = [c | {"image": records.encode(i, config.jpeg_quality)} for c, i in takes(config, job)]
    write(config, out, job, parts)


# -- many files ----------------------------------------------------------------------------------------------


def in_processes(config: DataConfig, out: Path, todo: list[Job], workers: int) -> Iterator[None]:
    """Each file in a process of one thread, also with one worker: sums then have one order."""
    with ProcessPoolExecutor(workers, mp_context=fresh_processes(), initializer=begin) as pool:
        futures = [pool.submit(make_file, config, out, job) for job in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def fresh_processes() -> BaseContext:
    """Processes that inherit no thread of ours; where the system can, they share one import of torch."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def begin() -> None:
    """What a worker does first."""
    torch.set_num_threads(1)
    threading.Thread(target=die_with_parent, daemon=True).start()


def die_with_parent() -> None:
    # A pool whose owner was killed would otherwise wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def on_device(config: DataConfig, out: Path, todo: list[Job], workers: int, device: str) -> Iterator[None]:
    """Rendered here on a GPU, compressed by threads (which leave the interpreter free)."""
    waiting: deque[tuple[Job, list]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for job in [*todo, None]:
            while waiting and (job is None or len(waiting) >= FILES_AHEAD):
                ready, parts = waiting.popleft()
                write(config, out, ready, [columns | {"image": jpegs.result()} for columns, jpegs in parts])
                yield
            if job:
                shot = takes(config, job, device)
                waiting.append(
                    (job, [(c, pool.submit(records.encode, i, config.jpeg_quality)) for c, i in shot])
                )
