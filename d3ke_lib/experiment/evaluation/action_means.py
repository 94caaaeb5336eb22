"""Mean pose of the action, as a reference: a table that is told the action of every frame, and sees no image.

Of a mixture it is told the weights of the parts in the upper and in the lower body (the records' column
`parts`), and composes their means: each half of the body for itself.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch
from d3ke_lib.files import D3keError
from d3ke_lib.nets.losses import relative

Prediction = tuple[Pose, Points]
_LOWER = ("hip_", "knee_", "ankle_", "subtalar_", "mtp_")  # first letters of coordinates and joints
_LOWER_BODIES = ("pelvis", "femur", "tibia", "talus", "calcn", "toes")


class Told(NamedTuple):
    """What a reference is told of each frame: its action and, of a mixture, its parts as JSON, else ""."""

    actions: Sequence[str]
    parts: Sequence[str]


class _Weights(NamedTuple):
    """Share of each action in either half of the body, by frame; columns as in `names`."""

    upper: Float[Tensor, "frame action"]
    lower: Float[Tensor, "frame action"]


def compose_means(train: Batch, train_told: Told, test_told: Told, skeleton: Skeleton) -> Prediction:
    """The mean poses of the frames' actions, weighted in each half of the body as the record says.

    Means of the actions that are trained on pure; of the others, which occur only in mixtures, by least
    squares. A frame of an action that was never trained on gets the mean of all training frames.
    """
    names = sorted({*_names_in(train_told), *_names_in(test_told)})
    values, lower = _flatten(train, skeleton)
    table = _fit_table(values, lower, _weigh(train_told, names))
    weights = _weigh(test_told, names)
    found = torch.where(lower, weights.lower @ table, weights.upper @ table)
    return _unflatten(found, train)


def _names_in(told: Told) -> set[str]:
    """Actions and, of mixtures, the names of their parts."""
    names = set()
    for action, parts in {*zip(told.actions, told.parts, strict=True)}:
        names |= {name for half in _read_parts(parts).values() for name in half} if parts else {action}
    return names


def _read_parts(text: str) -> dict[str, dict[str, float]]:
    """{"upper": {action: weight}, "lower": …}. Raises D3keError for anything else."""
    try:
        parts = json.loads(text)
        if {*parts} == {"upper", "lower"} and all(sum(half.values()) > 0 for half in parts.values()):
            return parts
    except (ValueError, TypeError, AttributeError):
        pass
    raise D3keError(f'parts of a mixture: expected {{"upper": {{action: weight}}, "lower": …}}, found {text}')


def _weigh(told: Told, names: Sequence[str]) -> _Weights:
    """Rows sum to 1."""
    column = {name: i for i, name in enumerate(names)}
    upper, lower = torch.zeros(2, len(told.actions), len(names), dtype=torch.float64)
    for row, (action, text) in enumerate(zip(told.actions, told.parts, strict=True)):
        halves = _read_parts(text) if text else {half: {action: 1.0} for half in ("upper", "lower")}
        for half, weights in ((upper, halves["upper"]), (lower, halves["lower"])):
            for name, weight in weights.items():
                half[row, column[name]] = weight / sum(weights.values())
    return _Weights(upper, lower)


def _fit_table(
    values: Float[Tensor, "frame value"], lower: Bool[Tensor, " value"], weights: _Weights
) -> Float[Tensor, "action value"]:
    """The mean of every action's pure frames; of parts without any, what mixtures leave for them."""
    pure = (weights.upper == 1) & (weights.lower == 1)
    table = values.mean(0).expand(pure.shape[1], -1).clone()
    known = pure.any(0)
    for action in known.nonzero()[:, 0]:
        table[action] = values[pure[:, action]].mean(0)
    mixed = ~pure.any(1)
    for half, columns in ((weights.upper, ~lower), (weights.lower, lower)):
        found = mixed & (half[:, ~known].sum(1) > 0)
        others = (half[:, ~known].sum(0) > 0) & found.any()
        if others.any():
            rest = values[found][:, columns] - half[found][:, known] @ table[known][:, columns]
            solved = torch.linalg.lstsq(half[found][:, ~known][:, others], rest, driver="gelsd").solution
            rows = (~known).nonzero()[others, 0]
            table[rows[:, None], columns.nonzero()[:, 0]] = solved
    return table


def _flatten(train: Batch, skeleton: Skeleton) -> tuple[Float[Tensor, "frame value"], Bool[Tensor, " value"]]:
    """Pose and points relative to the pelvis joint, a row per frame, and which are of the lower body."""
    points, pose = relative(train.points), train.pose
    values = [pose.angles, pose.scales, pose.R_ground_root, points.joints, points.markers]
    sides = [
        _starts(skeleton.coordinates, _LOWER),
        torch.zeros(pose.scales[0].numel(), dtype=torch.bool),
        torch.ones(9, dtype=torch.bool),  # the pelvis
        _starts(skeleton.joints, ("ground_pelvis", *_LOWER)).repeat_interleave(3),
        _lower_markers(skeleton).repeat_interleave(3),
    ]
    return torch.cat([value.flatten(1).double() for value in values], 1), torch.cat(sides)


def _starts(names: Sequence[str], prefixes: tuple[str, ...]) -> Bool[Tensor, " name"]:
    return torch.tensor([name.startswith(prefixes) for name in names])


def _lower_markers(skeleton: Skeleton) -> Bool[Tensor, " marker"]:
    """Markers on bodies of the lower half."""
    body_of = {marker.name: marker.body for marker in skeleton.body.markers}
    return _starts([body_of[name] for name in skeleton.markers], _LOWER_BODIES)


def _unflatten(values: Float[Tensor, "frame value"], like: Batch) -> Prediction:
    parts = (like.pose.angles, like.pose.scales, like.pose.R_ground_root, *like.points)
    sizes = [part[0].numel() for part in parts]
    pieces = zip(values.float().split(sizes, 1), parts, strict=True)
    angles, scales, R, joints, markers = (piece.unflatten(1, part.shape[1:]) for piece, part in pieces)
    return Pose(angles, scales, nearest_rotation(R)), Points(joints, markers)


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation with the least squared distance to a matrix (by singular values)."""
    u, _, vh = torch.linalg.svd(matrix)
    mirror = torch.ones_like(matrix[..., 0])
    mirror[..., 2] = torch.linalg.det(u @ vh)
    return u @ (mirror[..., None] * vh)
