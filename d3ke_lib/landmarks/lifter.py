"""Windows of landmarks → Pose → Points: D3KE's head and skeleton layer on landmarks instead of pixels.

In between a temporal convolution (VideoPose3D's, as D3KE's TCN); its target is the window's middle frame.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.landmarks import features
from d3ke_lib.nets import head
from d3ke_lib.nets.tcn import TCN
from d3ke_lib.nets.weights import seeded

WINDOW = 27  # frames, at RATE
RATE = 30.0  # Hz
_CHANNELS, _DROPOUT = 256, 0.1


class Lifter(nn.Module):
    """lifter(features) → (Pose, Points): a prediction for every whole window of WINDOW frames.

    `mean`, `deviation`: of the features in training, which come in standardised. The pose's rotation is in
    the axes of the camera that looks at the person; points in m relative to the pelvis joint.
    """

    def __init__(self, skeleton: SkeletonLayer, seed: int | None = None) -> None:
        super().__init__()
        self.skeleton = skeleton
        with seeded(seed):
            width = head.width(skeleton)
            self.net = TCN(features.COUNT, width, WINDOW, channels=_CHANNELS, dropout=_DROPOUT)
        self.register_buffer("mean", torch.zeros(features.COUNT))
        self.register_buffer("deviation", torch.ones(features.COUNT))

    def forward(self, rows: Float[Tensor, "batch time feature"]) -> tuple[Pose, Points]:
        values = self.net((rows - self.mean) / self.deviation)
        rotation, rest = values[..., : head.ROTATION], values[..., head.ROTATION :]
        pose = head.to_pose(self.skeleton, rotation, head.to_unit(rest))
        return pose, self.skeleton(pose)
