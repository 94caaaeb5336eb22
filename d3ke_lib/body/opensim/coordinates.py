"""A predicted pose as OpenSim's coordinates: all of the model's, so that a .mot moves it as our layer does.

A network gives 69 angles and the pelvis's rotation; an .osim also has the root's own six coordinates and some
that follow others through couplers.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Axis, Body, Joint
from d3ke_lib.body.pose import Pose

_LETTERS = {(1.0, 0.0, 0.0): "X", (0.0, 1.0, 0.0): "Y", (0.0, 0.0, 1.0): "Z"}


def all_coordinates(
    skeleton: Skeleton, pose: Pose, p_ground_root: Float[Tensor, "time 3"]
) -> tuple[tuple[str, ...], Float[np.ndarray, "time coord"]]:
    """Names and values (rad, m) of every coordinate of the skeleton's model over time.

    `pose` (time,) has the root's rotation in a ground with OpenSim's axes (y up), p_ground_root (m) is where
    the root joint is. Predicted coordinates are taken as they are, others follow their enforced coupler or
    are 0; the root's rotations are unwrapped. Raises ValueError for a root joint of another kind.
    """
    body = skeleton.body
    values = {name: pose.angles[:, i].double() for i, name in enumerate(skeleton.coordinates)}
    for coupler in body.couplers:
        if coupler.enforced and coupler.dependent not in values:
            values[coupler.dependent] = coupler.function(values[coupler.independent])
    values |= _root_coordinates(body, pose.R_ground_root, p_ground_root)
    nothing = torch.zeros(len(pose.angles), dtype=torch.float64)
    names = tuple(coordinate.name for coordinate in body.coordinates)
    return names, torch.stack([values.get(name, nothing) for name in names], -1).numpy()


def _root_coordinates(
    body: Body, R_ground_root: Float[Tensor, "time 3 3"], p_ground_root: Float[Tensor, "time 3"]
) -> dict[str, Float[Tensor, " time"]]:
    """The root joint's coordinates (rad, m) that bring its frame to a rotation and a position in ground."""
    joint = next(joint for joint in body.joints if joint.parent.body == "ground")
    order = _order(joint)
    P = Rotation.from_euler("XYZ", joint.parent.orientation).as_matrix()
    angles = Rotation.from_matrix(P.T @ R_ground_root.double().numpy()).as_euler(order)
    angles = _continuous(angles)
    moved = (p_ground_root.double().numpy() - joint.parent.translation) @ P
    rotations = {axis.coordinate: angles[:, i] for i, axis in enumerate(joint.rotations)}
    slides = {axis.coordinate: moved @ np.array(axis.axis) for axis in joint.translations}
    return {name: torch.from_numpy(column.copy()) for name, column in (rotations | slides).items()}


def _continuous(angles: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "time 3"]:
    """Of the two triples of angles that are one rotation, and their full turns, those nearest to the last.

    Beyond 90° of its middle angle scipy's triple jumps by 180° in the other two.
    """
    other = np.stack([angles[:, 0] + np.pi, np.pi - angles[:, 1], angles[:, 2] + np.pi], -1)
    found = [angles[0]]
    for choices in np.stack([angles, other], 1)[1:]:
        near = choices + 2 * np.pi * np.round((found[-1] - choices) / (2 * np.pi))
        found.append(near[np.abs(near - found[-1]).sum(-1).argmin()])
    return np.stack(found)


def _order(joint: Joint) -> str:
    """The rotations' axes as letters, each rotated by those before it (capitals, for scipy)."""
    if not all(_is_plain(axis) for axis in (*joint.rotations, *joint.translations)):
        raise ValueError(
            f"joint {joint.name!r}: expected a coordinate of its own along x, y or z on every axis"
        )
    return "".join(_LETTERS[axis.axis] for axis in joint.rotations)


def _is_plain(axis: Axis) -> bool:
    linear = axis.function.is_linear and tuple(axis.function.line) == (1.0, 0.0)
    return axis.coordinate is not None and linear and axis.axis in _LETTERS
