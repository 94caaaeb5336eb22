"""From synthetic downloads to results.json, through the stages of `make reproduce P=bmlmovi RAW=…`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile

PROFILE = Profile(
    name="bmlmovi_toy",
    data=BmlmoviConfig(train=(1, 5), validation=(3,), test=(2, 4), cameras=("PG1",), px=48),
    frame=replace(toy.FRAME, images=8, validations=1),  # two steps of four images
    temporal=replace(toy.TEMPORAL, epochs=1, validations=1),
    evaluation=EvaluationConfig(batch=16, timing_batches=1),
)


@pytest.mark.slow
def test_downloads_become_results(
    bmlmovi_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_networks: None
) -> None:
    monkeypatch.setenv("D3KE_OUT", str(tmp_path))
    monkeypatch.setenv("D3KE_RAW", str(bmlmovi_raw))
    found = artifacts.read_json(pipeline.evaluate(PROFILE))
    made = pipeline.folder(PROFILE) / "data"
    assert records.verify(made)["config"] == bmlmovi.described(PROFILE.data)
    assert found["synthetic"] is False  # as far as the stages know, these are BMLmovi's people
    assert found["data"]["counts"]["test"] == {"files": 2, "subjects": 2, "frames": 20}
    for backbone in PROFILE.backbones:
        log = (pipeline.folder(PROFILE) / "frame" / f"{backbone}.0" / "log.jsonl").read_text()
        assert log.count("\n") >= 1
    angle = [method["summary"]["angle_mae_deg"]["mean"] for method in found["methods"].values()]
    assert len(angle) == 1 + 2 * len(PROFILE.backbones)  # the mean pose, frame and temporal networks
    assert np.isfinite(angle).all()
