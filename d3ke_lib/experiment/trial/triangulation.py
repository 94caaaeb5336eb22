"""Points in space from calibrated views: weighted least squares that wrong detections do not move.

The starting point is that of the subset of cameras which the views agree with best (every subset of two or
more is tried); Geman and McClure's weights then let go of views that are far off.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.experiment.trial.calibration import CalibratedCamera, project, to_plane

NOISE_PX = 10.0  # of a landmark in images of about 2000 px; views off by much more count little
_OUTLYING = 3.0  # × NOISE_PX: a view that is further off is called wrong
_ITERATIONS = 10


class Triangulated(NamedTuple):
    """Points (m, in ground), NaN where fewer than two views saw them; what is left over in each view."""

    points: Float[Tensor, "frame point 3"]
    error_px: Float[Tensor, "view frame point"]  # distance from where a view saw it; NaN where it did not
    inlying: Bool[Tensor, "view frame point"]


def triangulate(
    cameras: Sequence[CalibratedCamera],
    px: Float[Tensor, "view frame point 2"],
    weight: Float[Tensor, "view frame point"],
    noise_px: float = NOISE_PX,
) -> Triangulated:
    """Points seen at `px` (NaN: not seen) by two cameras or more, each view counting by `weight` (0 to 1).

    Raises ValueError for shapes that do not fit the cameras.
    """
    if not len(cameras) == len(px) == len(weight) >= 2:
        raise ValueError(f"expected views of {len(cameras)} cameras (2 or more), found {len(px)}")
    px, weight = px.double(), weight.double()
    seen = px.isfinite().all(-1) & (weight > 0)
    weight = torch.where(seen, weight, 0.0)
    plane = torch.stack([to_plane(camera, each) for camera, each in zip(cameras, px.nan_to_num())])
    points = _best_subset(cameras, plane, px, weight, noise_px)
    for _ in range(_ITERATIONS):
        error = _errors(cameras, points, px)
        robust = weight / (1 + (error / noise_px).square()).square()
        points = _intersect(cameras, plane, torch.where(seen, robust, 0.0), points)
    error = _errors(cameras, points, px).masked_fill(~seen, torch.nan)
    lacking = seen.sum(0) < 2
    inlying = (error < _OUTLYING * noise_px) & ~lacking
    return Triangulated(
        points.masked_fill(lacking[..., None], torch.nan), error.masked_fill(lacking, torch.nan), inlying
    )


def _best_subset(
    cameras: Sequence[CalibratedCamera], plane: Tensor, px: Tensor, weight: Tensor, noise_px: float
) -> Float[Tensor, "frame point 3"]:
    """Of the points that subsets of cameras give, those with the least robust error over all views."""
    views, found, costs = range(len(cameras)), [], []
    for size in range(2, len(cameras) + 1):
        for subset in combinations(views, size):
            chosen = torch.tensor([view in subset for view in views], dtype=weight.dtype)
            own = weight * chosen[:, None, None]
            points = _intersect(cameras, plane, own, None)
            points = _intersect(cameras, plane, own, points)
            scaled = (_errors(cameras, points, px) / noise_px).square()
            cost = (weight * (scaled / (1 + scaled)).nan_to_num(1.0)).sum(0)
            found.append(points)
            costs.append(torch.where(((own > 0).sum(0) >= 2), cost, torch.inf))
    best = torch.stack(costs).argmin(0)
    return torch.stack(found).gather(0, best[None, ..., None].expand(1, *best.shape, 3))[0]


def _intersect(
    cameras: Sequence[CalibratedCamera], plane: Tensor, weight: Tensor, near: Tensor | None
) -> Float[Tensor, "frame point 3"]:
    """Weighted least squares of x·(row 3) − (row 1), …; depths of `near` turn the errors into angles."""
    normal = torch.zeros(*plane.shape[1:3], 3, 3, dtype=plane.dtype)
    right = torch.zeros(*plane.shape[1:3], 3, dtype=plane.dtype)
    for camera, seen, share in zip(cameras, plane, weight):
        R, t = camera.camera.R, camera.camera.t
        depth = 1.0 if near is None else (near @ R[2] + t[2]).clamp(min=0.1)
        each = share / depth**2 if near is not None else share
        rows = seen[..., None] * R[2] - R[:2]  # (frame, point, 2, 3)
        target = t[:2] - seen * t[2]
        normal = normal + torch.einsum("fp,fpri,fprj->fpij", each, rows, rows)
        right = right + torch.einsum("fp,fpri,fpr->fpi", each, rows, target)
    held = 1e-9 * torch.eye(3, dtype=plane.dtype)
    return torch.linalg.solve(normal + held, right)


def _errors(
    cameras: Sequence[CalibratedCamera], points: Tensor, px: Tensor
) -> Float[Tensor, "view frame point"]:
    """Distance in px between where views saw points and where they are."""
    return torch.stack([(project(camera, points) - each).norm(dim=-1) for camera, each in zip(cameras, px)])
