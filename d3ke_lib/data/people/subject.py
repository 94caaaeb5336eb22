"""One subject's surface: a phenotype is drawn, fitted to the subject's scale factors, and posed.

World and ground axes, m, float64.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.kinematics import Pose, Skeleton
from d3ke_lib.data.people.correspondence import JOINTS, find_joints, find_skin_markers
from d3ke_lib.data.people.template import AGES, ANCESTRIES, LENGTHS, LEVELS, SEXES, Template, shape_names

# The fit: how much a marker counts against a joint, what a unit of a length costs (m²), how far it may go.
_MARKER_SHARE, _RIDGE, _FURTHEST = 0.2, 2e-4, 1.8
# What the fit leaves over is spread over the surface around each joint and marker, m; so many times.
_SPREAD, _PASSES = 0.07, 4


@dataclass(frozen=True)
class Phenotype:
    """MakeHuman's sliders, 0 to 1: male 0 is female; age 0 is young, 1 old; 0.5 is average."""

    male: float
    age: float
    muscle: float
    weight: float
    ancestry: tuple[float, float, float]  # shares of ANCESTRIES

    def __post_init__(self) -> None:
        for name in ("male", "age", "muscle", "weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Phenotype.{name}: expected 0 to 1, found {getattr(self, name)}")
        if min(self.ancestry) < 0 or abs(sum(self.ancestry) - 1) > 1e-6:
            raise ValueError(f"Phenotype.ancestry: expected shares that sum to 1, found {self.ancestry}")


def draw_phenotype(generator: torch.Generator) -> Phenotype:
    """Women and men, mostly of one kind; adults; rather average in muscle and weight; mixed ancestries."""
    draw = torch.rand(8, generator=generator, dtype=torch.float64)
    shares = -(torch.log(draw[4:7].clamp(min=1e-6)) ** 2)
    male = float(draw[0] > 0.5) * 0.8 + 0.2 * float(draw[7])
    middle = [float(0.5 + 0.4 * (2 * draw[i] - 1) * (2 * draw[i] - 1).abs().sqrt()) for i in (2, 3)]
    return Phenotype(male, float(0.7 * draw[1] ** 2), *middle, tuple((shares / shares.sum()).tolist()))


class SubjectSurface(NamedTuple):
    """Vertices in the rest pose, the bodies' frames there, and how far the fit was off."""

    rest: Float[Tensor, "vertex 3"]
    normal: Float[Tensor, "vertex 3"]
    R_rest: Float[Tensor, "body 3 3"]
    p_rest: Float[Tensor, "body 3"]
    lengths: Float[Tensor, " length"]
    joint_error: Float[Tensor, " joint"]  # mesh joint centres to the skeleton's, m, before what is spread
    marker_error: Float[Tensor, " marker"]  # surface markers to the surface's vertex, m, after it


def _shape_weights(phenotype: Phenotype) -> dict[str, float]:
    """Weight of every macro target (MakeHuman's products of its sliders' parts)."""
    sexes = dict(zip(SEXES, (1 - phenotype.male, phenotype.male)))
    ages = dict(zip(AGES, (1 - phenotype.age, phenotype.age)))
    muscle, weight = (dict(zip(LEVELS, _parts(value))) for value in (phenotype.muscle, phenotype.weight))
    found = {}
    for s, sw in sexes.items():
        for a, aw in ages.items():
            for m, mw in muscle.items():
                for w, ww in weight.items():
                    found[f"macrodetails/universal-{s}-{a}-{m}muscle-{w}weight"] = sw * aw * mw * ww
            for r, rw in zip(ANCESTRIES, phenotype.ancestry):
                found[f"macrodetails/{r}-{s}-{a}"] = sw * aw * rw
    return found


def _parts(value: float) -> tuple[float, float, float]:
    """Shares of minimum, average and maximum at a slider's position."""
    return max(0.0, 1 - 2 * value), 1 - abs(2 * value - 1), max(0.0, 2 * value - 1)


def fit_surface(
    template: Template, skeleton: Skeleton, phenotype: Phenotype, scales: Float[Tensor, "body 3"]
) -> SubjectSurface:
    """The surface of `phenotype` whose joint centres and markers are nearest to the skeleton's at `scales`.

    Ridge regression on the opposite lengths and the stature, in the template's rest pose.
    """
    names = shape_names()
    given = _shape_weights(phenotype)
    coefficients = torch.tensor([given.get(name, 0.0) for name in names], dtype=torch.float64)
    free = _free_directions(template, phenotype)
    pose = Pose(template.rest_angles, scales, template.rest_rotation)
    points = skeleton(pose)
    outer = find_skin_markers(skeleton)
    wanted = torch.cat([points.joints[find_joints(skeleton)], points.markers[outer]])

    def observed(vertices: Tensor, joints: Tensor) -> Tensor:
        return torch.cat([joints, vertices[..., template.markers[outer], :]], -2)

    shape, joints = (base + torch.tensordot(coefficients, some, 1) for base, some in _bases(template))
    directions = observed(*free)
    shares = torch.ones(len(wanted), 1, dtype=torch.float64)
    shares[len(JOINTS) :] = _MARKER_SHARE
    lengths, shift = _ridge(directions, observed(shape, joints), wanted, shares)
    shape, joints = (v + torch.tensordot(lengths, some, 1) + shift for v, some in zip((shape, joints), free))
    off = (wanted[: len(JOINTS)] - joints).norm(dim=-1)
    for _ in range(_PASSES):
        now = observed(shape, joints)
        joints = joints + _spread(wanted - now, joints, now)
        shape = shape + _spread(wanted - now, shape, now)
    R, p = skeleton.frames(pose)
    missed = (wanted[len(JOINTS) :] - shape[template.markers[outer]]).norm(dim=-1)
    return SubjectSurface(shape, vertex_normals(shape, template.triangles), R, p, lengths, off, missed)


def vertex_normals(
    vertices: Float[Tensor, "*batch vertex 3"], triangles: Int[Tensor, "triangle 3"]
) -> Float[Tensor, "*batch vertex 3"]:
    """Unit normals, weighted by area; sums in the order of the triangles."""
    a, b, c = (vertices[..., triangles[:, i], :] for i in range(3))
    u, v = b - a, c - a
    face = torch.linalg.cross(u, v)
    total = torch.zeros_like(vertices)
    for i in range(3):
        total.index_add_(-2, triangles[:, i], face)
    return total / total.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12)


def _spread(off: Tensor, points: Float[Tensor, "n 3"], centres: Tensor) -> Float[Tensor, "n 3"]:
    """Offsets at `centres` as a smooth field at `points`: means weighted by a Gaussian of the distance."""
    closeness = torch.exp(-0.5 * (torch.cdist(points, centres) / _SPREAD) ** 2)
    return (closeness @ off) / (closeness.sum(1, keepdim=True) + 0.05)


def _bases(template: Template) -> list[tuple[Tensor, Tensor]]:
    return [(template.base, template.shapes), (template.base_joints, template.shape_joints)]


def _free_directions(template: Template, phenotype: Phenotype) -> tuple[Tensor, Tensor]:
    """What the fit may move along: stature (of this sex and age) and LENGTHS; of vertices and of joints."""
    names = shape_names()
    shares = {
        (s, a): sw * aw
        for s, sw in zip(SEXES, (1 - phenotype.male, phenotype.male))
        for a, aw in zip(AGES, (1 - phenotype.age, phenotype.age))
    }
    found = []
    for _, shapes in _bases(template):
        stature = sum(
            share
            * sign
            / 2
            * shapes[names.index(f"macrodetails/height/{s}-{a}-averagemuscle-averageweight-{end}height")]
            for (s, a), share in shares.items()
            for end, sign in (("min", -1), ("max", 1))
        )
        found.append(torch.cat([stature[None], shapes[-len(LENGTHS) :]]))
    return found[0], found[1]


def _ridge(
    directions: Float[Tensor, "k point 3"], start: Float[Tensor, "point 3"], wanted: Tensor, shares: Tensor
) -> tuple[Float[Tensor, " k"], Float[Tensor, " 3"]]:
    """Lengths (within ± FURTHEST) and a translation."""
    k = len(directions)
    shifts = torch.eye(3, dtype=torch.float64)[:, None].expand(3, len(start), 3)
    root = shares.sqrt()
    A = (torch.cat([directions, shifts]) * root).flatten(1).T
    b = ((wanted - start) * root).flatten()
    penalty = torch.cat([torch.full((k,), _RIDGE, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)])
    held = torch.zeros(k + 3, dtype=torch.float64)
    active = torch.ones(k + 3, dtype=torch.bool)
    for _ in range(4):
        some = A[:, active]
        solved = torch.linalg.solve(
            some.T @ some + torch.diag(penalty[active]), some.T @ (b - A[:, ~active] @ held[~active])
        )
        held[active] = solved
        beyond = held.abs() > _FURTHEST
        beyond[k:] = False
        if not (beyond & active).any():
            break
        held[beyond] = held[beyond].sign() * _FURTHEST
        active &= ~beyond
    return held[:k], held[k:]


def pose_surface(
    surface: SubjectSurface, template: Template, skeleton: Skeleton, pose: Pose
) -> tuple[Float[Tensor, "*batch vertex 3"], Float[Tensor, "*batch vertex 3"]]:
    """Vertices and unit normals by linear blend skinning with the skeleton's frames; origin as its points."""
    R, p = skeleton.frames(pose)
    vertices = torch.zeros(*R.shape[:-3], len(surface.rest), 3, dtype=torch.float64)
    normals = torch.zeros_like(vertices)
    for k in range(template.body.shape[1]):
        body, weight = template.body[:, k], template.weight[:, k, None]
        R_body, R_rest = R[..., body, :, :], surface.R_rest[body]
        vertices += weight * (_rotated(R_body, R_rest, surface.rest - surface.p_rest[body]) + p[..., body, :])
        normals += weight * _rotated(R_body, R_rest, surface.normal)
    return vertices, normals / normals.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-9)


def _rotated(R: Tensor, R_rest: Tensor, vector: Tensor) -> Tensor:
    """R · R_restᵀ · vector in a fixed order of sums, whatever the batch."""
    local = sum(R_rest[:, i] * vector[:, i, None] for i in range(3))
    return sum(R[..., :, i] * local[:, i, None] for i in range(3))
