"""Synthetic subjects perform the actions in front of both cameras: subjects × actions × cameras → records.

A `DataConfig` determines the bytes: each subject, take and room has a random stream of its own, so that
neither the number of workers nor interruptions change them.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

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
from d3ke_lib.data.records import RecordError
from d3ke_lib.data.renderer.body_surface import SURFACE_FILE, BodySurface, load_surface
from d3ke_lib.data.schema import Metadata, file_name, names_of
from d3ke_lib.data.synthetic import motion, people_scene, people_take, scene
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.channels import ACTIONS_FILE, POSTURES_FILE
from d3ke_lib.data.synthetic.collisions import separable_pairs
from d3ke_lib.data.synthetic.mixtures import HELD_OUT, MIXTURE, draw_wide_style, vary_motion
from d3ke_lib.data.synthetic.surroundings import TakeKey

_Job = tuple[int, str]  # subject, camera: of one file
# Files that the records depend on, besides the configuration.
_SOURCES = (BODY_FILE, SURFACE_FILE, ACTIONS_FILE)
# Fields of `DataConfig` that came later, and the values that stand for how it was before.
_FIRST = {"motion": "actions", "surface": "cones"}
_FILES_AHEAD = 2  # rendered on the device while earlier ones are compressed


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
    actions: tuple[str, ...] = motion.ACTIONS
    cameras: tuple[str, ...] = ("PG1", "PG2")
    seconds: float = 4.0  # of each action
    fps: float = 30.0
    px: int = 360  # side of a stored crop
    margin: float = 1.4  # its side over that of the network's crop
    motion: Literal["actions", "mixtures"] = "actions"  # its first and second version (mixtures.py)
    surface: Literal["cones", "mesh"] = "cones"  # of subjects: round cones, or people (data.people)

    def __post_init__(self) -> None:
        for name, known in (("actions", motion.ACTIONS), ("cameras", LOOKS)):
            values = getattr(self, name)
            if not values or len({*values} & {*known}) != len(values):
                raise ValueError(f"DataConfig.{name}: expected different ones of {known}, found {values}")
        for name in ("train", "frames", "px"):
            if getattr(self, name) < 1:
                raise ValueError(f"DataConfig.{name}: expected 1 or more, found {getattr(self, name)}")
        if self.surface not in ("cones", "mesh"):
            raise ValueError(f"DataConfig.surface: expected cones or mesh, found {self.surface!r}")
        if self.margin < 1 or min(self.seed, self.validation, self.test) < 0:
            raise ValueError(f"DataConfig: expected margin >= 1 and no negative number, found {self}")
        if self.motion not in ("actions", "mixtures"):
            raise ValueError(f"DataConfig.motion: expected actions or mixtures, found {self.motion!r}")
        if self.motion == "mixtures" and not self.seen_actions:
            raise ValueError(f"DataConfig.actions: expected some not in {HELD_OUT}, found {self.actions}")

    @property
    def frames(self) -> int:
        """Frames of each action."""
        return round(self.seconds * self.fps)

    @property
    def seen_actions(self) -> tuple[str, ...]:
        """Actions of training subjects: with mixtures, those that are not held out."""
        held_out = {name for names in HELD_OUT.values() for name in names}
        return tuple(a for a in self.actions if self.motion == "actions" or a not in held_out)

    def list_takes(self, subject: int) -> list[str]:
        """Actions of a subject's takes, in the order of the file; with mixtures, a third are such."""
        if self.motion == "actions":
            return list(self.actions)
        split = next(name for name, members in self.splits.items() if subject in members)
        performed = {*self.seen_actions, *HELD_OUT.get(split, ())}
        actions = [name for name in self.actions if name in performed]
        return actions + [MIXTURE] * math.ceil(len(actions) / 2)

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
    jobs = [(s, c) for subjects in config.splits.values() for s in subjects for c in config.cameras]
    description = describe(config)
    there = {p.name for p in sorted(out.glob("*.arrow")) if record_jobs.is_finished(p, description)}
    todo = [job for job in jobs if file_name(*job) not in there]
    done = (
        record_jobs.run_jobs(_make_file, todo, workers, config, out)
        if device == "cpu"
        else _run_on_device(config, out, todo, workers, device)
    )
    for _ in tqdm(done, total=len(todo), desc=f"records in {out.name}", unit="file", disable=not todo):
        pass
    return records.write_manifest(out, description, config.splits)


def describe(config: DataConfig) -> dict[str, Any]:
    """The configuration and the hashes of `_SOURCES`, as JSON values."""
    sources = list(_SOURCES)
    if config.motion == "mixtures":
        sources.append(POSTURES_FILE)
    if config.surface == "mesh":
        sources.append(_people_file())
    description = record_jobs.describe_config(config, sources)
    for field, first in _FIRST.items():  # records of the first version were made before there was a choice
        if description[field] == first:
            del description[field]
    return description


# -- one file ------------------------------------------------------------------------------------------------


@cache
def load_body() -> tuple[Skeleton, BodySurface]:
    """The skeleton (float64) and the surface of the mean body."""
    return default_skeleton().double(), load_surface()


@cache
def _load_pairs() -> Tensor:
    """Pairs of cones that mixtures may not let overlap."""
    return separable_pairs(*load_body())


def _people_file() -> Path:
    """The template of people, made on its first use; the wheel it is made of is fetched then."""
    return prepare_template(settings.read().out / "people", load_body()[0])


@cache
def _load_people() -> People:
    return load_people(_people_file(), load_body()[0])


def make_takes(
    config: DataConfig, job: _Job, device: str = "cpu"
) -> Iterator[tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"], int]]:
    """Columns, images and JPEG quality of each action in turn; the motion is the same for every look."""
    subject, look = job
    skeleton, surface = load_body()
    coned = scene.draw_subject(skeleton, surface, config.seed, subject)
    performer = people_take.draw_subject(skeleton, _load_people(), config.seed, subject)
    numbers = torch.arange(config.frames)
    t = numbers.double() / config.fps
    for i, action in enumerate(config.list_takes(subject)):
        number = len(motion.ACTIONS) + i if action == MIXTURE else motion.ACTIONS.index(action)
        stream = (config.seed, subject, number)
        exposure = people_take.draw_exposure(stream)
        instants = people_take.list_instants(t, exposure)
        moved = _draw_motion(config, coned, action, instants, (*stream, scene.TAKE))
        take = people_take.perform(skeleton, performer, moved, action, exposure)
        key = TakeKey(action, stream, t)
        shot = people_scene.render_take(
            skeleton, take, performer, key, look, config.px, config.margin, device
        )
        columns, images, quality = shot
        columns |= {"frame": numbers + i * config.frames, "time": t, "action": [action] * config.frames}
        yield columns, images, quality


def _draw_motion(
    config: DataConfig, performer: scene.Subject, action: str, t: Tensor, seed: tuple[int, ...]
) -> motion.Motion:
    """What the subject does; mixtures are kept apart from themselves by the subject's cones."""
    if config.motion == "actions":
        return motion.generate_motion(action, performer.style, t, seed)
    performer = performer._replace(style=draw_wide_style((*seed[:2], scene.STYLE)))
    if action == MIXTURE:
        skeleton, _ = load_body()
        return scene.choose_mixture(skeleton, performer, config.seen_actions, t, seed, _load_pairs())
    return vary_motion(action, performer.style, t, seed)


def _write_file(config: DataConfig, out: Path, job: _Job, parts: list[dict[str, Any]]) -> None:
    """Write a file from the columns of its takes."""
    subject, camera = job
    frames = len(parts) * config.frames
    columns: dict[str, Any] = {"subject": [subject] * frames}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        whole = torch.is_tensor(first)
        columns[name] = torch.cat(values).numpy() if whole else list(itertools.chain.from_iterable(values))
    names = names_of(load_body()[0])
    metadata = Metadata(subject, camera, config.px, config.margin, names, describe(config))
    records.write(out / file_name(*job), columns, metadata)


def _make_file(config: DataConfig, out: Path, job: _Job) -> None:
    parts = [c | {"image": records.encode(i, quality)} for c, i, quality in make_takes(config, job)]
    _write_file(config, out, job, parts)


# -- many files ----------------------------------------------------------------------------------------------


def _run_on_device(
    config: DataConfig, out: Path, todo: list[_Job], workers: int, device: str
) -> Iterator[None]:
    """Rendered here on a GPU, compressed by threads (which leave the interpreter free)."""
    waiting: deque[tuple[_Job, list]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for job in [*todo, None]:
            while waiting and (job is None or len(waiting) >= _FILES_AHEAD):
                ready, parts = waiting.popleft()
                _write_file(
                    config, out, ready, [columns | {"image": jpegs.result()} for columns, jpegs in parts]
                )
                yield
            if job:
                shot = make_takes(config, job, device)
                waiting.append(
                    (job, [(c, pool.submit(records.encode, i, quality)) for c, i, quality in shot])
                )
