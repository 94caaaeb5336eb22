"""Switches are compared one at a time, seed by seed; corrupted labels are masked; cells are the JSON's."""

import json
from dataclasses import replace

import numpy as np
import pytest
import toy

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.report import deviations, tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.studies import ablation
from d3ke_lib.experiment.studies.ablation import RUNS, SWITCHES, AblationConfig
from d3ke_lib.experiment.studies.corrupt_labels import CorruptionConfig, corrupt, limbs

CONFIG = AblationConfig(
    frame=replace(toy.FRAME, images=8, validations=1),
    temporal=replace(toy.TEMPORAL, epochs=1, validations=1),
    seeds=(0, 1),
)


@pytest.fixture(scope="module")
def result(toy_records, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("ablation")
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        first = ablation.ablate(CONFIG, toy_records, folder)
        patch.setattr(ablation, "train_frame", only_finished(ablation.train_frame))
        again = ablation.ablate(CONFIG, toy_records, folder)
    assert again["runs"] == first["runs"]
    return json.loads(json.dumps(first))


def only_finished(train):
    def check(config, data, folder, seed, skeleton):
        before = (folder / "run.json").stat().st_mtime_ns
        found = train(config, data, folder, seed, skeleton)
        assert (folder / "run.json").stat().st_mtime_ns == before
        return found

    return check


def test_every_run_differs_from_its_base_in_one_switch():
    for switch in SWITCHES.values():
        base, other = RUNS[switch.base], RUNS[switch.other]
        assert (base.kind, base.corrupted) == (other.kind, other.corrupted)
        assert not base.changes
        assert len(other.changes) == 1
        of_kind = getattr(AblationConfig(), base.kind)
        assert all(getattr(of_kind, name) != value for name, value in other.changes.items())


def test_differences_are_paired_by_seed(result):
    for switch in result["switches"].values():
        for metric, found in switch["metrics"].items():
            base, other = (result["runs"][switch[part]]["seeds"] for part in ("base", "other"))
            each = [other[seed][metric] - base[seed][metric] for seed in ("0", "1")]
            assert found["differences"] == pytest.approx(each, abs=2e-3)  # six digits of the values
            assert found["mean"] == pytest.approx(np.mean(each), abs=2e-3)  # six digits of the values
            assert found["low"] <= found["mean"] <= found["high"]
    assert set(result["switches"]) == set(SWITCHES)
    assert result["switches"]["norm"]["metrics"]["angle_mae_deg"]["mean"] != 0


def test_one_switch_joins_what_is_recorded_of_the_same_records(result, tmp_path):
    recorded = artifacts.write_json(tmp_path / "ablation.json", result)
    one = result | {part: {"camera_input": result[part]["camera_input"]} for part in ("runs", "switches")}
    assert ablation.merge(one, recorded) == result
    assert ablation.merge(one, tmp_path / "none.json") == one
    with pytest.raises(D3keError, match=r"ablation\.json: records: expected other, found"):
        ablation.merge(one | {"records": "other"}, recorded)


def test_camera_input_tells_of_scale_and_landmarks(result):
    effect = deviations.effect(result, "camera_input")
    assert "in body scale (Σ of 3 axes), " in effect
    assert " mm in landmarks (2 seeds" in effect


def test_interval_is_student_s():
    values = (1.0, 2.0, 3.0)
    base = {seed: dict.fromkeys(ablation.METRICS, 0.0) for seed in range(3)}
    other = {seed: dict.fromkeys(ablation.METRICS, value) for seed, value in enumerate(values)}
    found = ablation.difference(base, other)["mpblpe_mm"]
    assert (found["mean"], found["sd"]) == (2.0, 1.0)
    assert found["high"] - 2.0 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_one_seed_has_no_spread():
    with pytest.raises(D3keError, match=r"two seeds or more, found \(0,\)"):
        replace(CONFIG, seeds=(0,))


def test_corrupted_limbs_are_marked_and_others_as_they_were(toy_records, tmp_path):
    config = CorruptionConfig(share=0.5)
    out = corrupt(toy_records, tmp_path / "a", config)
    skeleton = default_skeleton()
    exact, corrupted = (FrameSet(folder, "train", skeleton).labels() for folder in (toy_records, out))
    changed = (exact.pose.angles != corrupted.pose.angles).numpy()
    marked = ~corrupted.valid.angles.numpy()
    assert not (changed & ~marked).any()
    of_limbs = np.concatenate(limbs(skeleton.coordinates))
    assert 0.2 < marked[:, of_limbs].mean() < 0.8
    assert changed.sum() > 0.9 * marked.sum()  # a clipped angle may be where it was
    assert not marked[:, [i for i in range(69) if i not in of_limbs]].any()
    low, high = skeleton.ranges.numpy().T
    assert (
        (corrupted.pose.angles.numpy() >= low - 1e-6) & (corrupted.pose.angles.numpy() <= high + 1e-6)
    ).all()
    one, other = (FrameSet(folder, "validation", skeleton).labels().pose for folder in (toy_records, out))
    assert bool((one.angles == other.angles).all())


def test_corruption_is_done_once_and_the_same_twice(toy_records, tmp_path):
    first, second = (corrupt(toy_records, tmp_path / name, CorruptionConfig()) for name in "ab")
    hashes = [records.load_manifest(folder)["files"] for folder in (first, second)]
    assert hashes[0] == hashes[1]
    before = (first / records.MANIFEST).stat().st_mtime_ns
    corrupt(toy_records, first, CorruptionConfig())
    assert (first / records.MANIFEST).stat().st_mtime_ns == before
    corrupt(toy_records, first, CorruptionConfig(seed=1))
    assert (tmp_path / "a.old" / records.MANIFEST).is_file()


def test_cells_of_the_tables_come_from_the_result(result, tmp_path):
    effect = deviations.effect(result, "lambda4")
    mean = result["switches"]["lambda4"]["metrics"]["angle_mae_deg"]["mean"]
    assert f"{mean:+.2f}".replace("-", "−") in effect
    assert "2 seeds × 8 images of 32 px" in effect
    assert deviations.effect(None, "lambda4") == "not measured yet"
    written = tables.markdown(deviations.ablation_table(result))
    assert len(written.splitlines()) == 2 + len(SWITCHES)
    assert len(deviations.seeds_table(result).rows) == len(RUNS)


def test_deviations_name_only_switches_there_are(tmp_path, result):
    rows = artifacts.read_json(artifacts.REPOSITORY / "data" / "deviations.json")
    assert {row["switch"] for row in rows if "switch" in row} == set(SWITCHES)
    (tmp_path / "data" / "results").mkdir(parents=True)
    artifacts.write_json(tmp_path / "data" / "deviations.json", rows)
    without = deviations.read(tmp_path)
    artifacts.write_json(tmp_path / "data" / "results" / "ablation.json", result)
    assert [row["effect"] for row in without if "switch" in row] == ["not measured yet"] * len(SWITCHES)
    assert all("seeds" in row["effect"] for row in deviations.read(tmp_path) if "switch" in row)
