"""The body the tests run on, toy records, and networks small enough to be trained in a test."""

from pathlib import Path

import pytest
import toy

from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.run.config import EvaluationConfig, Profile


@pytest.fixture(scope="session")
def body_path() -> Path:
    return BODY_FILE


@pytest.fixture(scope="session")
def toy_records(tmp_path_factory) -> Path:
    return toy.make_records(tmp_path_factory.mktemp("records"))


@pytest.fixture
def small_networks(monkeypatch) -> None:
    toy.shrink(monkeypatch)


@pytest.fixture(scope="session")
def toy_profile(tmp_path_factory) -> Path:
    """The folder of a profile carried through to its figures: two small backbones, a refiner, 3 subjects."""
    profile = Profile(
        name="toy",
        data=DataConfig(train=3, validation=1, test=3),
        frame=toy.FRAME,
        temporal=toy.TEMPORAL,
        evaluation=EvaluationConfig(batch=16, timing_batches=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("D3KE_OUT", str(tmp_path_factory.mktemp("out")))
        toy.shrink(patch)
        patch.setattr(synthetic, "make", toy_once)
        pipeline.figures(profile)
        return pipeline.folder(profile)


def toy_once(config: DataConfig, out: Path, *_: object) -> None:
    """In place of synthetic.make: toy records."""
    if not (out / "manifest.json").exists():
        toy.make_records(out)
