"""Print how long a profile will take on this machine, and write it as JSON.

python scripts/expected_time.py demo out/demo/expected_time.json

One step of each network is timed and multiplied. The rest of a notebook is counted in starts of Python, timed
here, times ratios that were recorded. On the CPU one thread's processor time is taken, which other programs
hardly change, and divided by what more threads gained when that was recorded.
"""

import dataclasses
import itertools
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import _cli
import torch
from torch import nn

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import check as bmlmovi_check
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import artifacts, config, devices
from d3ke_lib.experiment.run.config import FrameConfig, Profile, Resolution, TemporalConfig
from d3ke_lib.files import D3keError
from d3ke_lib.nets import frame, temporal

# Recorded with the smoke profile on two quiet cores: seconds of a notebook besides data, training and
# prediction, per second of processor time that IMPORTS takes; papermill, kernel and figures.
_IMPORTS = "import d3ke_lib.experiment.pipeline, matplotlib.pyplot, pandas, IPython.display"
_STARTS = {
    "01_body": 1.9,
    "02_data": 1.7,
    "03_backbones": 2.3,
    "04_frame": 1.8,
    "05_temporal": 1.6,
    "06_evaluation": 2.3,
    "07_figures": 2.2,
    "08_opensim": 1.9,
    "09_faithful": 1.6,
    "10_inverse_kinematics": 2.2,
    "11_error_ladder": 1.9,
    "12_your_video": 1.6,
    "13_real_trial": 1.2,
    "report": 0.8,
}
TRAINING = 1.15  # a step of training per bare step: loading, augmentation, losses
_PREDICTION = 0.3  # an image predicted per image trained on, decoding included
_THREADS = 0.85  # exponent: two threads are 1.8 times as fast as one
_REFINING = 1.5  # a step of the refiner per bare step: reading of windows, skeleton layer, losses
_LONG_S = 5.0  # a step that takes longer is not repeated


def calibrate(profile: Profile) -> dict[str, float]:
    """Stage (a notebook's name, its refiner and backbone; or "report") → minutes of one run of it.

    Raises D3keError for recordings that no RAW names.
    """
    imports = import_seconds()
    found = {stage: imports * ratio for stage, ratio in _STARTS.items()}
    if isinstance(profile.data, BmlmoviConfig):
        raw = settings.read().raw
        if raw is None:
            raise D3keError("BMLmovi: say where the downloads are: RAW=folder (data/README.md)")
        estimate = bmlmovi_check.check_data(raw, profile.data)["estimate"]
        profile, making = stand_in(profile, estimate["frames"]), 3600 * estimate["hours"]
    else:
        making = imports + _rendering_seconds(profile.data)
    found["02_data"] += making
    training, refining = found.pop("04_frame"), found.pop("05_temporal")
    for backbone in () if profile.plan else profile.backbones:  # make study trains those of a plan
        config = dataclasses.replace(profile.frame, backbone=backbone)
        seconds, per_image = frame_seconds(config, profile)
        found[f"04_frame.{backbone}"] = training + seconds
        splits = profile.data.splits
        found["06_evaluation"] += len(profile.seeds) * per_image * profile.data.count_frames(splits["test"])
        predicted = splits["validation"] + splits["train"][: profile.temporal.subjects]
        predicting = per_image * profile.data.count_frames(predicted)
        for refiner in profile.refiners:
            refined = _temporal_seconds(dataclasses.replace(profile.temporal, kind=refiner), profile)
            found[f"05_temporal.{refiner}.{backbone}"] = refining + predicting + refined
    return {stage: found[stage] / 60 for stage in sorted(found)}


def stand_in(profile: Profile, frames: int) -> Profile:
    """The profile with as many synthetic images: training on recordings costs the same."""
    data, counts = profile.data, {name: len(found) for name, found in profile.data.splits.items()}
    views = {"train_cameras": data.cameras, "test_cameras": data.cameras}
    made = DataConfig(px=data.px, margin=data.margin, fps=data.fps, **views, **counts)
    takes = made.count_frames(range(1, sum(counts.values()) + 1)) / made.frames
    made = dataclasses.replace(made, seconds=max(frames / takes, 2) / data.fps)
    return dataclasses.replace(profile, data=made)


def _rendering_seconds(data: DataConfig) -> float:
    """All records, by the takes of one action; on the CPU every core makes records of its own."""
    device, camera = devices.choose("auto"), data.train_cameras[0]
    one = dataclasses.replace(data, actions=data.seen_actions[:1], train_cameras=(camera,))

    def render() -> None:
        for shots in synthetic.make_takes(one, (1, (camera,)), device.type):
            records.encode(*shots[camera][1:])

    everybody = itertools.chain.from_iterable(data.splits.values())
    _, seconds = timed(render, device)  # the first call reads the skeleton and the template
    share = data.count_frames(everybody) / one.count_frames([1])
    return share * seconds / (devices.describe()["cores"] if device.type == "cpu" else 1)


def frame_seconds(config: FrameConfig, profile: Profile) -> tuple[float, float]:
    """Training of one frame network, its validations included; prediction of one image."""
    epoch = profile.data.count_frames(profile.data.splits["train"]) // config.every
    images = config.images or config.epochs * epoch
    net = frame.build(default_skeleton(), config.backbone, seed=0).to(devices.choose(config.device))
    total, share_before, step = 0.0, 0.0, 0.0
    for resolution in config.resolutions or (Resolution(1.0, config.px),):
        first, step = _frame_step(net, config, resolution.px)
        steps = (resolution.until - share_before) * images / config.batch
        total, share_before = total + first + TRAINING * step * steps, resolution.until
    per_image = _PREDICTION * step / config.batch
    return total + config.validations * config.validation_images * per_image, per_image


def _frame_step(net: nn.Module, config: FrameConfig, px: int) -> tuple[float, float]:
    """Seconds of the first bare step, in which kernels are chosen, and of a later one."""
    device = next(net.parameters()).device
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, fused=True)
    images = torch.rand(config.batch, 3, px, px, device=device).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with devices.autocast(device, config.precision):
            pose, points = net(images)
        (pose.angles.sum() + points.joints.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()

    first, later = timed(step, device)
    gain = torch.get_num_threads() ** _THREADS if device.type == "cpu" else 1.0
    return first / gain, later / gain


def _temporal_seconds(config: TemporalConfig, profile: Profile) -> float:
    """Training of one refiner, by steps on windows of zeros."""
    device, skeleton = devices.choose(config.device), default_skeleton()
    first, step = _refiner_step(config, device, skeleton)
    frames = profile.data.count_frames(profile.data.splits["train"][: config.subjects])
    return first + _REFINING * step * (config.epochs * frames // config.batch)


def _refiner_step(config: TemporalConfig, device: torch.device, skeleton: Skeleton) -> tuple[float, float]:
    """As `_frame_step`."""
    net = temporal.build_refiner(config.kind, skeleton, config.window).to(device)
    windows = torch.zeros(config.batch, config.window, temporal.feature_count(skeleton), device=device)
    optimizer = torch.optim.AdamW(net.parameters())

    def step() -> None:
        net.net(windows).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, device)


def timed(action: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds of the first call and of the quickest of the next, by one thread on the CPU."""

    def elapsed() -> float:
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        began = clock()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first = elapsed()
        return first, first if first > _LONG_S else min(elapsed() for _ in range(3))
    finally:
        torch.set_num_threads(threads)


def import_seconds() -> float:
    """Processor time of a Python that imports what notebooks do."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def table(minutes: dict[str, float], runs: int) -> str:
    """A line per stage and their sum; training notebooks count once per run."""
    counts = {stage: runs if stage.startswith(("04", "05")) else 1 for stage in minutes}
    total = sum(counts[stage] * value for stage, value in minutes.items())
    width = max(len(stage) for stage in minutes)
    rows = [
        f"{stage:<{width}}  {value:7.1f} min" + (f" × {counts[stage]} runs" if counts[stage] > 1 else "")
        for stage, value in minutes.items()
    ]
    return "\n".join([*rows, f"{'all':<{width}}  {total:7.1f} min"])


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("profile")
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    profile = config.profile(given.profile)
    minutes, machine = calibrate(profile), devices.describe()
    print(f"expected on this machine, {machine['cores']} cores, ± a third, where nothing else runs on it:")
    print(table(minutes, len(profile.seeds)))
    artifacts.write_json(given.target, {"minutes": minutes, "machine": machine})


if __name__ == "__main__":
    sys.exit(main())
