"""An outfit on the template: thickness per vertex, colours per texel.

Every triangle carries TEXELS × TEXELS colours over its two barycentric axes, computed once per subject from
where the texel is on the reference person; nothing of it is computed again when frames are rendered.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.data.people.chart import TEXELS, Chart
from d3ke_lib.data.people.outfit import Cloth, Color, Outfit
from d3ke_lib.data.people.subject import SubjectSurface, vertex_normals
from d3ke_lib.data.people.template import LANDMARKS, PARTS, Template


class Dressed(NamedTuple):
    """What the renderer needs of one subject's surface besides its vertices."""

    triangles: Int[Tensor, "triangle 3"]
    texels: Float[Tensor, "triangle texel 3"]  # linear RGB
    thickness: Float[Tensor, " vertex"]  # along the rest normal, m
    shod: Float[Tensor, " vertex"]  # share of each vertex that is in a shoe
    cut: Int[Tensor, " cut"]  # vertices of hair that ends at the height of …
    chin: int  # … this vertex


def dress(template: Template, vertices: Chart, texels: Chart, outfit: Outfit) -> Dressed:
    """Which triangles are worn, their colours, and how far clothes and hair stand off the skin."""
    marks = dict(zip(LANDMARKS, template.landmarks))
    worn = template.part == PARTS.index("body")
    if outfit.bottom_kind == "skirt":
        worn = worn | (template.part == PARTS.index("helper-skirt"))
    if outfit.hair in ("long", "bob"):
        worn = worn | _loose_hair(template, vertices, marks)
    color = paint(texels, marks, outfit).unflatten(0, (-1, TEXELS**2))
    hair = (vertices.part == PARTS.index("helper-hair")) & (outfit.hair == "bob")
    chin = int((vertices.at - marks["jaw"]).square().sum(-1).argmin())
    thin = template.part != PARTS.index("body")  # seen from both sides
    order = torch.cat([worn.nonzero()[:, 0], (worn & thin).nonzero()[:, 0]])
    triangles = template.triangles[order]
    back = slice(int(worn.sum()), None)
    triangles[back] = triangles[back].flip(1)
    color = color[order]
    shod = cover(vertices, marks, outfit)["shoe"]
    return Dressed(
        triangles,
        color.square().float(),
        thickness(vertices, marks, outfit),
        shod,
        hair.nonzero()[:, 0],
        chin,
    )


def _loose_hair(template: Template, chart: Chart, marks: dict[str, Tensor]) -> Tensor:
    """Which triangles are the long hair that does not hang over the face."""
    middle = chart.at[template.triangles].mean(1)
    before_face = (middle[:, 0] > marks["l-eye"][0] - 0.045) & (middle[:, 1] < marks["l-eye"][1] + 0.05)
    before_chest = (middle[:, 0] > marks["neck"][0] + 0.02) & (middle[:, 1] < marks["neck"][1] + 0.02)
    return (template.part == PARTS.index("helper-hair")) & ~before_face & ~before_chest


def put_on(surface: SubjectSurface, template: Template, dressed: Dressed) -> SubjectSurface:
    """The surface with clothes and hair on: what frames are rendered from. Markers stay on the skin."""
    rest = surface.rest.clone()
    rest[dressed.cut, 1] = torch.maximum(rest[dressed.cut, 1], rest[dressed.chin, 1])
    rest = _smoothed(rest, template.triangles, dressed.shod)
    normal = vertex_normals(rest, template.triangles)
    rest = rest + normal * dressed.thickness[:, None]
    return surface._replace(rest=rest, normal=vertex_normals(rest, template.triangles))


def _smoothed(rest: Tensor, triangles: Tensor, share: Float[Tensor, " vertex"]) -> Float[Tensor, "vertex 3"]:
    """Vertices drawn to the mean of their neighbours: a shoe has no toes."""
    edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    for _ in range(2):
        total = torch.zeros_like(rest).index_add_(0, edges[:, 0], rest[edges[:, 1]])
        count = torch.zeros(len(rest), 1, dtype=rest.dtype).index_add_(
            0, edges[:, 0], torch.ones(len(edges), 1, dtype=rest.dtype)
        )
        rest = rest + share[:, None] * (total / count.clamp(min=1) - rest) * (count > 0)
    return rest


def cover(chart: Chart, marks: dict[str, Tensor], outfit: Outfit, soft: float = 0.003) -> dict[str, Tensor]:
    """Masks of top, bottom, shoe, hair and skirt, which go from 0 to 1 within ± `soft` (m) of an edge."""
    x, y, z = chart.at.unbind(-1)
    body = (chart.part == PARTS.index("body")).double()
    on_arm, on_leg, on_head = chart.arm > -1, chart.leg > -1, chart.head > 0.35
    base, side = marks["neck"], z.abs()
    # The neck line: lower in front than at the back.
    dip = outfit.collar * _ramp(x - base[0], -0.02, 0.06) * (1 - side / 0.08).clamp(0, 1)
    neckline = base[1] - 0.03 - dip - 0.3 * (side - 0.06).clamp(min=0) + 0.25 * (side - 0.10).clamp(min=0)
    trunk = _ramp(neckline - y, -soft, soft) * (~on_head)
    sleeve = torch.where(on_arm, _ramp(outfit.sleeve - chart.arm, -4 * soft, 4 * soft), 1.0)
    waist = marks["pelvis"][1] - outfit.waist
    top = body * trunk * sleeve * _ramp(y - waist, -soft, soft)
    legs = torch.where(on_leg, _ramp(outfit.leg - chart.leg, -2.5 * soft, 2.5 * soft), 1.0)
    below = _ramp(marks["spine-4"][1] + 0.02 - y, -soft, soft) * (~on_arm)
    bottom = body * below * legs * (1 - top) * (0.0 if outfit.bottom_kind == "skirt" else 1.0)
    foot = body * torch.maximum(_ramp(chart.foot, 0.3, 0.5), _ramp(chart.leg - 1.93, -0.02, 0.02) * on_leg)
    return {
        "top": top,
        "bottom": bottom * (1 - foot),
        "shoe": foot,
        "hair": _hair(chart, marks, outfit) * body,
        "skirt": (chart.part == PARTS.index("helper-skirt")).double(),
        "long": (chart.part == PARTS.index("helper-hair")).double(),
    }


def _ramp(value: Tensor, low: float, high: float) -> Tensor:
    return ((value - low) / (high - low)).clamp(0, 1)


def _hair(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Tensor:
    """The scalp: above a line that is high on the forehead and falls behind the ears to the nape."""
    x, y, _ = chart.at.unbind(-1)
    eyes = (marks["l-eye"] + marks["r-eye"]) / 2
    front = _ramp(x - (eyes[0] - 0.12), 0.0, 0.05)  # 0 behind the ears, 1 before them
    line = eyes[1] + 0.062 * front - 0.075 * (1 - front) + (0.012 if outfit.hair == "cap" else 0.0)
    return _ramp(y - line, -0.004, 0.004) * _ramp(chart.head, 0.3, 0.5)


def thickness(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Float[Tensor, " vertex"]:
    """Cloth and hair over the skin, m; folds are slow waves of it."""
    masks = cover(chart, marks, outfit, soft=0.025)
    folds = 1 + 0.45 * _folds(chart.at, outfit.folds)
    hair = {"cropped": 0.004, "short": 0.014, "bob": 0.012, "long": 0.012, "bun": 0.010, "cap": 0.012}[
        outfit.hair
    ]
    skull = (marks["head"] + marks["head-2"]) / 2
    bun = 0.045 * torch.exp(
        -((chart.at - (skull + torch.tensor([-0.09, 0.05, 0.0]))) / 0.035).square().sum(-1) / 2
    )
    brim = (
        0.06
        * _ramp(chart.at[:, 0] - (marks["l-eye"][0] - 0.03), 0.0, 0.02)
        * _ramp(marks["l-eye"][1] + 0.085 - chart.at[:, 1], 0.0, 0.01)
    )
    taper = 1 + 0.8 * (_ramp(chart.leg, 0.8, 2.0) * (chart.leg > -1))
    return (
        masks["top"] * outfit.top_loose * folds
        + masks["bottom"] * outfit.bottom_loose * folds * taper
        + masks["shoe"] * 0.012
        + masks["skirt"] * 0.012
        + masks["hair"]
        * (hair + (bun if outfit.hair == "bun" else 0.0) + (brim if outfit.hair == "cap" else 0.0))
    )


def _folds(at: Float[Tensor, "point 3"], seed: int) -> Float[Tensor, " point"]:
    """A sum of six waves of 5 to 15 cm, between −1 and 1."""
    g = torch.Generator().manual_seed(seed)
    direction = torch.randn(6, 3, generator=g, dtype=torch.float64)
    rate = 2 * math.pi / (0.05 + 0.1 * torch.rand(6, generator=g, dtype=torch.float64))
    phase = 2 * math.pi * torch.rand(6, generator=g, dtype=torch.float64)
    wave = direction / direction.square().sum(-1, keepdim=True).sqrt() * rate[:, None]
    return (
        sum(
            torch.sin(at[..., 0] * w[0] + at[..., 1] * w[1] + at[..., 2] * w[2] + p)
            for w, p in zip(wave, phase)
        )
        / 6
    )


def paint(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Float[Tensor, "point 3"]:
    """Colours of all points, sRGB."""
    masks = cover(chart, marks, outfit)
    color = _skin(chart, marks, outfit)
    leather = torch.where((chart.normal[:, 1] < -0.75)[:, None], _rgb(outfit.sole), _rgb(outfit.shoe))
    color = _mix(color, _cloth(chart, outfit.bottom), masks["bottom"])
    color = _mix(color, leather.expand_as(color), masks["shoe"])
    color = _mix(color, _printed(chart, marks, outfit), masks["top"])
    color = _mix(color, _cloth(chart, outfit.bottom), masks["skirt"])
    hair = (
        _rgb(outfit.top.second if outfit.hair == "cap" else outfit.hair_color)
        * (1 + 0.18 * _folds(chart.at * 3, 5))[:, None]
    )
    color = _mix(color, hair, torch.maximum(masks["hair"], masks["long"]))
    return color.clamp(0, 1)


def _rgb(color: Color) -> Float[Tensor, "1 3"]:
    return torch.tensor([color], dtype=torch.float64)


def _mix(base: Tensor, over: Tensor, share: Tensor) -> Tensor:
    return base + share[:, None] * (over - base)


def _cloth(chart: Chart, cloth: Cloth) -> Float[Tensor, "point 3"]:
    y = chart.at[:, 1] / cloth.period
    around = (chart.at[:, 2] + 0.3 * chart.at[:, 0]) / cloth.period
    stripe = {
        "plain": torch.zeros_like(y),
        "hoops": _square(y),
        "stripes": _square(around),
        "checks": (_square(y) + _square(around)) / 2,
    }[cloth.pattern]
    return _rgb(cloth.color) + stripe[:, None] * (_rgb(cloth.second) - _rgb(cloth.color))


def _square(phase: Tensor) -> Tensor:
    return (phase - phase.floor() < 0.5).double()


def _printed(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Float[Tensor, "point 3"]:
    """The top's cloth with a print on the chest, another on the back."""
    color = _cloth(chart, outfit.top)
    _, y, z = chart.at.unbind(-1)
    chest = marks["neck"][1] - 0.17
    for print_, front in ((outfit.front_print, True), (outfit.back_print, False)):
        if print_ is not None:
            facing = (chart.normal[:, 0] > 0.2) if front else (chart.normal[:, 0] < -0.2)
            inside = facing & ((y - chest).abs() < 0.085) & (z.abs() < 0.11) & (chart.arm <= -1)
            color = _mix(color, _cloth(chart, print_), inside.double())
    return color


def _skin(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Float[Tensor, "point 3"]:
    """Skin with a painted face: eyes, brows, lips, nostrils, beard."""
    x, y, z = chart.at.unbind(-1)
    color = _rgb(outfit.skin).expand(len(x), 3)
    red, dark = (
        _rgb((outfit.skin[0] * 0.92, outfit.skin[1] * 0.72, outfit.skin[2] * 0.70)),
        _rgb(outfit.hair_color),
    )
    facing = (chart.head > 0.3) & (chart.normal[:, 0] > -0.1) & (x > marks["mouth"][0] - 0.06)
    mouth = marks["mouth"]
    lip_y = mouth[1] + _LIPS_UP

    def blob(cy: Tensor, cz: Tensor, half_y: float, half_z: float) -> Tensor:
        return ((((y - cy) / half_y) ** 2 + ((z - cz) / half_z) ** 2) < 1) & facing

    cheeks = facing & (y < lip_y + 0.025) & (y > lip_y - 0.09)
    color = _mix(color, dark.expand_as(color), 0.75 * outfit.beard * cheeks.double())
    color = _mix(color, red.expand_as(color), 0.8 * blob(lip_y, mouth[2], 0.008, 0.024).double())
    color = _mix(color, 0.3 * red.expand_as(color), 0.6 * blob(lip_y, mouth[2], 0.0018, 0.022).double())
    for side in ("l-eye", "r-eye"):
        eye = marks[side]
        color = _mix(
            color, _rgb((0.93, 0.92, 0.90)).expand_as(color), blob(eye[1], eye[2], 0.007, 0.015).double()
        )
        color = _mix(
            color, _rgb((0.16, 0.11, 0.08)).expand_as(color), blob(eye[1], eye[2], 0.0065, 0.0065).double()
        )
        color = _mix(
            color, dark.expand_as(color), 0.85 * blob(eye[1] + 0.021, eye[2], 0.0045, 0.021).double()
        )
    return color


_LIPS_UP = 0.0  # the mouth's landmark to the lips' middle, m
