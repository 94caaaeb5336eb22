"""A study of toy networks: its order, its stops, what it refuses, what it shares with other profiles."""

import datetime
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import study as command
import toy

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment import networks, pipeline, replay, study
from d3ke_lib.experiment.evaluation import contrasts, recorded, stats
from d3ke_lib.experiment.report import plan_tables
from d3ke_lib.experiment.report.claims import MARGIN_DEG
from d3ke_lib.experiment.resolved import Experiment, find_methods, method_of, settings_of
from d3ke_lib.experiment.run import artifacts, cells, code_hash, config, fit, run_folder
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile
from d3ke_lib.files import D3keError

PLAN = """
profile = "toy"
primary_metric = "angle_mae_deg"
margin_deg = 0.2
statistics = "s"
order = "o"
stopping = "s"
[[hypotheses]]
name = "pair"
claim = "deeper is better"
first = ["frame/resnet50"]
second = ["frame/resnet101"]
[[hypotheses]]
name = "long"
claim = "longer is better"
first = ["frame/resnet50"]
second = ["frame/resnet50@long"]
[[variants]]
name = "long"
why = "w"
frame = { images = 48, subjects = 2 }
[[cells]]
name = "pair"
why = "w"
backbones = ["resnet50", "resnet101"]
refiners = ["transformer"]
seeds = [0]
[[cells]]
name = "long"
why = "w"
backbones = ["resnet50@long"]
seeds = [0]
"""
BACKBONES = ("resnet50", "resnet101")
PAIR = [f"{kind}{backbone}.0" for backbone in BACKBONES for kind in ("frame/", "temporal/transformer.")]
LONG = ["frame/resnet50@long.0"]


@pytest.fixture(autouse=True)
def small(small_networks, monkeypatch) -> None:
    monkeypatch.setattr(synthetic, "make", lambda config, made, *_: toy.make_records(made))


def experiment_in(out: Path, plan: Path | None) -> Experiment:
    base = Profile(
        name="toy" if plan else "other",
        data=DataConfig(train=3, validation=1, test=3),
        frame=toy.FRAME,
        temporal=toy.TEMPORAL,
        evaluation=EvaluationConfig(batch=16, timing_batches=1),
        backbones=("resnet50", "resnet101"),
        plan=str(plan) if plan else None,
    )
    profile = cells.apply(base) if plan else base
    return Experiment(profile, settings.read({"D3KE_OUT": str(out)}), default_skeleton())


@pytest.fixture
def toy_study(tmp_path: Path) -> Experiment:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    return experiment_in(tmp_path / "out", plan)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """A study whose first cell is trained: never written to."""
    home = tmp_path_factory.mktemp("pair")
    (home / "plan.toml").write_text(PLAN)
    experiment = experiment_in(home / "out", home / "plan.toml")
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        patch.setattr(synthetic, "make", lambda config, made, *_: toy.make_records(made))
        assert train(experiment, "pair") == (True, PAIR)
    return experiment


@pytest.fixture
def trained(pair: Experiment, tmp_path: Path) -> Experiment:
    """The same, to be changed."""
    shutil.copytree(pair.settings.out.parent, tmp_path / "study")
    return experiment_in(tmp_path / "study" / "out", tmp_path / "study" / "plan.toml")


def train(experiment: Experiment, *names: str) -> tuple[bool, list[str]]:
    lines: list[str] = []
    done = study.train(experiment, pipeline.data(experiment), names, None, lines.append)
    return done, [line.split(": ")[1] for line in lines]


def weights_of(experiment: Experiment) -> dict[str, str]:
    results = {name: artifacts.read_json(experiment.folder / name / run_folder.RESULT) for name in PAIR}
    return {name: result["weights_sha256"] for name, result in results.items()}


# --- the plan that is committed ---------------------------------------------------------------------------


def test_the_committed_plan_fits_the_profile_and_the_margin_of_the_verdicts():
    profile = config.profile("study", settings.read({}))
    plan = cells.read_plan(profile.plan)
    assert (plan.profile, plan.margin_deg, plan.primary_metric) == ("study", MARGIN_DEG, "angle_mae_deg")
    assert profile.data == config.DEMO.data
    assert replace(profile.frame, images=config.DEMO.frame.images) == config.DEMO.frame
    methods = find_methods(profile)
    assert [method.name for method in methods[:4]] == [
        "frame/resnext50_32x4d.0",
        "temporal/transformer.resnext50_32x4d.0",
        "frame/resnext101_32x8d.0",
        "temporal/transformer.resnext101_32x8d.0",
    ]
    for method in methods:  # names, types and values of all recipes
        settings_of(profile, method)
    long = settings_of(profile, method_of("resnext50_32x4d@equal_compute", 0, None))
    assert (long.backbone, long.images) == ("resnext50_32x4d", 71_000)


def test_training_does_not_depend_on_how_runs_are_evaluated_and_shown():
    for name in ("train_frame", "train_temporal"):
        module = f"d3ke_lib.experiment.run.{name}"
        found = code_hash.sources(code_hash.path_of(module), without="d3ke_lib.nets.metrics")
        inside = {path.relative_to(artifacts.REPOSITORY).parts for path in found}
        rooms = {parts[2] for parts in inside if parts[:2] == ("d3ke_lib", "experiment")}
        assert rooms == {"run"}
        assert ("d3ke_lib", "nets", "metrics.py") not in inside
        assert not any({"synthetic", "renderer", "people", "bmlmovi"} & {*parts} for parts in inside)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('"resnet50@long"', '"resnet50@lnog"'),
            r"plan\.toml: cell long: unknown variant 'lnog'; known",
        ),
        (('name = "long"\nwhy = "w"\nbackbones', 'name = "pair"\nwhy = "w"\nbackbones'), "found twice: pair"),
        (
            ('second = ["frame/resnet101"]', 'second = ["frame/resnet11"]'),
            "no cell trains frame/resnet11",
        ),
        (("seeds = [0]", 'seeds = ["0"]'), r"Cell\.seeds\[0\]: expected int, found '0'"),
        (("margin_deg", "margin"), "StudyPlan has no field margin"),
        (("=", ""), r"plan\.toml: "),
    ],
)
def test_wrong_plans_are_named(tmp_path, change, message):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(*change))
    with pytest.raises(D3keError, match=message):
        cells.read_plan(str(path))


def test_an_unknown_recipe_cell_or_seed_is_refused(tmp_path, toy_study):
    with pytest.raises(D3keError, match="unknown cell lnog; known: long, pair"):
        train(toy_study, "lnog")
    with pytest.raises(D3keError, match=r"its seeds are in .*plan\.toml; leave SEEDS out"):
        cells.apply(toy_study.profile, (1,))
    (tmp_path / "plan.toml").write_text(PLAN.replace("images = 48", "imags = 48"))
    with pytest.raises(D3keError, match="FrameConfig has no field imags"):
        settings_of(toy_study.profile, method_of("resnet50@long", 0, None))
    with pytest.raises(D3keError, match=r"plan\.toml: expected the plan of a study, found no file"):
        cells.read_plan(str(tmp_path / "none" / "plan.toml"))
    with pytest.raises(D3keError, match="profile smoke has no plan"):
        study.read_plan(toy_study._replace(profile=config.SMOKE))


# --- trained, stopped, resumed ----------------------------------------------------------------------------


def test_cells_are_trained_in_order_and_say_what_made_them(trained):
    assert train(trained) == (True, [*PAIR, *LONG])
    found = artifacts.read_json(trained.folder / "cells" / "pair.json")
    assert (found["state"], list(found["runs"])) == ("finished", sorted(PAIR))
    plan = artifacts.read_json(trained.folder / "plan.json")
    assert (found["plan_sha256"], plan["commit"]) == (plan["sha256"], "unknown")
    for name, run in found["runs"].items():
        result = artifacts.read_json(trained.folder / name / run_folder.RESULT)
        assert {key: run[key] for key in ("records", "code", "core_seconds")}.items() <= result.items()
    long = artifacts.read_json(trained.folder / LONG[0] / run_folder.RESULT)
    assert (long["step"], long["config"]["subjects"]) == (12, 2)


def stop_at(monkeypatch, step: int, run: int) -> None:
    """Ctrl-C in a step of the n-th run."""
    record, runs = run_folder.record_losses, []

    def stopping(each, *values) -> None:
        record(each, *values)
        if each.folder not in runs:
            runs.append(each.folder)
        if len(runs) == run and each.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fit.run_folder, "record_losses", stopping)


def test_a_study_that_was_stopped_goes_on_to_the_same_weights(toy_study, pair, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, step=5, run=2)
        with pytest.raises(KeyboardInterrupt):
            train(toy_study)
    found = artifacts.read_json(toy_study.folder / "cells" / "pair.json")
    states = [found["runs"][name]["state"] for name in PAIR]
    assert (found["state"], states) == ("half-finished", ["finished", "half-finished", "missing", "missing"])
    assert found["runs"][PAIR[1]]["step"] == 5
    assert train(toy_study, "pair") == (True, PAIR)
    assert weights_of(toy_study) == weights_of(pair)


def test_training_stops_when_the_time_is_over(toy_study):
    assert not study.train(toy_study, pipeline.data(toy_study), until=time.time() + 0.05)
    assert artifacts.read_json(toy_study.folder / "cells" / "long.json")["state"] == "missing"


def test_the_time_of_until_is_the_next_one():
    now = datetime.datetime.now().astimezone()
    for minutes in (-5, 5):
        asked = now + datetime.timedelta(minutes=minutes)
        found = command.parse_time(f"{asked:%H:%M}") - time.time()
        assert found == pytest.approx(60 * minutes if minutes > 0 else 86400 + 60 * minutes, abs=62)
    for wrong in ("25:00", "13.25", "soon"):
        with pytest.raises(D3keError, match=f"expected a time such as 13:25, found '{wrong}'"):
            command.parse_time(wrong)


def test_a_run_is_trained_again_from_nothing_to_the_same_weights(trained, monkeypatch):
    made = pipeline.data(trained)
    assert study.rerun(trained, made, PAIR[0])
    noted = artifacts.read_json(trained.folder / "reruns.json")[PAIR[0]]
    assert noted["first"]["weights_sha256"] == noted["again"]["weights_sha256"]
    path = trained.folder / "rerun" / trained.profile.name / PAIR[0] / run_folder.RESULT
    artifacts.write_json(path, artifacts.read_json(path) | {"weights_sha256": "0" * 64})
    monkeypatch.setattr(run_folder, "_has_its_weights", lambda *_: True)
    assert not study.rerun(trained, made, PAIR[0])
    with pytest.raises(D3keError, match=r"resnet50@long\.0: expected a finished run \(frame/resnet50\.0"):
        study.rerun(trained, made, LONG[0])


# --- refused ----------------------------------------------------------------------------------------------


def actions_on(experiment: Experiment) -> list[Callable[[], object]]:
    return [lambda: train(experiment), lambda: pipeline.evaluate(experiment)]


def test_a_plan_that_changes_after_its_first_run_is_refused(trained):
    Path(trained.profile.plan).write_text(PLAN.replace("margin_deg = 0.2", "margin_deg = 0.1"))
    for action in actions_on(trained):
        with pytest.raises(D3keError, match=r"plan\.toml: changed after its first run: expected sha256"):
            action()


def test_a_plan_must_be_committed(toy_study, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "REPOSITORY", tmp_path)
    for words in (("init", "-q"), ("config", "user.email", "a@b"), ("config", "user.name", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    with pytest.raises(D3keError, match=r"plan\.toml: expected a committed plan before the first run"):
        train(toy_study)
    assert not (toy_study.folder / "frame").exists()
    for words in (("add", "plan.toml"), ("commit", "-qm", "plan")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
    monkeypatch.setattr(networks, "train", lambda *_: pytest.fail("trains"))
    with pytest.raises(pytest.fail.Exception):
        train(toy_study)
    assert artifacts.read_json(toy_study.folder / "plan.json")["commit"] == commit


def test_runs_of_other_code_records_or_configuration_are_named_and_refused(trained):
    path = trained.folder / PAIR[0] / run_folder.RESULT
    result = artifacts.read_json(path)
    for key, value in (("code", "f" * 64), ("records", "e" * 64)):
        artifacts.write_json(path, result | {key: value, "fingerprint": "0"})
        for action in actions_on(trained):
            with pytest.raises(D3keError, match=rf"resnet50\.0 \({key}: expected \w+, found {value[:8]}\)"):
                action()
    assert path.is_file()  # nothing is set aside
    artifacts.write_json(path, result)
    other = replace(trained.profile, frame=replace(trained.profile.frame, batch=2))
    with pytest.raises(D3keError, match=r"resnet50\.0 \(batch: expected 2, found 4\)"):
        train(trained._replace(profile=other))


def test_runs_and_records_of_code_that_computes_the_same_are_taken_over(trained):
    for name in PAIR[:2]:
        path = trained.folder / name / run_folder.RESULT
        artifacts.write_json(path, artifacts.read_json(path) | {"code": "f" * 64, "fingerprint": "0"})
    identity = artifacts.read_json(trained.data / "identity.json")
    artifacts.write_json(trained.data / "identity.json", identity | {"code": "f" * 64, "fingerprint": "0"})
    assert replay.replay_records(trained)
    assert not replay.replay_records(trained)
    assert list(replay.replay_runs(trained, steps=4)) == PAIR[:2]
    assert list(replay.replay_runs(trained, steps=4)) == []
    found = artifacts.read_json(trained.folder / PAIR[0] / run_folder.RESULT)
    assert found["replayed"] == {"code": "f" * 64, "steps": 4}
    assert train(trained, "pair") == (True, PAIR)


def test_what_computes_something_else_is_not_taken_over(trained):
    run = trained.folder / PAIR[0]
    result = artifacts.read_json(run / run_folder.RESULT) | {"code": "f" * 64, "fingerprint": "0"}
    artifacts.write_json(run / run_folder.RESULT, result)
    log = (run / run_folder.LOG).read_text()
    (run / run_folder.LOG).write_text(log.replace('"total": ', '"total": 1', 1))
    with pytest.raises(D3keError, match=r"resnet50\.0: this code comes to other losses within 4 steps"):
        list(replay.replay_runs(trained, steps=4))
    assert artifacts.read_json(run / run_folder.RESULT) == result
    artifacts.write_json(run / run_folder.RESULT, result | {"records": "e" * 64})
    with pytest.raises(D3keError, match=r"resnet50\.0: other records, not only other code"):
        list(replay.replay_runs(trained, steps=4))


# --- shared with other profiles ---------------------------------------------------------------------------


def test_runs_and_records_of_another_profile_are_used(toy_study, monkeypatch):
    other = experiment_in(toy_study.settings.out, None)
    pipeline.temporal(other, "resnet50")
    monkeypatch.setattr(synthetic, "make", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(networks.train_frame, "build_frame", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(networks.train_temporal, "build_temporal", lambda *_: pytest.fail("trained again"))
    made = pipeline.data(toy_study)
    for name in PAIR[:2]:
        backbone, refiner = "resnet50", "transformer" if "temporal" in name else None
        networks.train(toy_study, made, method_of(backbone, 0, refiner))
        files = [each.folder / name / run_folder.MODEL for each in (toy_study, other)]
        assert files[0].stat().st_ino == files[1].stat().st_ino
    assert (toy_study.folder / PAIR[0] / "predictions" / "train").is_dir()


# --- evaluated --------------------------------------------------------------------------------------------


def test_without_a_finished_cell_there_is_nothing_to_evaluate(toy_study):
    with pytest.raises(D3keError, match=r"expected trained cells, found none finished \(make study\)"):
        pipeline.evaluate(toy_study)


def test_finished_cells_are_evaluated_and_missing_ones_are_said(trained, tmp_path, monkeypatch):
    path = command.record(trained, tmp_path / "study.json")
    results = artifacts.read_json(path)
    assert {name for name in results["methods"] if "/" in name} == {*PAIR}
    states = {cell["name"]: cell["state"] for cell in results["study"]["cells"]}
    assert states == {"pair": "finished", "long": "missing"}
    first, long = results["study"]["hypotheses"]
    assert first["verdict"].startswith("undecided")  # one run
    own = [results["methods"][name]["subjects"]["angle_mae_deg"] for name in (PAIR[0], PAIR[2])]
    assert first["estimate"]["mean"] == pytest.approx(np.mean(own[1]) - np.mean(own[0]), abs=1e-4)
    assert (long["verdict"], long["missing"]) == ("missing", "frame/resnet50@long")
    plan = artifacts.read_json(trained.folder / "plan.json")
    assert results["study"]["plan"]["sha256"] == plan["sha256"]
    assert all(results["cost"]["training"][name]["core_seconds"] > 0 for name in PAIR)
    rows = plan_tables.cells_table(results).rows
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("pair", "finished", "4 of 4"),
        ("long", "missing", "0 of 1"),
    ]
    assert command.show(trained).splitlines()[1].split()[:3] == ["pair", "finished", "4/4"]
    monkeypatch.setattr(recorded, "MOST_BYTES", 1000)
    with pytest.raises(D3keError, match=r"small\.json: expected at most 1000 bytes, found \d+"):
        command.record(trained, tmp_path / "small.json")
    assert not (tmp_path / "small.json").exists()


# --- contrasts --------------------------------------------------------------------------------------------


def methods_with(rng: np.random.Generator, settings_: list[str], runs: int) -> dict:
    return {
        f"{name}.{seed}": {"seed": seed, "subjects": {"m": rng.normal(5, 1, 8)}}
        for name in settings_
        for seed in range(runs)
    }


def runs_of(methods: dict, setting: str) -> np.ndarray:
    return np.array(
        [each["subjects"]["m"] for name, each in methods.items() if name.rpartition(".")[0] == setting]
    )


def test_one_setting_against_another_is_the_comparison_of_the_two():
    methods = methods_with(np.random.default_rng(0), ["frame/a", "frame/b", "temporal/t.a"], 3)
    for second, paired in (("frame/b", False), ("temporal/t.a", True)):
        found = contrasts.contrast(methods, ["frame/a"], [second], "m")
        expected = stats.compare(runs_of(methods, "frame/a"), runs_of(methods, second), paired)
        assert found["estimate"] == pytest.approx(expected._asdict())
    with pytest.raises(KeyError, match="frame/c"):
        contrasts.contrast(methods, ["frame/a"], ["frame/c"], "m")


def test_a_main_effect_has_the_variance_of_its_four_means():
    names = ["frame/a", "frame/b", "frame/c", "frame/d"]
    methods = methods_with(np.random.default_rng(1), names, 3)
    found = contrasts.contrast(methods, names[:2], names[2:], "m")
    means = [runs_of(methods, name).mean(1) for name in names]
    assert found["estimate"]["mean"] == pytest.approx(
        (sum(map(np.mean, means[2:])) - sum(map(np.mean, means[:2]))) / 2
    )
    pooled = np.mean([each.var(ddof=1) for each in means])
    assert found["estimate"]["se_runs"] ** 2 == pytest.approx(4 * pooled / 4 / 3)
    assert len(found["runs"]) == 3


def test_only_common_runs_of_paired_networks_are_used():
    rng = np.random.default_rng(2)
    methods = methods_with(rng, ["frame/a"], 5) | methods_with(rng, ["temporal/t.a"], 3)
    found = contrasts.contrast(methods, ["frame/a"], ["temporal/t.a"], "m")
    expected = (runs_of(methods, "temporal/t.a") - runs_of(methods, "frame/a")[:3]).mean()
    assert found["estimate"]["mean"] == pytest.approx(expected)
