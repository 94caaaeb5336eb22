"""Where inverse kinematics starts: key frames solved from nothing, others between them, outliers again."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from d3ke_lib.body.ik.least_squares import Problem, descend
from d3ke_lib.body.ik.normal_equations import slopes_at
from d3ke_lib.body.ik.root_alignment import placed

KEY_EVERY = 8  # frames
TURN = 2 * math.pi
OUTLYING = 1.5  # × the median error: a frame that fits so badly is tried again


def from_keys(problem: Problem, pace: float, iterations: int) -> Float[Tensor, "frame coord"]:
    """Every eighth seen frame from the middle of the ranges; the frames between start between them.

    `pace` (m²) · |change in half ranges|² between key frames is what it costs to move from one to the next.
    """
    frames = len(problem.target)
    seen = torch.nonzero((problem.weight > 0).any(-1))[:, 0]
    if not len(seen):
        return _middle(problem, frames)
    keys = torch.unique(torch.cat([seen[::KEY_EVERY], seen[-1:]]))
    at = problem.at(keys)
    angles, _ = descend(at, placed(at, _middle(at, len(keys))), iterations)
    for _ in range(2):
        angles = unwound(at, _consistent(at, angles, pace, iterations))
    return placed(problem, _between(keys, angles, frames))


def unwound(problem: Problem, angles: Float[Tensor, "frame coord"]) -> Float[Tensor, "frame coord"]:
    """Whole turns taken out where a coordinate's range is wider than one; every marker stays where it is.

    Each frame comes nearest to the one before, all of them together to where the coordinate usually stands;
    a frame that would leave the range stays.
    """
    axes, count = problem.axes, len(problem.low)
    even = (slopes_at(problem.skeleton, axes, angles)[..., :count].abs() - 1).abs() < 1e-6
    alone = ~torch.isin(torch.arange(count, device=angles.device), axes.unknown[count:])
    wide = axes.turning[:count] & alone & (problem.high - problem.low > TURN)
    unknown = angles[:, axes.free]
    turns = ((unknown[1:] - unknown[:-1]) / TURN).round().cumsum(0)
    near = unknown - TURN * torch.cat([torch.zeros_like(unknown[:1]), turns])
    near = near - TURN * ((near.mean(0) - problem.usual) / TURN).round()
    moves = wide & even & (near >= problem.low) & (near <= problem.high)
    return angles.index_copy(-1, axes.free, torch.where(moves, near, unknown))


def _consistent(problem: Problem, angles: Tensor, pace: float, iterations: int) -> Float[Tensor, "key coord"]:
    """Of each key frame's solutions (its own, its neighbours') those that fit and follow each other best.

    Many poses put the markers nearly in the same place, a shoulder turned over itself for one. The cheapest
    path through the candidates (Viterbi) costs their fits plus `pace` (m²) · |change in half ranges|².
    """
    last = len(angles) - 1
    index = torch.arange(last + 1, device=angles.device)
    twice, neighbours = index.repeat(2), torch.cat([(index - 1).clamp(min=0), (index + 1).clamp(max=last)])
    at = problem.at(twice)
    found, _ = descend(at, placed(at, angles[neighbours]), iterations)
    choices = [angles, *found.chunk(2)]
    fit = torch.stack([problem.equations(choice).cost for choice in choices], 1)
    unknown = torch.stack(choices, 1)[..., problem.axes.free] / problem.reach
    change = torch.cdist(unknown[:-1], unknown[1:]).square() * pace
    return torch.stack(choices, 1)[index, _cheapest(fit.cpu(), change.cpu()).to(index)]


def _cheapest(
    fit: Float[Tensor, "key choice"], change: Float[Tensor, "step choice choice"]
) -> Int[Tensor, " key"]:
    """Viterbi's path: the choice at each key that makes the sum of fits and changes least."""
    total, back = fit[0], []
    for here, step in zip(fit[1:], change):
        best = (total[:, None] + step).min(0)
        back.append(best.indices)
        total = best.values + here
    path = [total.argmin()]
    for choices in reversed(back):
        path.append(choices[path[-1]])
    return torch.stack(path[::-1])


def _middle(problem: Problem, frames: int) -> Tensor:
    return problem.rest.expand(frames, -1).index_copy(-1, problem.axes.free, problem.usual.expand(frames, -1))


def _between(keys: Int[Tensor, " key"], angles: Tensor, frames: int) -> Float[Tensor, "frame coord"]:
    """Straight lines between the key frames."""
    at = torch.arange(frames, device=keys.device)
    after = torch.searchsorted(keys, at).clamp(max=len(keys) - 1)
    before = (after - 1).clamp(min=0)
    share = (at - keys[before]) / (keys[after] - keys[before]).clamp(min=1)
    return torch.lerp(angles[before], angles[after], share.clamp(0, 1).to(angles)[:, None])


def repaired(problem: Problem, angles: Tensor, rested: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Frames that fit worse than their like, again from the nearest good frame before and after."""
    cost, bad = _judged(problem, angles)
    good = torch.nonzero(~bad)[:, 0]
    if not bad.any() or not len(good):
        return angles, rested
    frames = torch.nonzero(bad)[:, 0]
    place = torch.searchsorted(good, frames)
    angles, rested = angles.clone(), rested.clone()
    for side in (place - 1, place):
        start = angles[good[side.clamp(0, len(good) - 1)]]
        found, still = descend(problem.at(frames), start, iterations)
        there, _ = _judged(problem.at(frames), found)
        better = there < cost[frames]
        angles[frames[better]], rested[frames[better]] = found[better], still[better]
        cost[frames[better]] = there[better]
    return angles, rested


def outliers(problem: Problem, angles: Tensor) -> Bool[Tensor, " frame"]:
    """Frames that fit worse than their like."""
    return _judged(problem, angles)[1]


def _judged(problem: Problem, angles: Tensor) -> tuple[Tensor, Bool[Tensor, " frame"]]:
    """Cost of each frame per weight, and whether it stands out."""
    total = problem.weight.sum(-1).clamp(min=1e-9)
    cost = problem.equations(angles).cost / total
    seen = (problem.weight > 0).any(-1)
    usual = cost[seen].median() if seen.any() else cost.median()
    return cost, cost > OUTLYING**2 * usual + 100 * problem.negligible / total
