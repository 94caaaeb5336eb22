"""What all tests share: where the team's shared folder is, and one thread a test process."""

from pathlib import Path

import pytest
import torch
from bmlmovi_fixture import generate as fixture

ROOT = Path(__file__).parents[1]
torch.set_num_threads(1)  # threads that wait for busy cores made small trainings 20 times slower


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with parity vectors and reference models; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder.name}/ is not beside the checkout: comparison with the released D3KE left out")
    return folder


@pytest.fixture(scope="session")
def bmlmovi_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Downloads of a small synthetic BMLmovi, with the truth: never written to."""
    config = fixture.FixtureConfig(subjects=(1, 2, 3, 4, 5), frames=5, between=1)
    return fixture.make(config, tmp_path_factory.mktemp("bmlmovi"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
