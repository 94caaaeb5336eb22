"""What is said of results follows from their intervals and runs, whichever way they fall."""

import copy
import json
from pathlib import Path

import pytest

from d3ke_lib.experiment.report import claims, effects, findings, front, limits, tables
from d3ke_lib.experiment.run.artifacts import REPOSITORY, read_json

FRAMES = ("frame/resnext50_32x4d", "frame/resnext101_32x8d")
TABLE = "mean pose of the action"
FAST = {"machine": {"gpu": None, "processor": "X", "cores": 2}, "quiet": True}


@pytest.fixture
def results(toy_profile: Path) -> dict:
    """Of one run of each; the toy's frame networks saw their frames less than once."""
    return copy.deepcopy(read_json(toy_profile / "results.json"))


def paper() -> list[dict[str, str]]:
    return json.loads((REPOSITORY / "data" / "paper_results.json").read_text())


def rates(value: float, quiet: bool = True) -> dict:
    rows = [{"backbone": name.partition("/")[2], "px": 256, "whole_per_second": value} for name in FRAMES]
    return FAST | {"rows": rows, "quiet": quiet}


def set_effect(results: dict, pair: tuple[str, str], effect: tuple, runs: list[float] | None = None) -> None:
    """Mean, low and high of a comparison's angle error, the differences by run and the settings' means."""
    mean, low, high = effect
    comparison = effects.find_comparison(results, *pair)
    comparison["metrics"]["angle_mae_deg"] |= {"mean": mean, "low": low, "high": high, "se_runs": 0.1}
    if runs:
        comparison["runs"]["angle_mae_deg"] = runs
        results["profile"]["seeds"] = list(range(len(runs)))
    first, second = (results["settings"][name]["summary"]["angle_mae_deg"] for name in pair)
    second["mean"] = first["mean"] + mean


def first_claim(results: dict) -> claims.Claim:
    return claims.list_claims(results, paper(), rates(40))[0]


@pytest.mark.parametrize(
    ("effect", "word", "verdict"),
    [
        ((-0.4, -0.6, -0.2), "Yes", "supported"),
        ((-0.4, -0.9, 0.1), "Undecided", "undecided"),  # contains 0
        ((-0.15, -0.25, -0.05), "Undecided", "undecided"),  # below 0, and less than the margin
        ((-0.1, -0.15, -0.05), "No", "contradicted"),  # below 0, but excludes the margin
        ((0.4, 0.2, 0.6), "No", "contradicted"),
    ],
)
def test_the_verdict_follows_interval_and_margin(
    results: dict, effect: tuple, word: str, verdict: str
) -> None:
    set_effect(results, FRAMES, effect, [effect[0]] * 3)
    assert findings.answer(results)[0].startswith(word)
    assert first_claim(results).verdict == f"{verdict} (synthetic data)"
    assert first_claim(results).command.endswith(' SEEDS="0 1 2"')


@pytest.mark.parametrize("runs", [[-0.5], [-0.5, -0.5]])
def test_fewer_than_three_runs_decide_nothing(results: dict, runs: list[float]) -> None:
    """However clear the interval is: it was seen in so many of so many runs."""
    set_effect(results, FRAMES, (-0.5, -0.51, -0.49), runs)
    assert findings.answer(results)[0].startswith("Undecided")
    count = len(runs)
    assert first_claim(results).verdict == f"undecided; lower in {count} of {count} runs (synthetic data)"


def test_the_answer_has_its_numbers(results: dict) -> None:
    set_effect(results, FRAMES, (-0.1, -0.3, 0.1), [-0.3, 0.1])
    effects.find_comparison(results, *FRAMES)["subjects"]["angle_mae_deg"] = [-0.2, -0.2, 0.1]
    for name, run in results["cost"]["training"].items():
        run["core_seconds"] = 300 if name.startswith(FRAMES[1]) else 100
    said = " ".join(findings.answer(results))
    assert "equal images and 3.0 times the core-minutes" in said
    assert "0.10° lower than that of ResNeXt-50" in said
    assert "1 of 2 runs and for 2 of 3 test subjects" in said
    assert "interval over subjects and runs is −0.30° to +0.10° and contains 0" in said
    assert "the smaller network and its transformer take 67 % of the training time" in said


@pytest.mark.parametrize(
    ("lower", "said"),
    [
        ([], "None of the networks has a lower error than the mean pose of the action"),
        (FRAMES[:1], "Only ResNeXt-50 has a lower error"),
        (FRAMES, "Only ResNeXt-50 and ResNeXt-101 have a lower error"),
    ],
)
def test_a_network_that_a_table_of_poses_matches_is_named(results: dict, lower: list, said: str) -> None:
    for comparison in results["comparisons"]:
        if comparison["first"] == TABLE:
            better = comparison["second"] in lower
            low, high = (-1.5, -0.5) if better else (-0.5, 0.5)
            comparison["metrics"]["angle_mae_deg"] |= {"low": low, "high": high}
    answer = findings.answer(results)
    assert said in " ".join(answer)
    assert ("no network beats the mean pose of the action" in answer[0]) == (not lower)


def add_conditions(results: dict, reference: str, condition: str, interval: tuple[float, float]) -> None:
    """A condition in which a reference errs by 5° and every network differs from it by so much."""
    estimate = {"mean": sum(interval) / 2, "low": interval[0], "high": interval[1]}
    results["settings"][reference]["conditions"][condition] = {"angle_mae_deg": {"mean": 5.0}}
    for comparison in results["comparisons"]:
        if comparison["first"] == reference:
            comparison["conditions"][condition] = {"angle_mae_deg": estimate}


def test_seen_and_unseen_actions_have_references_of_their_own(results: dict) -> None:
    add_conditions(results, TABLE, "seen actions", (-1.0, -0.5))
    add_conditions(results, "median pose", "unseen actions", (-0.5, 0.5))
    said = " ".join(findings.answer(results))
    assert "On seen actions every network has a lower error than the mean pose of the action (5.00°)" in said
    assert "never trained on none of the networks has a lower error than the median pose (5.00°)" in said
    assert "with 1 px of noise, a small network reads the angles to" in said


def test_equal_compute_is_part_of_the_answer(results: dict) -> None:
    assert "as many core-minutes" not in " ".join(findings.answer(results))
    metrics = {"angle_mae_deg": {"mean": 0.1, "low": -0.2, "high": 0.4}}
    runs = {"angle_mae_deg": [0.2, -0.1, 0.2]}
    pair = {"first": f"{FRAMES[0]}@equal_compute", "second": FRAMES[1]}
    results["comparisons"].append({**pair, "metrics": metrics, "runs": runs, "conditions": {}})
    assert "+0.10° (−0.20° to +0.40°); ResNeXt-101 was better in 1 of 3 runs" in " ".join(
        findings.answer(results)
    )


def test_smoke_numbers_get_no_verdict(results: dict) -> None:
    results["profile"]["name"] = "smoke"
    assert findings.answer(results)[0] == "A test of the path, whose numbers mean nothing."
    ours = [claim for claim in claims.list_claims(results, paper(), None) if claim.ours]
    assert {claim.verdict for claim in ours} == {"none: a smoke run"}


def test_published_numbers_have_no_counterpart_here(results: dict) -> None:
    quoted = [claim for claim in claims.list_claims(results, paper(), None) if claim.published]
    assert {claim.published for claim in quoted} == {"3.54°", "5.44°", "6.72°", "5.92°"}
    assert all(not claim.ours and claim.verdict.startswith("not testable here: needs") for claim in quoted)


@pytest.mark.parametrize(("mean", "verdict"), [(3.6, "supported"), (4.5, "contradicted"), (3.9, "undecided")])
def test_the_papers_number_is_tested_on_the_papers_data(results: dict, mean: float, verdict: str) -> None:
    results["synthetic"] = False
    results["profile"]["seeds"] = [0, 1, 2]
    summary = results["settings"]["temporal/transformer.resnext50_32x4d"]["summary"]["angle_mae_deg"]
    summary |= {"mean": mean, "low": mean - 0.3, "high": mean + 0.3}
    quoted = [claim for claim in claims.list_claims(results, paper(), None) if claim.published]
    assert (quoted[0].published, quoted[0].verdict) == ("3.54°", verdict)
    assert quoted[0].ours.startswith(f"{mean:.2f}°")
    assert quoted[1].verdict == "not testable here: no such method was run"
    assert quoted[2].verdict == "not testable here: needs BEDLAM"


def test_nothing_says_synthetic_where_the_data_are_not(results: dict) -> None:
    results["synthetic"] = False
    rows = claims.list_claims(results, paper(), None)
    said = findings.answer(results) + limits.caveats(results) + findings.conclusion(results)
    text = " ".join([*said, *(cell for row in rows for cell in row)])
    for word in ("synthetic", "rendered", "registration", "needs BMLmovi"):
        assert word not in text, word
    assert "On BMLmovi" in text


@pytest.mark.parametrize(
    ("value", "quiet", "word"),
    [(35, True, "supported"), (35, False, "supported"), (25, True, "contradicted"), (25, False, "undecided")],
)
def test_video_rate_counts_one_image_at_the_papers_size(
    results: dict, value: float, quiet: bool, word: str
) -> None:
    rows = claims.list_claims(results, paper(), rates(value, quiet))
    found = [claim for claim in rows if "keeps up with video" in claim.claim]
    assert [claim.claim.split()[0] for claim in found] == ["ResNeXt-50", "ResNeXt-101"]
    assert all(claim.verdict.startswith(word) and "256 px" in claim.ours for claim in found)


def test_a_rate_that_was_not_measured_decides_nothing(results: dict) -> None:
    found = [claim for claim in claims.list_claims(results, paper(), None) if "keeps up" in claim.claim]
    assert [claim.verdict for claim in found] == ["undecided: not measured at 256 px"] * 2


def test_overfitting_needs_more_than_one_epoch(results: dict) -> None:
    def verdict() -> str:
        rows = claims.list_claims(results, paper(), None)
        return next(row.verdict for row in rows if "overfits" in row.claim)

    results["data"]["counts"]["train"]["frames"] = 10**6
    assert verdict() == "not testable here: 0.0 epochs, no frame was seen twice"
    results["data"]["counts"]["train"]["frames"] = 1
    row = results["overfitting"][FRAMES[1]]
    row |= {"difference": {"mean": 0.5, "low": 0.3, "high": 0.7}, "runs": [0.5, 0.5]}
    assert verdict() == "undecided; higher in 2 of 2 runs"
    row["runs"] = [0.5] * 3
    assert verdict() == "supported"
    row["difference"] = {"mean": 0.0, "low": -0.1, "high": 0.1}
    assert verdict() == "contradicted"


def test_caveats_say_when_nothing_was_learnt(results: dict) -> None:
    set_effect(results, ("mean pose", FRAMES[0]), (0.1, -0.1, 0.3))
    set_effect(results, ("mean pose", FRAMES[1]), (-2.0, -2.2, -1.8))
    said = " ".join(limits.caveats(results))
    assert "The error of ResNeXt-50 is not shown to differ from that of the mean pose" in said
    assert "The error of ResNeXt-101 is lower than that of the mean pose" in said
    assert "of 69 coordinates" in said
    assert "One run of each" in said
    assert "cannot tell depth from width" in said


def test_several_runs_are_told_one_by_one(results: dict) -> None:
    set_effect(results, FRAMES, (-0.05, -0.5, 0.4), [-0.2, 0.1])
    for setting in results["settings"].values():
        setting["seeds"]["angle_mae_deg"] = [5.0, 5.1]
    refined = tuple(name.replace("frame/", "temporal/transformer.") for name in FRAMES)
    set_effect(results, refined, (-0.05, -0.5, 0.4), [-0.2, 0.1])
    effects.find_comparison(results, *FRAMES)["metrics"]["angle_mae_deg"]["se_subjects"] = 0.02
    said = " ".join(limits.caveats(results))
    assert "2 runs of each network. A verdict needs 3 or more." in said
    assert (
        "ResNeXt-101 − ResNeXt-50 by run: −0.20°, +0.10°; standard error from subjects 0.020°, from runs "
        "0.100°." in said
    )


def test_one_backbone_leaves_the_question_open(results: dict) -> None:
    results["comparisons"] = [
        c for c in results["comparisons"] if c["first"] != FRAMES[0] or "frame/" not in c["second"]
    ]
    assert "stays open" in findings.answer(results)[0]


def test_tables_hold_the_numbers(results: dict) -> None:
    table = tables.results_table(results)
    summary = results["settings"][FRAMES[1]]["summary"]["angle_mae_deg"]
    constant = results["settings"]["mean pose"]["summary"]["angle_mae_deg"]["mean"]
    row = next(row for row in table.rows if row[0] == "ResNeXt-101")
    cells = dict(zip(table.header, row, strict=True))
    assert cells["runs"] == "1"
    assert cells[
        "angle MAE [°]"
    ] == f"{summary['mean']:.2f} [{summary['low']:.2f}, {summary['high']:.2f}]".replace("-", "−")
    assert cells["skill"] == f"{100 * (1 - summary['mean'] / constant):.0f} %".replace("-", "−")
    references = ["mean pose", "median pose", "mean pose of the action, told"]
    references += ["landmark bound, exact", "landmark bound, 1 px noise"]
    assert [row[0] for row in table.rows][:7] == [*references, "ResNeXt-50", "ResNeXt-101"]
    assert {row[1] for row in table.rows[:5]} == {"–"}
    assert "seen actions [°]" not in table.header  # the toy's test subjects do nothing else
    assert tables.conditions_table(results) is None
    assert tables.seeds_table(results) is None
    assert tables.data_table(results).rows[0] == ("train", "3", "3", "36")


def test_differences_come_with_both_parts_of_their_error(results: dict) -> None:
    comparison = effects.find_comparison(results, *FRAMES)
    comparison["metrics"]["angle_mae_deg"] |= {"se_subjects": 0.02, "se_runs": 0.073}
    row = tables.comparisons_table(results).rows[0]
    assert row[0] == "ResNeXt-101 − ResNeXt-50"
    assert row[3] == "0.020 / 0.073"
    assert row[5] in ("0 of 1", "1 of 1")
    assert "ResNeXt-101 − (ResNeXt-50 + transformer)" in [
        row[0] for row in tables.comparisons_table(results).rows
    ]


def test_conditions_have_columns_where_there_are_any(results: dict) -> None:
    results["conditions"] = {"seen actions": 300, "unseen actions": 100, "PG1": 200}
    estimate = {"mean": 4.0, "low": 3.5, "high": 4.5}
    for name in results["conditions"]:
        results["settings"][FRAMES[0]]["conditions"][name] = {"angle_mae_deg": estimate}
        for comparison in results["comparisons"]:
            comparison["conditions"][name] = {"angle_mae_deg": estimate}
    row = {row[0]: row for row in tables.results_table(results).rows}["ResNeXt-50"]
    cells = dict(zip(tables.results_table(results).header, row, strict=True))
    assert cells["unseen actions [°]"] == "4.00 [3.50, 4.50]"
    table = tables.conditions_table(results)
    assert [title.partition(":")[0] for title in table.header[1:]] == list(results["conditions"])
    assert [row[1] for row in table.rows][:2] == ["–", "–"]  # what was not computed is shown as missing
    assert tables.comparisons_table(results).header[2:4] == ("seen actions [°]", "unseen actions [°]")
    assert all("mean pose" not in row[0] for row in tables.comparisons_table(results, of_networks=True).rows)


def test_details_hold_flexions_sizes_and_acceleration(results: dict) -> None:
    table = tables.details_table(results)
    for title in ("knee flexion [°]", "overall size [%]", "acceleration [m/s²]"):
        assert title in table.header
    assert all(len(row) == len(table.header) for row in table.rows)


def test_hypotheses_have_estimates_or_say_what_is_missing(results: dict) -> None:
    assert tables.hypotheses_table(results) is None
    estimate = {"mean": -0.3, "low": -0.5, "high": -0.1, "se_subjects": 0.05, "se_runs": 0.07}
    tested = {"claim": "A", "verdict": "supported", "estimate": estimate, "runs": [-0.3, 0.1, -0.7]}
    absent = {"claim": "B", "verdict": "missing", "missing": "frame/resnext50_32x8d"}
    results["study"] = {"hypotheses": [tested, absent]}
    first, second = tables.hypotheses_table(results).rows
    assert first == ("A", "supported", "−0.30 [−0.50, −0.10]", "0.050 / 0.070", "2 of 3")
    assert second[1] == "missing: ResNeXt-50 32×8d"


def train_for(results: dict, minutes: dict[str, tuple[float, float]]) -> None:
    """Core-minutes and mean error of some settings, the only ones trained."""
    results["settings"] = {name: each for name, each in results["settings"].items() if "/" not in name} | {
        name: {"summary": {"angle_mae_deg": {"mean": error, "low": error, "high": error}}}
        for name, (_, error) in minutes.items()
    }
    results["cost"]["training"] = {
        f"{name}.0": {"seconds": 1.0, "core_seconds": 60 * cost} for name, (cost, _) in minutes.items()
    }


def test_the_front_is_what_nothing_cheaper_beats(results: dict) -> None:
    small, large = FRAMES
    refined = "temporal/transformer.resnext50_32x4d"
    longer = f"{small}@equal_compute"
    train_for(results, {small: (10, 5.0), large: (40, 4.8), refined: (2, 4.7), longer: (30, 4.6)})
    options = front.list_options(results)
    assert [each.name for each in front.find_front(options)] == [
        "ResNeXt-50",
        "ResNeXt-50 + transformer",  # 10 + 2 core-minutes
        "ResNeXt-50, equal compute",
    ]
    said = front.say_front(results)
    assert "ResNeXt-50 + transformer (12 core-minutes, 4.70°)" in said
    assert "beaten in both: ResNeXt-101" in said
    assert "not trained: " in said
    assert "multi-step, ResNeXt-50" in said.partition("not trained: ")[2]
    results["cost"]["training"][f"{small}.0"]["core_seconds"] = None
    assert front.cost_of(results) == ("seconds", "minutes")


def test_cells_are_escaped() -> None:
    table = tables.Table(("a|b", "c"), (("<script>", "1.0 [0.5, 1.5]"),))
    assert "&lt;script&gt;" in tables.to_html(table)
    assert "1.0<br><small>[0.5, 1.5]</small>" in tables.to_html(table)
    assert "a\\|b" in tables.markdown(table)
