"""ResNet and ResNeXt without pooling and classifier: image → feature map, a 32nd of the side, 2048 channels.

He et al. 2016 (arXiv 1512.03385), Xie et al. 2017 (arXiv 1611.05431); blocks and keys are torchvision's.
"""

import math
import socket
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torchvision.models import ResNet, WeightsEnum, get_model, get_model_weights
from torchvision.models.resnet import Bottleneck

from d3ke_lib.nets import weights as weights_on_disk
from d3ke_lib.nets.pointwise import as_products

_TORCHVISIONS = ("resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")
# Not in torchvision: depth and width crossed. The second is Xie et al.'s own ResNeXt-101 (their table 3).
_OURS = {
    "resnext50_32x8d": {"layers": [3, 4, 6, 3], "groups": 32, "width_per_group": 8},
    "resnext101_32x4d": {"layers": [3, 4, 23, 3], "groups": 32, "width_per_group": 4},
}
NAMES = (*_TORCHVISIONS, *_OURS)
CHANNELS, _STRIDE = 2048, 32
# Pinned: torchvision's "DEFAULT" moves to newer weights between its releases.
_IMAGENET = {"imagenet": "IMAGENET1K_V1", "imagenet_v2": "IMAGENET1K_V2"}
_TIMEOUT_S = 20.0  # without a network, of a connection
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CHILDREN = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class CenteredShortcut(nn.Sequential):
    """A strided 1×1 shortcut that reads odd rows and columns.

    Strided layers sample rows 2i of an even map, so that the last map's cells look half a cell (15.5 px) too
    far to the top left; reading rows 2i + 1 in this shortcut halves that (anatomy.gaze_offset measures it).
    """

    def forward(self, x: Float[Tensor, "batch channel h w"]) -> Float[Tensor, "batch out half_h half_w"]:
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            raise ValueError(
                f"centre striding needs an even map before stage 3, found {x.shape[-2]}×{x.shape[-1]}: "
                "use images whose sides are multiples of 32"
            )
        return super().forward(x[..., 1:, 1:])


class Backbone(nn.Sequential):
    """The network `name` up to its last stage; ImageNet's mean and deviation are taken off inside."""

    def __init__(self, name: str, center_striding: bool = True) -> None:
        net = build_classifier(name)
        super().__init__(OrderedDict((child, getattr(net, child)) for child in _CHILDREN))
        if center_striding:
            first = self.layer3[0]
            first.downsample = CenteredShortcut(*first.downsample)
        as_products(self)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Shaped[Tensor, "*shape"]) -> Float[Tensor, "batch channel map_h map_w"]:
        """RGB in [0, 1], (batch, 3, h, w) → feature map.

        TypeError for bytes: they would be 255 times too bright.  ValueError for other axes, and for a batch
        whose norms could not be trained.
        """
        if not image.is_floating_point():
            raise TypeError(f"images are floats in [0, 1], found {image.dtype}")
        self._check_size(image)
        return super().forward((image - self.mean) / self.deviation)

    def _check_size(self, image: Tensor) -> None:
        shape = tuple(image.shape)
        if len(shape) != 4 or shape[1] != 3 or 0 in shape:
            raise ValueError(f"expected images (batch, 3, height, width), found {shape}")
        cells = shape[0] * math.ceil(shape[2] / _STRIDE) * math.ceil(shape[3] / _STRIDE)
        if self.training and cells == 1:
            raise ValueError(
                f"batch norm cannot be trained on one cell: one image of {shape[2]}×{shape[3]} makes a map "
                "of 1×1; take two images, or a larger one"
            )


def build_classifier(name: str) -> ResNet:
    """The whole network `name`, one of NAMES, from random numbers: torchvision's where it has one.

    Raises ValueError for an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"unknown backbone {name!r}; known: {', '.join(NAMES)}")
    return ResNet(Bottleneck, **_OURS[name]) if name in _OURS else get_model(name, weights=None)


def build(
    name: str,
    center_striding: bool = True,
    weights: str | Path | None = None,
    *,
    seed: int | None = None,
    sha256: str | None = None,
) -> Backbone:
    """The backbone `name`, one of NAMES.

    `weights`: None (torchvision's initialisation, from `seed` when given, then `_start_as_shortcuts`),
    "imagenet" (IMAGENET1K_V1), "imagenet_v2", or a .safetensors/.pth file with torchvision's keys, whose
    `sha256` is checked when given.
    ImageNet weights are fetched into torch's cache where they are not in it.  Raises ValueError for unknown
    names and weights that do not fit, FileNotFoundError where a file is absent or cannot be fetched.
    """
    with weights_on_disk.seeded(seed):
        net = Backbone(name, center_striding)
    if weights is None:
        return _start_as_shortcuts(net)
    if weights in _IMAGENET:
        path, sha256 = _imagenet_file(name, str(weights))
    else:
        path = Path(weights)
    state = weights_on_disk.read(path, sha256)
    features = {key: value for key, value in state.items() if key not in ("fc.weight", "fc.bias")}
    weights_on_disk.fit(net, features, str(path))
    return net


def _start_as_shortcuts(net: Backbone) -> Backbone:
    """Every block begins as its shortcut alone: the last norm of its residual branch has scale 0.

    Deep networks then start to learn at once (Goyal et al. 2017, arXiv 1706.02677, section 5.1).
    """
    for module in net.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
    return net


def imagenet_weights(name: str, version: str = "imagenet") -> WeightsEnum:
    """torchvision's entry for `version` of `name`: its address and metadata.  ValueError if there is none."""
    if name in _OURS:
        raise ValueError(f"torchvision has no {name} and no weights for it; use weights=None or a file")
    known = get_model_weights(name).__members__
    if _IMAGENET[version] not in known:
        raise ValueError(
            f"torchvision has no {_IMAGENET[version]} weights for {name}; it has {', '.join(known)}"
        )
    return known[_IMAGENET[version]]


def _imagenet_file(name: str, version: str) -> tuple[Path, str]:
    """File in torch's hub cache, and the first digits of its sha256, which torchvision puts into the name."""
    url = imagenet_weights(name, version).url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    digest = path.stem.rpartition("-")[2]
    if not path.is_file():
        try:
            _download(url, path, digest)
        except OSError as error:
            raise FileNotFoundError(
                f"weights={version!r} of {name} are not in torch's cache and could not be fetched ({error}): "
                f"fetch {url} and put it at {path}, or give the path of a copy as weights="
            ) from None
    return path, digest


def _download(url: str, path: Path, digest: str) -> None:
    """torchvision's own download, checked by hash; OSError where there is no network or another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        torch.hub.download_url_to_file(url, str(path), digest, progress=sys.stderr.isatty())
    except RuntimeError as error:  # another hash
        raise OSError(error) from None
    finally:
        socket.setdefaulttimeout(before)
