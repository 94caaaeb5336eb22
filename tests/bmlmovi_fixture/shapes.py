"""In which ways our body may differ in size so that D3KE's measurements of its T-pose find just that.

A measurement is a ratio of distances. Scale factors that they do not give back (say, a pelvis that is higher
but no longer, where one length stands for both) are nobody's labels; these 16 directions are what is left.
"""

from functools import cache

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.scaling.factors import D3KE_MEASUREMENTS
from d3ke_lib.data.bmlmovi.points import GROUND, MEANS, set_t_pose

BETAS = 16
SOLES = ("Virtual_Ground_LHEE", "Virtual_Ground_RHEE")  # the model's own, on its feet
TALLER, OTHERWISE = 0.04, 0.08  # ratio a beta of 1 changes: all lengths; the norm over the 51 factors


def spread_arms(skeleton: Skeleton) -> Float[Tensor, " coord"]:
    """The T-pose, rad: arms 90° sideways, the shoulders' bones as all of the file's couplers put them."""
    values = {c.name: c.default for c in set_t_pose(skeleton.body).coordinates}
    return torch.tensor([values[name] for name in skeleton.coordinates]).to(skeleton.ranges)


@cache
def shapes() -> Float[Tensor, "unique beta"]:
    """What each beta adds to the 51 ratios: first all alike, then 15 more in the null space of `faults`."""
    step = 1e-4
    eye = torch.eye(len(selection().scale_middle), dtype=torch.float64)
    slope = (faults(1 + step * eye) - faults(1 - step * eye)).T / (2 * step)
    kept = np.linalg.svd(slope.numpy())[2][-BETAS:].T  # orthonormal columns
    alike = np.full((len(eye), 1), len(eye) ** -0.5)
    other = kept @ kept.T - alike @ alike.T
    columns, _, _ = scipy.linalg.qr(other, pivoting=True)
    found = np.concatenate([np.full_like(alike, TALLER), OTHERWISE * columns[:, : BETAS - 1]], 1)
    return torch.from_numpy(found.round(6))


def faults(ratio: Float[Tensor, "body unique"]) -> Float[Tensor, "body fault"]:
    """What must be 0: measurements that find others than these, and legs of different length (mm).

    With those one foot would hang over the floor, which is where heights of ankles are measured from.
    """
    markers = standing(ratio)
    left, right = (markers[name][:, 1:2] for name in SOLES)
    return torch.cat([measured(ratio) - ratio, 1000 * (left - right)], -1)


def measured(ratio: Float[Tensor, "body unique"]) -> Float[Tensor, "body unique"]:
    """Ratios that D3KE's measurements find of T-poses of these ratios."""
    spec = selection()
    places, own = trial(ratio), trial(torch.ones_like(ratio[:1]))
    found = torch.ones(len(ratio), len(spec.bodies), 3, dtype=ratio.dtype)
    for measurement in D3KE_MEASUREMENTS:
        rows = [spec.bodies.index(body) for body in measurement.bodies if body in spec.bodies]
        if not rows or not {name for pair in measurement.pairs for name in pair} <= {*places}:
            continue
        pairs = [length(places, a, b) / length(own, a, b) for a, b in measurement.pairs]
        for row, axes in zip(rows, measurement.axes):
            found[:, row, list(axes)] = torch.stack(pairs).mean(0)[:, None]
    return spec.unique_scales(found)


def length(places: dict[str, Tensor], a: str, b: str) -> Float[Tensor, " body"]:
    return (places[a] - places[b]).norm(dim=-1)


@cache
def whole() -> Skeleton:
    """Everything of the file: with the markers that only measurements use."""
    return Skeleton(selection().body).double()


@cache
def selection() -> Skeleton:
    """D3KE's selection of it, whose scale factors are tied."""
    return default_skeleton().double()


def standing(ratio: Float[Tensor, "body unique"]) -> dict[str, Float[Tensor, "body 3"]]:
    """The file's markers in T-poses of bodies of these ratios."""
    skeleton, spec = whole(), selection()
    rows = [skeleton.bodies.index(body) for body in spec.bodies]
    scales = skeleton.generic_scales.repeat(len(ratio), 1, 1)
    scales[:, rows] = scales[:, rows] * ratio[:, spec.scale_index]
    markers = skeleton(Pose(spread_arms(skeleton), scales)).markers
    return dict(zip(skeleton.markers, markers.unbind(-2), strict=True))


def trial(ratio: Float[Tensor, "body unique"]) -> dict[str, Float[Tensor, "body 3"]]:
    """The same as SMPL-H's points give them: with means, and points on the floor below others."""
    places = standing(ratio)
    floor = torch.minimum(*(places[name][:, 1] for name in SOLES))
    places |= {name: torch.stack([places[part] for part in parts]).mean(0) for name, parts in MEANS.items()}
    for name, above in GROUND.items():
        places[name] = torch.stack([places[above][:, 0], floor, places[above][:, 2]], -1)
    return places
