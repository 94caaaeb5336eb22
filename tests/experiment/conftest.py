"""The body the tests run on: our own, or the released one beside the checkout until ours is made."""

from pathlib import Path

import pytest

from d3ke_lib.body.spec import BODY_FILE


@pytest.fixture(scope="session")
def body_path(request) -> Path:
    if BODY_FILE.is_file():
        return BODY_FILE
    return request.getfixturevalue("shared") / "assets" / "d3ke" / "full_body_wo_hands.osim"
