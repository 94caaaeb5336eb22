"""Which of the persons that each view shows is the same one: those whose landmarks meet in space."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.experiment.trial.calibration import CalibratedCamera
from d3ke_lib.experiment.trial.triangulation import triangulate
from d3ke_lib.files import D3keError

_BODY = slice(11, 33)  # of BlazePose's landmarks: the face says little of where somebody stands
_FRAMES = 8  # that are looked at, evenly spread
_MET_PX = 20.0  # median error of views that show one person
_ALL_COUNT = 1e5  # px: no view is let go, so that a wrong one shows


class Seen(NamedTuple):
    """One person in one view: px (NaN where not seen) and visibility (0 to 1) of BlazePose's landmarks."""

    px: Float[Tensor, "frame 33 2"]
    visibility: Float[Tensor, "frame 33"]


class Views(NamedTuple):
    """The same person in every view, as Seen."""

    px: Float[Tensor, "view frame 33 2"]
    visibility: Float[Tensor, "view frame 33"]


def associate(cameras: Sequence[CalibratedCamera], people: Sequence[Sequence[Seen]]) -> list[tuple[int, ...]]:
    """Whom all views show, by their index in each view's `people`; those who meet best first.

    Raises D3keError where a view shows nobody or no combination meets.
    """
    for camera, found in zip(cameras, people, strict=True):
        if not found:
            raise D3keError(f"camera {camera.name}: expected a person, found nobody")
    choices = sorted(
        (_apart(cameras, [found[i] for found, i in zip(people, choice)]), choice)
        for choice in product(*(range(len(found)) for found in people))
    )
    persons, taken = [], set()
    for error, choice in choices:
        used = set(enumerate(choice))
        if error <= _MET_PX and not used & taken:
            taken |= used
            persons.append(choice)
    if not persons:
        raise D3keError(
            f"expected landmarks that meet within {_MET_PX:g} px (median) in cameras "
            f"{', '.join(camera.name for camera in cameras)}, found {choices[0][0]:.0f}: "
            "the calibration is of other cameras, or the videos are not in its order"
        )
    return persons


def _apart(cameras: Sequence[CalibratedCamera], seen: Sequence[Seen]) -> float:
    """Median distance in px of what the views saw from where they meet; infinite where they never do."""
    frames = len(seen[0].px)
    rows = torch.linspace(0, frames - 1, min(_FRAMES, frames)).long()
    views = stack([Seen(each.px[rows][:, _BODY], each.visibility[rows][:, _BODY]) for each in seen])
    error = triangulate(cameras, views.px, views.visibility, noise_px=_ALL_COUNT).error_px
    return float(error.nanmedian().nan_to_num(torch.inf))


def stack(seen: Sequence[Seen]) -> Views:
    """One person's views."""
    return Views(torch.stack([each.px for each in seen]), torch.stack([each.visibility for each in seen]))
