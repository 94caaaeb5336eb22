"""The profile of a step sums to the step, and its parts are in the order a step has them."""

from dataclasses import replace

import bench_step
import pytest
import toy

from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.studies import benchmarks

pytestmark = pytest.mark.usefixtures("small_networks")


def test_shares_sum_to_one_and_every_part_takes_time(toy_records):
    result = bench_step.measure(toy_records, toy.FRAME, repeats=2)
    assert [row["precision"] for row in result["rows"]] == ["bf16", "fp32"]
    for row in result["rows"]:
        assert min(row["ms"].values()) > 0
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert row["ours"] == pytest.approx(row["shares"]["loading"] + row["shares"]["body"])
    assert "fp32, 4 of 32 px" in benchmarks.step_profile(result)


def test_a_slow_part_is_found(toy_records, monkeypatch):
    frames, losses = FrameSet(toy_records, "train"), bench_step.losses
    monkeypatch.setattr(bench_step, "losses", lambda *given: [losses(*given) for _ in range(60)][-1])
    slow = bench_step.profile_step(frames, replace(toy.FRAME, batch=2), repeats=1)
    assert slow["shares"]["body"] > 0.5
