"""One image → Pose → Points: D3KE's frame network."""

from pathlib import Path

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.nets import backbone as backbones
from d3ke_lib.nets import head
from d3ke_lib.nets.weights import seeded

_SQUASHES = ("before_mean", "after_mean")


class FrameNet(nn.Module):
    """Backbone, 1×1 convolution to 126 numbers per cell, spatial mean, range mapping, skeleton layer.

    `backbone`: one of backbone.NAMES; `weights`: None, "imagenet", "imagenet_v2" or a file (backbone.build).
    `squash`, one of _SQUASHES: D3KE applies the squashing function to (−1, 1) per cell, then takes the mean
    over the map, so that an angle reaches the end of its range only where all cells agree; "after_mean"
    exchanges the two.
    Runs under autocast; everything behind the 1×1 convolution stays in float32.
    """

    def __init__(
        self,
        skeleton: SkeletonLayer,
        backbone: str = "resnext50_32x4d",
        center_striding: bool = True,
        weights: str | Path | None = None,
        *,
        squash: str = "before_mean",
        sha256: str | None = None,
    ) -> None:
        super().__init__()
        if squash not in _SQUASHES:
            raise ValueError(f"unknown squash {squash!r}; known: {', '.join(_SQUASHES)}")
        self.squash = squash
        self.skeleton = skeleton
        self.backbone = backbones.build(backbone, center_striding, weights, sha256=sha256)
        self.head = nn.Conv2d(backbones.CHANNELS, head.width(skeleton), kernel_size=1)

    def forward(self, image: Shaped[Tensor, "*shape"]) -> tuple[Pose, Points]:
        """RGB in [0, 1], (batch, 3, h, w), sides multiples of 32 → Pose, Points (m).

        Points are in the camera's axes, the pelvis joint at 0.  Raises as Backbone for other shapes.
        """
        cells = self.head(self.backbone(image))
        with head.full_precision(cells):
            cells = head.at_least_float32(cells)
            rotation = cells[:, : head.ROTATION].mean((2, 3))
            pose = head.to_pose(self.skeleton, rotation, self._unit(cells[:, head.ROTATION :]))
            return pose, self.skeleton(pose)

    def _unit(self, cells: Float[Tensor, "batch value h w"]) -> Float[Tensor, "batch value"]:
        # mean((2, 3)), not adaptive pooling: its backward is deterministic on CUDA.
        if self.squash == "before_mean":
            return head.to_unit(cells).mean((2, 3))
        return head.to_unit(cells.mean((2, 3)))


def build(skeleton: SkeletonLayer, *args: object, seed: int, **options: object) -> FrameNet:
    """FrameNet(skeleton, *args, **options) whose random weights come from `seed`, on any machine the same."""
    with seeded(seed):
        return FrameNet(skeleton, *args, **options)
