"""What a subject wears: drawn from a generator. Colours are sRGB, 0 to 1, as people name them."""

from dataclasses import dataclass

import torch

from d3ke_lib.data.people.subject import Phenotype

_HAIRS = ("cropped", "short", "bob", "long", "bun", "cap")
_BOTTOMS = ("trousers", "shorts", "skirt")
Color = tuple[float, float, float]
# Skin from light to dark in sRGB (the shades of photographed people, rounded).
_SKINS = (
    (0.95, 0.82, 0.74),
    (0.90, 0.72, 0.60),
    (0.78, 0.58, 0.45),
    (0.60, 0.42, 0.31),
    (0.42, 0.29, 0.22),
    (0.30, 0.20, 0.16),
)
_HAIR_COLORS = (
    (0.07, 0.06, 0.06),
    (0.14, 0.10, 0.08),
    (0.26, 0.17, 0.11),
    (0.42, 0.29, 0.17),
    (0.66, 0.52, 0.34),
    (0.58, 0.57, 0.56),
)
# What shops sell most: white, greys, black, navy, denim, olive, beige, and some colours.
_CLOTHS = (
    (0.93, 0.93, 0.92), (0.70, 0.70, 0.71), (0.35, 0.36, 0.38), (0.10, 0.10, 0.11), (0.13, 0.17, 0.29),
    (0.26, 0.36, 0.52),
    (0.45, 0.53, 0.66), (0.33, 0.35, 0.24), (0.74, 0.67, 0.55), (0.52, 0.12, 0.14), (0.72, 0.25, 0.20),
    (0.20, 0.42, 0.35),
    (0.86, 0.72, 0.30), (0.62, 0.45, 0.58),
)  # fmt: skip
_PATTERNS = {"plain": 0, "hoops": 1, "stripes": 2, "checks": 3}


@dataclass(frozen=True)
class Cloth:
    """Two colours (sRGB) and the pattern that mixes them; period in m."""

    color: Color
    second: Color
    pattern: str = "plain"
    period: float = 0.06


@dataclass(frozen=True)
class Outfit:
    """Sleeve and leg: where they end (1 elbow or knee, 2 wrist or ankle). Loose: m off the skin."""

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
        for field, value, known in (("hair", self.hair, _HAIRS), ("bottom_kind", self.bottom_kind, _BOTTOMS)):
            if value not in known:
                raise ValueError(f"Outfit.{field}: expected one of {', '.join(known)}, found {value!r}")


def draw_outfit(phenotype: Phenotype, generator: torch.Generator) -> Outfit:
    """Clothes as people wear indoors; hair, beard and skin as the phenotype makes likely."""
    d = _Draw(generator)
    dark = sum(share * level for share, level in zip(phenotype.ancestry, (3.9, 1.6, 0.7)))
    male = phenotype.male > 0.5
    kind = d.one(("trousers",) * 6 + ("shorts",) * 2 + (() if male else ("skirt",) * 3))
    hair = d.one(
        ("cropped",) * 2 + ("short",) * 5 + ("cap",) + ("bob",)
        if male
        else ("short",) + ("bob",) * 3 + ("long",) * 4 + ("bun",) * 3 + ("cap",)
    )
    old = phenotype.age > 0.45
    hair_color = d.between(
        _HAIR_COLORS[4:] if old and d.within(0, 1) < 0.7 else _HAIR_COLORS[: 2 if dark > 1.4 else 5]
    )
    return Outfit(
        skin=_scaled(d.along(_SKINS, min(max(dark + d.within(-0.6, 0.6), 0.0), 4.99)), d.within(0.95, 1.05)),
        hair=hair,
        hair_color=hair_color,
        top=d.cloth(0.35),
        bottom_kind=kind,
        bottom=d.cloth(0.1),
        shoe=d.one(_CLOTHS),
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

    def within(self, low: int | float, high: int | float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def one(self, choices: tuple) -> object:
        return choices[int(torch.randint(len(choices), (), generator=self.generator))]

    def along(self, palette: tuple[Color, ...], position: float) -> Color:
        first, share = int(position), position % 1
        return tuple(
            a + share * (b - a) for a, b in zip(palette[first], palette[min(first + 1, len(palette) - 1)])
        )

    def between(self, palette: tuple[Color, ...]) -> Color:
        return self.along(palette, self.within(0, len(palette) - 1.001))

    def cloth(self, patterned: float) -> Cloth:
        first, second = (_scaled(self.one(_CLOTHS), self.within(0.88, 1.1)) for _ in range(2))
        pattern = self.one(tuple(_PATTERNS)[1:]) if self.within(0, 1) < patterned else "plain"
        return Cloth(first, second, pattern, self.within(0.03, 0.1))


def _scaled(color: Color, factor: float) -> Color:
    return tuple(min(1.0, c * factor) for c in color)
