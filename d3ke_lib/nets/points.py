"""One image → Points: the first step of a multi-step pipeline, in the form of D3KE's own head."""

from pathlib import Path

from jaxtyping import Shaped
from torch import Tensor, nn

from d3ke_lib.body.pose import Points, SkeletonLayer
from d3ke_lib.nets import backbone as backbones
from d3ke_lib.nets import head
from d3ke_lib.nets.weights import seeded


class PointsNet(nn.Module):
    """Backbone, 1×1 convolution to three numbers per joint and marker and cell, spatial mean.

    As FrameNet without range mapping and skeleton layer: what the two differ in is what they predict.
    """

    def __init__(
        self,
        skeleton: SkeletonLayer,
        backbone: str = "resnext50_32x4d",
        center_striding: bool = True,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.backbone = backbones.build(backbone, center_striding, weights)
        self.head = nn.Conv2d(backbones.CHANNELS, head.points_width(skeleton), kernel_size=1)

    def forward(self, image: Shaped[Tensor, "*shape"]) -> tuple[None, Points]:
        """RGB in [0, 1], (batch, 3, h, w) → no Pose, Points in m.

        Points are in the camera's axes, the pelvis joint at 0.  Raises as Backbone for other shapes.
        """
        cells = self.head(self.backbone(image))
        with head.full_precision(cells):
            return None, head.to_points(self.skeleton, head.at_least_float32(cells).mean((2, 3)))


def build(skeleton: SkeletonLayer, *args: object, seed: int) -> PointsNet:
    """PointsNet(skeleton, *args) whose random weights come from `seed`; the backbone's are FrameNet's."""
    with seeded(seed):
        return PointsNet(skeleton, *args)
