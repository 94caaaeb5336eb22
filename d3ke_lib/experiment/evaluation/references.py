"""Reference rows: what training labels alone predict for test frames, without looking at an image.

mean pose                 least squared error of a constant
median pose               least absolute error of a constant: the angle MAE's own optimum
mean pose of the action   a table of mean poses; it is told the action of every test frame
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch, apply
from d3ke_lib.nets.losses import relative

MEAN_POSE, MEDIAN_POSE, ACTION_MEAN = "mean pose", "median pose", "mean pose of the action"
REFERENCES = (MEAN_POSE, MEDIAN_POSE, ACTION_MEAN)
Prediction = tuple[Pose, Points]
Centre = Callable[[Tensor], Tensor]  # (frame, …) → (…)


def predict_references(
    train: Batch, train_actions: Sequence[str], test: Batch, test_actions: Sequence[str]
) -> dict[str, Prediction]:
    """Each reference's prediction for the frames of `test`; actions are what Batch.action counts in."""
    frames = len(test.time)
    return {
        MEAN_POSE: _repeat(_constant(train, _mean), frames),
        MEDIAN_POSE: _repeat(_constant(train, _median), frames),
        ACTION_MEAN: _by_action(train, train_actions, test, test_actions),
    }


def _mean(values: Tensor) -> Tensor:
    return values.mean(0)


def _median(values: Tensor) -> Tensor:
    return values.median(0).values


def _constant(train: Batch, centre: Centre) -> Prediction:
    """Angles, scale factors and points relative to the pelvis joint: the centre of each over the frames.

    The points are not the skeleton's for the central angles, which would be further off. Pelvis: the
    rotation nearest to the mean matrix (chordal mean).
    """
    points = relative(train.points)
    u, _, vh = torch.linalg.svd(train.pose.R_ground_root.mean(0))
    mirror = torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(u @ vh))]))
    pose = Pose(centre(train.pose.angles), centre(train.pose.scales), u @ mirror @ vh)
    return pose, Points(centre(points.joints), centre(points.markers))


def _repeat(prediction: Prediction, frames: int) -> Prediction:
    return tuple(apply(lambda value: value.expand(frames, *value.shape), part) for part in prediction)


def _by_action(
    train: Batch, train_actions: Sequence[str], test: Batch, test_actions: Sequence[str]
) -> Prediction:
    """The mean pose of each frame's action; of all training frames where that action was not trained on."""
    table = []
    for name in test_actions:
        own = train.action == train_actions.index(name) if name in train_actions else None
        table.append(_constant(train if own is None or not own.any() else train[own], _mean))
    poses, points = zip(*table, strict=True)
    stacked = Pose(*map(torch.stack, zip(*poses))), Points(*map(torch.stack, zip(*points)))
    return tuple(apply(lambda value: value[test.action], part) for part in stacked)
