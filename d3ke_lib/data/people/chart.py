"""Where every vertex and texel of the template is on the reference person: what clothes and paint go by."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.data.people.correspondence import JOINTS
from d3ke_lib.data.people.subject import vertex_normals
from d3ke_lib.data.people.template import Template, reference_weights

TEXELS = 10  # along each of the two barycentric axes of a triangle


class Chart(NamedTuple):
    """Of every point: rest position, limb coordinates, and whether it is of the head, a foot, a hand …"""

    at: Float[Tensor, "point 3"]
    normal: Float[Tensor, "point 3"]
    arm: Float[Tensor, " point"]  # 0 shoulder, 1 elbow, 2 wrist; −1 off the arms
    leg: Float[Tensor, " point"]  # 0 hip, 1 knee, 2 ankle; −1 off the legs
    head: Float[Tensor, " point"]  # share of the skull's and neck's weights
    foot: Float[Tensor, " point"]
    part: Int[Tensor, " point"]


def reference(template: Template) -> tuple[Float[Tensor, "vertex 3"], Float[Tensor, "joint 3"]]:
    """Vertices and joint centres of the person in the middle."""
    weights = reference_weights()
    return (
        template.base + torch.tensordot(weights, template.shapes, 1),
        template.base_joints + torch.tensordot(weights, template.shape_joints, 1),
    )


_KINDS = {
    "arm": ("humerus", "ulna", "radius"),
    "leg": ("femur", "tibia", "talus", "calcn", "toes"),
    "head": ("skull", "jaw", "cerv1", "cerv2"),
    "foot": ("calcn", "toes"),
}


def _share(template: Template, bodies: tuple[str, ...], starts: tuple[str, ...]) -> Float[Tensor, " vertex"]:
    """How much of each vertex is carried by bodies whose names start so."""
    of_kind = torch.tensor([name.startswith(starts) for name in bodies])
    return torch.where(of_kind[template.body], template.weight, 0.0).sum(1)


def chart_vertices(template: Template, bodies: tuple[str, ...]) -> Chart:
    at, joints = reference(template)
    names = list(JOINTS)
    carried = {kind: _share(template, bodies, starts) for kind, starts in _KINDS.items()}
    left = at[:, 2] < 0

    def along(chain: tuple[str, str, str], sides: tuple[str, str]) -> Tensor:
        found = []
        for side in sides:
            a, b, c = (joints[names.index(name + side)] for name in chain)
            upper, lower = b - a, c - b
            s = ((at - a) @ upper / (upper @ upper)).clamp(-0.3, 1)
            found.append(s + ((at - b) @ lower / (lower @ lower)).clamp(0, 1.8) * (s > 0.8))
        return torch.where(left, found[0], found[1])

    arm = along(("shoulder2", "elbow", "radiocarpal"), ("_l", ""))
    leg = along(("hip", "knee", "ankle"), ("_l", "_r"))
    parts = torch.zeros(len(at), dtype=torch.int64)
    for corner in range(3):
        parts[template.triangles[:, corner]] = template.part
    return Chart(
        at,
        vertex_normals(at, template.triangles),
        torch.where(carried["arm"] > 0.3, arm, -1.0),
        torch.where(carried["leg"] > 0.3, leg, -1.0),
        carried["head"],
        carried["foot"],
        parts,
    )


def chart_texels(chart: Chart, template: Template) -> Chart:
    """The chart at every texel's middle, (triangle · texel) in one axis."""
    u = (torch.arange(TEXELS, dtype=torch.float64) + 0.5) / TEXELS
    w1, w2 = u.repeat(TEXELS), u.repeat_interleave(TEXELS)
    over = (w1 + w2).clamp(min=1)  # texels beyond the third edge are drawn back to it
    w1, w2 = w1 / over, w2 / over
    w = torch.stack([1 - w1 - w2, w1, w2], -1)
    fields = []
    for name, value in zip(Chart._fields, chart):
        if name == "part":
            fields.append(template.part.repeat_interleave(TEXELS**2))
            continue
        corners = value[template.triangles]
        shares = w.view(1, -1, 3, *(1,) * (value.ndim - 1))
        fields.append(sum(corners[:, None, i] * shares[:, :, i] for i in range(3)).flatten(0, 1))
    return Chart(*fields)
