"""What a network predicts, and what the skeleton makes of it: three tuples of tensors."""

from typing import NamedTuple, TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

# For annotations of those who are given a skeleton: its code is then loaded by those who make one.
SkeletonLayer: TypeAlias = "d3ke_lib.body.kinematics.Skeleton"


class Pose(NamedTuple):
    """Coordinates, body scales and root rotation of a subject.

    angles: coordinate values, rad (m for translations), in the order of `Skeleton.coordinates`.
    scales: scale factors as the .osim writes them (absolute), in the order of `Skeleton.bodies`.
    R_ground_root: rotation of the root body's joint frame, or None: the root moves by its coordinates.
    """

    angles: Float[Tensor, "*batch coord"]
    scales: Float[Tensor, "*batch body 3"]
    R_ground_root: Float[Tensor, "*batch 3 3"] | None = None


class Points(NamedTuple):
    """Positions in ground, m, in the order of `Skeleton.joints` and `Skeleton.markers`."""

    joints: Float[Tensor, "*batch joint 3"]
    markers: Float[Tensor, "*batch marker 3"]


class Validity(NamedTuple):
    """Which labels count: False where a coordinate or point is not known or not in the image."""

    angles: Bool[Tensor, "*batch coord"]
    joints: Bool[Tensor, "*batch joint"]
    markers: Bool[Tensor, "*batch marker"]
