"""D3KE's markers as points of SMPL-H: vertices and joints by index, means of them, projections on the floor.

The index tables are facts of the released configuration (smplh_points.json says which commit).
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
JOINTS: dict[str, int] = _FACTS["joints"]
VERTICES: dict[str, int] = _FACTS["vertices"]
MEANS: dict[str, list[str]] = _FACTS["means"]
GROUND: dict[str, str] = _FACTS["ground"]
NAMES = (*VERTICES, *JOINTS, *MEANS)  # order of the points of a moving person
SPREAD = {"shoulder_elv": math.pi / 2, "shoulder_elv_l": math.pi / 2}  # rad: arms of a T-pose
STATIC_SECONDS = 0.55  # D3KE holds the T-pose so long; a mean over equal frames is any of them
# World (z up, AMASS) → ground of the body (y up, OpenSim): a turn of −90° about x.
R_GROUND_WORLD = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))


def selected(model: smplh.Model) -> smplh.Model:
    """The model with the vertices of the table alone: 66 instead of 6,890."""
    return smplh.only(model, list(VERTICES.values()))


def points(
    vertices: Float[Tensor, "*batch vertex 3"], joints: Float[Tensor, "*batch joint 3"]
) -> Float[Tensor, "*batch point 3"]:
    """Points in the order of `NAMES` from the vertices of `selected` and all joints."""
    known = torch.cat([vertices, joints[..., list(JOINTS.values()), :]], -2)
    index = {name: i for i, name in enumerate(NAMES)}
    means = [known[..., [index[name] for name in names], :].mean(-2) for names in MEANS.values()]
    return torch.cat([known, torch.stack(means, -2)], -2)


def moving_points(
    model: smplh.Model, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray
) -> Float[Tensor, "frame point 3"]:
    """Points (world, m) of a `selected` model in every frame of a fit."""
    values = (torch.from_numpy(value) for value in (betas, poses, trans))
    return points(*smplh.vertices_and_joints(model, *values))


def static_trial(model: smplh.Model, betas: np.ndarray) -> Trajectories:
    """The T-pose as a trial to scale by: y up, standing on the floor at y = 0, with the points on the floor.

    D3KE: turned by 90° about y as well, which changes no distance.
    """
    vertices, joints = smplh.t_pose(model, torch.from_numpy(betas))
    known = points(vertices[list(VERTICES.values())], joints).numpy()
    known[:, 1] -= vertices[:, 1].min().item()
    foot = known[[NAMES.index(name) for name in GROUND.values()]] * (1.0, 0.0, 1.0)
    both = np.concatenate([known, foot])
    return Trajectories(np.array([0.0, STATIC_SECONDS]), (*NAMES, *GROUND), np.stack([both, both]))


def arms_spread(body: Body) -> Body:
    """The body with the T-pose for its default, in which the trial above is compared with it.

    That is the default of D3KE's own model; ours lets the arms hang. The shoulders' bones follow all the
    file's couplers, also those not enforced: D3KE switches them off only once the model has been scaled.
    """
    turned = {
        c.dependent: float(c.function(torch.tensor(SPREAD[c.independent], dtype=torch.float64)))
        for c in body.couplers
        if c.independent in SPREAD
    } | SPREAD

    def spread(coordinate: Coordinate) -> Coordinate:
        return replace(coordinate, default=turned.get(coordinate.name, coordinate.default))

    joints = (replace(j, coordinates=tuple(map(spread, j.coordinates))) for j in body.joints)
    return replace(body, joints=tuple(joints))


def in_ground(world: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """World → the ground of inverse kinematics.

    Not for looks: the pelvis turns about z, x, y in that order, and an upright one would stand in that
    order's singularity (x at 90°) if z were up.
    """
    return world @ torch.tensor(R_GROUND_WORLD).to(world).T
