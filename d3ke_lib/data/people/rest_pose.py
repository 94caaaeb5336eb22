"""The skeleton's pose in which the base mesh is modelled: arms and legs a little apart."""

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.people.correspondence import JOINTS, find_joints, find_skin_markers
from d3ke_lib.data.people.makehuman import MakeHuman, centres
from d3ke_lib.data.portable.mode import portable

RECORDED = Path(__file__).with_name("rest_pose.json")  # made by scripts/fit_rest_pose.py
# Weights of the squared errors: joints, thumb's direction, markers off the surface (1/m²), scale factors.
_JOINT, _THUMB, _SURFACE, _SIZE = 1e3, 0.5, 2e2, 0.3
# Of the squared angles (1/rad²): limbs are free, the spine stays nearly upright.
_LIMB, _SPINE = 0.002, 0.05
_LIMBS = ("hip", "knee", "ankle", "subt", "mtp", "elv", "shoulder", "elbow", "pro_sup")
_ROUNDS, _STEPS = 8, 200


def load_rest_pose(
    source: MakeHuman, skeleton: Skeleton, vertices: Float[Tensor, "vertex 3"]
) -> tuple[Pose, Float[Tensor, "marker 3"]]:
    """The recorded pose and the positions of its markers: a fit ends elsewhere on every processor."""
    fit = _Fit(source, skeleton, vertices)
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    with torch.no_grad():
        for name, unknown in fit.free().items():
            unknown.copy_(torch.tensor(recorded[name], dtype=torch.float64))
    pose, _, markers = portable(fit.posed)()
    return pose, markers


def fit_rest_pose(
    source: MakeHuman, skeleton: Skeleton, vertices: Float[Tensor, "vertex 3"], skin: Int[Tensor, " skin"]
) -> dict[str, Any]:
    """What `RECORDED` holds: pose and sizes at which joints are the mesh's and markers on its skin.

    Least squares by L-BFGS; the surface point nearest to every marker is found anew in each round. Returns
    the unknowns rounded to 1e-4 (rad, m).
    """
    fit = _Fit(source, skeleton, vertices)
    surface, outer, nearest = vertices[skin], find_skin_markers(skeleton), None
    for _ in range(_ROUNDS):
        unknowns = list(fit.free().values())
        optimizer = torch.optim.LBFGS(unknowns, max_iter=_STEPS, line_search_fn="strong_wolfe")
        _minimise(optimizer, fit, nearest)
        with torch.no_grad():
            _, _, markers = fit.posed()
            nearest = surface[torch.cdist(markers[outer], surface).argmin(1)]
    return {name: (unknown.detach() * 1e4).round().div(1e4).tolist() for name, unknown in fit.free().items()}


def _minimise(optimizer: torch.optim.LBFGS, fit: "_Fit", nearest: Tensor | None) -> None:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = fit.error(nearest)
        loss.backward()
        return loss

    optimizer.step(closure)


class _Fit:
    """The unknowns, and how well they fit."""

    def __init__(self, source: MakeHuman, skeleton: Skeleton, vertices: Float[Tensor, "vertex 3"]) -> None:
        self.skeleton = skeleton
        self.inner, self.outer = find_joints(skeleton), find_skin_markers(skeleton)
        self.joints = torch.from_numpy(centres(source, JOINTS.values(), vertices.numpy()))
        names = [f"{side}-finger-{finger}-1" for side in "lr" for finger in (2, 5)]
        knuckles = torch.from_numpy(centres(source, names, vertices.numpy()))
        self.thumbwards = normalize(knuckles[0::2] - knuckles[1::2], dim=-1)
        self.wrists = [[skeleton.markers.index(f"{s}{end}WR") for s in "LR"] for end in "IO"]
        self.stiff = torch.tensor(
            [_LIMB if name.startswith(_LIMBS) else _SPINE for name in skeleton.coordinates],
            dtype=torch.float64,
        )
        middle = self.joints.mean(0) * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        self.angles = torch.zeros_like(self.stiff).requires_grad_()
        self.sizes = torch.zeros_like(skeleton.scale_middle).requires_grad_()
        self.shift = middle.clone().requires_grad_()
        self.pitch = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def free(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("angles", "sizes", "shift", "pitch")}

    def posed(self) -> tuple[Pose, Float[Tensor, "joint 3"], Float[Tensor, "marker 3"]]:
        c, s, zero = self.pitch.cos(), self.pitch.sin(), torch.zeros_like(self.pitch)
        rows = ([c, -s, zero], [s, c, zero], [zero, zero, zero + 1])
        low, high = self.skeleton.ranges.unbind(-1)
        scales = self.skeleton.spread_scales(self.skeleton.scale_middle + self.sizes)
        angles = torch.minimum(torch.maximum(self.angles, low), high)
        pose = Pose(angles, scales, torch.stack([torch.stack(row) for row in rows]))
        points = self.skeleton(pose)
        return pose, points.joints + self.shift, points.markers + self.shift

    def error(self, nearest: Float[Tensor, "outer 3"] | None) -> Float[Tensor, ""]:
        _, joints, markers = self.posed()
        across = normalize(markers[self.wrists[0]] - markers[self.wrists[1]], dim=-1)
        total = _JOINT * (joints[self.inner] - self.joints).square().sum()
        total = total + _THUMB * (1 - (across * self.thumbwards).sum(-1)).sum()
        total = total + (self.stiff * self.angles.square()).sum() + _SIZE * self.sizes.square().sum()
        if nearest is None:
            return total
        return total + _SURFACE * (markers[self.outer] - nearest).square().sum()
