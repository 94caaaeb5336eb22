"""Records whose training labels are wrong as failed inverse kinematics leaves them: whole limbs, masked.

The labels of synthetic data are exact, so that masking angles or not makes no difference. D3KE's come from
inverse kinematics, which fails for a limb now and then; the released code masks limbs with a landmark off by
more than 2 cm. Here the angles of a limb are changed on purpose, for a whole motion, and masked.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.records import Record
from d3ke_lib.data.schema import COLUMNS
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.codec import to_values
from d3ke_lib.nets.metrics import GROUPS

_LEG = (*GROUPS["hip"], *GROUPS["knee"], *GROUPS["ankle and foot"])
_ARM = (*GROUPS["shoulder girdle"], *GROUPS["shoulder"], *GROUPS["elbow and forearm"])


@dataclass(frozen=True)
class CorruptionConfig:
    """How many labels are corrupted, and how much. Ours: nobody has counted D3KE's."""

    share: float = 0.2  # of the limbs of all motions
    offset_deg: float = 30.0  # standard deviation of what is added to each of a limb's angles
    seed: int = 0


def corrupt(source: Path, out: Path, config: CorruptionConfig) -> Path:
    """Training and validation files of `source` in `out`, the training labels corrupted; done once."""
    about = {"corrupted": to_values(config), "source": artifacts.sha256(source / records.MANIFEST)}
    manifest = out / records.MANIFEST
    if manifest.is_file() and records.load_manifest(out)["config"] == about:
        return out
    if manifest.is_file():
        artifacts.set_aside(out)
    files = records.load_manifest(source)["files"]
    chosen = {name: file for name, file in files.items() if file["split"] in ("train", "validation")}
    for name, file in sorted(chosen.items()):
        record = records.read(source / name)
        corrupted = _corrupt(record, config) if file["split"] == "train" else {}
        records.write(out / name, _columns(record) | corrupted, record.metadata)
    splits = {
        split: sorted({file["subject"] for file in chosen.values() if file["split"] == split})
        for split in ("train", "validation")
    }
    records.write_manifest(out, about, splits)
    return out


def _columns(record: Record) -> dict[str, object]:
    columns = {name: record.column(name) for name in COLUMNS if name != "image"}
    return columns | {"image": [record.jpeg(row) for row in range(len(record))]}


def _corrupt(record: Record, config: CorruptionConfig) -> dict[str, np.ndarray]:
    """Angles and their masks of a record, some limbs of some motions wrong."""
    skeleton = default_skeleton()
    camera = sum(record.metadata.camera.encode())
    draws = np.random.default_rng([config.seed, record.metadata.subject, camera])
    angles, valid = record.column("angles").copy(), record.column("valid_angles").copy()
    low, high = skeleton.ranges.numpy().T
    motions = np.cumsum(np.diff(record.column("time"), prepend=-1.0) <= 0)
    for motion in np.unique(motions):
        rows = np.flatnonzero(motions == motion)[:, None]
        for limb in limbs(skeleton.coordinates):
            if draws.random() < config.share:
                away = np.radians(config.offset_deg) * draws.standard_normal(len(limb))
                angles[rows, limb] = (angles[rows, limb] + away).clip(low[limb], high[limb])
                valid[rows, limb] = False
    return {"angles": angles.astype(np.float32), "valid_angles": valid}


def limbs(coordinates: tuple[str, ...]) -> list[Int[np.ndarray, " coord"]]:
    """Coordinates of the right leg, the left leg, the right arm, the left arm."""

    def members(prefixes: tuple[str, ...], left: bool) -> Int[np.ndarray, " coord"]:
        return np.array(
            [
                i
                for i, name in enumerate(coordinates)
                if name.startswith(prefixes) and name.endswith("_l") == left
            ]
        )

    return [members(prefixes, left) for prefixes in (_LEG, _ARM) for left in (False, True)]
