"""What is recorded of the released networks is what is asked, and is what comes out again."""

import parity
import pytest

from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, read_json

INTERMEDIATE = "transformer, 243 intermediate frames"


@pytest.fixture(scope="module")
def recorded() -> dict:
    return read_json(REPOSITORY / "data" / "results" / "parity.json")


def test_everything_is_as_near_as_asked_but_one_rotation(recorded):
    assert len(recorded["networks"]) == 9
    for row in recorded["networks"]:
        for field, limit in parity.ASKED.items():
            if (row["network"], field) != (INTERMEDIATE, "rotation"):
                assert row.get(field, 0.0) < limit, (row["network"], field)


def test_that_rotation_is_nearer_to_float64_than_the_stored_one(recorded):
    found = recorded["rounding"]
    rotation = next(row["rotation"] for row in recorded["networks"] if row["network"] == INTERMEDIATE)
    assert found["ours_theirs"] == pytest.approx(rotation, rel=1e-3)
    assert found["ours_exact"] < found["theirs_exact"]
    assert found["numbers_ours_exact"] / found["left_over"] == pytest.approx(3.3e-5, rel=0.1)


def test_losses_metrics_and_skeleton_come_out_again(shared, recorded):
    vectors = parity.open_vectors(shared)
    for name, term in parity.loss_terms(vectors).items():
        assert term["relative"] < 1e-5
        assert term["theirs"] == pytest.approx(recorded["losses"][name]["theirs"], rel=1e-5)
    for value in parity.metric_values(vectors).values():
        assert value["difference"] < 1e-5 * value["written_out"]
    assert parity.skeleton_layer(vectors)["markers"] < 1e-5


def test_absent_vectors_are_named(tmp_path):
    with pytest.raises(D3keError, match=r"parity/fill.py is not in .* nothing to compare"):
        parity.open_vectors(tmp_path)
