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

import os
from pathlib import Path

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import folder_tree
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment import networks, record_folder, study
from d3ke_lib.experiment.evaluation import measure
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.evaluation.measure import Runs
from d3ke_lib.experiment.report import figures as drawing
from d3ke_lib.experiment.resolved import Asked, Experiment, resolve, settings_of
from d3ke_lib.experiment.run import artifacts, devices, run_folder
from d3ke_lib.files import D3keError

RESULTS = "results.json"


def folder(asked: Asked) -> Path:
    """Where everything of a profile is written."""
    return resolve(asked).folder


# --- records ----------------------------------------------------------------------------------------------


def data(asked: Asked) -> Path:
    """Makes the records, synthetic or from BMLmovi; returns their folder.

    Those of another profile are linked where they are the same. Records of another configuration or code are
    set aside; a file that was deleted is made again. Raises RecordError (a ValueError) naming a file that was
    changed, or what of BMLmovi could not be made; with PARTIAL=1 the others are used without it.
    """
    experiment = resolve(asked)
    made, identity = experiment.data, record_folder.identify(experiment.profile.data)
    artifacts.adopt(made, experiment.folder, lambda other: record_folder.is_whole(other, identity))
    if data_up_to_date(experiment):
        return made
    if experiment.profile.plan and record_folder.read_identity(made) not in (None, identity):
        raise D3keError(
            f"{made}: expected records of this code and configuration, found others: set them aside, or see "
            "whether this code makes the same (python scripts/study.py replay)"
        )
    if not isinstance(experiment.profile.data, DataConfig):
        check_downloads(experiment)
    with artifacts.claimed(made), run_folder.redirect_bars():
        if any(made.iterdir()) and record_folder.read_identity(made) != identity:
            artifacts.set_aside(made)
        artifacts.write_json(made / record_folder.IDENTITY, identity)
        if record_folder.find_absent(made):
            (made / records.MANIFEST).unlink()
        if changed := record_folder.find_changed(made):
            records.verify(made, changed)
        _make_records(experiment)
    return made


def data_up_to_date(experiment: Experiment) -> bool:
    """Whether the records are those of this configuration and code, and all of them are as they were made."""
    made = experiment.data
    if not record_folder.is_whole(made, record_folder.identify(experiment.profile.data)):
        return False
    return experiment.settings.partial or not records.load_manifest(made)["config"].get("missing")


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


def frame(asked: Asked, backbone: str, seed: int = 0) -> Path:
    """Trains a frame network; returns its run's folder. Any backbone and seed will do."""
    experiment = resolve(asked)
    settings_of(experiment.profile, Method("frame", backbone, seed))  # wrong names end here
    return networks.train(experiment, data(experiment), Method("frame", backbone, seed)).folder


def temporal(asked: Asked, backbone: str, refiner: str = "transformer", seed: int = 0) -> Path:
    """Trains a temporal network on a frame network's stored predictions; returns its run's folder."""
    experiment = resolve(asked, refiner)
    method = Method("temporal", backbone, seed, refiner)
    return networks.train(experiment, data(experiment), method).folder


# --- results ----------------------------------------------------------------------------------------------


def evaluate(asked: Asked, refiner: str | None = None) -> Path:
    """Evaluates all methods on the test subjects; returns results.json. `refiner`: only this one.

    Of a study, those of its networks that are trained; results.json then also has `study` (study.describe).
    """
    experiment = resolve(asked, refiner)
    made, path = data(experiment), experiment.folder / RESULTS
    planned = experiment.profile.plan is not None
    runs = study.find_runs(experiment) if planned else networks.train_all(experiment, made)
    if not results_up_to_date(experiment, made, runs):
        found = measure.measure(experiment.profile, made, runs, experiment.skeleton)
        artifacts.write_json(path, found)
    if planned:
        found = artifacts.read_json(path)
        artifacts.write_json(path, found | {"study": study.describe(experiment, found)})
    return path


def results_up_to_date(experiment: Experiment, made: Path, runs: Runs) -> bool:
    """Whether results.json was computed from these records and runs, by this code."""
    path = experiment.folder / RESULTS
    if not path.is_file():
        return False
    return artifacts.read_json(path)["fingerprint"] == measure.identify(experiment.profile, made, runs)


def figures(asked: Asked, refiner: str | None = None) -> list[Path]:
    """Draws what the report shows of `evaluate(profile, refiner)`; returns the images."""
    return drawing.draw(evaluate(asked, refiner).parent)
