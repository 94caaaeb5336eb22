"""Least squares over coordinates: Levenberg–Marquardt by frame, or all frames under a smoothness prior."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.ik.block_banded import solve_chain
from d3ke_lib.body.ik.normal_equations import Axes, Equations, equations
from d3ke_lib.body.kinematics import Skeleton

STEP_CAP = 0.5  # rad (m for slides): a linearisation says nothing further away
TOLERANCE = 1e-5  # m: nobody needs markers to fit closer
STILL = 1e-4  # a frame rests when a step promises to save less than this share of its cost
SETTLED = 1e-3  # the same for frames solved together
NEARLY_ALL = 0.95  # of the frames: the others are worth steps of their own
EPSILON = 1e-6  # of the mean curvature: what keeps a direction that no marker sees from dividing by zero


class Problem(NamedTuple):
    """Frames of markers to be met by `axes.free` of the skeleton's coordinates.

    `pull` (m²/rad²) · |unknown − usual|² is added to each frame's cost. Targets are finite even where
    `weight` is 0.
    """

    skeleton: Skeleton
    axes: Axes
    scales: Float[Tensor, "*frame body 3"]
    target: Float[Tensor, "frame marker 3"]
    weight: Float[Tensor, "frame marker"]
    low: Float[Tensor, " unknown"]
    high: Float[Tensor, " unknown"]
    usual: Float[Tensor, " unknown"]
    pull: Float[Tensor, " unknown"]
    reach: Float[Tensor, " unknown"]  # half ranges, rad or m: how much an unknown may well move
    rest: Float[Tensor, " coord"]  # where what is not solved for stays

    def at(self, frames: Tensor | slice) -> "Problem":
        """The same problem for some of its frames."""
        scales = self.scales[frames] if self.scales.ndim == 3 else self.scales
        return self._replace(scales=scales, target=self.target[frames], weight=self.weight[frames])

    def equations(self, angles: Float[Tensor, "frame coord"]) -> Equations:
        """Normal equations at `angles`, the pull included."""
        at = equations(self.skeleton, self.axes, angles, self.scales, self.target, self.weight)
        away = self.usual - angles[..., self.axes.free]
        at.hessian.diagonal(dim1=-2, dim2=-1).add_(self.pull)
        return at._replace(
            descent=at.descent + self.pull * away, cost=at.cost + (self.pull * away.square()).sum(-1)
        )

    @property
    def negligible(self) -> Float[Tensor, " frame"]:
        """A cost that is not worth a step."""
        return self.weight.sum(-1) * TOLERANCE**2

    def held(self, angles: Tensor, descent: Tensor) -> Bool[Tensor, "frame unknown"]:
        """Unknowns that stand at a bound and would leave it."""
        unknown = angles[..., self.axes.free]
        return ((unknown <= self.low) & (descent < 0)) | ((unknown >= self.high) & (descent > 0))

    def moved(self, angles: Tensor, step: Tensor) -> Float[Tensor, "frame coord"]:
        unknown = (angles[..., self.axes.free] + step).clamp(self.low, self.high)
        return angles.index_copy(-1, self.axes.free, unknown)


class State(NamedTuple):
    """Where the descent of some frames stands."""

    angles: Tensor
    equations: Equations
    damping: Tensor
    done: Tensor


def descend(
    problem: Problem, angles: Float[Tensor, "frame coord"], iterations: int
) -> tuple[Float[Tensor, "frame coord"], Bool[Tensor, " frame"]]:
    """Levenberg–Marquardt on every frame by itself: coordinates, and which frames came to rest.

    Damping is in proportion to the cost (Yamashita & Fukushima 2001): strong far away, gone at a good fit.
    """
    angles, rested = angles.clone(), torch.zeros(len(angles), dtype=torch.bool, device=angles.device)
    frames = torch.arange(len(angles), device=angles.device)
    at = problem.equations(angles)
    state = State(angles, at, torch.ones_like(at.cost), rested.clone())
    for _ in range(iterations):
        state = _improve(problem, state)
        if state.done.float().mean() > 0.3:  # carry on with the others alone
            angles[frames], rested[frames] = state.angles, state.done
            left = ~state.done
            frames, problem, state = frames[left], problem.at(left), _select(state, left)
        if not len(frames):
            break
    angles[frames], rested[frames] = state.angles, state.done
    return angles, rested


def _select(state: State, frames: Tensor) -> State:
    found = Equations(*(part[frames] for part in state.equations))
    return State(state.angles[frames], found, state.damping[frames], state.done[frames])


def _improve(problem: Problem, state: State) -> State:
    """One step for every frame, kept where it lowers the cost."""
    at = state.equations
    step, promised = _step(problem, state)
    trial = problem.moved(state.angles, step)
    there = problem.equations(trial)
    better = there.cost < at.cost
    merged = Equations(*(_where(better, new, old) for new, old in zip(there, at)))
    done = (promised < STILL * at.cost + problem.negligible) & (state.damping < 10.0)
    damping = torch.where(better, state.damping * 0.2, state.damping * 5).clamp(1e-6, 1e6)
    return State(_where(better, trial, state.angles), merged, damping, done)


def _where(which: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(which.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _step(problem: Problem, state: State) -> tuple[Tensor, Tensor]:
    """A damped and capped step within the bounds, and the cost it promises to save."""
    at = state.equations
    ridge = state.damping * at.cost + EPSILON * (1e-6 + at.hessian.diagonal(dim1=-2, dim2=-1).mean(-1))
    held = problem.held(state.angles, at.descent)
    descent = at.descent.masked_fill(held, 0.0)
    factor = held_factor(at.hessian, held, ridge[:, None])
    step = torch.cholesky_solve(descent[..., None], factor)[..., 0]
    step = step * (STEP_CAP / step.abs().amax(-1, keepdim=True).clamp(min=STEP_CAP))
    return step, (descent * step).sum(-1)


def held_factor(hessian: Tensor, held: Tensor, ridge: Tensor) -> Float[Tensor, "frame unknown unknown"]:
    """Cholesky factor with held unknowns cut out (their row and column are the identity's)."""
    kept = (~held).to(hessian)
    matrix = hessian * (kept[..., :, None] * kept[..., None, :])
    matrix.diagonal(dim1=-2, dim2=-1).add_(torch.where(held, 1.0, ridge))
    return torch.linalg.cholesky_ex(matrix)[0]


def settle(
    problem: Problem,
    angles: Float[Tensor, "frame coord"],
    stiffness: Float[Tensor, "#inner unknown"],
    iterations: int,
    everyone: bool = False,
) -> tuple[Float[Tensor, "frame coord"], Bool[Tensor, " frame"]]:
    """All frames together: their costs plus `stiffness` (m²/rad²) · |second difference over time|².

    Gauss–Newton with a little damping, until nearly all frames rest, or `everyone`; coordinates, and which
    frames came to rest.
    """
    damping, rested = 1e-3, torch.zeros(len(angles), dtype=torch.bool, device=angles.device)
    at, bent = problem.equations(angles), bending(angles[:, problem.axes.free])
    stiffness = stiffness.expand_as(bent)
    for _ in range(iterations):
        descent = at.descent - bending_adjoint(stiffness * bent)
        held = problem.held(angles, descent)
        descent = descent.masked_fill(held, 0.0)
        step = _joint_step(at.hessian, held, damping * at.cost, stiffness, descent)
        rested = (descent * step).sum(-1) < SETTLED * at.cost + problem.negligible
        trial = problem.moved(angles, step.clamp(-STEP_CAP, STEP_CAP))
        there, bent_there = problem.equations(trial), bending(trial[:, problem.axes.free])
        saved = (at.cost - there.cost).sum() + (stiffness * (bent.square() - bent_there.square())).sum()
        if saved > 0:
            angles, at, bent = trial, there, bent_there
        damping *= 0.2 if saved > 0 else 5
        if rested.float().mean() >= (1.0 if everyone else NEARLY_ALL):
            break
    return angles, rested


def bending(rows: Float[Tensor, "frame unknown"]) -> Float[Tensor, "inner unknown"]:
    """Second differences over time."""
    return rows[2:] - 2 * rows[1:-1] + rows[:-2]


def bending_adjoint(bent: Float[Tensor, "inner unknown"]) -> Float[Tensor, "frame unknown"]:
    """The transpose of `bending`."""
    return _spread(bent, (1, -2, 1))


def _spread(inner: Tensor, shares: tuple[int, ...]) -> Float[Tensor, "frame unknown"]:
    """Every row's shares, added to the frames from its first one on."""
    rows = inner.new_zeros(len(inner) + 2, inner.shape[1])
    for i, share in enumerate(shares):
        rows[i : i + len(inner)] += share * inner
    return rows


def _joint_step(
    hessian: Tensor, held: Tensor, ridge: Tensor, stiffness: Float[Tensor, "inner unknown"], right: Tensor
) -> Float[Tensor, "frame unknown"]:
    """(blocks + ridge + DᵀSD)⁻¹ right, where D takes second differences; held unknowns stay."""
    kept = (~held).to(right)
    own = hessian * (kept[..., :, None] * kept[..., None, :])
    ridge = ridge[:, None] + EPSILON * 1e-3 + _spread(stiffness, (1, 4, 1))
    own.diagonal(dim1=-2, dim2=-1).add_(torch.where(held, 1.0, ridge))
    next_, after = _spread(stiffness, (-2, -2)), _spread(stiffness, (1,))
    next_[:-1] *= kept[:-1] * kept[1:]
    after[:-2] *= kept[:-2] * kept[2:]
    return solve_chain(own, next_, after, right)
