"""A chain of frames each tied to the next two: the exact solution of its normal equations."""

import torch
from jaxtyping import Float
from torch import Tensor


def solve_chain(
    own: Float[Tensor, "frame unknown unknown"],
    next_: Float[Tensor, "frame unknown"],
    after: Float[Tensor, "frame unknown"],
    right: Float[Tensor, "frame unknown"],
) -> Float[Tensor, "frame unknown"]:
    """x of A x = right, A symmetric and positive definite, by block elimination from the first frame on.

    A's blocks are `own` on the diagonal and diagonal matrices next to it: `next_`[t] between frames t and
    t + 1, `after`[t] between t and t + 2 (what stands beyond the last frame is not used). Computed in
    float64, because a prior on motion is many orders of magnitude softer for slow motion than for fast;
    returned in the dtype of `right`. Time grows with frame · unknown³, memory with frame · unknown².
    """
    frames = len(right)
    block, one, two, value = (part.double() for part in (own, next_, after, right))
    # With frames up to t eliminated: S[t] is what is left of own, E[t] of the block that ties t + 1 to t.
    inverse, gain, reduced = [], [], [value[0]]
    left, tie = block[0], one[0].diag()
    for t in range(frames):
        inverse.append(torch.cholesky_inverse(torch.linalg.cholesky_ex(left)[0]))
        gain.append(inverse[t] @ tie.T)  # S⁻¹ Eᵀ
        if t + 1 == frames:
            break
        left = torch.addmm(block[t + 1], tie, gain[t], alpha=-1)
        rest = value[t + 1] - gain[t].T @ reduced[t]
        if t:
            left = left - inverse[t - 1] * two[t - 1] * two[t - 1][:, None]
            rest = rest - two[t - 1] * (inverse[t - 1] @ reduced[t - 1])
        reduced.append(rest)
        tie = one[t + 1].diag() - two[t][:, None] * gain[t]
    return _substituted(inverse, gain, two, reduced).to(right)


def _substituted(
    inverse: list[Tensor], gain: list[Tensor], two: Tensor, reduced: list[Tensor]
) -> Float[Tensor, "frame unknown"]:
    """From the last frame back: x[t] = S⁻¹ (reduced[t] − Eᵀ x[t + 1] − after[t] x[t + 2])."""
    frames = len(reduced)
    x = [inverse[-1] @ reduced[-1]]
    for t in range(frames - 2, -1, -1):
        known = reduced[t] - two[t] * x[-2] if t + 2 < frames else reduced[t]
        x.append(inverse[t] @ known - gain[t] @ x[-1])
    return torch.stack(x[::-1])
