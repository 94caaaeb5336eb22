"""What all tests share: where the team's shared folder is, and one thread per test process."""

import os
from pathlib import Path

import pytest
import torch
from bmlmovi_fixture import generate as fixture
from xdist.scheduler import LoadScopeScheduling

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.people.template import prepare_template
from d3ke_lib.files import D3keError

ROOT = Path(__file__).parents[1]
# Notebooks that use each other's runs, and tests of one trained profile.
GROUPS = {
    "pipeline": ("02_data", "04_frame", "05_temporal", "06_evaluation", "07_figures"),
    "toy_profile": ("test_figures", "test_findings", "test_report"),
}
os.environ.setdefault("D3KE_PEOPLE", str(ROOT / "out" / "people"))  # one template for all tests
torch.set_num_threads(1)  # threads that wait for busy cores made small trainings 20 times slower


class ByFile(LoadScopeScheduling):
    """What one worker carries out: a file, so that its costly fixtures are made once; GROUPS are together."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return next((name for name, stems in GROUPS.items() if file.stem in stems), str(file))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


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


@pytest.fixture(scope="session")
def people_folder() -> Path:
    """Where the template of people is, made if need be; skips where the package index cannot be reached."""
    folder = settings.read().people
    try:
        prepare_template(folder, default_skeleton().double())
    except D3keError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
