"""The networks of an experiment: trained, or found finished in this profile or another."""

from pathlib import Path
from typing import Any

from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.evaluation.measure import Runs, Trained
from d3ke_lib.experiment.resolved import Experiment, find_methods, settings_of
from d3ke_lib.experiment.run import artifacts, run_folder, train_frame, train_temporal
from d3ke_lib.experiment.run.forward import predict_frames


def train(experiment: Experiment, made: Path, method: Method) -> Trained:
    """The method's run on the records in `made`, found or trained; a refiner's frame network comes first."""
    if method.kind == "frame":
        return _train_frame(experiment, made, method)
    source = _train_frame(experiment, made, _frame_of(method))
    return _train_temporal(experiment, made, source, method)


def _frame_of(method: Method) -> Method:
    """The frame network that a method refines; its own for a frame network."""
    return Method("frame", method.backbone, method.seed)


def _train_frame(experiment: Experiment, made: Path, method: Method) -> Trained:
    run, chosen = experiment.folder / method.name, settings_of(experiment.profile, method)
    _share(experiment, run, train_frame.identify(chosen, made, method.seed))
    result = train_frame.train_frame(chosen, made, run, method.seed, experiment.skeleton)
    return Trained(run, result, run)


def _train_temporal(experiment: Experiment, made: Path, source: Trained, method: Method) -> Trained:
    run, chosen = experiment.folder / method.name, settings_of(experiment.profile, method)
    _share(experiment, run, train_temporal.identify(chosen, made, source.folder, method.seed))
    for split, subjects in train_temporal.subjects_for(chosen, made).items():
        batch = experiment.profile.evaluation.batch
        predict_frames(source.folder, made, split, subjects, experiment.skeleton, batch)
    result = train_temporal.train_temporal(chosen, made, source.folder, run, method.seed, experiment.skeleton)
    return Trained(run, result, source.folder)


def _share(experiment: Experiment, run: Path, identity: dict[str, Any]) -> None:
    """Links the run of this identity that another profile has finished, if there is one."""
    if experiment.settings.processes > 1:  # they would have to agree
        return
    wanted = identity["fingerprint"]
    artifacts.adopt(run, experiment.folder, lambda other: run_folder.find_finished(other, wanted) is not None)


def train_all(experiment: Experiment, made: Path) -> Runs:
    """Every method's run: found finished or trained."""
    return {method: train(experiment, made, method) for method in find_methods(experiment.profile)}


def identify(experiment: Experiment, method: Method) -> dict[str, Any] | None:
    """What the method's run must be; None for a refiner whose frame network is not finished."""
    chosen, source = settings_of(experiment.profile, method), experiment.folder / _frame_of(method).name
    if method.kind == "frame":
        return train_frame.identify(chosen, experiment.data, method.seed)
    if not (source / run_folder.RESULT).is_file():
        return None
    return train_temporal.identify(chosen, experiment.data, source, method.seed)


def find_runs(experiment: Experiment) -> Runs:
    """The methods' finished runs that are up to date; trains nothing. The records must be up to date."""
    runs: dict[Method, Trained] = {}
    for method in find_methods(experiment.profile):
        run, identity = experiment.folder / method.name, identify(experiment, method)
        follows = method.kind == "frame" or _frame_of(method) in runs
        if identity and follows and (result := run_folder.find_finished(run, identity["fingerprint"])):
            runs[method] = Trained(run, result, experiment.folder / _frame_of(method).name)
    return runs


def read_state(run: Path) -> dict[str, Any] | None:
    """The result of a finished run, or the state in the checkpoint of a half-finished one."""
    if (run / run_folder.RESULT).is_file():
        return artifacts.read_json(run / run_folder.RESULT)
    if (run / run_folder.CHECKPOINT).is_file():
        return artifacts.read_about(run / run_folder.CHECKPOINT)["state"]
    return None
