"""What is said of results follows from their intervals, whichever way they fall; tables hold the numbers."""

import copy
import json
from pathlib import Path

import pytest

from d3ke_lib.experiment.report import claims, tables
from d3ke_lib.experiment.run.artifacts import REPOSITORY, read_json

FRAMES = ("frame/resnext50_32x4d", "frame/resnext101_32x8d")


@pytest.fixture
def results(toy_profile: Path) -> dict:
    return copy.deepcopy(read_json(toy_profile / "results.json"))


def paper() -> list[dict[str, str]]:
    return json.loads((REPOSITORY / "data" / "paper_results.json").read_text())


def set_effect(results: dict, pair: tuple[str, str], mean: float, low: float, high: float) -> None:
    comparison = next(c for c in results["comparisons"] if (c["first"], c["second"]) == pair)
    comparison["metrics"]["angle_mae_deg"] |= {"mean": mean, "low": low, "high": high}


@pytest.mark.parametrize(
    ("effect", "said", "verdict"),
    [
        ((-0.4, -0.6, -0.2), "yes: ResNeXt-101 makes 0.40° less angle error than ResNeXt-50", "confirmed"),
        ((0.4, 0.2, 0.6), "no: ResNeXt-101 makes 0.40° more angle error than ResNeXt-50", "refuted"),
        ((-0.1, -0.3, 0.1), "no difference was shown: ResNeXt-101 − ResNeXt-50 is −0.10°", "not shown"),
    ],
)
def test_the_answer_follows_the_interval(results: dict, effect: tuple, said: str, verdict: str) -> None:
    set_effect(results, FRAMES, *effect)
    answer = claims.answer(results)
    assert said in answer
    assert answer.startswith("On synthetic data, ")
    assert "3 test subjects" in answer
    assert answer.endswith(".")
    assert ("which holds 0" in answer) == (verdict == "not shown")
    claim = next(
        c for c in claims.claims(results, paper()) if c.claim.startswith("ResNeXt-101 has a smaller")
    )
    assert claim.verdict == f"{verdict} for one run of each, on synthetic data"
    results["profile"]["seeds"] = [0, 1]
    several = next(c for c in claims.claims(results, paper()) if c.claim == claim.claim)
    assert several.verdict == f"{verdict} for the mean of 2 runs, on synthetic data"
    assert several.command.endswith(' SEEDS="0 1"')


def test_smoke_numbers_get_no_verdict(results: dict) -> None:
    results["profile"]["name"] = "smoke"
    assert claims.answer(results).startswith(
        "A test of the path, whose numbers mean nothing: on synthetic data"
    )
    assert "yes:" not in claims.answer(results)
    assert "no" not in claims.answer(results).partition("data, ")[2].split()
    ours = [claim for claim in claims.claims(results, paper()) if claim.ours]
    assert {claim.verdict for claim in ours} == {"none: a smoke run"}


def test_paper_numbers_have_no_counterpart_here(results: dict) -> None:
    quoted = [claim for claim in claims.claims(results, paper()) if claim.theirs]
    assert {claim.theirs for claim in quoted} == {"3.54°", "5.44°", "6.72°", "5.92°"}
    assert all(not claim.ours and claim.verdict.startswith("not reproducible here") for claim in quoted)


def test_caveats_say_when_nothing_was_learnt(results: dict) -> None:
    set_effect(results, ("mean pose", FRAMES[0]), 0.1, -0.1, 0.3)
    set_effect(results, ("mean pose", FRAMES[1]), -2.0, -2.2, -1.8)
    said = " ".join(claims.caveats(results))
    assert "ResNeXt-50 is not shown to be better than always answering with the mean pose" in said
    assert "ResNeXt-101 is better than always answering with the mean pose" in said
    assert "One run of each" in said
    assert "cannot tell depth from width" in said


def test_several_runs_are_told_one_by_one(results: dict) -> None:
    results["profile"]["seeds"] = [0, 1]
    for setting, values in zip(FRAMES, ([5.0, 5.1], [4.8, 5.2])):
        results["settings"][setting]["seeds"]["angle_mae_deg"] = values
    said = " ".join(claims.caveats(results))
    assert "2 runs of each" in said
    assert (
        "ResNeXt-101 − ResNeXt-50 by run: −0.20°, +0.10°, where runs of one of them differ by up to 0.40°"
        in said
    )


def test_one_backbone_leaves_the_question_open(results: dict) -> None:
    results["comparisons"] = [
        c for c in results["comparisons"] if c["first"] != FRAMES[0] or "frame/" not in c["second"]
    ]
    assert "stays open" in claims.answer(results)


def test_tables_hold_the_numbers(results: dict) -> None:
    table = tables.results_table(results)
    summary = results["settings"][FRAMES[1]]["summary"]["angle_mae_deg"]
    row = next(row for row in table.rows if row[0] == "ResNeXt-101")
    assert row[1] == f"{summary['mean']:.2f} [{summary['low']:.2f}, {summary['high']:.2f}]"
    assert [row[0] for row in table.rows][:3] == ["mean pose", "ResNeXt-50", "ResNeXt-101"]
    assert tables.seeds_table(results) is None
    assert tables.data_table(results).rows[0] == ("train", "3", "3", "36")


def test_cells_are_escaped() -> None:
    table = tables.Table(("a|b", "c"), (("<script>", "1.0 [0.5, 1.5]"),))
    assert "&lt;script&gt;" in tables.to_html(table)
    assert "1.0<br><small>[0.5, 1.5]</small>" in tables.to_html(table)
    assert "a\\|b" in tables.markdown(table)
