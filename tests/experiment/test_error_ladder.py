"""The error ladder: every rung from true points to networks' poses, on toy networks."""

from dataclasses import replace

import pytest
import toy

from d3ke_lib.body.ik import joint_scaling
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation.measure import Trained
from d3ke_lib.experiment.report import ladder
from d3ke_lib.experiment.run import inverse_kinematics
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.experiment.studies import error_ladder
from d3ke_lib.experiment.studies.error_ladder import ESTIMATED, KNOWN, OWN, Rung
from d3ke_lib.experiment.studies.ladder_points import DIRECT, POINTS, REFINED, TRUE, WHITE
from d3ke_lib.files import D3keError

SKELETON = default_skeleton()


def train(records, folder, head: str, seed: int) -> Trained:
    result = train_frame(replace(toy.FRAME, head=head, images=8), records, folder, seed, SKELETON)
    return Trained(folder, result, folder)


@pytest.fixture(scope="module")
def found(toy_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ladder")
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        patch.setattr(inverse_kinematics, "_NOISES", (0.03, 0.3))  # a trial of each costs seconds
        patch.setattr(joint_scaling, "_STEPS", 1)
        runs = {
            DIRECT: [train(toy_records, folder / f"direct.{seed}", "pose", seed) for seed in (0, 1)],
            POINTS: [train(toy_records, folder / "points.0", "points", 0)],
        }
        return error_ladder.climb(runs, toy_records, SKELETON, motions=1, every=2, workers=0)


def angle(found, *rung) -> float:
    return found["rungs"][Rung(*rung).name]["metrics"]["angle_mae_deg"]["mean"]


def test_every_rung_with_points_is_there_and_what_is_missing_is_named(found):
    rungs = {rung.name for rung in error_ladder.RUNGS if rung.points not in REFINED.values()}
    assert set(found["rungs"]) == rungs
    assert found["missing"] == list(REFINED.values())
    assert found["frames"] == {
        "rule": "every 2nd frame of 1 motions per subject, evenly spread over its motions",
        "subjects": 3,
        "motions": 1,
        "frames": 9,
        "of": 36,
    }
    assert {step["first"] for step in found["steps"]} <= rungs


def test_errors_grow_with_what_is_taken_away(found):
    assert angle(found, TRUE, KNOWN) < angle(found, TRUE, ESTIMATED) < angle(found, WHITE, ESTIMATED)
    assert angle(found, WHITE, ESTIMATED, True) < angle(found, WHITE, ESTIMATED)


def test_groups_add_up_to_the_error(found):
    for rung in found["rungs"].values():
        assert sum(rung["groups"].values()) == pytest.approx(
            rung["metrics"]["angle_mae_deg"]["mean"], abs=1e-3
        )


def test_intervals_have_a_part_from_runs_where_networks_were_trained_twice(found):
    own = found["rungs"][Rung(DIRECT, OWN).name]
    assert len(own["seeds"]) == 2
    assert own["metrics"]["angle_mae_deg"]["se_runs"] is not None
    assert found["rungs"][Rung(TRUE, KNOWN).name]["metrics"]["angle_mae_deg"]["se_runs"] is None


def test_tables_and_figure_show_every_rung_and_step(found):
    assert len(ladder.rungs_table(found).rows) == len(found["rungs"])
    assert len(ladder.steps_table(found).rows) == len(found["steps"])
    _, table = ladder.draw_ladder(found)
    assert list(table.rung) == list(found["rungs"])


def test_a_run_of_another_head_is_refused(toy_records, tmp_path, small_networks):
    run = train(toy_records, tmp_path / "run", "pose", 0)
    with pytest.raises(D3keError, match="expected a network with the head points, found pose"):
        error_ladder.climb({POINTS: [run]}, toy_records, SKELETON)
