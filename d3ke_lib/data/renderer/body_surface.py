"""The body's surface as round cones: read from data/body/flesh.json and posed with the skeleton."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose

SURFACE_FILE = Path(__file__).parents[3] / "data" / "body" / "flesh.json"
_PARTS = ("skin", "hair", "top", "bottom", "shoe")
_GARMENTS = ("none", "hair", "shirt", "sleeve", "long_sleeve", "shorts", "trousers", "shoe")


class Cones(NamedTuple):
    """Posed round cones, m, and the frame (rotation, origin) of the body that carries each."""

    a: Float[Tensor, "*batch cone 3"]
    b: Float[Tensor, "*batch cone 3"]
    ra: Float[Tensor, "*batch cone"]
    rb: Float[Tensor, "*batch cone"]
    R_world_body: Float[Tensor, "*batch cone 3 3"]
    p_world_body: Float[Tensor, "*batch cone 3"]


@dataclass(frozen=True)
class BodySurface:
    """Round cones in the frames of the bodies that carry them, m; `garment`: the smallest that covers it."""

    body: tuple[str, ...]
    garment: tuple[str, ...]
    part: tuple[str, ...]
    a: Float[Tensor, "cone 3"]
    b: Float[Tensor, "cone 3"]
    ra: Float[Tensor, "cone"]
    rb: Float[Tensor, "cone"]


def load_surface(path: Path = SURFACE_FILE) -> BodySurface:
    """Reads a flesh.json.

    Raises KeyError for a cone without a field, ValueError for an unknown part or garment or a radius
    that is not positive; both name file, cone and field.
    """
    cones = json.loads(path.read_text(encoding="utf-8"))["cones"]
    for i, cone in enumerate(cones):
        _check(cone, f"{path}, cone {i}")
    names = (tuple(cone[field] for cone in cones) for field in ("body", "garment", "part"))
    numbers = (torch.tensor([cone[f] for cone in cones], dtype=torch.float32) for f in ("a", "b", "ra", "rb"))
    return BodySurface(*names, *numbers)


def _check(cone: dict, where: str) -> None:
    for field in ("body", "garment", "part", "a", "b", "ra", "rb"):
        if field not in cone:
            raise KeyError(f"{where}: no {field!r}, found {sorted(cone)}")
    for field, known in (("part", _PARTS), ("garment", _GARMENTS)):
        if cone[field] not in known:
            raise ValueError(f"{where}: {field} expected one of {known}, found {cone[field]!r}")
    for field in ("ra", "rb"):
        if not cone[field] > 0:
            raise ValueError(f"{where}: {field} expected > 0 m, found {cone[field]!r}")


def pose_surface(
    surface: BodySurface, skeleton: Skeleton, pose: Pose, p_world_root: Float[Tensor, "*batch 3"]
) -> Cones:
    """Cones in the world; `p_world_root`: where the origin of the skeleton's points is in it, m.

    Points are scaled as their body is, along its axes; radii by the mean factor (geometric), because a
    round cone has one. Raises KeyError for a body that the skeleton does not have.
    """
    missing = sorted(set(surface.body) - set(skeleton.bodies))
    if missing:
        raise KeyError(f"surface on bodies {missing}: not among the skeleton's {skeleton.bodies}")
    slots = [skeleton.bodies.index(body) for body in surface.body]
    R, p = skeleton.frames(pose)
    R, p = R[..., slots, :, :], p[..., slots, :] + p_world_root[..., None, :]
    ratio = (pose.scales / skeleton.generic_scales)[..., slots, :]
    mean = ratio.prod(-1) ** (1 / 3)
    a, b = ((R @ (ratio * end.to(p))[..., None])[..., 0] + p for end in (surface.a, surface.b))
    ra, rb = (radius.to(p) * mean for radius in (surface.ra, surface.rb))
    return Cones(a, b, ra.expand(p.shape[:-1]), rb.expand(p.shape[:-1]), R, p)
