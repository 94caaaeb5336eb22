"""3-D landmarks → scale factors and a smooth motion: the multi-step pipeline that D3KE is compared with.

The landmarks are markers of our body (sites.py); one set of scale factors per person, then inverse kinematics
of all frames together.
"""

import warnings
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.ik.joint_scaling import solve_with_scales
from d3ke_lib.body.ik.solve import Prior, UnseenFrames
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Body
from d3ke_lib.body.pose import Pose
from d3ke_lib.landmarks.names import NAMES
from d3ke_lib.landmarks.sites import landmark_skeleton, load_noise

# Between hips and shoulders there is no landmark: the spine stays near 0 instead of the middle of its ranges.
_SPINE = ("L5_S1_", "L4_L5_", "T12_L1_", "T11_T12_", "T10_T11_", "T9_T10_", "T8_T9_")
_NOISE = 0.03  # m, of the landmark that is found best
_ACCELERATION = 10.0  # half ranges per s²
_SPREAD = 0.7  # of the coordinates, in half ranges
_SIZE = 0.08  # of scale factors, of themselves


def fit_skeleton(body: Body) -> Skeleton:
    """D3KE's selection of `body` with the landmarks as markers and a neutral spine, in float64."""
    return landmark_skeleton(_with_neutral_spine(body)).double()


def _with_neutral_spine(body: Body) -> Body:
    def neutral(coordinate):
        if not coordinate.name.startswith(_SPINE):
            return coordinate
        reach = max(map(abs, coordinate.range))
        return replace(coordinate, range=(-reach, reach))

    joints = (replace(j, coordinates=tuple(map(neutral, j.coordinates))) for j in body.joints)
    return replace(body, joints=tuple(joints))


def fit_landmarks(
    skeleton: Skeleton,
    world: Float[Tensor, "frame 33 3"],
    visibility: Float[Tensor, "frame 33"],
    fps: float,
) -> Pose:
    """Pose over time of `fit_skeleton` through landmarks in ground (m; NaN: not seen).

    A landmark's weight falls with its visibility and with the detector's error there. Frames without
    landmarks are interpolated. Raises ValueError where no frame has one.
    """
    weights = (_certainty() * visibility.nan_to_num().square()).to(skeleton.ranges)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnseenFrames)  # the caller knows which frames these are
        pose, _ = solve_with_scales(
            skeleton,
            world.to(skeleton.ranges),
            weights=weights,
            prior=Prior(fps, _NOISE, _ACCELERATION, _SPREAD),
            spread=_SIZE,
            noise=_NOISE,
        )
    return pose


def _certainty() -> Float[Tensor, " 33"]:
    """(least error / error)² of each landmark in 3-D."""
    noise = load_noise()
    slow, fast = (torch.tensor(part).square().sum(-1) for part in (noise.world_slow, noise.world_fast))
    variance = slow + fast
    # Eyes, nose and mouth say the same: together they count as two landmarks.
    share = torch.tensor([2 / 11 if i < 11 else 1.0 for i in range(len(NAMES))])
    return share * variance.median() / variance.clamp(min=0.25 * variance.median())
