"""Scale factors and motion from the same markers: one size for all frames, found with the poses.

At fixed coordinates markers are linear in the scale factors. Gauss–Newton over both: each frame's coordinates
are eliminated (Schur complement), which leaves as many equations as there are factors.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.ik.least_squares import STEP_CAP, Problem, descend, reduced_factor
from d3ke_lib.body.ik.linkage import links
from d3ke_lib.body.ik.normal_equations import equations
from d3ke_lib.body.ik.solve import Prior, Residuals, prepare, solve, solve_window
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose

_FRAMES = 24  # that decide the size, evenly spread over those with a marker
_RIDGE = 1e-6  # m²/rad²: directions of a frame's coordinates that no marker sees
_DAMPING = 1e-3  # at the start, times the cost
_STEPS = 6  # of a round
_SAVED = 1e-3  # a step or round that saves less of the cost is the last
_SMALLEST, _LARGEST = 0.3, 3.0  # ratios that a subject may have to the file


class _Size(NamedTuple):
    """Ratios to the file's factors, tied; `index` (body, 3) says which one scales which axis.

    The index after the last stands for bodies that a spec leaves out: they keep the file's factors.
    """

    ratio: Float[Tensor, " tied"]
    index: Int[Tensor, "body 3"]

    def scales(self, generic: Float[Tensor, "body 3"]) -> Float[Tensor, "body 3"]:
        return generic * torch.cat([self.ratio, torch.ones_like(self.ratio[:1])])[self.index]


class _State(NamedTuple):
    """Where the search stands; `cost` is Σ weight · distance² plus what straying from the file costs."""

    size: _Size
    unknown: Float[Tensor, "frame unknown"]
    cost: Float[Tensor, ""]
    damping: float


def solve_with_scales(
    skeleton: Skeleton,
    markers: Float[Tensor, "frame marker 3"],
    *,
    weights: Float[Tensor, "*rows marker"] | None = None,
    prior: Prior | None = None,
    spread: float = 0.1,
    noise: float = 2e-3,
    rounds: int = 8,
) -> tuple[Pose, Residuals]:
    """`solve` with scale factors found as well (they are in the Pose, the same in every frame).

    Factors tied by the spec stay tied; without one every body has three of its own. A factor is taken to be
    off by about `spread` of itself, markers by `noise` (m, for weight 1): what they do not tell stays as in
    the file. Raises ValueError when no marker is seen at all.
    """
    scales = find_scales(skeleton, markers, weights=weights, spread=spread, noise=noise, rounds=rounds)
    return solve(skeleton, markers, weights=weights, scales=scales, prior=prior)


def find_scales(
    skeleton: Skeleton,
    markers: Float[Tensor, "frame marker 3"],
    *,
    weights: Float[Tensor, "*rows marker"] | None = None,
    spread: float = 0.1,
    noise: float = 2e-3,
    rounds: int = 8,
    prior: Prior | None = None,
) -> Float[Tensor, "body 3"]:
    """The scale factors of `solve_with_scales`, from a few of the frames, without the motion.

    `prior`: what it believes of the poses of single frames.
    """
    seen = torch.nonzero(markers.isfinite().all(-1).any(-1))[:, 0]
    if not len(seen):
        raise ValueError(f"{skeleton.body.source}: none of {len(markers)} frames has a marker")
    some = seen[torch.linspace(0, len(seen) - 1, min(_FRAMES, len(seen))).long().to(seen.device)]
    own = weights[some] if weights is not None and weights.ndim == 2 else weights
    problem = prepare(skeleton, markers[some], own, None, "clamped", prior)
    size = _fitted(problem, _tied(skeleton, problem), (noise / spread) ** 2, rounds)
    return _of(skeleton, problem, size)


def _fitted(problem: Problem, size: _Size, firmness: float, rounds: int) -> _Size:
    """The size that, with the best pose found for each frame, costs least.

    One frame caught in a wrong pose (a shoulder turned over itself) bends the size for all; so poses are
    looked for anew at each better size, and each frame keeps the better of its two.
    """
    unknown = _afresh(problem, size)
    state = _State(size, unknown, _cost(problem, size, unknown, firmness), _DAMPING)
    for _ in range(rounds):
        before = state.cost
        state = _refined(problem, state, firmness)
        unknown = _better(_at(problem, state.size), state.unknown, _afresh(problem, state.size))
        state = _State(state.size, unknown, _cost(problem, state.size, unknown, firmness), _DAMPING)
        if before - state.cost < _SAVED * before:
            break
    return _refined(problem, state, firmness).size


def _refined(problem: Problem, state: _State, firmness: float) -> _State:
    """Levenberg–Marquardt over ratios and all frames' coordinates."""
    for _ in range(_STEPS):
        trial = _improved(problem, state, firmness)
        saved = state.cost - trial.cost
        if saved > 0:
            state = trial._replace(damping=state.damping * 0.2)
        else:
            state = state._replace(damping=state.damping * 5)
        if 0 < saved < _SAVED * state.cost:
            break
    return state


def _afresh(problem: Problem, size: _Size) -> Float[Tensor, "frame unknown"]:
    everything = slice(0, len(problem))
    return solve_window(_at(problem, size), None, (everything, everything), None, 40).unknown


def _better(problem: Problem, old: Tensor, new: Tensor) -> Float[Tensor, "frame unknown"]:
    cheaper = problem.cost(new) < problem.cost(old)
    return torch.where(cheaper[:, None], new, old)


def _tied(skeleton: Skeleton, problem: Problem) -> _Size:
    """Ratios of 1 for the bodies of the whole model; those that a spec leaves out stay as they are."""
    whole = problem.skeleton
    if skeleton.spec is None:
        index = torch.arange(3 * len(whole.bodies)).reshape(-1, 3)
        return _Size(torch.ones(index.numel()).to(whole.ranges), index.to(whole.ranges.device))
    count = len(skeleton.scale_middle)
    index = torch.full((len(whole.bodies), 3), count)
    index[[whole.bodies.index(name) for name in skeleton.bodies]] = skeleton.scale_index.cpu()
    return _Size(torch.ones(count).to(whole.ranges), index.to(whole.ranges.device))


def _of(skeleton: Skeleton, problem: Problem, size: _Size) -> Float[Tensor, "body 3"]:
    rows = [problem.skeleton.bodies.index(name) for name in skeleton.bodies]
    return size.scales(problem.skeleton.generic_scales)[rows]


def _improved(problem: Problem, state: _State, firmness: float) -> _State:
    """One damped Gauss–Newton step for both; then the coordinates settle at the new size."""
    by_size, by_angle = _steps(problem, state, firmness)
    size = state.size._replace(ratio=(state.size.ratio + by_size).clamp(_SMALLEST, _LARGEST))
    moved = problem.moved(state.unknown, by_angle.clamp(-STEP_CAP, STEP_CAP))
    unknown = descend(_at(problem, size), moved, 3).unknown
    return _State(size, unknown, _cost(problem, size, unknown, firmness), state.damping)


def _at(problem: Problem, size: _Size) -> Problem:
    scales = size.scales(problem.skeleton.generic_scales)
    return replace(problem, scales=scales, link=links(problem.skeleton, scales))


def _cost(problem: Problem, size: _Size, unknown: Tensor, firmness: float) -> Tensor:
    return _at(problem, size).cost(unknown).sum() + firmness * (size.ratio - 1).square().sum()


def _steps(problem: Problem, state: _State, firmness: float) -> tuple[Tensor, Tensor]:
    """Steps of ratios and coordinates from the joint normal equations; the active set stays."""
    size, unknown = state.size, state.unknown
    here = _at(problem, size)
    markers, columns = _columns(here, size, unknown)
    at, mixed = here.equations(unknown), _mixed(here, unknown, markers, columns)
    active = here.active(unknown, at.descent)
    mixed = mixed.masked_fill(active[..., None], 0.0)
    descent = at.descent.masked_fill(active, 0.0)
    ridge = _RIDGE + state.damping * at.cost
    factor = reduced_factor(at.hessian, active, ridge[:, None])
    solved = torch.cholesky_solve(torch.cat([mixed, descent[..., None]], -1), factor)
    heavy = problem.weight * columns
    curvature = torch.einsum("tcmf,scmf->ts", columns, heavy)
    curvature = curvature - torch.einsum("fut,fus->ts", mixed, solved[..., :-1])
    pull = torch.einsum("tcmf,cmf->t", heavy, problem.target - markers)
    pull = pull - torch.einsum("fut,fu->t", mixed, solved[..., -1]) - firmness * (size.ratio - 1)
    firm = firmness + state.damping * at.cost.sum()
    by_size = torch.linalg.solve(curvature + firm * torch.eye(len(pull)).to(pull), pull)
    return by_size, solved[..., -1] - solved[..., :-1] @ by_size


def _columns(
    problem: Problem, size: _Size, unknown: Tensor
) -> tuple[Float[Tensor, "3 marker frame"], Float[Tensor, "tied 3 marker frame"]]:
    """Markers, and how they move with each ratio: differences are exact, as they are linear in the ratios."""
    markers, found = problem.markers(unknown), []
    for i in range(len(size.ratio)):
        other = size.ratio.clone()
        other[i] += 1.0
        found.append(_at(problem, size._replace(ratio=other)).markers(unknown) - markers)
    return markers, torch.stack(found)


def _mixed(
    problem: Problem, unknown: Tensor, markers: Tensor, columns: Tensor
) -> Float[Tensor, "frame unknown tied"]:
    """JᵀW · column for every ratio: the descent that each column as a residual would give."""
    at, found = problem.posed(unknown), []
    for column in columns:
        target = markers + column
        found.append(
            equations(problem.skeleton, problem.axes, problem.link, at, target, problem.weight).descent
        )
    return torch.stack(found, -1)
