"""Streams of random numbers by name, not by order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d3ke_lib.data.seeds import seed_generator

PARTS = st.lists(st.integers(0, 2**40), min_size=1, max_size=4).map(tuple)


def first(parts):
    return torch.rand(4, generator=seed_generator(*parts)).tolist()


@settings(derandomize=True)
@given(a=PARTS, b=PARTS)
def test_streams_are_equal_only_for_equal_parts(a, b):
    assert (first(a) == first(b)) == (a == b)


def test_length_counts_and_nothing_is_global():
    state = torch.get_rng_state()
    assert first((1,)) != first((1, 0))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("parts", [(), (3, -1)])
def test_bad_parts(parts):
    with pytest.raises(ValueError, match="seed parts"):
        seed_generator(*parts)
