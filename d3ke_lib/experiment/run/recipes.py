"""The two sources' recipes by name: the paper's is the default, the released code's has one other number.

Sources and units stand beside the fields in config.py; rows of data/deviations.json say what else they
disagree about without a number (the paper's "Adam" is the code's AdamW: `optimizer` is a switch).
"""

import dataclasses
from typing import NamedTuple

from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import FrameConfig, Profile, TemporalConfig
from d3ke_lib.nets.losses import RELEASED


class Recipe(NamedTuple):
    """How both networks are trained."""

    frame: FrameConfig
    temporal: TemporalConfig


RECIPES = {
    "paper": Recipe(FrameConfig(), TemporalConfig()),
    "released": Recipe(FrameConfig(loss=RELEASED), TemporalConfig(loss=RELEASED)),
}


def by(recipe: str, profile: Profile) -> Profile:
    """The profile's data and judging under a recipe; any stage takes it. It has its own folder."""
    if recipe not in RECIPES:
        raise D3keError(f"unknown recipe {recipe!r}; known: {', '.join(RECIPES)}")
    return dataclasses.replace(profile, name=f"{profile.name}_{recipe}", **RECIPES[recipe]._asdict())
