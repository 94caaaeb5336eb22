"""Where BlazePose's landmarks are on our body, and how far off the detector puts them.

Both are measured on rendered images, whose poses are known (scripts/measure_landmarks.py → sites.json). A
site is a point of a body segment, as a marker is; left and right are mirror images.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Body, Marker
from d3ke_lib.body.spec import D3KE
from d3ke_lib.landmarks.names import NAMES

SITES_FILE = Path(__file__).with_name("sites.json")


@dataclass(frozen=True)
class DetectorNoise:
    """Errors of the detector; lists have one value per landmark.

    In the image, in sizes of the person (`features.crop_normalise`); in 3-D, m, once its factor of size and
    its rotation are taken out. slow: the standard deviation of a motion's mean error, fast: that around it.
    """

    image_slow: list[float]
    image_fast: list[float]
    world_slow: list[list[float]]  # x, y, z
    world_fast: list[list[float]]
    hidden: list[float]  # share of frames with a visibility below 0.5
    hidden_factor: float  # of the errors then
    outliers: float  # share of errors beyond 4 standard deviations
    outlier_factor: float
    swaps: dict[str, float]  # share of frames in which the sides of arms, legs or all are exchanged
    missing: float  # share of frames without a person
    world_scale: list[float]  # mean and standard deviation of the factor of size
    world_rotation: list[float]  # standard deviation about x, y, z, rad
    correlation: float  # of fast errors from one frame to the next, at 30 Hz


@cache
def _facts() -> dict:
    return json.loads(SITES_FILE.read_text(encoding="utf-8"))


def load_noise() -> DetectorNoise:
    return DetectorNoise(**_facts()["noise"])


def landmark_markers() -> tuple[Marker, ...]:
    """The landmarks as markers, m in their body's frame at the file's size."""
    sites = _facts()["sites"]
    return tuple(Marker(name, sites[name]["body"], tuple(sites[name]["offset_m"])) for name in NAMES)


def landmark_skeleton(body: Body) -> Skeleton:
    """D3KE's selection of `body` with the 33 landmarks as its markers; all weigh the same."""
    spec = replace(D3KE, markers=NAMES, marker_ik_weight=(1,) * len(NAMES))
    return Skeleton(replace(body, markers=landmark_markers()), spec)
