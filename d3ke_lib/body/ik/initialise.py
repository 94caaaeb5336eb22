"""Where inverse kinematics starts: key frames from the middle of the ranges, the others between them.

Many poses put the markers nearly in the same place, a shoulder rotated over itself for one. Key frames that
fit worse than the others or differ much from their neighbours are tried again from there.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from d3ke_lib.body.ik.least_squares import Descent, Problem, descend
from d3ke_lib.body.ik.normal_equations import is_even
from d3ke_lib.body.ik.root_alignment import align_root

KEY_EVERY = 8  # frames
_FULL_TURN = 2 * math.pi
OUTLYING = 1.5  # × the median error: a frame that fits so badly is tried again
_JUMP = 0.6  # rad (m for slides) between key frames: more is not taken for motion without a trial
NEAR = 1e-2  # the damping to begin with where a solution is near


def initial_unknowns(problem: Problem, pace: float, iterations: int) -> Float[Tensor, "frame unknown"]:
    """Every eighth seen frame from the middle of the ranges; the frames between start between them.

    `pace` (m²) · |change in half ranges|² between key frames is what it costs to move from one to the next.
    """
    frames = len(problem)
    seen = torch.nonzero((problem.weight > 0).any(0))[:, 0]
    if not len(seen):
        return problem.usual.expand(frames, -1)
    keys = torch.unique(torch.cat([seen[::KEY_EVERY], seen[-1:]]))
    at = problem.at(keys)
    found = descend(at, align_root(at, problem.usual.expand(len(keys), -1)), iterations)
    for _ in range(2):
        doubtful = _doubtful(at, found)
        if not len(doubtful):
            break
        found = _consistent(at, found, doubtful, pace, iterations)
    return _interpolate(problem, keys, unwind(at, found.unknown))


def _doubtful(problem: Problem, found: Descent) -> Int[Tensor, " key"]:
    """Key frames that fit worse than the others, or jump from or to a neighbour."""
    jumps = _jumps(found.unknown)
    doubt = outliers(problem, found.cost)
    doubt[1:] |= jumps
    doubt[:-1] |= jumps
    return torch.nonzero(doubt)[:, 0]


def _jumps(unknown: Tensor) -> Bool[Tensor, " step"]:
    return ((unknown[1:] - unknown[:-1]).abs() > _JUMP).any(-1)


def unwind(problem: Problem, unknown: Float[Tensor, "frame unknown"]) -> Float[Tensor, "frame unknown"]:
    """Full turns taken out where a coordinate's range is wider than one; every marker stays where it is.

    Each frame comes nearest to the one before, all of them together to where the coordinate usually stands;
    a frame that would leave the range stays.
    """
    axes, count = problem.axes, len(problem.low)
    turns = ((unknown[1:] - unknown[:-1]) / _FULL_TURN).round()
    lap = ((unknown - problem.usual) / _FULL_TURN).round()
    if not bool(turns.any() | lap.any()):
        return unknown
    alone = ~torch.isin(torch.arange(count, device=unknown.device), axes.further)
    rotates = axes.amount[:count] < len(problem.skeleton.rotations)
    wide = rotates & alone & (problem.high - problem.low > _FULL_TURN)
    near = unknown - _FULL_TURN * torch.cat([torch.zeros_like(unknown[:1]), turns.cumsum(0)])
    near = near - _FULL_TURN * ((near.mean(0) - problem.usual) / _FULL_TURN).round()
    even = is_even(problem.drive, axes, unknown)
    return torch.where(wide & even & (near >= problem.low) & (near <= problem.high), near, unknown)


def _consistent(
    problem: Problem, found: Descent, doubtful: Int[Tensor, " doubtful"], pace: float, iterations: int
) -> Descent:
    """Of each key frame's solutions (its own, its neighbours') those that fit and follow each other best.

    The cheapest path through the candidates (Viterbi) costs their fits plus `pace` (m²) · |change in half
    ranges|².
    """
    last, count = len(found.unknown) - 1, len(doubtful)
    neighbours = torch.cat([(doubtful - 1).clamp(min=0), (doubtful + 1).clamp(max=last)])
    at = problem.at(doubtful.repeat(2))
    tried = descend(at, align_root(at, found.unknown[neighbours]), iterations)
    choices = [found, *(found.take(doubtful, tried.at(part)) for part in (slice(count), slice(count, None)))]
    choices = [choice._replace(unknown=unwind(problem, choice.unknown)) for choice in choices]
    fit = torch.stack([choice.cost for choice in choices], 1)
    unknown = torch.stack([choice.unknown for choice in choices], 1)
    change = torch.cdist(unknown[:-1] / problem.reach, unknown[1:] / problem.reach).square() * pace
    best = _cheapest_path(fit.cpu(), change.cpu()).to(doubtful)
    index = torch.arange(last + 1, device=best.device)
    rested = torch.stack([choice.rested for choice in choices], 1)
    return Descent(unknown[index, best], fit[index, best], rested[index, best])


def _cheapest_path(
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


def _interpolate(
    problem: Problem, keys: Int[Tensor, " key"], unknown: Float[Tensor, "key unknown"]
) -> Float[Tensor, "frame unknown"]:
    """Straight lines between the key frames; where those jump, the root is brought to the markers again."""
    at = torch.arange(len(problem), device=keys.device)
    after = torch.searchsorted(keys, at).clamp(max=len(keys) - 1)
    before = (after - 1).clamp(min=0)
    share = (at - keys[before]) / (keys[after] - keys[before]).clamp(min=1)
    frames = torch.lerp(unknown[before], unknown[after], share.clamp(0, 1).to(unknown)[:, None])
    jump = torch.cat([_jumps(unknown), torch.zeros_like(keys[:1], dtype=torch.bool)])
    rows = torch.nonzero(jump[before])[:, 0]
    if not len(rows):
        return frames
    return frames.index_copy(0, rows, align_root(problem.at(rows), frames[rows]))


def repair(problem: Problem, found: Descent, iterations: int) -> Descent:
    """Frames that fit worse than the others, again from the nearest good frame before and after."""
    bad = outliers(problem, found.cost)
    good = torch.nonzero(~bad)[:, 0]
    frames = torch.nonzero(bad)[:, 0]
    if not len(frames) or not len(good):
        return found
    at, next_good = problem.at(frames), torch.searchsorted(good, frames)
    for side in (next_good - 1, next_good):
        start = found.unknown[good[side.clamp(0, len(good) - 1)]]
        found = found.take(frames, found.at(frames).better(descend(at, start, iterations)))
    return found


def outliers(problem: Problem, cost: Float[Tensor, " frame"]) -> Bool[Tensor, " frame"]:
    """Frames whose cost per weight stands out."""
    total = problem.weight.sum(0).clamp(min=1e-9)
    share, seen = cost / total, (problem.weight > 0).any(0)
    usual = (share[seen] if bool(seen.any()) else share).median()
    return share > OUTLYING**2 * usual + 100 * problem.negligible / total
