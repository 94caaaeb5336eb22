"""D3KE's interface to a body: which coordinates, bodies, joints and markers, in which order.

Names and numbers are facts of the released configuration (d3ke_spec.json says which commit); the
geometry they are applied to is ours, or the user's.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from d3ke_lib import settings

BODY_FILE = Path(__file__).parents[2] / "data" / "body" / "d3ke_body.osim"


@dataclass(frozen=True)
class _Calibration:
    """A calibrated camera: x_camera = R·x_world + t, m; focal lengths and centre in px; radial k1, k2."""

    R: tuple[tuple[float, ...], ...]
    t: tuple[float, ...]
    focal: tuple[float, float]
    center: tuple[float, float]
    radial: tuple[float, float]
    size: tuple[int, int]


@dataclass(frozen=True)
class Spec:
    """A selection from a body and its order. Scale factors: 51 unique ones tied to 48 bodies × 3 axes."""

    source: str
    coordinates: tuple[str, ...]
    bodies: tuple[str, ...]
    body_scale_mapping: tuple[tuple[int, int, int], ...]
    unique_scale_mean: tuple[float, ...]
    unique_scale_amplitude: tuple[float, ...]
    joints: tuple[str, ...]
    leaf_joints: tuple[str, ...]
    markers: tuple[str, ...]
    marker_ik_weight: tuple[int, ...]
    mirror_coordinates: tuple[int, ...]
    mirror_sign: tuple[int, ...]
    mirror_bones: tuple[int, ...]
    mirror_joints: tuple[int, ...]
    cameras: dict[str, _Calibration]
    subjects: dict[str, tuple[int, ...]]


def _frozen(value: object) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _calibration(camera: dict) -> _Calibration:
    extrinsic, intrinsic = camera["extrinsic"], camera["intrinsic"]
    return _Calibration(
        R=tuple(tuple(row[:3]) for row in extrinsic),
        t=tuple(row[3] for row in extrinsic),
        focal=(intrinsic[0][0], intrinsic[1][1]),
        center=(intrinsic[0][2], intrinsic[1][2]),
        radial=tuple(camera["radial"]),
        size=tuple(camera["size"]),
    )


def _load(path: Path) -> Spec:
    facts = json.loads(path.read_text())
    cameras = {name: _calibration(camera) for name, camera in facts["cameras"].items()}
    subjects = {split: tuple(ids) for split, ids in facts["subjects"].items()}
    fields = {k: _frozen(facts[k]) for k in Spec.__dataclass_fields__ if k not in ("cameras", "subjects")}
    return Spec(**fields, cameras=cameras, subjects=subjects)


D3KE = _load(Path(__file__).with_name("d3ke_spec.json"))


def body_file() -> Path:
    """Our own body, or the .osim that the environment names in D3KE_BODY (`BODY=` to make): D3KE's own, say.

    For the real data alone: the embedded images are of our own body.
    """
    return settings.read().body or BODY_FILE
