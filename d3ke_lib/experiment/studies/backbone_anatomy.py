"""What distinguishes one backbone from another, counted or measured on the network itself."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import ResNet

from d3ke_lib.nets.backbone import Backbone, build_classifier, imagenet_weights

# Xie et al.'s own ResNeXt-101 (their table 3), as wide as their ResNeXt-50; torchvision has no such weights.
PAPERS_101 = "resnext101_32x4d"


class _Anatomy(NamedTuple):
    """Blocks per stage; layers with weights on the longest path; groups per 3×3 convolution; channels per
    group in the first stage; weights in all, the ImageNet classifier included."""

    blocks: tuple[int, int, int, int]
    layers: int
    cardinality: int
    group_width: int
    parameters: int


def network(name: str) -> ResNet:
    """The whole network, classifier included, without memory behind its weights (torch's meta device)."""
    with torch.device("meta"):
        return build_classifier(name)


def anatomy(name: str) -> _Anatomy:
    net = network(name)
    stages = (net.layer1, net.layer2, net.layer3, net.layer4)
    grouped = net.layer1[0].conv2
    return _Anatomy(
        blocks=tuple(len(stage) for stage in stages),
        layers=2 + 3 * sum(len(stage) for stage in stages),
        cardinality=grouped.groups,
        group_width=grouped.out_channels // grouped.groups,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
    )


@torch.no_grad()
def multiply_adds(name: str, px: int) -> int:
    """Multiply–add pairs for one image of px × px: what the papers call FLOP."""
    with FlopCounterMode(display=False) as counter:
        network(name).eval()(torch.empty(1, 3, px, px, device="meta"))
    return counter.get_total_flops() // 2


def gaze_offset(net: Backbone, px: int, generator: torch.Generator) -> tuple[float, float]:
    """How far below and right (px) of its own place a middle cell of the map looks, in an image of px × px.

    Where it looks: the centroid of the squared gradient of a random mixture of its channels.
    """
    image = torch.rand(1, 3, px, px, generator=generator, requires_grad=True)
    features = net.eval()(image)
    at, cell = features.shape[-1] // 2, px / features.shape[-1]
    mixture = torch.randn(features.shape[1], generator=generator)
    (gradient,) = torch.autograd.grad(features[0, :, at, at] @ mixture, image)
    weight = gradient.square().sum((0, 1))
    place = torch.arange(px) + 0.5
    rows, columns = weight.sum(1) @ place, weight.sum(0) @ place
    return tuple(float(mean / weight.sum()) - cell * (at + 0.5) for mean in (rows, columns))


def imagenet_errors(name: str, version: str = "imagenet") -> tuple[float, float]:
    """Top-1 and top-5 error (%) of torchvision's weights on ImageNet's validation images, one crop each."""
    accuracy = imagenet_weights(name, version).meta["_metrics"]["ImageNet-1K"]
    return round(100 - accuracy["acc@1"], 3), round(100 - accuracy["acc@5"], 3)
