"""Landmark bound: what the true positions of the 115 points in the crop tell about the pose.

A small network reads the pose from the points' true projections into the crop, so that detection costs
nothing: a network that sees the image can hardly be better, unless it sees what the points do not show.
Trained on the training records' labels alone, in a minute; the same seed gives the same numbers.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.nets import head

NOISES_PX = (0.0, 1.0)  # standard deviation, in pixels of the network's crop
_SEED = 115
_CHANNELS, _LAYERS, _BATCH = 512, 3, 256
_EPOCHS, _MOST_STEPS = 14, 3000
_RATE, _WEIGHT_DECAY = 2e-3, 1e-3
# Weights of the mean absolute errors of R's entries and of the scale factors, next to the angles' degrees.
_ROTATION, _SCALE = 20.0, 5.0

Landmarks = Float[Tensor, "frame value"]  # u, v of every point in turn


class _LandmarkReader(NamedTuple):
    """A trained network from landmarks to poses; `mean` and `spread` standardise its input."""

    net: nn.Module
    mean: Float[Tensor, " value"]
    spread: Float[Tensor, " value"]
    skeleton: SkeletonLayer

    def __call__(self, landmarks: Landmarks) -> Pose:
        values = self.net((landmarks - self.mean) / self.spread)
        return head.to_pose(self.skeleton, values[:, : head.ROTATION], values[:, head.ROTATION :])


def project(points: Points, focal: Float[Tensor, "frame 2"]) -> Landmarks:
    """Positions in the crop relative to its centre, px. points: in the crop camera's frame, absolute, m."""
    xyz = torch.cat([points.joints, points.markers], 1)
    return (xyz[..., :2] / xyz[..., 2:] * focal[:, None]).flatten(1)


def add_noise(landmarks: Landmarks, noise_px: float, generator: Generator) -> Landmarks:
    """Independent normal errors of every coordinate."""
    return landmarks + noise_px * torch.randn(landmarks.shape, generator=generator)


def read_landmarks(train: Batch, test: Batch, skeleton: SkeletonLayer, noise_px: float) -> Pose:
    """The poses of the test frames, read from their landmarks by a network trained on the others."""
    landmarks = project(train.points, train.camera.focal)
    reader = _train_reader(landmarks, train.pose, skeleton, noise_px)
    noisy = add_noise(project(test.points, test.camera.focal), noise_px, seed_generator(_SEED, 1))
    with torch.no_grad():
        return reader(noisy)


def _train_reader(
    landmarks: Landmarks, pose: Pose, skeleton: SkeletonLayer, noise_px: float, seed: int = _SEED
) -> _LandmarkReader:
    """Trains with fresh noise in every step: 14 epochs, or 3,000 steps where that is fewer."""
    draws = seed_generator(seed, 0)
    spread = (landmarks.var(0) + noise_px**2).sqrt() + 1e-3
    net = _build(landmarks.shape[1], head.width(skeleton), draws)
    reader = _LandmarkReader(net, landmarks.mean(0), spread, skeleton)
    orders = list(_draw_batches(len(landmarks), draws))
    optimizer = torch.optim.AdamW(reader.net.parameters(), _RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=len(orders) + 1)
    for rows in orders:
        predicted = reader(add_noise(landmarks[rows], noise_px, draws))
        optimizer.zero_grad()
        _loss(predicted, Pose(*(part[rows] for part in pose))).backward()
        optimizer.step()
        schedule.step()
    reader.net.eval()
    return reader


def _build(values: int, outputs: int, draws: Generator) -> nn.Module:
    """A perceptron whose weights come from `draws`, as nn.Linear draws them."""
    sizes = [values, *[_CHANNELS] * _LAYERS, outputs]
    layers: list[nn.Module] = []
    for count, following in itertools.pairwise(sizes):
        linear, bound = nn.Linear(count, following), 1 / math.sqrt(count)
        for parameter in linear.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=draws)
        layers += [linear, nn.GELU()]
    return nn.Sequential(*layers[:-1])


def _draw_batches(frames: int, draws: Generator) -> Iterator[Tensor]:
    """Rows of every step, epoch by epoch."""
    size = min(_BATCH, frames)
    per_epoch = frames // size
    for step in range(min(_EPOCHS * per_epoch, _MOST_STEPS)):
        if step % per_epoch == 0:
            order = torch.randperm(frames, generator=draws)
        first = step % per_epoch * size
        yield order[first : first + size]


def _loss(predicted: Pose, true: Pose) -> Float[Tensor, ""]:
    angles, scales, rotation = ((a - b).abs().mean() for a, b in zip(predicted, true, strict=True))
    return torch.rad2deg(angles) + _SCALE * scales + _ROTATION * rotation
