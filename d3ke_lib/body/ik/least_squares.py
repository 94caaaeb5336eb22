"""Least squares over unknowns: Levenberg–Marquardt per frame, or all frames under a smoothness prior."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from d3ke_lib.body.ik.block_banded import solve_chain
from d3ke_lib.body.ik.linkage import Links, Posed, Transmission, posed
from d3ke_lib.body.ik.normal_equations import Axes, Equations, equations
from d3ke_lib.body.kinematics import Skeleton

STEP_CAP = 0.5  # rad (m for slides): a linearisation says nothing further away
TOLERANCE = 1e-5  # m: nobody needs markers to fit closer
_STILL = 1e-4  # a frame rests when a step promises to save less than this share of its cost
_SETTLED = 1e-3  # the same for frames solved together
_NEARLY_ALL = 0.95  # of the frames: the others are worth steps of their own
_EPSILON = 1e-6  # of the mean curvature: what keeps a direction that no marker sees from dividing by zero


@dataclass(frozen=True)
class Problem:
    """Frames of markers to be met by the `free` coordinates of a skeleton, the unknowns.

    `pull` (m²/rad²) · |unknown − usual|² is added to each frame's cost. Targets are finite even where
    `weight` is 0.
    """

    skeleton: Skeleton
    free: Int[Tensor, " unknown"]  # indices into skeleton.coordinates
    drive: Transmission
    axes: Axes
    link: Links
    scales: Float[Tensor, "*frame body 3"]
    target: Float[Tensor, "3 marker frame"]
    weight: Float[Tensor, "marker frame"]
    low: Float[Tensor, " unknown"]
    high: Float[Tensor, " unknown"]
    usual: Float[Tensor, " unknown"]
    pull: Float[Tensor, " unknown"]
    reach: Float[Tensor, " unknown"]  # half ranges, rad or m: how much an unknown may well move
    rest: Float[Tensor, " coord"]  # where what is not solved for stays

    def __len__(self) -> int:
        return self.weight.shape[1]

    def at(self, frames: Tensor | slice) -> "Problem":
        """The same problem for some of its frames."""
        scales = self.scales[frames] if self.scales.ndim == 3 else self.scales
        target, weight = self.target[..., frames], self.weight[:, frames]
        return replace(self, link=self.link.at(frames), scales=scales, target=target, weight=weight)

    def posed(self, unknown: Float[Tensor, "frame unknown"]) -> Posed:
        return posed(self.skeleton, self.drive, self.link, unknown)

    def markers(self, unknown: Float[Tensor, "frame unknown"]) -> Float[Tensor, "3 marker frame"]:
        """Markers in ground, m."""
        return self.posed(unknown).markers(len(self.skeleton.order))

    def equations(self, unknown: Float[Tensor, "frame unknown"]) -> Equations:
        """Normal equations at `unknown`, the pull included."""
        at = self.posed(unknown)
        found = equations(self.skeleton, self.axes, self.link, at, self.target, self.weight)
        if not self.pulls:
            return found
        away = self.usual - unknown
        found.hessian.diagonal(dim1=-2, dim2=-1).add_(self.pull)
        cost = found.cost + (self.pull * away.square()).sum(-1)
        return Equations(found.hessian, found.descent + self.pull * away, cost)

    def cost(self, unknown: Float[Tensor, "frame unknown"]) -> Float[Tensor, " frame"]:
        """Σ weight · distance² plus the pull, m²."""
        square = (self.target - self.markers(unknown)).square().sum(0)
        return (self.weight * square).sum(0) + (self.pull * (self.usual - unknown).square()).sum(-1)

    @property
    def pulls(self) -> bool:
        return bool(self.pull.any())

    @property
    def negligible(self) -> Float[Tensor, " frame"]:
        """A cost that is not worth a step."""
        return self.weight.sum(0) * TOLERANCE**2

    def active(self, unknown: Tensor, descent: Tensor) -> Bool[Tensor, "frame unknown"]:
        """The active set: unknowns at a bound that would leave it."""
        return ((unknown <= self.low) & (descent < 0)) | ((unknown >= self.high) & (descent > 0))

    def moved(self, unknown: Tensor, step: Tensor) -> Float[Tensor, "frame unknown"]:
        return (unknown + step).clamp(self.low, self.high)

    def full(self, unknown: Float[Tensor, "frame unknown"]) -> Float[Tensor, "frame coord"]:
        """All coordinates, those not solved for at rest."""
        return self.rest.expand(len(unknown), -1).index_copy(-1, self.free, unknown)


class Descent(NamedTuple):
    """Where the descent of some frames stands or ended."""

    unknown: Float[Tensor, "frame unknown"]
    cost: Float[Tensor, " frame"]
    rested: Bool[Tensor, " frame"]

    def take(self, frames: Tensor, other: "Descent") -> "Descent":
        """These, with `frames` (indices) replaced by others."""
        return Descent(*(old.index_copy(0, frames, new) for old, new in zip(self, other)))

    def at(self, frames: Tensor | slice) -> "Descent":
        return Descent(*(part[frames] for part in self))

    def better(self, other: "Descent") -> "Descent":
        """Of every frame whichever costs less."""
        return Descent(*(_where(other.cost < self.cost, new, old) for old, new in zip(self, other)))


class _State(NamedTuple):
    unknown: Tensor
    equations: Equations
    damping: Tensor
    done: Tensor


def descend(
    problem: Problem, unknown: Float[Tensor, "frame unknown"], iterations: int, damping: float = 1.0
) -> Descent:
    """Levenberg–Marquardt on every frame by itself, from `damping` on: small where the start is near.

    Damping is in proportion to the cost (Yamashita & Fukushima 2001): strong far away, gone at a good fit.
    """
    at = problem.equations(unknown)
    still = torch.zeros_like(at.cost, dtype=torch.bool)
    state = _State(unknown, at, torch.full_like(at.cost, damping), still)
    found = Descent(unknown, at.cost, still)
    frames = torch.arange(len(unknown), device=unknown.device)
    for _ in range(iterations):
        state = _improve(problem, state)
        done = int(state.done.sum())
        if done == len(frames):
            break
        if done > 0.3 * len(frames):  # carry on with the others alone
            found = found.take(frames, Descent(state.unknown, state.equations.cost, state.done))
            left = torch.nonzero(~state.done)[:, 0]
            frames, problem, state = frames[left], problem.at(left), _select(state, left)
    return found.take(frames, Descent(state.unknown, state.equations.cost, state.done))


def _select(state: _State, frames: Tensor) -> _State:
    found = Equations(*(part[frames] for part in state.equations))
    return _State(state.unknown[frames], found, state.damping[frames], state.done[frames])


def _improve(problem: Problem, state: _State) -> _State:
    """One step for every frame, kept where it lowers the cost."""
    at = state.equations
    step, promised = _step(problem, state)
    trial = problem.moved(state.unknown, step)
    there = problem.equations(trial)
    better = there.cost < at.cost
    little = promised < _STILL * at.cost + problem.negligible
    done = little & ((state.damping < 10.0) | state.done)  # a frame at rest may well refuse further steps
    damping = (state.damping * torch.where(better, 0.2, 5.0)).clamp(1e-6, 1e6)
    if bool(better.all()):
        return _State(trial, there, damping, done)
    merged = Equations(*(_where(better, new, old) for new, old in zip(there, at)))
    return _State(_where(better, trial, state.unknown), merged, damping, done)


def _where(which: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(which.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _step(problem: Problem, state: _State) -> tuple[Tensor, Tensor]:
    """A damped and capped step within the bounds, and the cost it promises to save."""
    at = state.equations
    ridge = state.damping * at.cost + _EPSILON * (1e-6 + at.hessian.diagonal(dim1=-2, dim2=-1).mean(-1))
    active = problem.active(state.unknown, at.descent)
    descent = at.descent.masked_fill(active, 0.0)
    factor = reduced_factor(at.hessian, active, ridge[:, None])
    step = torch.cholesky_solve(descent[..., None], factor)[..., 0]
    step = step * (STEP_CAP / step.abs().amax(-1, keepdim=True).clamp(min=STEP_CAP))
    return step, (descent * step).sum(-1)


def reduced_factor(hessian: Tensor, active: Tensor, ridge: Tensor) -> Float[Tensor, "frame unknown unknown"]:
    """Cholesky factor without the active set (its rows and columns are the identity's)."""
    if bool(active.any()):
        kept = (~active).to(hessian)
        matrix = hessian * (kept[..., :, None] * kept[..., None, :])
        ridge = torch.where(active, 1.0, ridge)
    else:
        matrix = hessian.clone()
    matrix.diagonal(dim1=-2, dim2=-1).add_(ridge)
    return torch.linalg.cholesky_ex(matrix)[0]


def settle(
    problem: Problem,
    unknown: Float[Tensor, "frame unknown"],
    stiffness: Float[Tensor, "#inner unknown"],
    iterations: int,
    everyone: bool = False,
) -> Descent:
    """All frames together: their costs plus `stiffness` (m²/rad²) · |second difference over time|².

    Gauss–Newton with a little damping, until nearly all frames rest, or `everyone`.
    """
    damping, rested = 1e-3, torch.zeros(len(unknown), dtype=torch.bool, device=unknown.device)
    at, bent = problem.equations(unknown), _bending(unknown)
    stiffness = stiffness.expand_as(bent)
    for _ in range(iterations):
        descent = at.descent - _bending_adjoint(stiffness * bent)
        active = problem.active(unknown, descent)
        descent = descent.masked_fill(active, 0.0)
        step = _joint_step(at.hessian, active, damping * at.cost, stiffness, descent)
        rested = (descent * step).sum(-1) < _SETTLED * at.cost + problem.negligible
        trial = problem.moved(unknown, step.clamp(-STEP_CAP, STEP_CAP))
        there, bent_there = problem.equations(trial), _bending(trial)
        saved = (at.cost - there.cost).sum() + (stiffness * (bent.square() - bent_there.square())).sum()
        if saved > 0:
            unknown, at, bent = trial, there, bent_there
        damping *= 0.2 if saved > 0 else 5
        if rested.float().mean() >= (1.0 if everyone else _NEARLY_ALL):
            break
    return Descent(unknown, at.cost, rested)


def _bending(rows: Float[Tensor, "frame unknown"]) -> Float[Tensor, "inner unknown"]:
    """Second differences over time."""
    return rows[2:] - 2 * rows[1:-1] + rows[:-2]


def _bending_adjoint(bent: Float[Tensor, "inner unknown"]) -> Float[Tensor, "frame unknown"]:
    """The transpose of `_bending`."""
    return _spread(bent, (1, -2, 1))


def _spread(inner: Tensor, shares: tuple[int, ...]) -> Float[Tensor, "frame unknown"]:
    """Every row's shares, added to the frames from its first one on."""
    rows = inner.new_zeros(len(inner) + 2, inner.shape[1])
    for i, share in enumerate(shares):
        rows[i : i + len(inner)] += share * inner
    return rows


def _joint_step(
    hessian: Tensor, active: Tensor, ridge: Tensor, stiffness: Float[Tensor, "inner unknown"], right: Tensor
) -> Float[Tensor, "frame unknown"]:
    """(blocks + ridge + DᵀSD)⁻¹ right, where D takes second differences; the active set stays."""
    kept = (~active).to(right)
    own = hessian * (kept[..., :, None] * kept[..., None, :])
    ridge = ridge[:, None] + _EPSILON * 1e-3 + _spread(stiffness, (1, 4, 1))
    own.diagonal(dim1=-2, dim2=-1).add_(torch.where(active, 1.0, ridge))
    next_, after = _spread(stiffness, (-2, -2)), _spread(stiffness, (1,))
    next_[:-1] *= kept[:-1] * kept[1:]
    after[:-2] *= kept[:-2] * kept[2:]
    return solve_chain(own, next_, after, right)
