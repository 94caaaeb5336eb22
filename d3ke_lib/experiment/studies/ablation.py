"""What the switches are worth that paper and released code disagree about: one changed at a time, by seed.

    out/ablation/data_corrupted/             records for the two runs about masking (corrupt_labels.py)
    out/ablation/frame/<name>.<seed>/     as every run; finished ones of the same fingerprint are reused
    out/ablation/temporal/<name>.<seed>/

Evaluated on the validation subjects; test subjects stay unread. Result, schema 1:

machine, git, records     what it ran on
settings                  frame, temporal, corrupted: the base configurations; seeds
runs                      name → kind, differs (field → value, from the base), seeds → metric → value
switches                  name → label, base, other (runs), metrics → mean, low, high (95 %, Student's t) of
                          other − base, paired by seed; sd, differences (one per seed)
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.stats

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.codec import check_types, to_values
from d3ke_lib.experiment.run.config import DEMO, FrameConfig, TemporalConfig
from d3ke_lib.experiment.run.forward import predict_frames
from d3ke_lib.experiment.run.identity import metrics_code, records_hash
from d3ke_lib.experiment.run.train_frame import train_frame
from d3ke_lib.experiment.run.train_temporal import subjects_for, train_temporal
from d3ke_lib.experiment.studies.corrupt_labels import CorruptionConfig, corrupt
from d3ke_lib.nets.losses import RELEASED

_SCHEMA = 1
METRICS = ("angle_mae_deg", "mpblpe_mm", "mpjpe_mm", "pelvis_deg", "scale_sum")


class _Run(NamedTuple):
    """One configuration, trained from every seed; `changes` are fields that differ from its base."""

    kind: Literal["frame", "temporal"]
    changes: Mapping[str, Any]
    corrupted: bool = False


class _Switch(NamedTuple):
    """A comparison of two runs: other − base."""

    label: str
    base: str
    other: str


RUNS = {
    "base": _Run("frame", {}),
    "lambda4": _Run("frame", {"loss": RELEASED}),
    "no_centre": _Run("frame", {"center_striding": False}),
    "after_mean": _Run("frame", {"squash": "after_mean"}),
    "camera_input": _Run("frame", {"camera_input": True}),
    "corrupted": _Run("frame", {}, corrupted=True),
    "unmasked": _Run("frame", {"mask_angles": False}, corrupted=True),
    "refiner": _Run("temporal", {}),
    "refiner_l1": _Run("temporal", {"norm": "L1"}),
}
SWITCHES = {
    "lambda4": _Switch("λ4 0.01 − 0.06", "base", "lambda4"),
    "center_striding": _Switch("without − with centre striding", "base", "no_centre"),
    "squash": _Switch("sigmoid after − before the mean", "base", "after_mean"),
    "camera_input": _Switch("with − without the crop camera's values", "base", "camera_input"),
    "mask_angles": _Switch("wrong angles unmasked − masked", "corrupted", "unmasked"),
    "norm": _Switch("L1 − L2 in the refiner", "refiner", "refiner_l1"),
}


# The demo's recipes with a small part of its budget.
_FRAME = dataclasses.replace(
    DEMO.frame,
    px=48,  # a map of 2 × 2 cells (D3KE's: 8 × 8); with the one cell of 32 px sigmoid and mean commute
    resolutions=(),
    images=3000,  # a minute on two cores
    warmup=20,
    validations=1,
    validation_images=1024,
)
_TEMPORAL = dataclasses.replace(DEMO.temporal, subjects=4, epochs=3, warmup=20, validations=1)  # 300 steps


@dataclass(frozen=True)
class AblationConfig:
    """The base of all runs: small, because there are many."""

    frame: FrameConfig = _FRAME
    temporal: TemporalConfig = _TEMPORAL
    corrupted: CorruptionConfig = field(default_factory=CorruptionConfig)
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        check_types(self)
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise artifacts.D3keError(f"differences need a spread: two seeds or more, found {self.seeds}")


def ablate(config: AblationConfig, data: Path, out: Path, switch: str | None = None) -> dict[str, Any]:
    """Trains what is missing on `data` into `out`; the result of all switches, or of one."""
    names = tuple(RUNS) if switch is None else (SWITCHES[switch].base, SWITCHES[switch].other)
    found = {name: _trained(config, name, data, out) for name in names}
    switches = {
        name: switch for name, switch in SWITCHES.items() if {switch.base, switch.other} <= set(found)
    }
    return rounded(
        {
            "schema": _SCHEMA,
            "machine": devices.describe(),
            "git": artifacts.git_revision(),
            "records": records_hash(data),
            "settings": to_values(config),
            "runs": {name: _described(config, name, found[name]) for name in found},
            "switches": {
                name: switch._asdict() | {"metrics": difference(found[switch.base], found[switch.other])}
                for name, switch in switches.items()
            },
        }
    )


def merge(result: dict[str, Any], recorded: Path) -> dict[str, Any]:
    """A result of some switches with the others of the JSON file `recorded`, where there is one.

    Raises D3keError where that is of other records or settings: their differences are not comparable.
    """
    before = artifacts.read_json(recorded) if recorded.is_file() else result
    for part in ("records", "settings"):
        if before[part] != json.loads(json.dumps(result[part])):
            raise artifacts.D3keError(
                f"{recorded}: {part}: expected {result[part]}, found {before[part]}; write to another file"
            )
    return result | {part: before[part] | result[part] for part in ("runs", "switches")}


def difference(
    base: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]]
) -> dict[str, dict[str, Any]]:
    """Metric → mean of other − base over the seeds, its 95 % interval, and each seed's."""
    found = {}
    for metric in METRICS:
        each = np.array([other[seed][metric] - base[seed][metric] for seed in base])
        mean, sd = float(each.mean()), float(each.std(ddof=1))
        reach = float(scipy.stats.t.ppf(0.975, len(each) - 1)) * sd / len(each) ** 0.5
        found[metric] = {
            "mean": mean,
            "low": mean - reach,
            "high": mean + reach,
            "sd": sd,
            "differences": each,
        }
    return found


# --- the runs ---------------------------------------------------------------------------------------------


def _trained(config: AblationConfig, name: str, data: Path, out: Path) -> dict[int, dict[str, float]]:
    """Seed → metrics on the validation subjects at the end of training."""
    train = _frame if RUNS[name].kind == "frame" else _temporal
    results = {seed: train(config, name, data, out, seed) for seed in config.seeds}
    if any(result["metrics"] != metrics_code() for result in results.values()):
        raise artifacts.D3keError(f"{out}: {name} was validated by other metrics; set its runs aside")
    return {seed: {key: result["validation"][key] for key in METRICS} for seed, result in results.items()}


def _frame(config: AblationConfig, name: str, data: Path, out: Path, seed: int) -> dict[str, Any]:
    run = RUNS[name]
    records = corrupt(data, out / "data_corrupted", config.corrupted) if run.corrupted else data
    settings = dataclasses.replace(config.frame, **run.changes)
    return train_frame(settings, records, out / "frame" / f"{name}.{seed}", seed, default_skeleton())


def _temporal(config: AblationConfig, name: str, data: Path, out: Path, seed: int) -> dict[str, Any]:
    """On the predictions of the first seed of the base: the refiner's seed alone is varied."""
    source = out / "frame" / f"base.{config.seeds[0]}"
    _frame(config, "base", data, out, config.seeds[0])
    for split, subjects in subjects_for(config.temporal, data).items():
        predict_frames(source, data, split, subjects, default_skeleton())
    settings = dataclasses.replace(config.temporal, **RUNS[name].changes)
    return train_temporal(
        settings, data, source, out / "temporal" / f"{name}.{seed}", seed, default_skeleton()
    )


def _described(config: AblationConfig, name: str, found: Mapping[int, Any]) -> dict[str, Any]:
    run = RUNS[name]
    differs = {key: to_values(value) for key, value in run.changes.items()}
    return {"kind": run.kind, "differs": differs, "corrupted": run.corrupted, "seeds": found}
