"""Inverse kinematics: markers → coordinates, all frames at once.

Key frames first, from the middle of the ranges; the others between them; a frame that fits worse than the
others is tried again from its neighbours; at the end, where asked, all frames together under a prior that
motion is smooth, given up between frames that no smooth motion joins.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.ik.initialise import KEY_EVERY, NEAR, OUTLYING, initial_unknowns, outliers, repair, unwind
from d3ke_lib.body.ik.least_squares import Descent, Problem, descend, settle
from d3ke_lib.body.ik.linkage import links, transmission
from d3ke_lib.body.ik.normal_equations import axes_of
from d3ke_lib.body.ik.prior import Prior, pull_of
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose

_SPEED = 4.0  # half ranges per s: what a coordinate may well do
_WINDOW, _OVERLAP = 960, 24  # frames solved together, and how many of them are solved twice
_FULL_TURN = 6.3  # rad: ranges beyond this bound nothing
_FARTHEST = 3.14  # rad or m: what counts as half of a wide range; who turns further comes round again


class Residuals(NamedTuple):
    """What is left over, per frame.

    `converged`: no step promises a better fit. `outlying`: it fits much worse than the other frames do, from
    their coordinates as well: its markers are wrong, or the body cannot do this.
    """

    distance: Float[Tensor, "frame marker"]  # m, NaN where the marker is missing
    rms: Float[Tensor, " frame"]  # m, over the markers with weight; NaN where there is none
    converged: Bool[Tensor, " frame"]
    outlying: Bool[Tensor, " frame"]
    root: Float[Tensor, "frame 3"]  # the root joint in ground, m (a Pose with R_ground_root does not say)


class UnseenFrames(UserWarning):
    """Frames without a single marker: their coordinates are taken from the frames around them."""


def solve(
    skeleton: Skeleton,
    markers: Float[Tensor, "frame marker 3"],
    *,
    weights: Float[Tensor, "*rows marker"] | None = None,
    scales: Float[Tensor, "*frame body 3"] | None = None,
    start: Float[Tensor, "*frame coord"] | None = None,
    bounds: Literal["clamped", "all", "none"] = "clamped",
    prior: Prior | None = None,
    iterations: int = 100,
    progress: Callable[[int], object] | None = None,
) -> tuple[Pose, Residuals]:
    """Coordinates (rad, m) that bring the skeleton's markers to `markers` (ground, m; NaN = missing).

    Minimises Σ weight · distance² in each frame, plus what `prior` adds; weights are per marker, or per
    frame and marker. Locked coordinates keep their default, coupled ones follow; `bounds`: whose range
    holds, that of coordinates the file clamps (as in OpenSim), of all, of none. With a spec the selected
    coordinates, the root's rotation and its place are solved for. Runs in the dtype and on the device of
    the skeleton. Raises ValueError on wrong shapes, for a model with loops of joints and when no marker is
    seen at all; warns of `UnseenFrames`. A frame that did not converge is marked in the residuals.
    `progress` is called with the number of frames of each part that is solved.
    """
    problem = prepare(skeleton, markers, weights, scales, bounds, prior)
    given = None if start is None else _given(skeleton, problem, start)
    parts = []
    for rows in _windows(len(markers), prior):
        parts.append(solve_window(problem, given, rows, prior, iterations))
        if progress is not None:
            progress(len(parts[-1].unknown))
    found = Descent(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return _pose(skeleton, problem, found), _residuals(problem, markers, found)


def prepare(
    skeleton: Skeleton, markers: Tensor, weights: Tensor | None, scales: Tensor | None, bounds: str,
    prior: Prior | None,
) -> Problem:  # fmt: skip
    """What `solve` solves, checked, in the dtype and on the device of the skeleton."""
    _refuse_loops(skeleton)
    whole = _with_own_root(skeleton)
    markers = markers.to(whole.ranges)
    weight = _weights(skeleton, markers, weights)
    return _problem(skeleton, whole, markers, weight, scales, bounds, prior)


def _refuse_loops(skeleton: Skeleton) -> None:
    loops = [constraint.name for constraint in skeleton.body.constraints if constraint.closes_loop]
    if loops:
        raise ValueError(f"{skeleton.body.source}: expected no loop of joints, found constraints {loops}")


def _weights(skeleton: Skeleton, markers: Tensor, weights: Tensor | None) -> Float[Tensor, "frame marker"]:
    source, count = skeleton.body.source, len(skeleton.markers)
    if markers.shape[1] != count:
        raise ValueError(f"{source}: expected {count} markers, as skeleton.markers, found {markers.shape[1]}")
    if weights is None:
        weights = skeleton.marker_weights if skeleton.spec else torch.ones(count)
    if weights.shape not in ((count,), markers.shape[:2]) or not (weights >= 0).all():
        found = f"{tuple(weights.shape)}, least {weights.min():g}"
        raise ValueError(f"{source}: expected {count} weights of 0 or more (or per frame), found {found}")
    weight = weights.to(markers) * markers.isfinite().all(-1)
    unseen = (weight == 0).all(-1)
    if unseen.all():
        raise ValueError(f"{source}: none of {len(markers)} frames has a marker with weight")
    if unseen.any():
        warnings.warn(f"{int(unseen.sum())} frames without a marker", UnseenFrames, stacklevel=4)
    return weight


def _with_own_root(skeleton: Skeleton) -> Skeleton:
    """A spec's skeleton as a whole body: its root moves by coordinates, selected ones ignore couplers."""
    if skeleton.spec is None:
        return skeleton
    body, by_name = skeleton.body, {m.name: m for m in skeleton.body.markers}
    couplers = tuple(c for c in body.couplers if c.dependent not in skeleton.coordinates)
    markers = tuple(by_name[name] for name in skeleton.markers)
    return Skeleton(replace(body, couplers=couplers, markers=markers)).to(skeleton.ranges)


def _problem(
    skeleton: Skeleton, whole: Skeleton, markers: Tensor, weight: Tensor, scales: Tensor | None, bounds: str,
    prior: Prior | None,
) -> Problem:  # fmt: skip
    known = {c.name: c for c in whole.body.coordinates}
    indices = _free(skeleton, whole)
    names = [whole.coordinates[i] for i in indices]
    free = torch.tensor(indices, device=markers.device)
    low, high = whole.ranges[free].unbind(-1)
    clamped = torch.tensor([known[name].clamped for name in names], device=markers.device)
    bounded = {"clamped": clamped, "all": torch.ones_like(clamped), "none": torch.zeros_like(clamped)}[bounds]
    default = torch.tensor([known[name].default for name in names]).to(markers)
    # OpenSim, too, leaves a clamped coordinate that no marker sees in the middle of its range.
    usual = torch.where(clamped & (high - low < 4 * _FULL_TURN), (low + high) / 2, default)
    reach = ((high - low) / 2).clamp(0.05, _FARTHEST)
    usual, pull = pull_of(prior, skeleton.coordinates, names, usual, reach)
    rest, scales = _at_rest(skeleton, whole), _scales(skeleton, whole, scales)
    drive = transmission(whole, indices, rest)
    return Problem(
        whole, free, drive, axes_of(whole, drive, names), links(whole, scales), scales,
        markers.nan_to_num().permute(2, 1, 0).contiguous(), weight.T.contiguous(),
        torch.where(bounded, low, -torch.inf), torch.where(bounded, high, torch.inf), usual, pull, reach,
        rest,
    )  # fmt: skip


def _free(skeleton: Skeleton, whole: Skeleton) -> list[int]:
    """Coordinates that are not locked or coupled and move something; with a spec its own and the root's."""
    body = whole.body
    tied = {c.dependent for c in body.couplers if c.enforced} | {c.name for c in body.coordinates if c.locked}
    used = {a.coordinate for j in body.joints for a in (*j.rotations, *j.translations)}
    used |= {c.independent for c in body.couplers if c.enforced}
    names = set(whole.coordinates)
    if skeleton.spec:
        names = {*skeleton.coordinates, *(c.name for c in body.joints[0].coordinates)}
    return [i for i, name in enumerate(whole.coordinates) if name in (names & used) - tied]


def _scales(skeleton: Skeleton, whole: Skeleton, scales: Tensor | None) -> Tensor:
    if scales is None:
        return whole.generic_scales
    if skeleton.spec is None:
        return scales.to(whole.ranges)
    rows = torch.tensor([whole.bodies.index(name) for name in skeleton.bodies], device=whole.ranges.device)
    full = whole.generic_scales.expand(*scales.shape[:-2], -1, 3)
    return full.index_copy(-2, rows, scales.to(full))


def _at_rest(skeleton: Skeleton, whole: Skeleton) -> Float[Tensor, " coord"]:
    """Where coordinates that are not solved for stay: at their default; 0 where a spec leaves them out."""
    known = {c.name: c.default for c in whole.body.coordinates if c.name in skeleton.coordinates}
    return torch.tensor([known.get(name, 0.0) for name in whole.coordinates]).to(whole.ranges)


def _given(skeleton: Skeleton, problem: Problem, start: Tensor) -> Float[Tensor, "frame unknown"]:
    angles = problem.rest.expand(len(problem), -1).clone()
    columns = [problem.skeleton.coordinates.index(name) for name in skeleton.coordinates]
    angles[:, columns] = start.to(angles)
    return angles[:, problem.free]


def _windows(frames: int, prior: Prior | None) -> list[tuple[slice, slice]]:
    """(frames to solve together, which of those to keep); with a prior they overlap."""
    overlap = _OVERLAP if prior else 0
    starts = range(0, max(frames - overlap, 1), _WINDOW - overlap)
    windows = []
    for first in starts:
        last = min(first + _WINDOW, frames)
        end = frames - first if last == frames else last - first - overlap // 2
        windows.append((slice(first, last), slice(overlap // 2 if first else 0, end)))
    return windows


def solve_window(
    problem: Problem, given: Tensor | None, rows: tuple[slice, slice], prior: Prior | None, iterations: int
) -> Descent:
    """Some frames solved together: those of them to keep."""
    frames, keep = rows
    problem = problem.at(frames)
    pace = (prior.noise * prior.rate / (KEY_EVERY * _SPEED)) ** 2 if prior else 0.0
    start = initial_unknowns(problem, pace, min(iterations, 16)) if given is None else given[frames]
    # Under the prior frames are finished together; here they only have to come near.
    found = descend(problem, start, min(iterations, 4) if prior else iterations, NEAR)
    found = repair(problem, found, iterations)
    if prior and len(problem) > 2:
        stiffness = (prior.noise / prior.acceleration * prior.rate**2 / problem.reach).square()
        found = found._replace(unknown=unwind(problem, found.unknown))
        found = _settled(problem, found, stiffness[None], min(iterations, 16))
    return found.at(keep)


def _settled(problem: Problem, apart: Descent, stiffness: Tensor, iterations: int) -> Descent:
    """Frames under the prior, which gives way where they fitted well by themselves and cannot under it.

    There the frames before and after found different poses that are equally good (a shoulder rotated over
    itself), and no smooth motion leads from one to the other.
    """
    found = settle(problem, apart.unknown, stiffness, iterations)
    torn = outliers(problem, found.cost)
    if torn.any():
        torn &= ~outliers(problem, apart.cost)
    start = torch.where(torn[:, None], apart.unknown, found.unknown)
    for rows, keep in _around(torn | ~found.rested):
        loose = torn[rows]
        holds = ~(loose[2:] | loose[1:-1] | loose[:-2])[:, None]
        again = settle(problem.at(rows), start[rows], stiffness * holds, iterations, everyone=True)
        inner = torch.arange(rows.start + keep.start, rows.start + keep.stop, device=start.device)
        found = found.take(inner, again.at(keep))
    return found


def _around(frames: Bool[Tensor, " frame"]) -> list[tuple[slice, slice]]:
    """(frames to solve again, which of those to keep) about the frames named, those nearby together."""
    parts, last = [], len(frames)
    for at in torch.nonzero(frames)[:, 0].tolist():
        if parts and at - _OVERLAP <= parts[-1][1]:
            parts[-1][1] = at
        else:
            parts.append([at, at])
    half, windows = _OVERLAP // 2, []
    for first, final in parts:
        start, stop = max(first - _OVERLAP, 0), min(final + _OVERLAP + 1, last)
        keep = slice(max(first - half, 0) - start, min(final + half + 1, last) - start)
        windows.append((slice(start, stop), keep))
    return windows


def _residuals(problem: Problem, markers: Tensor, found: Descent) -> Residuals:
    at, slots = problem.posed(found.unknown), len(problem.skeleton.order)
    distance = (at.markers(slots) - problem.target).norm(dim=0).T
    seen = problem.weight.T > 0
    rms = (torch.where(seen, distance.square(), 0.0).sum(-1) / seen.sum(-1)).sqrt()
    missing = ~markers.isfinite().all(-1).to(seen.device)
    outlying = rms > 2 * OUTLYING * rms[seen.any(-1)].median() + 1e-3
    root = problem.skeleton.order.index(problem.skeleton.body.joints[0].name)
    return Residuals(
        distance.masked_fill(missing, torch.nan), rms, found.rested & seen.any(-1), outlying,
        at.tree.points[:, root].T,
    )  # fmt: skip


def _pose(skeleton: Skeleton, problem: Problem, found: Descent) -> Pose:
    """All coordinates, dependent ones as their couplers make them; with a spec those that it selects."""
    whole = problem.skeleton
    angles = whole.coupled(problem.full(found.unknown))
    return _selected(skeleton, whole, Pose(angles, problem.scales.expand(len(angles), -1, 3)))


def _selected(skeleton: Skeleton, whole: Skeleton, pose: Pose) -> Pose:
    if skeleton.spec is None:
        return pose
    columns = [whole.coordinates.index(name) for name in skeleton.coordinates]
    bodies = [whole.bodies.index(name) for name in skeleton.bodies]
    R, _ = whole.frames(pose)
    root = whole.bodies.index(whole.body.joints[0].child.body)
    inward = whole.child_rotation_inverse[whole.order.index(whole.body.joints[0].name)]
    R_ground_root = R[:, root] @ inward.mT
    return Pose(pose.angles[:, columns], pose.scales[:, bodies], R_ground_root)
