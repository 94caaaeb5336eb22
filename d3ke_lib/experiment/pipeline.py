"""The five stages notebooks and Make call. Each is done once: a finished stage returns at once what it made.

    out/<profile>/data/                                      records
    out/<profile>/frame/<backbone>.<seed>/                   run.json, model.safetensors, log.jsonl, …
    out/<profile>/temporal/<refiner>.<backbone>.<seed>/      the same
    out/<profile>/results.json                               evaluate.py says what is in it
    out/<profile>/figures/

A stage carries out the stages it needs. `profile` is a name or a Profile. Errors are ValueErrors that say
what was asked for and what there is.
"""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.evaluate import (
    MEAN_POSE,
    Method,
    Scores,
    answered,
    mean_pose,
    results,
    score,
)
from d3ke_lib.experiment.run import artifacts, config, devices, run_folder, stored_predictions
from d3ke_lib.experiment.run.codec import fingerprint, to_values
from d3ke_lib.experiment.run.config import FrameConfig, Profile
from d3ke_lib.experiment.run.forward import answer_frames, answer_windows, frame_net, temporal_net
from d3ke_lib.experiment.run.train import records_hash, subjects_for, train_frame, train_temporal

RESULTS = "results.json"


def resolved(profile: str | Profile) -> Profile:
    return profile if isinstance(profile, Profile) else config.profile(profile)


def folder(profile: str | Profile) -> Path:
    """Where everything of a profile is written."""
    return artifacts.out_root() / resolved(profile).name


def data(profile: str | Profile) -> Path:
    """Makes the records, synthetic or from BMLmovi; returns their folder.

    Records of another configuration are set aside. Raises RecordError (a ValueError) naming what of
    BMLmovi could not be made; with PARTIAL=1 the others are used without it.
    """
    ours, made = resolved(profile), folder(profile) / "data"
    if _is_made(ours.data, made):
        return made
    with artifacts.claimed(made), run_folder.bars_on_terminal():
        if _about(made) and not _is_made(ours.data, made, partial=True):
            artifacts.set_aside(made)
        _make_records(ours.data, made)
    return made


def _is_made(config: DataConfig | BmlmoviConfig, made: Path, partial: bool | None = None) -> bool:
    """Whether a manifest says so; `partial` (default: PARTIAL=1): also one that lacks files."""
    found = _about(made)
    source = bmlmovi if isinstance(config, BmlmoviConfig) else synthetic
    missing = found.pop("missing", [])
    return found == source.describe(config) and (not missing or (_partial() if partial is None else partial))


def _about(made: Path) -> dict[str, Any]:
    return records.load_manifest(made)["config"] if (made / records.MANIFEST).is_file() else {}


def _make_records(config: DataConfig | BmlmoviConfig, made: Path) -> None:
    workers = len(os.sched_getaffinity(0))
    if isinstance(config, DataConfig):
        synthetic.make(config, made, workers, devices.choose("auto").type)
    else:
        bmlmovi.make(config, artifacts.raw_folder(), made, workers, _partial())


def _partial() -> bool:
    return os.environ.get("D3KE_PARTIAL", "") not in ("", "0")


def frame(profile: str | Profile, backbone: str, seed: int = 0) -> Path:
    """Trains a frame network; returns its run's folder. Any backbone and seed will do."""
    ours = resolved(profile)
    run = folder(ours) / Method("frame", backbone, seed).name
    train_frame(_frame_settings(ours, backbone), data(ours), run, seed)
    return run


def _frame_settings(ours: Profile, backbone: str) -> FrameConfig:
    """The profile's, with the cut-outs that the environment names in D3KE_OCCLUDERS (`OCCLUDERS=` to make).

    Raises D3keError where there is no such file and where the profile puts nothing in front of people.
    """
    settings = dataclasses.replace(ours.frame, backbone=backbone)
    path = os.environ.get("D3KE_OCCLUDERS")
    if not path:
        return settings
    if not Path(path).is_file():
        raise artifacts.D3keError(f"{path}: expected cut-outs (make occluders), found none")
    if settings.augment.occluder is None:
        raise artifacts.D3keError(f"profile {ours.name} has no occluders; leave OCCLUDERS out")
    occluder = dataclasses.replace(settings.augment.occluder, objects=path)
    return dataclasses.replace(settings, augment=dataclasses.replace(settings.augment, occluder=occluder))


def temporal(profile: str | Profile, backbone: str, refiner: str = "transformer", seed: int = 0) -> Path:
    """Trains a temporal network on a frame network's stored answers; returns its run's folder."""
    ours = resolved(profile)
    settings = dataclasses.replace(ours.temporal, kind=refiner)
    source, made = frame(ours, backbone, seed), data(ours)
    for split, subjects in subjects_for(settings, made).items():
        answer_frames(source, made, split, subjects, ours.evaluation.batch)
    run = folder(ours) / Method("temporal", backbone, seed, refiner).name
    train_temporal(settings, made, source, run, seed)
    return run


def evaluate(profile: str | Profile, refiner: str | None = None) -> Path:
    """Judges the profile's methods on its test subjects; returns results.json. `refiner`: only this one."""
    ours = resolved(profile)
    ours = dataclasses.replace(ours, refiners=(refiner,)) if refiner else ours
    made, path = data(ours), folder(ours) / RESULTS
    trained = [run_of(ours, method) for method in methods(ours)]
    weights = [artifacts.read_json(run / run_folder.RESULT)["weights_sha256"] for run in trained]
    mark = fingerprint(ours, weights, records_hash(made))
    if path.is_file() and artifacts.read_json(path)["fingerprint"] == mark:
        return path
    found = judge(ours, made)
    about = {"profile": to_values(ours), "fingerprint": mark, "git": artifacts.git_revision()}
    facts = {"records": records_hash(made), "counts": records.load_manifest(made)["counts"]}
    about |= {"machine": devices.describe(), "data": facts, "cost": costs(ours)}
    about["synthetic"] = isinstance(ours.data, DataConfig)
    return artifacts.write_json(path, {**found, **about})


def figures(profile: str | Profile, refiner: str | None = None) -> list[Path]:
    """Draws what the report shows of `evaluate(profile, refiner)`; returns the pictures."""
    from d3ke_lib.experiment.report import figures as drawing

    evaluate(profile, refiner)
    return drawing.draw(folder(profile))


# --- what evaluation needs --------------------------------------------------------------------------------


def methods(ours: Profile) -> list[Method]:
    """The profile's trained methods, the frame networks first."""
    each = [(backbone, seed) for backbone in ours.backbones for seed in ours.seeds]
    frames = [Method("frame", *one) for one in each]
    return frames + [Method("temporal", *one, refiner) for refiner in ours.refiners for one in each]


def run_of(ours: Profile, method: Method) -> Path:
    if method.kind == "frame":
        return frame(ours, method.backbone, method.seed)
    return temporal(ours, method.backbone, method.refiner, method.seed)


def judge(ours: Profile, made: Path) -> dict[str, Any]:
    """Answers of every method for the test subjects, then all that results.json says of them."""
    skeleton = default_skeleton()
    truth = FrameSet(made, "test", skeleton).labels()
    constant = mean_pose(FrameSet(made, "train", skeleton).labels(), len(truth.time))
    subjects = stored_predictions.subjects_of(made, "test")
    found = {Method(MEAN_POSE): constant}
    for method in methods(ours):
        identity = answers(ours, method, made, "test", subjects)
        pose = stored_predictions.load(run_of(ours, method), "test", subjects, identity, skeleton)
        found[method] = answered(pose, skeleton)
    return results(truth, found, training_scores(ours, made), skeleton, ours.evaluation)


def answers(ours: Profile, method: Method, made: Path, split: str, subjects: list[int]) -> str:
    """Stores what is missing of a method's answers; returns their identity."""
    run, source = run_of(ours, method), frame(ours, method.backbone, method.seed)
    identity = answer_frames(source, made, split, subjects, ours.evaluation.batch)
    return identity if method.kind == "frame" else answer_windows(run, source, made, split, subjects)


def training_scores(ours: Profile, made: Path) -> dict[Method, Scores]:
    """The frame networks on the training subjects whose answers the refiners learnt from."""
    skeleton = default_skeleton()
    subjects = stored_predictions.subjects_of(made, "train", ours.temporal.subjects)
    truth = FrameSet(made, "train", skeleton, subjects=subjects).labels()
    found = {}
    for method in methods(ours):
        if method.kind == "frame":
            identity = answers(ours, method, made, "train", subjects)
            pose = stored_predictions.load(run_of(ours, method), "train", subjects, identity, skeleton)
            found[method] = score(answered(pose, skeleton), truth, skeleton)
    return found


def costs(ours: Profile) -> dict[str, Any]:
    """Setting → its network's cost on this machine; run → its training's on the machine it ran on."""
    settings = {}
    for method in methods(ours):
        run = run_of(ours, method)
        if method.setting not in settings and method.kind == "frame":
            settings[method.setting] = cost.frame_cost(*frame_net(run), ours.evaluation)
        elif method.setting not in settings:
            settings[method.setting] = cost.temporal_cost(*temporal_net(run), ours.evaluation)
    training = {method.name: cost.training_cost(run_of(ours, method)) for method in methods(ours)}
    return {"networks": settings, "training": training}


# --- for Make -------------------------------------------------------------------------------------------


def main(name: str, target: str) -> None:
    """Writes what Make includes: the runs of a profile as backbone.seed, so that each is a file to make."""
    ours = resolved(name)
    listed = [f"{backbone}.{seed}" for backbone in ours.backbones for seed in ours.seeds]
    with artifacts.replacing(Path(target)) as beside:
        beside.write_text(f"RUN_NAMES := {' '.join(listed)}\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ValueError as error:
        sys.exit(f"error: {error}")
