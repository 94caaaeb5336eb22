"""Chains of frames: block elimination against one dense system."""

import pytest
import torch

from d3ke_lib.body.ik.block_banded import solve_chain


def dense(own, one, two):
    frames, unknowns = one.shape
    whole = torch.zeros(frames, unknowns, frames, unknowns, dtype=torch.float64)
    for t in range(frames):
        whole[t, :, t] = own[t]
        for apart, tie in ((1, one), (2, two)):
            if t + apart < frames:
                whole[t, :, t + apart] = whole[t + apart, :, t] = tie[t].diag()
    return whole.reshape(frames * unknowns, -1)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 17])
def test_block_elimination_equals_a_dense_solution(frames):
    draws = torch.Generator().manual_seed(frames)
    root = torch.randn(frames, 5, 5, generator=draws, dtype=torch.float64)
    own = root @ root.mT + 10 * torch.eye(5)
    one, two, right = torch.randn(3, frames, 5, generator=draws, dtype=torch.float64)
    expected = torch.linalg.solve(dense(own, one, two), right.flatten()).view(frames, 5)
    torch.testing.assert_close(solve_chain(own, one, two, right), expected, rtol=0, atol=1e-12)
    found = solve_chain(own.float(), one.float(), two.float(), right.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
