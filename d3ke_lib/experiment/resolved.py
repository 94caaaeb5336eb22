"""A profile with all that the environment and the configuration decide, and the methods it trains."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.run import cells, config, overrides
from d3ke_lib.experiment.run.config import FrameConfig, Profile, TemporalConfig
from d3ke_lib.files import D3keError
from d3ke_lib.settings import Settings


class Experiment(NamedTuple):
    """A profile with what its stages need, resolved once."""

    profile: Profile
    settings: Settings
    skeleton: Skeleton

    @property
    def folder(self) -> Path:
        """Where everything of the profile is written."""
        return self.settings.out / self.profile.name

    @property
    def data(self) -> Path:
        return self.folder / "data"


Asked = str | Profile | Experiment


def resolve(asked: Asked, refiner: str | None = None) -> Experiment:
    """Everything that the environment and the configuration decide. `refiner`: only this one, where
    no plan says which.

    Raises D3keError for unknown names and for settings that do not fit the profile; writes nothing.
    """
    if isinstance(asked, Experiment):
        found = asked
    else:
        environment = settings.read()
        profile = asked if isinstance(asked, Profile) else config.profile(asked, environment)
        found = Experiment(_occlude(profile, environment.occluders), environment, default_skeleton())
    if refiner is None or found.profile.plan:
        return found
    return found._replace(profile=dataclasses.replace(found.profile, refiners=(refiner,)))


def _occlude(profile: Profile, cutouts: Path | None) -> Profile:
    """The profile with occluders cut out of a file."""
    if cutouts is None:
        return profile
    if not cutouts.is_file():
        raise D3keError(f"{cutouts}: expected cut-outs (make occluders), found no file")
    augment = profile.frame.augment
    if augment.occluder is None:
        raise D3keError(f"profile {profile.name} has no occluders; leave OCCLUDERS out")
    augment = dataclasses.replace(
        augment, occluder=dataclasses.replace(augment.occluder, objects=str(cutouts))
    )
    return dataclasses.replace(profile, frame=dataclasses.replace(profile.frame, augment=augment))


def find_methods(profile: Profile) -> list[Method]:
    """The profile's trained methods, the frame networks first; of a plan, in the order of its cells."""
    if profile.plan:
        return [method_of(*network) for network in cells.read_plan(profile.plan).networks]
    each = [(backbone, seed) for backbone in profile.backbones for seed in profile.seeds]
    frames = [Method("frame", *one) for one in each]
    return frames + [Method("temporal", *one, refiner) for refiner in profile.refiners for one in each]


def method_of(backbone: str, seed: int, refiner: str | None) -> Method:
    return Method("temporal" if refiner else "frame", backbone, seed, refiner)


def settings_of(profile: Profile, method: Method) -> FrameConfig | TemporalConfig:
    """The configuration of a method's network. Raises D3keError for an unknown backbone or refiner."""
    if method.kind == "frame":
        if profile.plan is None:
            return dataclasses.replace(profile.frame, backbone=method.backbone)
        changes = {"backbone": cells.architecture_of(method.backbone)}
        changes |= cells.read_plan(profile.plan).find_changes(method.backbone)
        return overrides.replace(profile.frame, changes)
    head = settings_of(profile, method._replace(kind="frame", refiner=None)).head
    return dataclasses.replace(profile.temporal, kind=method.refiner, head=head)
