"""The body the tests run on, toy records, and a network small enough to be trained in a test."""

from pathlib import Path

import pytest
import toy

from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.nets import backbone


@pytest.fixture(scope="session")
def body_path() -> Path:
    return BODY_FILE


@pytest.fixture(scope="session")
def toy_records(tmp_path_factory) -> Path:
    return toy.make_records(tmp_path_factory.mktemp("records"))


@pytest.fixture
def small_networks(monkeypatch) -> None:
    monkeypatch.setattr(backbone, "build", toy.small_backbone)
