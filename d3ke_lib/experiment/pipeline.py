"""The five stages that notebooks and Make call.

    out/<profile>/data/                                      records
    out/<profile>/frame/<backbone>.<seed>/                   run.json, model.safetensors, log.jsonl, …
    out/<profile>/temporal/<refiner>.<backbone>.<seed>/      the same
    out/<profile>/results.json                               evaluate.py says what is in it
    out/<profile>/figures/

A stage first carries out the stages it needs, and returns at once what is up to date: what was made from the
same inputs, configuration and code (`*_up_to_date`; Make asks the same functions, see plan.py). Each takes
the name of a profile, a Profile, or an Experiment, which is a profile with all that was resolved once.
Errors are ValueErrors that say what was expected and what was found.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import folder_tree
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import measure
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.evaluation.measure import Runs, Trained
from d3ke_lib.experiment.report import figures as drawing
from d3ke_lib.experiment.run import (
    artifacts,
    config,
    devices,
    run_folder,
    train_frame,
    train_temporal,
)
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.experiment.run.config import FrameConfig, Profile, TemporalConfig
from d3ke_lib.experiment.run.forward import predict_frames
from d3ke_lib.files import D3keError, sha256
from d3ke_lib.settings import Settings

RESULTS = "results.json"
IDENTITY = "identity.json"  # of the records' folder, written before the first record


class Experiment(NamedTuple):
    """A profile with what its stages need, resolved once."""

    profile: Profile
    settings: Settings
    skeleton: Skeleton

    @property
    def folder(self) -> Path:
        """Where everything of the profile is written."""
        return self.settings.out / self.profile.name

    @property
    def data(self) -> Path:
        return self.folder / "data"


_Asked = str | Profile | Experiment


def resolve(asked: _Asked, refiner: str | None = None) -> Experiment:
    """Everything that the environment and the configuration decide. `refiner`: only this one.

    Raises D3keError for unknown names and for settings that do not fit the profile; writes nothing.
    """
    if isinstance(asked, Experiment):
        found = asked
    else:
        environment = settings.read()
        profile = asked if isinstance(asked, Profile) else config.profile(asked, environment)
        found = Experiment(_occlude(profile, environment.occluders), environment, default_skeleton())
    if refiner is None:
        return found
    return found._replace(profile=dataclasses.replace(found.profile, refiners=(refiner,)))


def _occlude(profile: Profile, cutouts: Path | None) -> Profile:
    """The profile with occluders cut out of a file."""
    if cutouts is None:
        return profile
    if not cutouts.is_file():
        raise D3keError(f"{cutouts}: expected cut-outs (make occluders), found no file")
    augment = profile.frame.augment
    if augment.occluder is None:
        raise D3keError(f"profile {profile.name} has no occluders; leave OCCLUDERS out")
    augment = dataclasses.replace(
        augment, occluder=dataclasses.replace(augment.occluder, objects=str(cutouts))
    )
    return dataclasses.replace(profile, frame=dataclasses.replace(profile.frame, augment=augment))


def folder(asked: _Asked) -> Path:
    """Where everything of a profile is written."""
    return resolve(asked).folder


def find_methods(profile: Profile) -> list[Method]:
    """The profile's trained methods, the frame networks first."""
    each = [(backbone, seed) for backbone in profile.backbones for seed in profile.seeds]
    frames = [Method("frame", *one) for one in each]
    return frames + [Method("temporal", *one, refiner) for refiner in profile.refiners for one in each]


# --- records ----------------------------------------------------------------------------------------------


def data(asked: _Asked) -> Path:
    """Makes the records, synthetic or from BMLmovi; returns their folder.

    Records of another configuration or code are set aside; a file that was deleted is made again. Raises
    RecordError (a ValueError) naming a file that was changed, or what of BMLmovi could not be made; with
    PARTIAL=1 the others are used without it.
    """
    experiment = resolve(asked)
    made = experiment.data
    if data_up_to_date(experiment):
        return made
    if not isinstance(experiment.profile.data, DataConfig):
        check_downloads(experiment)
    with artifacts.claimed(made), run_folder.redirect_bars():
        identity = _identify_data(experiment.profile)
        if any(made.iterdir()) and _read_identity(made) != identity:
            artifacts.set_aside(made)
        artifacts.write_json(made / IDENTITY, identity)
        if _find_absent(made):
            (made / records.MANIFEST).unlink()
        if changed := _find_changed(made):
            records.verify(made, changed)
        _make_records(experiment)
    return made


def data_up_to_date(experiment: Experiment) -> bool:
    """Whether the records are those of this configuration and code, and all of them are as they were made."""
    made = experiment.data
    if _read_identity(made) != _identify_data(experiment.profile) or not (made / records.MANIFEST).is_file():
        return False
    if _find_absent(made) or _find_changed(made):
        return False
    return experiment.settings.partial or not records.load_manifest(made)["config"].get("missing")


def _identify_data(profile: Profile) -> dict[str, Any]:
    source = synthetic if isinstance(profile.data, DataConfig) else bmlmovi
    found = {"config": source.describe(profile.data), "code": code_hash(source.__name__)}
    return found | {"fingerprint": fingerprint(found["config"], found["code"])}


def _read_identity(made: Path) -> dict[str, Any] | None:
    return artifacts.read_json(made / IDENTITY) if (made / IDENTITY).is_file() else None


def _find_absent(made: Path) -> list[str]:
    """Files that the manifest lists and the folder lacks."""
    if not (made / records.MANIFEST).is_file():
        return []
    listed = artifacts.read_json(made / records.MANIFEST)["files"]
    return [name for name in listed if not (made / name).is_file()]


def _find_changed(made: Path) -> list[str]:
    """Files written after the manifest that have another hash or size than it says."""
    manifest = made / records.MANIFEST
    listed = artifacts.read_json(manifest)["files"] if manifest.is_file() else {}
    since = manifest.stat().st_mtime_ns if listed else 0
    there = {name: made / name for name in listed if (made / name).is_file()}
    return [
        name
        for name, path in there.items()
        if path.stat().st_size != listed[name]["bytes"]
        or (path.stat().st_mtime_ns > since and sha256(path) != listed[name]["sha256"])
    ]


def _make_records(experiment: Experiment) -> None:
    workers, asked = len(os.sched_getaffinity(0)), experiment.profile.data
    if isinstance(asked, DataConfig):
        synthetic.make(asked, experiment.data, workers, devices.choose("auto").type)
    else:
        bmlmovi.make(asked, experiment.settings.raw, experiment.data, workers, experiment.settings.partial)


def check_downloads(experiment: Experiment) -> None:
    """Raises a ValueError where RAW is not given or is not the folder of BMLmovi's downloads."""
    raw = experiment.settings.raw
    if raw is None:
        raise D3keError("BMLmovi: say where the downloads are: RAW=folder (data/README.md)")
    if not folder_tree.find_downloads(raw).subjects:
        raise D3keError(f"{raw}: expected BMLmovi's downloads (data/README.md), found none of their files")


# --- networks ---------------------------------------------------------------------------------------------


def frame(asked: _Asked, backbone: str, seed: int = 0) -> Path:
    """Trains a frame network; returns its run's folder. Any backbone and seed will do."""
    experiment = resolve(asked)
    settings_of(experiment.profile, Method("frame", backbone, seed))  # wrong names end here
    return _train_frame(experiment, data(experiment), backbone, seed).folder


def temporal(asked: _Asked, backbone: str, refiner: str = "transformer", seed: int = 0) -> Path:
    """Trains a temporal network on a frame network's stored predictions; returns its run's folder."""
    experiment = resolve(asked, refiner)
    made = data(experiment)
    source = _train_frame(experiment, made, backbone, seed)
    return _train_temporal(experiment, made, source, Method("temporal", backbone, seed, refiner)).folder


def settings_of(profile: Profile, method: Method) -> FrameConfig | TemporalConfig:
    """The configuration of a method's network. Raises D3keError for an unknown backbone or refiner."""
    if method.kind == "frame":
        return dataclasses.replace(profile.frame, backbone=method.backbone)
    return dataclasses.replace(profile.temporal, kind=method.refiner)


def _train_frame(experiment: Experiment, made: Path, backbone: str, seed: int) -> Trained:
    method = Method("frame", backbone, seed)
    run, chosen = experiment.folder / method.name, settings_of(experiment.profile, method)
    result = train_frame.train_frame(chosen, made, run, seed, experiment.skeleton)
    return Trained(run, result, run)


def _train_temporal(experiment: Experiment, made: Path, source: Trained, method: Method) -> Trained:
    run, chosen = experiment.folder / method.name, settings_of(experiment.profile, method)
    for split, subjects in train_temporal.subjects_for(chosen, made).items():
        batch = experiment.profile.evaluation.batch
        predict_frames(source.folder, made, split, subjects, experiment.skeleton, batch)
    result = train_temporal.train_temporal(chosen, made, source.folder, run, method.seed, experiment.skeleton)
    return Trained(run, result, source.folder)


def _train_all(experiment: Experiment, made: Path) -> Runs:
    """Every method's run: found finished or trained."""
    runs: dict[Method, Trained] = {}
    for method in find_methods(experiment.profile):
        if method.kind == "frame":
            runs[method] = _train_frame(experiment, made, method.backbone, method.seed)
        else:
            source = runs[Method("frame", method.backbone, method.seed)]
            runs[method] = _train_temporal(experiment, made, source, method)
    return runs


def find_runs(experiment: Experiment) -> Runs:
    """The methods' finished runs that are up to date; trains nothing. The records must be up to date."""
    runs: dict[Method, Trained] = {}
    for method in find_methods(experiment.profile):
        run, chosen = experiment.folder / method.name, settings_of(experiment.profile, method)
        source = experiment.folder / Method("frame", method.backbone, method.seed).name
        if method.kind == "frame":
            identity = train_frame.identify(chosen, experiment.data, method.seed)
        elif Method("frame", method.backbone, method.seed) in runs:
            identity = train_temporal.identify(chosen, experiment.data, source, method.seed)
        else:
            continue
        if result := run_folder.find_finished(run, identity["fingerprint"]):
            runs[method] = Trained(run, result, source)
    return runs


# --- results ----------------------------------------------------------------------------------------------


def evaluate(asked: _Asked, refiner: str | None = None) -> Path:
    """Evaluates all methods on the test subjects; returns results.json. `refiner`: only this one."""
    experiment = resolve(asked, refiner)
    made = data(experiment)
    runs, path = _train_all(experiment, made), experiment.folder / RESULTS
    if results_up_to_date(experiment, made, runs):
        return path
    found = measure.measure(experiment.profile, made, runs, experiment.skeleton)
    return artifacts.write_json(path, found)


def results_up_to_date(experiment: Experiment, made: Path, runs: Runs) -> bool:
    """Whether results.json was computed from these records and runs, by this code."""
    path = experiment.folder / RESULTS
    if not path.is_file():
        return False
    return artifacts.read_json(path)["fingerprint"] == measure.identify(experiment.profile, made, runs)


def figures(asked: _Asked, refiner: str | None = None) -> list[Path]:
    """Draws what the report shows of `evaluate(profile, refiner)`; returns the images."""
    return drawing.draw(evaluate(asked, refiner).parent)
