"""D3KE's markers as points of SMPL-H: vertices and joints by index, means of them, projections on the floor.

The index tables are facts of the released configuration (its commit is in smplh_points.json).
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.opensim.model import Body, Coordinate
from d3ke_lib.body.opensim.motion_files import Trajectories
from d3ke_lib.data.bmlmovi import smplh

POINTS_FILE = Path(__file__).with_name("smplh_points.json")
_FACTS = json.loads(POINTS_FILE.read_text(encoding="utf-8"))
_JOINTS: dict[str, int] = _FACTS["joints"]
VERTICES: dict[str, int] = _FACTS["vertices"]
MEANS: dict[str, list[str]] = _FACTS["means"]
GROUND: dict[str, str] = _FACTS["ground"]
NAMES = (*VERTICES, *_JOINTS, *MEANS)  # order of the points
_SPREAD = {"shoulder_elv": math.pi / 2, "shoulder_elv_l": math.pi / 2}  # rad: arms of a T-pose
_STATIC_SECONDS = 0.55  # D3KE's duration of the static trial, in which all frames are equal
# World (z up, AMASS) → ground of the body (y up, OpenSim): a rotation by −90° about x.
R_GROUND_WORLD = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))


def select_vertices(model: smplh.SmplhModel) -> smplh.SmplhModel:
    """The model with the vertices of the table alone: 66 instead of 6,890."""
    return smplh.keep_vertices(model, list(VERTICES.values()))


def _collect_points(
    vertices: Float[Tensor, "*batch vertex 3"], joints: Float[Tensor, "*batch joint 3"]
) -> Float[Tensor, "*batch point 3"]:
    """Points in the order of `NAMES` from the vertices of `select_vertices` and all joints."""
    known = torch.cat([vertices, joints[..., list(_JOINTS.values()), :]], -2)
    index = {name: i for i, name in enumerate(NAMES)}
    means = [known[..., [index[name] for name in names], :].mean(-2) for names in MEANS.values()]
    return torch.cat([known, torch.stack(means, -2)], -2)


def pose_points(
    model: smplh.SmplhModel, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray
) -> Float[Tensor, "frame point 3"]:
    """Points (world, m) of a `select_vertices` model in every frame of a fit."""
    values = (torch.from_numpy(value) for value in (betas, poses, trans))
    return _collect_points(*smplh.pose_model(model, *values))


def make_static_trial(model: smplh.SmplhModel, betas: np.ndarray) -> Trajectories:
    """The T-pose as a trial to scale by: y up, standing on the floor at y = 0, with the points on the floor.

    D3KE: also rotated by 90° about y, which changes no distance.
    """
    vertices, joints = smplh.pose_zero(model, torch.from_numpy(betas))
    known = _collect_points(vertices[list(VERTICES.values())], joints).numpy()
    known[:, 1] -= vertices[:, 1].min().item()
    foot = known[[NAMES.index(name) for name in GROUND.values()]] * (1.0, 0.0, 1.0)
    both = np.concatenate([known, foot])
    return Trajectories(np.array([0.0, _STATIC_SECONDS]), (*NAMES, *GROUND), np.stack([both, both]))


def set_t_pose(body: Body) -> Body:
    """The body with the T-pose for its default, in which the trial above is compared with it.

    That is the default of D3KE's own model; ours lets the arms hang. The shoulders' bones follow all the
    file's couplers, also those not enforced: D3KE switches them off only once the model has been scaled.
    """
    defaults = {
        c.dependent: float(c.function(torch.tensor(_SPREAD[c.independent], dtype=torch.float64)))
        for c in body.couplers
        if c.independent in _SPREAD
    } | _SPREAD

    def spread(coordinate: Coordinate) -> Coordinate:
        return replace(coordinate, default=defaults.get(coordinate.name, coordinate.default))

    joints = (replace(j, coordinates=tuple(map(spread, j.coordinates))) for j in body.joints)
    return replace(body, joints=tuple(joints))


def to_ground(world: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """World → the ground of inverse kinematics.

    The pelvis rotates about z, x, y in that order; with z up, an upright pelvis would be at that
    order's singularity (x at 90°).
    """
    return world @ torch.tensor(R_GROUND_WORLD).to(world).T
