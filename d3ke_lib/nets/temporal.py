"""A window of a frame network's predictions → refined Pose → Points, or Points alone."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.nets import head
from d3ke_lib.nets.head import Head
from d3ke_lib.nets.lstm import LSTM
from d3ke_lib.nets.tcn import TCN
from d3ke_lib.nets.transformer import Transformer
from d3ke_lib.nets.weights import seeded

KINDS: dict[str, type[nn.Module]] = {"transformer": Transformer, "tcn": TCN, "lstm": LSTM}


class Refiner(nn.Module):
    """refiner(pose, points) → (Pose, Points) on windows (batch, time, …).

    Frames out: the TCN's target frame; the transformer's `window` intermediate frames, then its target
    frame; every frame of the LSTM.  The target is the window's middle frame, or its last if causal.
    With the head "points" there is no Pose, neither in (None) nor out.
    Runs under autocast; range mapping, rotation and skeleton stay in float32.
    """

    def __init__(self, skeleton: SkeletonLayer, net: nn.Module, predicts: Head = "pose") -> None:
        super().__init__()
        self.skeleton = skeleton
        self.net = net
        self.predicts = predicts

    def forward(self, pose: Pose | None, points: Points) -> tuple[Pose | None, Points]:
        """A frame network's window (rad; points in m relative to the pelvis joint) → the same fields."""
        values = self.net(features(pose, points))
        with head.full_precision(values):
            values = head.at_least_float32(values)
            if self.predicts == "points":
                return None, head.to_points(self.skeleton, values)
            rotation, rest = values[..., : head.ROTATION], values[..., head.ROTATION :]
            refined = head.to_pose(self.skeleton, rotation, head.to_unit(rest))
            return refined, self.skeleton(refined)


def build_refiner(
    kind: str,
    skeleton: SkeletonLayer,
    window: int = 243,
    *,
    seed: int | None = None,
    predicts: Head = "pose",
    **options: object,
) -> Refiner:
    """The refiner `kind` ("transformer", "tcn", "lstm") for windows of `window` frames.

    `seed`: where its random weights come from.  `options` go to the network: Transformer, TCN or LSTM; all
    have `causal` (the target is the window's last frame).  Raises ValueError for an unknown kind and for a
    window that the network's strides do not divide.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown temporal network {kind!r}; known: {', '.join(KINDS)}")
    with seeded(seed):
        outputs = head.width(skeleton) if predicts == "pose" else head.points_width(skeleton)
        net = KINDS[kind](feature_count(skeleton, predicts), outputs, window, **options)
    return Refiner(skeleton, net, predicts)


def feature_count(skeleton: SkeletonLayer, predicts: Head = "pose") -> int:
    """Numbers per frame: D3KE's 115·3 + 48·3 + 9 + 69 = 567; the points alone are 345."""
    points = head.points_width(skeleton)
    return (
        points if predicts == "points" else points + 3 * len(skeleton.bodies) + 9 + len(skeleton.coordinates)
    )


def features(pose: Pose | None, points: Points) -> Float[Tensor, "batch time feature"]:
    """Joints, markers (m), scale factors, root rotation by rows, angles (rad), as they are given.

    The points have to be relative to the pelvis joint: a frame network's are, others need losses.relative.
    """
    if pose is None:
        return torch.cat([part.flatten(-2) for part in points], dim=-1)
    if pose.R_ground_root is None:
        raise ValueError("a temporal network reads the root's rotation: pose.R_ground_root is None")
    parts = (points.joints, points.markers, pose.scales, pose.R_ground_root)
    return torch.cat([*(part.flatten(-2) for part in parts), pose.angles], dim=-1)


def set_norm_momentum(net: nn.Module, momentum: float) -> None:
    """Batch norm's share of the newest batch.  D3KE: the TCN's decays from 0.1 to 0.001 over training."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = momentum
