"""The cells of a study, read from its plan: which networks are trained from which seeds, in which order.

A plan is a TOML file of data/ that is committed before the first cell is trained. `resnext50_32x4d@long`
names the backbone resnext50_32x4d trained by the variant `long`, whose values replace some of the profile's.
"""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from d3ke_lib.experiment.run.codec import check_types, from_values
from d3ke_lib.files import D3keError
from d3ke_lib.settings import REPOSITORY

T = TypeVar("T")


@dataclass(frozen=True)
class Hypothesis:
    """What a study asks: whether the mean of `second` is lower than that of `first` by the margin or more."""

    name: str
    claim: str
    first: tuple[str, ...]  # settings, as results.json names them
    second: tuple[str, ...]


@dataclass(frozen=True)
class _Variant:
    """Another recipe of the frame network: `frame` holds the values that differ."""

    name: str
    why: str
    frame: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """Networks that answer one question. Trained seed by seed, each frame network before its refiners."""

    name: str
    why: str
    backbones: tuple[str, ...]
    seeds: tuple[int, ...]
    refiners: tuple[str, ...] = ()

    @property
    def networks(self) -> list[tuple[str, int, str | None]]:
        """(backbone, seed, refiner) in the order of training; refiner None: the frame network alone."""
        return [
            (backbone, seed, refiner)
            for seed in self.seeds
            for backbone in self.backbones
            for refiner in (None, *self.refiners)
        ]


@dataclass(frozen=True)
class StudyPlan:
    """What was decided before the first cell was trained."""

    profile: str
    primary_metric: str
    margin_deg: float
    statistics: str
    order: str
    stopping: str
    hypotheses: tuple[Hypothesis, ...]
    cells: tuple[Cell, ...]
    variants: tuple[_Variant, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        for kind in ("hypotheses", "cells", "variants"):
            names = [each.name for each in getattr(self, kind)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise D3keError(f"{kind}: each name once, found twice: {', '.join(twice)}")
        known = {variant.name for variant in self.variants}
        for cell in self.cells:
            for name in map(variant_of, cell.backbones):
                if name and name not in known:
                    raise D3keError(f"cell {cell.name}: unknown variant {name!r}; known: {_listed(known)}")
        self._check_hypotheses()

    def _check_hypotheses(self) -> None:
        trained = {setting_of(backbone, refiner) for backbone, _, refiner in self.networks}
        for each in self.hypotheses:
            if missing := {*each.first, *each.second} - trained:
                raise D3keError(f"hypothesis {each.name}: no cell trains {_listed(missing)}")

    @property
    def networks(self) -> list[tuple[str, int, str | None]]:
        """Those of all cells in the order of training, each once."""
        return list(dict.fromkeys(network for cell in self.cells for network in cell.networks))

    def choose(self, names: tuple[str, ...]) -> tuple[Cell, ...]:
        """The cells of these names, in the plan's order; all for no name. D3keError for unknown ones."""
        known = [cell.name for cell in self.cells]
        if unknown := [name for name in names if name not in known]:
            raise D3keError(f"unknown cell {_listed(unknown)}; known: {_listed(known)}")
        return tuple(cell for cell in self.cells if not names or cell.name in names)

    def find_changes(self, backbone: str) -> dict[str, Any]:
        """What the variant in a backbone's name changes in the frame network's configuration."""
        wanted = variant_of(backbone)
        if wanted is None:
            return {}
        found = {variant.name: variant.frame for variant in self.variants}
        if wanted not in found:
            raise D3keError(f"{backbone}: unknown variant {wanted!r}; known: {_listed(found)}")
        return dict(found[wanted])


def read_plan(name: str) -> StudyPlan:
    """The plan in this file of data/ (or at this absolute path).

    Raises D3keError naming the file and what is missing, unknown or of another type.
    """
    path = path_of_plan(name)
    try:
        return from_values(StudyPlan, tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise D3keError(f"{path}: expected the plan of a study, found no file") from None
    except ValueError as error:
        raise D3keError(f"{path.name}: {error}") from None


def apply(profile: T, seeds: tuple[int, ...] = ()) -> T:
    """The profile with the backbones, refiners and seeds of its plan. Raises D3keError for other seeds."""
    if seeds:
        raise D3keError(f"profile {profile.name}: its seeds are in data/{profile.plan}; leave SEEDS out")
    backbones, numbers, refiners = zip(*read_plan(profile.plan).networks)
    return replace(
        profile,
        backbones=tuple(dict.fromkeys(backbones)),
        refiners=tuple(dict.fromkeys(filter(None, refiners))),
        seeds=tuple(sorted(set(numbers))),
    )


def path_of_plan(name: str) -> Path:
    return REPOSITORY / "data" / name


def architecture_of(backbone: str) -> str:
    """resnext50_32x4d@long → resnext50_32x4d."""
    return backbone.partition("@")[0]


def variant_of(backbone: str) -> str | None:
    """resnext50_32x4d@long → long; None for a backbone without a variant."""
    return backbone.partition("@")[2] or None


def setting_of(backbone: str, refiner: str | None) -> str:
    """The name under which results.json has the networks of all seeds."""
    return f"temporal/{refiner}.{backbone}" if refiner else f"frame/{backbone}"


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
