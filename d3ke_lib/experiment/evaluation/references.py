"""Reference rows: what labels alone predict for test frames, without looking at an image.

mean pose                 least squared error of a constant
median pose               least absolute error of a constant: the angle MAE's own optimum
mean pose of the action   a table of mean poses; it is told the action of every test frame, and of a mixture
                          the weights of the actions in the upper and in the lower body
landmark bound            a network that is given the true positions of the points in the crop
"""

from collections.abc import Callable

from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.data.batch import Batch, apply
from d3ke_lib.experiment.evaluation import landmark_bound
from d3ke_lib.experiment.evaluation.action_means import Prediction, Told, compose_means, nearest_rotation
from d3ke_lib.experiment.run import stored_predictions
from d3ke_lib.nets.losses import relative

MEAN_POSE, MEDIAN_POSE, ACTION_MEAN = "mean pose", "median pose", "mean pose of the action"
LANDMARKS = {noise: f"landmark bound, {noise:g} px noise" if noise else "landmark bound, exact"
             for noise in landmark_bound.NOISES_PX}  # fmt: skip
REFERENCES = (MEAN_POSE, MEDIAN_POSE, ACTION_MEAN, *LANDMARKS.values())
_Centre = Callable[[Tensor], Tensor]  # (frame, …) → (…)


def predict_references(
    train: Batch, test: Batch, train_told: Told, test_told: Told, skeleton: Skeleton
) -> dict[str, Prediction]:
    """Each reference's prediction for the frames of `test`."""
    frames = len(test.time)
    found = {
        MEAN_POSE: _repeat(_constant(train, _mean), frames),
        MEDIAN_POSE: _repeat(_constant(train, _median), frames),
        ACTION_MEAN: compose_means(train, train_told, test_told, skeleton),
    }
    for noise_px, name in LANDMARKS.items():
        pose = landmark_bound.read_landmarks(train, test, skeleton, noise_px)
        found[name] = pose, stored_predictions.points_of(skeleton, pose)
    return found


# --- constants ----------------------------------------------------------------------------------------------


def _mean(values: Tensor) -> Tensor:
    return values.mean(0)


def _median(values: Tensor) -> Tensor:
    return values.median(0).values


def _constant(train: Batch, centre: _Centre) -> Prediction:
    """Angles, scale factors and points relative to the pelvis joint: the centre of each over the frames.

    The points are not the skeleton's for the central angles, which would be further off. Pelvis: the
    rotation nearest to the mean matrix (chordal mean).
    """
    points = relative(train.points)
    R = nearest_rotation(train.pose.R_ground_root.mean(0))
    pose = Pose(centre(train.pose.angles), centre(train.pose.scales), R)
    return pose, Points(centre(points.joints), centre(points.markers))


def _repeat(prediction: Prediction, frames: int) -> Prediction:
    return tuple(apply(lambda value: value.expand(frames, *value.shape), part) for part in prediction)
