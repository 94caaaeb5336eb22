"""Validity of a subject's labels, and the residuals of its markers."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Validity
from d3ke_lib.data.bmlmovi.labels import Labels
from d3ke_lib.data.bmlmovi.read import Ranges

_MAX_DISTANCE = 0.02  # m: with a landmark farther off, the pose is wrong there (D3KE)
_BONY_WEIGHT = 20  # D3KE's weight of a landmark on bone in inverse kinematics


def mask_labels(skeleton: Skeleton, distance: Float[Tensor, "frame marker"]) -> Validity:
    """False: a coordinate or joint in frames where a bony landmark on its child body is more than 2 cm off
    (any of the shoulder's bodies counts for all the shoulder's coordinates), a marker that is itself.
    """
    off = distance > _MAX_DISTANCE
    bodies = _child_bodies(skeleton)
    by_coordinate = [_any_off(skeleton, off, bodies[j.name]) for j in _joints_of_coordinates(skeleton)]
    by_joint = [_any_off(skeleton, off, bodies[name]) for name in skeleton.joints]
    return Validity(~torch.stack(by_coordinate, -1), ~torch.stack(by_joint, -1), ~off)


def _child_bodies(skeleton: Skeleton) -> dict[str, set[str]]:
    """Joint → the bodies whose landmarks decide its validity: its child, or all of the shoulder's."""
    joints = {j.child.body: j for j in skeleton.body.joints}
    found = {j.name: {j.child.body} for j in skeleton.body.joints}
    for humerus in (name for name in joints if name.startswith("humerus")):
        chain, body = [], humerus
        while body in joints and body != "thorax":
            chain.append(joints[body])
            body = joints[body].parent.body
        shoulder = {j.child.body for j in chain}
        found |= {j.name: shoulder for j in chain}
    return found


def _joints_of_coordinates(skeleton: Skeleton) -> list:
    owner = {c.name: j for j in skeleton.body.joints for c in j.coordinates}
    return [owner[name] for name in skeleton.coordinates]


def _any_off(
    skeleton: Skeleton, off: Bool[Tensor, "frame marker"], bodies: set[str]
) -> Bool[Tensor, " frame"]:
    body_of = {marker.name: marker.body for marker in skeleton.body.markers}
    weights = skeleton.marker_weights.tolist()
    columns = [
        i for i, name in enumerate(skeleton.markers) if weights[i] == _BONY_WEIGHT and body_of[name] in bodies
    ]
    return off[:, columns].any(-1)


def report_residuals(skeleton: Skeleton, labels: Labels, ranges: Ranges, notes: list[str]) -> dict[str, Any]:
    """A subject's residuals as JSON values; lengths in mm."""
    off = torch.from_numpy(labels.distance)
    weighted = skeleton.marker_weights > 0
    rms = off[:, weighted].square().mean(-1).sqrt() * 1e3
    valid = mask_labels(skeleton, off)
    return {
        "frames": len(labels.frame),
        "rms_mm": {"mean": _mm(rms.mean()), "p95": _mm(rms.quantile(0.95)), "max": _mm(rms.max())},
        "not_converged": int((~labels.converged).sum()),
        "markers_mm": {name: _mm(off[:, i].mean() * 1e3) for i, name in enumerate(skeleton.markers)},
        "masked_angles": {
            name: round(float(share), 4)
            for name, share in zip(skeleton.coordinates, (~valid.angles).double().mean(0))
            if share > 0
        },
        "motions": [
            {"motion": int(k), "name": ranges.names[k - 1], "frames": int((labels.motion == k).sum())}
            for k in np.unique(labels.motion)
        ],
        "notes": notes,
    }


def _mm(value: Tensor) -> float:
    return round(float(value), 3)
