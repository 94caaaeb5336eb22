"""1×1 convolutions as the matrix products they are: shorter training steps on the CPU.

oneDNN's gradients of 1×1 convolutions take several times as long as the products where maps are small and
channels many (ResNeXt's last stages: 2×2 cells, 2048 channels); scripts/bench_pointwise.py measures it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Pointwise(nn.Conv2d):
    """`conv`, 1×1 in one group, with the same weight under the same key."""

    def __init__(self, conv: nn.Conv2d) -> None:
        sizes = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride)
        super().__init__(*sizes, bias=conv.bias is not None, device="meta")  # draws no random numbers
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x: Float[Tensor, "batch channel h w"]) -> Float[Tensor, "batch out rows columns"]:
        if (
            x.device.type != "cpu" or not torch.is_grad_enabled()
        ):  # without gradients oneDNN is the faster one
            return super().forward(x)
        down, right = self.stride
        pixels = x[..., ::down, ::right].permute(0, 2, 3, 1)
        return F.linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def as_products(net: nn.Module) -> nn.Module:
    """`net` with every 1×1 convolution of one group replaced, in place."""
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Conv2d and _is_pointwise(child):
                setattr(parent, name, Pointwise(child))
    return net


def _is_pointwise(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and conv.groups == 1 and conv.padding == (0, 0)
