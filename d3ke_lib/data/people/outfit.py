"""What a subject wears and looks like: drawn, then turned into thickness per vertex and colours per texel.

Every triangle carries TEXELS × TEXELS colours over its two barycentric axes, computed once per subject from where the
texel is on the reference person; nothing of it is computed again when frames are rendered. Colours are drawn in
sRGB and returned linear (gamma 2, as the renderer undoes it).
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.data.people.template import ANCESTRIES, JOINTS, LANDMARKS, PARTS, SEXES, Template, shape_names
from d3ke_lib.data.people.subject import Phenotype, SubjectSurface, vertex_normals

TEXELS = 10
HAIRS = ("cropped", "short", "bob", "long", "bun", "cap")
BOTTOMS = ("trousers", "shorts", "skirt")
Color = tuple[float, float, float]
# Skin from light to dark in sRGB (the shades of photographed people, rounded).
SKINS = ((0.95, 0.82, 0.74), (0.90, 0.72, 0.60), (0.78, 0.58, 0.45), (0.60, 0.42, 0.31), (0.42, 0.29, 0.22), (0.30, 0.20, 0.16))
HAIR_COLORS = ((0.07, 0.06, 0.06), (0.14, 0.10, 0.08), (0.26, 0.17, 0.11), (0.42, 0.29, 0.17), (0.66, 0.52, 0.34), (0.58, 0.57, 0.56))
# What shops sell most: white, greys, black, navy, denim, olive, beige, and some colours.
CLOTHS = (
    (0.93, 0.93, 0.92), (0.70, 0.70, 0.71), (0.35, 0.36, 0.38), (0.10, 0.10, 0.11), (0.13, 0.17, 0.29), (0.26, 0.36, 0.52),
    (0.45, 0.53, 0.66), (0.33, 0.35, 0.24), (0.74, 0.67, 0.55), (0.52, 0.12, 0.14), (0.72, 0.25, 0.20), (0.20, 0.42, 0.35),
    (0.86, 0.72, 0.30), (0.62, 0.45, 0.58),
)  # fmt: skip
PATTERNS = {"plain": 0, "hoops": 1, "stripes": 2, "checks": 3}


@dataclass(frozen=True)
class Cloth:
    """Two colours (sRGB) and the pattern that mixes them; period in m."""

    color: Color
    second: Color
    pattern: str = "plain"
    period: float = 0.06


@dataclass(frozen=True)
class Outfit:
    """Sleeve and leg: where they end; 1 is the elbow or knee, 2 the wrist or ankle. Looseness: m from the skin."""

    skin: Color
    hair: str
    hair_color: Color
    top: Cloth
    bottom_kind: str
    bottom: Cloth
    shoe: Color
    sole: Color
    sleeve: float
    leg: float
    collar: float  # how far the neck line reaches below the neck, m
    waist: float  # how far the top hangs below the pelvis' joint, m
    top_loose: float
    bottom_loose: float
    front_print: Cloth | None
    back_print: Cloth | None
    beard: float  # 0 none, 1 full
    folds: int  # seed of the folds

    def __post_init__(self) -> None:
        for field, value, known in (("hair", self.hair, HAIRS), ("bottom_kind", self.bottom_kind, BOTTOMS)):
            if value not in known:
                raise ValueError(f"Outfit.{field}: expected one of {', '.join(known)}, found {value!r}")


class Dressed(NamedTuple):
    """What the renderer needs of one subject's surface besides its vertices."""

    triangles: Int[Tensor, "triangle 3"]
    texels: Float[Tensor, "triangle texel 3"]  # linear RGB
    thickness: Float[Tensor, " vertex"]  # along the rest normal, m
    shod: Float[Tensor, " vertex"]  # share of each vertex that is in a shoe
    highest: Float[Tensor, " vertex"]  # rest y (m, on the reference person) above which long hair is cut


# --- drawing ----------------------------------------------------------------------------------------------


def draw_outfit(phenotype: Phenotype, generator: torch.Generator) -> Outfit:
    """Clothes as people wear indoors; hair, beard and skin as the phenotype makes likely."""
    d = _Draw(generator)
    dark = sum(share * level for share, level in zip(phenotype.ancestry, (3.9, 1.6, 0.7)))
    male = phenotype.male > 0.5
    kind = d.one(("trousers",) * 6 + ("shorts",) * 2 + (() if male else ("skirt",) * 3))
    hair = d.one(("cropped",) * 2 + ("short",) * 5 + ("cap",) + ("bob",) if male else ("short",) + ("bob",) * 3 + ("long",) * 4 + ("bun",) * 3 + ("cap",))
    old = phenotype.age > 0.45
    hair_color = d.between(HAIR_COLORS[4:] if old and d.within(0, 1) < 0.7 else HAIR_COLORS[: 2 if dark > 1.4 else 5])
    return Outfit(
        skin=_scaled(d.along(SKINS, min(max(dark + d.within(-0.6, 0.6), 0.0), 4.99)), d.within(0.95, 1.05)),
        hair=hair,
        hair_color=hair_color,
        top=d.cloth(0.35),
        bottom_kind=kind,
        bottom=d.cloth(0.1),
        shoe=d.one(CLOTHS),
        sole=d.one(((0.9, 0.9, 0.88), (0.15, 0.14, 0.13), (0.55, 0.42, 0.3))),
        sleeve=d.one((0.15, 0.5, 0.55, 0.75, 1.2, 1.95, 2.0)),
        leg={"trousers": 2.1, "shorts": d.within(0.5, 1.1), "skirt": d.within(0.6, 1.6)}[kind],
        collar=d.one((0.0, 0.02, 0.05, 0.09)),
        waist=d.within(-0.06, 0.08),
        top_loose=d.within(0.004, 0.022),
        bottom_loose=d.within(0.004, 0.024),
        front_print=d.cloth(0.6) if d.within(0, 1) < 0.35 else None,
        back_print=d.cloth(0.6) if d.within(0, 1) < 0.2 else None,
        beard=d.within(0.3, 1.0) if male and d.within(0, 1) < 0.35 else 0.0,
        folds=int(d.within(0, 2**20)),
    )


@dataclass(frozen=True)
class _Draw:
    """Named draws from one generator."""

    generator: torch.Generator

    def within(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def one(self, choices: tuple) -> object:
        return choices[int(torch.randint(len(choices), (), generator=self.generator))]

    def along(self, palette: tuple[Color, ...], position: float) -> Color:
        first, share = int(position), position % 1
        return tuple(a + share * (b - a) for a, b in zip(palette[first], palette[min(first + 1, len(palette) - 1)]))

    def between(self, palette: tuple[Color, ...]) -> Color:
        return self.along(palette, self.within(0, len(palette) - 1.001))

    def cloth(self, patterned: float) -> Cloth:
        first, second = (_scaled(self.one(CLOTHS), self.within(0.88, 1.1)) for _ in range(2))
        pattern = self.one(tuple(PATTERNS)[1:]) if self.within(0, 1) < patterned else "plain"
        return Cloth(first, second, pattern, self.within(0.03, 0.1))


def _scaled(color: Color, factor: float) -> Color:
    return tuple(min(1.0, c * factor) for c in color)


# --- where things are on the reference person --------------------------------------------------------------


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
    names = shape_names()
    mean = {f"macrodetails/universal-{s}-young-averagemuscle-averageweight": 0.5 for s in SEXES}
    mean |= {f"macrodetails/{r}-{s}-young": 1 / 6 for r in ANCESTRIES for s in SEXES}
    weights = torch.tensor([mean.get(name, 0.0) for name in names], dtype=torch.float64)
    return (
        template.base + torch.tensordot(weights, template.shapes, 1),
        template.base_joints + torch.tensordot(weights, template.shape_joints, 1),
    )


def chart_vertices(template: Template, bodies: tuple[str, ...]) -> Chart:
    at, joints = reference(template)
    names = list(JOINTS)
    share = {
        kind: sum(
            torch.where(torch.tensor([bodies[b].startswith(starts) for b in template.body[:, k].tolist()]), template.weight[:, k], 0.0)
            for k in range(template.body.shape[1])
        )
        for kind, starts in {
            "arm": ("humerus", "ulna", "radius"), "leg": ("femur", "tibia", "talus", "calcn", "toes"),
            "head": ("skull", "jaw", "cerv1", "cerv2"), "foot": ("calcn", "toes"),
        }.items()
    }  # fmt: skip
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
        at, vertex_normals(at, template.triangles),
        torch.where(share["arm"] > 0.3, arm, -1.0), torch.where(share["leg"] > 0.3, leg, -1.0), share["head"], share["foot"], parts,
    )  # fmt: skip


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


# --- dressing ---------------------------------------------------------------------------------------------


def dress(template: Template, vertices: Chart, texels: Chart, outfit: Outfit) -> Dressed:
    """Which triangles are worn, their colours, and how far clothes and hair stand off the skin."""
    marks = dict(zip(LANDMARKS, template.landmarks))
    worn = template.part == PARTS.index("body")
    if outfit.bottom_kind == "skirt":
        worn = worn | (template.part == PARTS.index("helper-skirt"))
    if outfit.hair in ("long", "bob"):
        worn = worn | _loose_hair(template, vertices, marks)
    color = paint(texels, marks, outfit).unflatten(0, (-1, TEXELS**2))
    cut = marks["mouth"][1] - 0.03 if outfit.hair == "bob" else -9.0
    highest = torch.where(vertices.part == PARTS.index("helper-hair"), cut, -9.0).double()
    thin = template.part != PARTS.index("body")  # seen from both sides
    order = torch.cat([worn.nonzero()[:, 0], (worn & thin).nonzero()[:, 0]])
    triangles = template.triangles[order]
    back = slice(int(worn.sum()), None)
    triangles[back] = triangles[back].flip(1)
    color = color[order]
    shod = cover(vertices, marks, outfit)["shoe"]
    return Dressed(triangles, color.square().float(), thickness(vertices, marks, outfit), shod, highest)


def _loose_hair(template: Template, chart: Chart, marks: dict[str, Tensor]) -> Tensor:
    """Which triangles are the long hair that does not hang over the face."""
    middle = chart.at[template.triangles].mean(1)
    before = (middle[:, 0] > marks["l-eye"][0] - 0.045) & (middle[:, 1] < marks["l-eye"][1] + 0.05)
    return (template.part == PARTS.index("helper-hair")) & ~(before & (middle[:, 1] > marks["neck"][1] - 0.05))


def put_on(surface: SubjectSurface, template: Template, dressed: Dressed) -> SubjectSurface:
    """The surface with clothes and hair on: what frames are rendered from. Markers stay on the skin."""
    rest = surface.rest.clone()
    rest[:, 1] = torch.maximum(rest[:, 1], dressed.highest)
    rest = _smoothed(rest, template.triangles, dressed.shod)
    normal = vertex_normals(rest, template.triangles)
    rest = rest + normal * dressed.thickness[:, None]
    return surface._replace(rest=rest, normal=vertex_normals(rest, template.triangles))


def _smoothed(rest: Tensor, triangles: Tensor, share: Float[Tensor, " vertex"]) -> Float[Tensor, "vertex 3"]:
    """Vertices drawn to the mean of their neighbours: a shoe has no toes."""
    edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    for _ in range(2):
        total = torch.zeros_like(rest).index_add_(0, edges[:, 0], rest[edges[:, 1]])
        count = torch.zeros(len(rest), 1, dtype=rest.dtype).index_add_(0, edges[:, 0], torch.ones(len(edges), 1, dtype=rest.dtype))
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
        "top": top, "bottom": bottom * (1 - foot), "shoe": foot, "hair": _hair(chart, marks, outfit) * body,
        "skirt": (chart.part == PARTS.index("helper-skirt")).double(), "long": (chart.part == PARTS.index("helper-hair")).double(),
    }  # fmt: skip


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
    hair = {"cropped": 0.004, "short": 0.014, "bob": 0.012, "long": 0.012, "bun": 0.010, "cap": 0.012}[outfit.hair]
    skull = (marks["head"] + marks["head-2"]) / 2
    bun = 0.045 * torch.exp(-((chart.at - (skull + torch.tensor([-0.09, 0.05, 0.0]))) / 0.035).square().sum(-1) / 2)
    brim = 0.06 * _ramp(chart.at[:, 0] - (marks["l-eye"][0] - 0.03), 0.0, 0.02) * _ramp(marks["l-eye"][1] + 0.085 - chart.at[:, 1], 0.0, 0.01)
    taper = 1 + 0.8 * (_ramp(chart.leg, 0.8, 2.0) * (chart.leg > -1))
    return (
        masks["top"] * outfit.top_loose * folds
        + masks["bottom"] * outfit.bottom_loose * folds * taper
        + masks["shoe"] * 0.012
        + masks["skirt"] * 0.012
        + masks["hair"] * (hair + (bun if outfit.hair == "bun" else 0.0) + (brim if outfit.hair == "cap" else 0.0))
    )


def _folds(at: Float[Tensor, "point 3"], seed: int) -> Float[Tensor, " point"]:
    """A sum of six waves of 5 to 15 cm, between −1 and 1."""
    g = torch.Generator().manual_seed(seed)
    direction = torch.randn(6, 3, generator=g, dtype=torch.float64)
    rate = 2 * math.pi / (0.05 + 0.1 * torch.rand(6, generator=g, dtype=torch.float64))
    phase = 2 * math.pi * torch.rand(6, generator=g, dtype=torch.float64)
    wave = direction / direction.square().sum(-1, keepdim=True).sqrt() * rate[:, None]
    return sum(torch.sin(at[..., 0] * w[0] + at[..., 1] * w[1] + at[..., 2] * w[2] + p) for w, p in zip(wave, phase)) / 6


def paint(chart: Chart, marks: dict[str, Tensor], outfit: Outfit) -> Float[Tensor, "point 3"]:
    """Colours of all points, sRGB."""
    masks = cover(chart, marks, outfit)
    color = _skin(chart, marks, outfit)
    leather = torch.where((chart.normal[:, 1] < -0.75)[:, None], _rgb(outfit.sole), _rgb(outfit.shoe))
    color = _mix(color, _cloth(chart, outfit.bottom), masks["bottom"])
    color = _mix(color, leather.expand_as(color), masks["shoe"])
    color = _mix(color, _printed(chart, marks, outfit), masks["top"])
    color = _mix(color, _cloth(chart, outfit.bottom), masks["skirt"])
    hair = _rgb(outfit.top.second if outfit.hair == "cap" else outfit.hair_color) * (1 + 0.18 * _folds(chart.at * 3, 5))[:, None]
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
        "plain": torch.zeros_like(y), "hoops": _square(y), "stripes": _square(around), "checks": (_square(y) + _square(around)) / 2,
    }[cloth.pattern]  # fmt: skip
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
    red, dark = _rgb((outfit.skin[0] * 0.92, outfit.skin[1] * 0.72, outfit.skin[2] * 0.70)), _rgb(outfit.hair_color)
    facing = (chart.head > 0.3) & (chart.normal[:, 0] > -0.1) & (x > marks["mouth"][0] - 0.06)
    mouth = marks["mouth"]
    lip_y = mouth[1] + LIPS_UP

    def blob(cy: Tensor, cz: Tensor, half_y: float, half_z: float) -> Tensor:
        return ((((y - cy) / half_y) ** 2 + ((z - cz) / half_z) ** 2) < 1) & facing

    cheeks = facing & (y < lip_y + 0.025) & (y > lip_y - 0.09)
    color = _mix(color, dark.expand_as(color), 0.75 * outfit.beard * cheeks.double())
    color = _mix(color, red.expand_as(color), 0.8 * blob(lip_y, mouth[2], 0.008, 0.024).double())
    color = _mix(color, 0.3 * red.expand_as(color), 0.6 * blob(lip_y, mouth[2], 0.0018, 0.022).double())
    for side in ("l-eye", "r-eye"):
        eye = marks[side]
        color = _mix(color, _rgb((0.93, 0.92, 0.90)).expand_as(color), blob(eye[1], eye[2], 0.007, 0.015).double())
        color = _mix(color, _rgb((0.16, 0.11, 0.08)).expand_as(color), blob(eye[1], eye[2], 0.0065, 0.0065).double())
        color = _mix(color, dark.expand_as(color), 0.85 * blob(eye[1] + 0.021, eye[2], 0.0045, 0.021).double())
    return color


LIPS_UP = 0.0  # the mouth's landmark to the lips' middle, m
