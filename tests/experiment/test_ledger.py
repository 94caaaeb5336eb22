"""The ledger of claims: verdicts follow from what is recorded; nothing unknown is accepted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.report import ledger
from d3ke_lib.experiment.report.ledger import Entry, decide, find_claim, look_up, read_ledger
from d3ke_lib.experiment.studies import claim_checks
from d3ke_lib.files import D3keError
from d3ke_lib.settings import REPOSITORY

ENTRY = Entry(
    "x",
    "a claim",
    "a source",
    "a test",
    "data",
    "lower",
    "a command",
    "r.json > found",
    "m",
    0.2,
    "°",
    runs=3,
)


def home_with(tmp_path: Path, found: object) -> Path:
    folder = tmp_path / "data" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "r.json").write_text(json.dumps({"found": found}))
    return tmp_path


def effect(mean: float, low: float, high: float, runs=(-1.0, -1.0, -1.0)) -> dict:
    return {"estimate": {"mean": mean, "low": low, "high": high}, "runs": list(runs)}


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (effect(-0.5, -0.8, -0.2), "supported"),
        (effect(-0.15, -0.18, -0.12), "contradicted"),  # lower, but by less than the margin
        (effect(0.3, 0.1, 0.5), "contradicted"),
        (effect(-0.3, -0.7, 0.1), "undecided"),
        (effect(-0.5, -0.8, -0.2, (-0.7, 0.1)), "undecided; lower in 1 of 2 runs"),
    ],
)
def test_a_difference_needs_interval_margin_and_runs(tmp_path, found, word):
    assert decide(ENTRY, home_with(tmp_path, found)).word == word


def test_higher_is_lower_the_other_way_round(tmp_path):
    higher = replace(ENTRY, rule="higher")
    assert decide(higher, home_with(tmp_path, effect(0.5, 0.2, 0.8))).word == "supported"
    assert decide(higher, home_with(tmp_path, effect(-0.5, -0.8, -0.2))).word == "contradicted"
    assert decide(higher, home_with(tmp_path, effect(0.15, 0.1, 0.19))).word == "contradicted"


@pytest.mark.parametrize(
    ("rule", "found", "word"),
    [
        ("at most", 0.1, "supported"),
        ("at most", 0.3, "contradicted"),
        ("at least", 0.3, "supported"),
        ("at least", 0.1, "contradicted"),
        ("at most", {"mean": 0.2, "low": 0.1, "high": 0.3}, "undecided"),
        ("at least", {"mean": 0.5, "low": 0.4, "high": 0.6}, "supported"),
        ("equal", 1.1, "supported"),
        ("equal", [1.0, 1.0], "contradicted"),
    ],
)
def test_numbers_and_intervals_against_a_limit(tmp_path, rule, found, word):
    entry = replace(ENTRY, rule=rule, expected=(1.0,) if rule == "equal" else ())
    assert decide(entry, home_with(tmp_path, found)).word == word


def test_what_is_not_recorded_is_undecided(tmp_path):
    home = home_with(tmp_path, None)
    for path in ("absent.json > a", "r.json > found", "r.json > found > more", "r.json > frame/no_such"):
        assert decide(replace(ENTRY, measured=path), home).word == "undecided (not run)"
    missing = replace(ENTRY, measured="r.json > found > name=direct")
    assert decide(missing, home_with(tmp_path, [{"name": "direct", "verdict": "missing"}])).word.endswith(
        "(not run)"
    )


def test_a_path_that_leads_nowhere_is_named(tmp_path):
    with pytest.raises(D3keError, match=r"claim x: r\.json > fuond: no 'fuond'; known: found"):
        look_up(replace(ENTRY, measured="r.json > fuond"), home_with(tmp_path, 1.0))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('verdict = "supported"', "no field verdict"),
        ('rule = "proven"', "unknown 'proven'; known: lower, higher"),
        ('rule = "lower"', "claim x: rule 'lower' needs measured, command"),
        ('rule = "equal"\nmeasured = "r.json"\ncommand = "c"', "needs expected"),
        ('rule = "untestable"', "needs reason"),
    ],
)
def test_unknown_verdicts_and_rules_and_half_a_claim_are_refused(tmp_path, line, message):
    text = '[[claims]]\nid = "x"\nclaim = "c"\nsource = "s"\ntest = "t"\ndata = "d"\n' + line
    if "rule" not in line:
        text += '\nrule = "untestable"\nreason = "r"'
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "claims.toml").write_text(text)
    with pytest.raises(D3keError, match=f"claims.toml: .*{message}"):
        read_ledger(tmp_path)


# --- data/claims.toml ---------------------------------------------------------------------------------------


def test_our_ledger_has_at_least_24_claims_each_with_a_verdict():
    found = read_ledger(REPOSITORY)
    assert len(found) >= 24
    table = ledger.ledger_table(REPOSITORY)
    assert len(table.rows) == len(found) == sum(ledger.count_verdicts(REPOSITORY).values())
    assert 8 <= len(ledger.ledger_table(REPOSITORY, short=True).rows) <= 14
    with pytest.raises(D3keError, match="unknown claim 'no_such'; known: bedlam, "):
        find_claim(found, "no_such")


def test_claims_refer_to_steps_hypotheses_and_checks_that_exist():
    from d3ke_lib.experiment.run.cells import read_plan
    from d3ke_lib.experiment.studies.error_ladder import STEPS

    hypotheses = {each.name for each in read_plan("study_plan.toml").hypotheses}
    derived = claim_checks.derive(claim_checks.NO_RESULTS)
    for entry in read_ledger(REPOSITORY).values():
        steps = entry.measured.split(" > ")
        names = {
            "hypotheses": hypotheses,
            "steps": STEPS,
            "checks": claim_checks.CHECKS,
            "derived": derived,
        }
        kind = next((step for step in steps if step in names), None)
        assert kind is None or steps[-1].removeprefix("name=") in names[kind], entry.measured


def test_recorded_checks_are_what_the_code_gives():
    recorded = json.loads((REPOSITORY / "data" / "results" / "claims.json").read_text())["checks"]
    assert set(recorded) == set(claim_checks.CHECKS)
    cheap = set(claim_checks.CHECKS) - {"gradient_spread_gained", "inverse_kinematics_outside_percent"}
    for name in cheap - {"grouped_block_difference"}:
        assert claim_checks.CHECKS[name]() == recorded[name], name
    assert claim_checks.grouped_block_difference() < 1e-12


def test_planes_of_coordinates():
    planes = {name: claim_checks.plane_of(name) for name in default_skeleton().coordinates}
    expected = {
        "L5_S1_FE": "sagittal",
        "L5_S1_LB": "frontal",
        "L5_S1_AR": "transverse",
        "hip_flexion_r": "sagittal",
    }
    expected |= {"hip_adduction_l": "frontal", "hip_rotation_l": "transverse", "knee_angle_r": "sagittal"}
    expected |= {"knee_angle_x_r": "frontal", "shoulder_elv": "frontal", "elv_angle_l": "transverse"}
    assert expected.items() <= planes.items()
