"""What all tests share: where the team's shared folder is, and one thread per test process."""

from pathlib import Path

import pytest
import torch
from bmlmovi_fixture import generate as fixture

ROOT = Path(__file__).parents[1]
PIPELINE = ("02_data", "04_frame", "05_temporal", "06_evaluation", "07_figures")
torch.set_num_threads(1)  # threads that wait for busy cores made small trainings 20 times slower


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one worker of `pytest --dist loadgroup` carries out: fixtures that are costly are made once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))


def group_of(item: pytest.Item) -> str:
    """Its file; notebooks that use each other's runs are together, as are tests of one trained profile."""
    if item.path.stem in PIPELINE:
        return "pipeline"
    return "toy_profile" if "toy_profile" in getattr(item, "fixturenames", ()) else str(item.path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder next to the checkout with parity vectors and reference models; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder.name}/ is not next to the checkout: no comparison with the released D3KE")
    return folder


@pytest.fixture(scope="session")
def bmlmovi_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Downloads of a small synthetic BMLmovi, with the truth: never written to."""
    config = fixture.FixtureConfig(subjects=(1, 2, 3, 4, 5), frames=5, between=1)
    return fixture.make(config, tmp_path_factory.mktemp("bmlmovi"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
