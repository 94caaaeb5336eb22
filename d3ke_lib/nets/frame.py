"""One image → Pose → Points: D3KE's frame network."""

from pathlib import Path

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from d3ke_lib.body.pose import Points, Pose, SkeletonLayer
from d3ke_lib.nets import backbone as backbones
from d3ke_lib.nets import head
from d3ke_lib.nets.weights import seeded

_SQUASHES = ("before_mean", "after_mean")
CAMERA_VALUES = 4  # log focal length in sides of the crop, and the direction of up in the camera's axes


class FrameNet(nn.Module):
    """Backbone, 1×1 convolution to 126 numbers per cell, spatial mean, range mapping, skeleton layer.

    `backbone`: one of backbone.NAMES; `weights`: None, "imagenet", "imagenet_v2" or a file (backbone.build).
    `squash`, one of _SQUASHES: D3KE applies the squashing function to (−1, 1) per cell, then takes the mean
    over the map, so that an angle reaches the end of its range only where all cells agree; "after_mean"
    exchanges the two.
    `camera_input`: the head also reads four values of the crop's camera, which the crop itself does not show;
    its weights for them start at 0. Not in D3KE; after CLIFF (Li et al. 2022, arXiv 2208.00571).
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
        camera_input: bool = False,
        sha256: str | None = None,
    ) -> None:
        super().__init__()
        if squash not in _SQUASHES:
            raise ValueError(f"unknown squash {squash!r}; known: {', '.join(_SQUASHES)}")
        self.squash = squash
        self.skeleton = skeleton
        self.backbone = backbones.build(backbone, center_striding, weights, sha256=sha256)
        self.head = nn.Conv2d(backbones.CHANNELS, head.width(skeleton), kernel_size=1)
        self.camera_head = None
        if camera_input:
            self.camera_head = nn.Linear(CAMERA_VALUES, head.width(skeleton), bias=False)
            nn.init.zeros_(self.camera_head.weight)

    def forward(
        self, image: Shaped[Tensor, "*shape"], camera: Float[Tensor, "batch value"] | None = None
    ) -> tuple[Pose, Points]:
        """RGB in [0, 1], (batch, 3, h, w), sides multiples of 32 → Pose, Points (m).

        `camera`: its CAMERA_VALUES per image (data.camera.describe_crop), with `camera_input` only.
        Points are in the camera's axes, the pelvis joint at 0.  Raises as Backbone for other shapes, and
        ValueError where `camera` is missing or not expected.
        """
        cells = self.head(self.backbone(image))
        with head.full_precision(cells):
            cells = self._add_camera(head.at_least_float32(cells), camera)
            rotation = cells[:, : head.ROTATION].mean((2, 3))
            pose = head.to_pose(self.skeleton, rotation, self._unit(cells[:, head.ROTATION :]))
            return pose, self.skeleton(pose)

    def _add_camera(self, cells: Tensor, camera: Tensor | None) -> Tensor:
        """The last layer's part for the camera's values, as if every cell had them as further channels."""
        expected = (len(cells), CAMERA_VALUES) if self.camera_head is not None else None
        found = None if camera is None else tuple(camera.shape)
        if found != expected:
            raise ValueError(f"camera values of the crops: expected {expected}, found {found}")
        if camera is None:
            return cells
        return cells + self.camera_head(camera.to(cells))[:, :, None, None]

    def _unit(self, cells: Float[Tensor, "batch value h w"]) -> Float[Tensor, "batch value"]:
        # mean((2, 3)), not adaptive pooling: its backward is deterministic on CUDA.
        if self.squash == "before_mean":
            return head.to_unit(cells).mean((2, 3))
        return head.to_unit(cells.mean((2, 3)))


def build(skeleton: SkeletonLayer, *args: object, seed: int, **options: object) -> FrameNet:
    """FrameNet(skeleton, *args, **options) whose random weights come from `seed`, on any machine the same."""
    with seeded(seed):
        return FrameNet(skeleton, *args, **options)
