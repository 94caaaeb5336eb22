"""The lifting network: trained on first use in a few minutes from synthetic landmarks, kept under out/."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib import settings
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose, Validity
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.mixtures import MIXTURE
from d3ke_lib.data.video import Progress, no_progress
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import D3keError
from d3ke_lib.landmarks.detector_noise import observe
from d3ke_lib.landmarks.features import to_features
from d3ke_lib.landmarks.lifter import WINDOW, Lifter
from d3ke_lib.landmarks.motions import (
    SEEN,
    UNSEEN,
    Motions,
    View,
    draw_actions,
    draw_motions,
    draw_views,
    seen_by,
)
from d3ke_lib.landmarks.sites import landmark_skeleton, load_noise
from d3ke_lib.nets.losses import losses, total

_TRAINING, _VALIDATION, _FIRST_STEP = 0, 1, 2  # purposes of random streams
_MOTIONS_AT_ONCE = 32
_RAMP = 0.05  # of the steps
_FILE = "lifter.safetensors"


@dataclass(frozen=True)
class LifterConfig:
    """How the network is trained; all of it is part of its fingerprint."""

    seed: int = 0
    motions: int = 800
    steps: int = 2000
    batch: int = 128  # windows
    rate: float = 1e-3
    weight_decay: float = 1e-2


def load_lifter(
    config: LifterConfig, folder: Path | None = None, progress: Progress = no_progress
) -> tuple[Lifter, dict[str, Any]]:
    """The trained network in evaluation mode and what its file says; trained now where there is none.

    `folder`: where it is kept, `out/landmarks` by default. Made by other code or another configuration, it is
    trained anew. Raises D3keError for a damaged file.
    """
    path = (folder or settings.read().out / "landmarks") / _FILE
    made = fingerprint(config, code_hash(__name__))
    if not path.is_file() or artifacts.read_about(path).get("fingerprint") != made:
        trained = train_lifter(config, default_skeleton(), progress)
        state = _own_state(trained)
        about = {"fingerprint": made, "weights_sha256": artifacts.digest(state)}
        artifacts.write_tensors(path, state, about | {"validation_deg": _validate(trained, config)})
    state, about = artifacts.read_tensors(path)
    if (found := artifacts.digest(state)) != about["weights_sha256"]:
        raise D3keError(
            f"{path}: expected weights of SHA-256 {about['weights_sha256']}, found {found}: delete it"
        )
    lifter = Lifter(default_skeleton())
    lifter.load_state_dict(state, strict=False)
    return lifter.eval(), about


def _own_state(lifter: Lifter) -> dict[str, Tensor]:
    """The weights, without the skeleton layer's constants."""
    return {name: value for name, value in lifter.state_dict().items() if not name.startswith("skeleton.")}


def train_lifter(config: LifterConfig, skeleton: Skeleton, progress: Progress = no_progress) -> Lifter:
    """The same weights for the same configuration, on one kind of processor with as many threads."""
    generator = seed_generator(config.seed, _TRAINING)
    actions = draw_actions(config.motions, generator)
    motions = draw_motions(default_skeleton(), config.seed, list(progress("motions", actions, len(actions))))
    lifter = Lifter(skeleton, config.seed)
    task = _LiftingTask(motions, skeleton)
    rows = task.draw(config.batch * 8, generator)[0]
    lifter.mean.copy_(rows.mean((0, 1)))
    lifter.deviation.copy_(rows.std((0, 1)).clamp(min=1e-3))
    optimizer = torch.optim.AdamW(lifter.net.parameters(), config.rate, weight_decay=config.weight_decay)
    lifter.train()
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
        torch.manual_seed(config.seed)
        for step in progress("lifter", range(config.steps), config.steps):
            rows, truth = task.draw(config.batch, seed_generator(config.seed, _FIRST_STEP + step))
            for group in optimizer.param_groups:
                group["lr"] = _rate(config, step)
            loss = _loss(lifter, rows, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return lifter.eval()


def _rate(config: LifterConfig, step: int) -> float:
    """A ramp, then a cosine to 0."""
    share = step / config.steps
    if share < _RAMP:
        return config.rate * share / _RAMP
    return config.rate * (1 + math.cos(math.pi * (share - _RAMP) / (1 - _RAMP))) / 2


def _loss(lifter: Lifter, rows: Tensor, truth: Pose) -> Tensor:
    """D3KE's four losses of the middle frame."""
    true = truth, lifter.skeleton(truth)
    valid = Validity(*(torch.ones(part.shape[:2], dtype=torch.bool) for part in (truth.angles, *true[1])))
    pose, points = lifter(rows)
    middle = Pose(*(part[:, 0] for part in pose)), type(points)(*(part[:, 0] for part in points))
    return total(losses(middle, true, valid, lifter.skeleton))


class _LiftingTask:
    """Windows of what a detector would see of synthetic motions, and the pose of their middle frame."""

    def __init__(self, motions: Motions, skeleton: Skeleton) -> None:
        self.motions, self.skeleton, self.noise = motions, skeleton, load_noise()
        sites, time = landmark_skeleton(skeleton.body), torch.arange(motions.angles.shape[1])
        with torch.no_grad():
            self.points = torch.cat(
                [
                    sites(motions.window(skeleton, some, time.expand(len(some), -1))).markers
                    for some in torch.arange(len(motions.angles)).split(_MOTIONS_AT_ONCE)
                ]
            )

    def draw(
        self, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "window time feature"], Pose]:
        """Random windows, cameras and errors."""
        longest = self.motions.angles.shape[1] - WINDOW
        motion = torch.randint(len(self.motions.angles), (count,), generator=generator)
        first = torch.randint(longest + 1, (count,), generator=generator)
        return self.windows(motion, first, draw_views(count, generator), generator)

    def windows(
        self, motion: Tensor, first: Tensor, view: View, generator: torch.Generator
    ) -> tuple[Float[Tensor, "window time feature"], Pose]:
        frames = first[:, None] + torch.arange(WINDOW)
        points = seen_by(view, self.points[motion[:, None], frames])
        rows = to_features(*observe(points, self.noise, generator))
        middle = self.motions.window(self.skeleton, motion, frames[:, WINDOW // 2, None])
        middle = Pose(*(part[:, 0] for part in middle))
        return rows, middle._replace(R_ground_root=view.R @ middle.R_ground_root)


def _validate(lifter: Lifter, config: LifterConfig) -> dict[str, float]:
    """Mean absolute error of the angles (degrees) on other subjects: mixtures, seen and unseen actions."""
    groups = {"mixtures": [MIXTURE] * 24, "seen actions": list(SEEN), "unseen actions": list(UNSEEN) * 3}
    found = {}
    for number, (group, actions) in enumerate(groups.items()):
        motions = draw_motions(default_skeleton(), config.seed + 1 + number, actions)
        task = _LiftingTask(motions, lifter.skeleton)
        rows, truth = task.draw(1024, seed_generator(config.seed, _VALIDATION, number))
        with torch.no_grad():
            pose, _ = lifter(rows)
        error = torch.rad2deg((pose.angles[:, 0] - truth.angles).abs())
        found[group] = float(error.mean())
    return found
