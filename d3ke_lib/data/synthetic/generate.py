"""Synthetic subjects perform actions and mixtures in front of cameras: subjects × takes × cameras → records.

A `DataConfig` determines the bytes: each subject, take and room has a random stream of its own, so that
neither the number of workers nor interruptions change them.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.spec import BODY_FILE, body_file
from d3ke_lib.data import record_jobs, records
from d3ke_lib.data.people.cast import People, load_people
from d3ke_lib.data.people.template import prepare_template
from d3ke_lib.data.portable.mode import portable
from d3ke_lib.data.records import RecordError
from d3ke_lib.data.renderer.body_surface import SURFACE_FILE, BodySurface, load_surface
from d3ke_lib.data.schema import Metadata, file_name, names_of
from d3ke_lib.data.synthetic import motion, people_scene, people_take, scene, takes
from d3ke_lib.data.synthetic.backgrounds import list_backgrounds
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.channels import ACTIONS_FILE, POSTURES_FILE
from d3ke_lib.data.synthetic.mixtures import HELD_OUT, MIXTURE
from d3ke_lib.data.synthetic.surroundings import TakeKey
from d3ke_lib.files import sha256

_Job = tuple[int, tuple[str, ...]]  # subject, and the cameras of its files
_Columns = dict[str, Any]
# Columns and images of a take by one camera, and the quality of their JPEGs.
_Shot = tuple[_Columns, UInt8[Tensor, "time 3 px px"], int]
# Files that the records depend on, besides the configuration and the template of people.
_SOURCES = (BODY_FILE, SURFACE_FILE, ACTIONS_FILE, POSTURES_FILE)
_SUBJECTS_AHEAD = 2  # rendered on the device while earlier ones are compressed


@dataclass(frozen=True)
class DataConfig:
    """Which records to make. Subjects are numbered from 1: training, then validation, then test.

    66, 3 and 15 subjects are those of BMLmovi that D3KE can use; its videos have 30 frames a second.
    Raises ValueError for unknown or repeated names and numbers out of range.
    """

    seed: int = 0
    train: int = 66
    validation: int = 3
    test: int = 15
    actions: tuple[str, ...] = motion.ACTIONS  # those held out of training (mixtures.py) among them
    train_cameras: tuple[str, ...] = ("R1", "R2")  # see cameras.py
    test_cameras: tuple[str, ...] = ("PG1", "PG2", "R1", "H1")  # of validation subjects, too
    seconds: float = 4.0  # of each take
    fps: float = 30.0
    px: int = 360  # side of a stored crop
    margin: float = 1.4  # its side over that of the network's crop

    def __post_init__(self) -> None:
        for name, known in (
            ("actions", motion.ACTIONS),
            ("train_cameras", LOOKS),
            ("test_cameras", LOOKS),
        ):
            values = getattr(self, name)
            if not values or len({*values} & {*known}) != len(values):
                raise ValueError(f"DataConfig.{name}: expected different ones of {known}, found {values}")
        for name in ("train", "frames", "px"):
            if getattr(self, name) < 1:
                raise ValueError(f"DataConfig.{name}: expected 1 or more, found {getattr(self, name)}")
        if self.margin < 1 or min(self.seed, self.validation, self.test) < 0:
            raise ValueError(f"DataConfig: expected margin >= 1 and no negative number, found {self}")
        if not self.seen_actions:
            raise ValueError(f"DataConfig.actions: expected some not in {HELD_OUT}, found {self.actions}")

    @property
    def frames(self) -> int:
        """Frames of each action."""
        return round(self.seconds * self.fps)

    @property
    def seen_actions(self) -> tuple[str, ...]:
        """Actions of training subjects: those that are not held out."""
        held_out = {name for names in HELD_OUT.values() for name in names}
        return tuple(action for action in self.actions if action not in held_out)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Every camera that some subject is seen by."""
        return tuple(dict.fromkeys((*self.train_cameras, *self.test_cameras)))

    def list_cameras(self, subject: int) -> tuple[str, ...]:
        return self.train_cameras if subject <= self.train else self.test_cameras

    def list_takes(self, subject: int) -> list[str]:
        """Actions of a subject's takes, in the order of the file; a third are mixtures."""
        split = next(name for name, members in self.splits.items() if subject in members)
        performed = {*self.seen_actions, *HELD_OUT.get(split, ())}
        actions = [name for name in self.actions if name in performed]
        return actions + [MIXTURE] * math.ceil(len(actions) / 2)

    def count_frames(self, subjects: Iterable[int]) -> int:
        """Frames of all records of these subjects."""
        counts = (len(self.list_takes(subject)) * len(self.list_cameras(subject)) for subject in subjects)
        return self.frames * sum(counts)

    @property
    def splits(self) -> dict[str, list[int]]:
        """Split -> subjects."""
        ends = itertools.accumulate((self.train, self.validation, self.test), initial=1)
        spans = itertools.pairwise(ends)
        return {name: list(range(*span)) for name, span in zip(("train", "validation", "test"), spans)}


def make(config: DataConfig, out: Path, workers: int = 1, device: str = "cpu") -> dict[str, Any]:
    """Makes the missing record files of `config` in the folder `out`; returns the manifest.

    Finished files are kept; the manifest is written last.
    On the CPU `workers` processes of one thread each give the same bytes whatever their number. With
    another device one process renders on it and `workers` threads compress; its images differ in
    last bits. Raises RecordError where `out` holds files of another configuration, and for another body
    than our own.
    """
    if body_file() != BODY_FILE:
        raise RecordError(f"{body_file()}: synthetic images are of our own body; leave BODY out")
    description = describe(config)
    there = {p.name for p in sorted(out.glob("*.arrow")) if record_jobs.is_finished(p, description)}
    todo: list[_Job] = []
    for subject in itertools.chain.from_iterable(config.splits.values()):
        missing = tuple(c for c in config.list_cameras(subject) if file_name(subject, c) not in there)
        todo += [(subject, missing)] if missing else []
    done = (
        record_jobs.run_jobs(_make_files, todo, workers, config, out)
        if device == "cpu"
        else _run_on_device(config, out, todo, workers, device)
    )
    for _ in tqdm(done, total=len(todo), desc=f"records in {out.name}", unit="subject", disable=not todo):
        pass
    return records.write_manifest(out, description, config.splits)


def describe(config: DataConfig) -> dict[str, Any]:
    """The configuration and the hashes of the files that records depend on, as JSON values."""
    description = record_jobs.describe_config(config, [*_SOURCES, _people_file()])
    if backgrounds := _find_backgrounds():
        description["backgrounds"] = {path.name: _hash_background(path) for path in backgrounds}
    return description


def _find_backgrounds() -> tuple[Path, ...]:
    folder = settings.read().backgrounds
    return list_backgrounds(folder) if folder else ()


@cache
def _hash_background(path: Path) -> str:
    return sha256(path)


# -- one subject --------------------------------------------------------------------------------------------


@cache
def load_body() -> tuple[Skeleton, BodySurface]:
    """The skeleton (float64) and the surface of the mean body."""
    return default_skeleton().double(), load_surface()


def _people_file() -> Path:
    """The template of people, made on its first use; the wheel it is made of is fetched then."""
    return prepare_template(settings.read().people, load_body()[0])


@cache
def _load_people() -> People:
    return portable(load_people)(_people_file(), load_body()[0])


def make_takes(config: DataConfig, job: _Job, device: str = "cpu") -> Iterator[dict[str, _Shot]]:
    """Each take of a subject in turn, as every camera of the job sees it."""
    subject, cameras = job
    performer = portable(people_take.draw_subject)(load_body()[0], _load_people(), config.seed, subject)
    for number in range(len(config.list_takes(subject))):
        yield _make_take(config, performer, subject, number, cameras, device)


@portable
def _make_take(
    config: DataConfig,
    performer: people_take.PeopleSubject,
    subject: int,
    number: int,
    cameras: tuple[str, ...],
    device: str,
) -> dict[str, _Shot]:
    """A subject's take of that number by each camera."""
    action, frames = config.list_takes(subject)[number], torch.arange(config.frames)
    part = len(motion.ACTIONS) + number if action == MIXTURE else motion.ACTIONS.index(action)
    key = TakeKey(action, (config.seed, subject, part), frames.double() / config.fps, _find_backgrounds())
    skeleton, surface = load_body()
    exposure = people_take.draw_exposure(key.seed)
    mover = takes.Mover(skeleton, surface, performer.scales, performer.style)
    instants, seed = people_take.list_instants(key.t, exposure), (*key.seed, scene.TAKE)
    moved, parts = takes.draw_motion(mover, action, config.seen_actions, instants, seed)
    take = people_take.perform(skeleton, performer, moved, action, exposure)
    same = {"frame": frames + number * config.frames, "time": key.t, "action": [action] * config.frames}
    same["parts"] = parts[:: len(parts) // config.frames]
    shots = {}
    for camera in cameras:
        shot = people_scene.render_take(
            skeleton, take, performer, key, camera, config.px, config.margin, device
        )
        shots[camera] = shot[0] | same, *shot[1:]
    return shots


def _write_file(config: DataConfig, out: Path, subject: int, camera: str, takes: list[_Columns]) -> None:
    """Write a file from the columns of its takes."""
    frames = len(takes) * config.frames
    columns: _Columns = {"subject": [subject] * frames}
    for name, first in takes[0].items():
        values = [take[name] for take in takes]
        whole = torch.is_tensor(first)
        columns[name] = torch.cat(values).numpy() if whole else list(itertools.chain.from_iterable(values))
    names = names_of(load_body()[0])
    metadata = Metadata(subject, camera, config.px, config.margin, names, describe(config))
    records.write(out / file_name(subject, camera), columns, metadata)


def _make_files(config: DataConfig, out: Path, job: _Job) -> None:
    made: dict[str, list[_Columns]] = {camera: [] for camera in job[1]}
    for shots in make_takes(config, job):
        for camera, (columns, images, quality) in shots.items():
            made[camera].append(columns | {"image": records.encode(images, quality)})
    for camera, columns in made.items():
        _write_file(config, out, job[0], camera, columns)


# -- many subjects -------------------------------------------------------------------------------------------


def _run_on_device(
    config: DataConfig, out: Path, todo: list[_Job], workers: int, device: str
) -> Iterator[None]:
    """Rendered here on a GPU, compressed by threads (which leave the interpreter free)."""
    waiting: deque[tuple[int, dict[str, list[tuple[_Columns, Future[list[bytes]]]]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for job in [*todo, None]:
            while waiting and (job is None or len(waiting) >= _SUBJECTS_AHEAD):
                subject, files = waiting.popleft()
                for camera, shots in files.items():
                    columns = [each | {"image": jpegs.result()} for each, jpegs in shots]
                    _write_file(config, out, subject, camera, columns)
                yield
            if job:
                made = {camera: [] for camera in job[1]}
                for shots in make_takes(config, job, device):
                    for camera, (columns, *shot) in shots.items():
                        made[camera].append((columns, pool.submit(records.encode, *shot)))
                waiting.append((job[0], made))
