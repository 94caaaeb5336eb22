"""D3KE's four losses, named as in the paper, unweighted; formulas as in its released code."""

import math
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer, Validity

Norm = Literal["L1", "L2"]  # of a position difference
NORMS = {"L1": 1, "L2": 2}
_Scalar = Float[Tensor, ""]
_ANGLE_BETA = math.radians(5.0)
_SCALE_BETA = 0.05
# Coefficients make a tenth of a quantity's whole range the width of Smooth-L1's parabola.
_RANGE_SHARE = 0.1


class Losses(NamedTuple):
    """Unweighted terms: joint and marker in m, body in scale factors, angle in degrees."""

    joint: _Scalar
    marker: _Scalar
    body: _Scalar
    angle: _Scalar


@dataclass(frozen=True)
class LossWeights:
    """λ1 … λ4 of the paper (section 2); D3KE: the released code has angle = 0.01, see RELEASED."""

    joint: float = 1.0
    marker: float = 2.0
    body: float = 0.1
    angle: float = 0.06


_PAPER = LossWeights()
RELEASED = LossWeights(angle=0.01)


def losses(
    prediction: tuple[Pose | None, Points],
    target: tuple[Pose, Points],
    valid: Validity,
    skeleton: SkeletonLayer,
    *,
    norm: str = "L1",
    mask_angles: bool = True,
) -> Losses:
    """The four terms for predictions and targets of any, equal, leading batch axes.

    Positions are compared relative to the pelvis joint (joint 0), so both may be anywhere in the same axes.
    `norm` of the position differences: L1 (frame network) or L2; `mask_angles` leaves out invalid angles.
    Without a predicted pose (PointsNet) body and angle are 0.
    A frame in which nothing is valid adds 0, and counts in the mean over frames.  Where the true pelvis joint
    is invalid and not a number, no point of that frame can be compared: all count as invalid.
    ValueError for no frames at all: their mean would be NaN.
    """
    (pose, points), (true_pose, true_points) = prediction, target
    if not true_pose.angles.numel():
        raise ValueError(f"losses of no frames: angles have shape {tuple(true_pose.angles.shape)}")
    valid = _with_known_pelvis(valid, true_points)
    points, true_points = relative(points), relative(true_points)
    seen = valid.angles if mask_angles else torch.ones_like(valid.angles)
    importance = skeleton.marker_weights / 10
    none = points.joints.new_zeros(())
    return Losses(
        joint=_position(points.joints, true_points.joints, valid.joints, norm=norm),
        marker=_position(points.markers, true_points.markers, valid.markers, importance, norm=norm),
        body=none if pose is None else _body(pose.scales, true_pose.scales, skeleton),
        angle=none if pose is None else _angle(pose.angles, true_pose.angles, seen, skeleton),
    )


def relative(points: Points) -> Points:
    """The points relative to their frame's pelvis joint (joint 0), m."""
    origin = points.joints[..., :1, :]
    return Points(points.joints - origin, points.markers - origin)


def total(terms: Losses, weights: LossWeights = _PAPER) -> _Scalar:
    """λ1 joint + λ2 marker + λ3 body + λ4 angle."""
    return sum(getattr(weights, field.name) * getattr(terms, field.name) for field in fields(weights))


def _position(
    predicted: Float[Tensor, "*batch point 3"],
    true: Float[Tensor, "*batch point 3"],
    valid: Bool[Tensor, "*batch point"],
    weights: Float[Tensor, " point"] | None = None,
    *,
    norm: str = "L1",
) -> _Scalar:
    """Mean over valid points of the weighted norm of the difference, m; the weights are not divided out."""
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
    difference = _known(predicted, true, valid[..., None])
    distance = torch.linalg.vector_norm(difference, ord=NORMS[norm], dim=-1)
    return _masked_mean(distance if weights is None else distance * weights, valid)


def _angle(
    predicted: Float[Tensor, "*batch coord"],
    true: Float[Tensor, "*batch coord"],
    valid: Bool[Tensor, "*batch coord"],
    skeleton: SkeletonLayer,
) -> _Scalar:
    """Smooth-L1 of angles (rad), each coordinate's range counting alike, weighted 1 … 2 by range; degrees."""
    half = skeleton.angle_half
    coefficient = _ANGLE_BETA / (_RANGE_SHARE * 2 * half)
    weight = torch.exp2((half - half.min()) / (half.max() - half.min()))
    distance = _smooth_l1(coefficient * _known(predicted, true, valid), _ANGLE_BETA)
    return torch.rad2deg(_masked_mean(weight / coefficient * distance, valid))


def _body(
    predicted: Float[Tensor, "*batch body 3"], true: Float[Tensor, "*batch body 3"], skeleton: SkeletonLayer
) -> _Scalar:
    """Smooth-L1 of scale factors, each range counting alike, summed over axes, mean over bodies."""
    half = skeleton.scale_half[skeleton.scale_index]
    coefficient = _SCALE_BETA / (_RANGE_SHARE * 2 * half)
    distance = _smooth_l1(coefficient * (predicted - true), _SCALE_BETA) / coefficient
    return distance.sum(-1).mean()


def _with_known_pelvis(valid: Validity, true: Points) -> Validity:
    known = valid.joints[..., :1] | true.joints[..., 0, :].isfinite().all(-1, keepdim=True)
    return valid._replace(joints=valid.joints & known, markers=valid.markers & known)


def _known(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    # Not a product with the mask: what is masked may be NaN, and NaN · 0 is NaN, forward and backward.
    return predicted - torch.where(valid, true, predicted.detach())


def _smooth_l1(difference: Float[Tensor, "*shape"], beta: float) -> Float[Tensor, "*shape"]:
    return torch.nn.functional.smooth_l1_loss(
        difference, torch.zeros_like(difference), reduction="none", beta=beta
    )


def _masked_mean(values: Float[Tensor, "*batch item"], valid: Bool[Tensor, "*batch item"]) -> _Scalar:
    """Mean over valid items per frame, then over frames."""
    count = valid.sum(-1).clamp(min=1)
    return ((values * valid).sum(-1) / count).mean()
