"""Where a call of make stands: "stage 4 of 11, about 12 min; 35 min left for all: ".

D3KE_STAGES lists the notebooks of the call in order. out/<profile>/expected_time.json has the minutes that
each was expected to take (scripts/expected_time.py); how long those before really took scales what is left.
"""

import json
import os
from pathlib import Path

ENOUGH = 0.1  # of the expected time must have passed before measured times scale the rest


def position(target: Path) -> str:
    """Empty where make does not say what belongs to its call."""
    stages = [Path(name) for name in os.environ.get("D3KE_STAGES", "").split()]
    if target not in stages:
        return ""
    number = stages.index(target)
    text = f"stage {number + 1} of {len(stages)}"
    expected = [expected_minutes(stage) for stage in stages]
    if None in expected:
        return f"{text}: "
    factor = slowness(stages[:number], expected)
    here, left = factor * expected[number], factor * sum(expected[number:])
    return f"{text}, about {shown(here)}; {shown(left)} left for all: "


def slowness(done: list[Path], expected: list[float]) -> float:
    """How many times the expected time the stages before took; 1 where they were too short to say."""
    promised = sum(expected[: len(done)])
    if promised < ENOUGH * sum(expected):
        return 1.0
    return sum(measured_minutes(stage) for stage in done) / promised


def expected_minutes(stage: Path) -> float | None:
    """Of a notebook such as 05_temporal.tcn.resnext50_32x4d.0: the entry without the seed, or its like's."""
    path = stage.parents[1] / "expected_time.json"
    if not path.is_file():
        return None
    minutes = json.loads(path.read_text(encoding="utf-8"))["minutes"]
    name, kind = stage.stem.rpartition(".")[0] or stage.stem, stage.stem.partition(".")[0]
    alike = [value for key, value in minutes.items() if key.partition(".")[0] == kind]
    return minutes.get(name, max(alike, default=None))


def measured_minutes(stage: Path) -> float:
    """From the executed notebook, with the second or two that papermill needs to start."""
    if not stage.is_file():
        return 0.0
    return json.loads(stage.read_text(encoding="utf-8"))["metadata"]["papermill"]["duration"] / 60


def shown(minutes: float) -> str:
    if minutes < 1.5:
        return f"{max(60 * minutes, 1):.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
