"""D3KE's temporal convolution: VideoPose3D's network (Pavllo et al. 2019, arXiv 1811.11742)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv1d

from d3ke_lib.nets.transformer import exponent_of_three

_WIDTH = 3


class TCN(nn.Module):
    """(batch, time, features) → (batch, time − window + 1, outputs): one prediction per whole window.

    The same weights run in two forms: strided, for exactly one window (training), and dilated, which shares
    work between overlapping windows (inference).  `form`: "auto" takes the strided one when time = window.
    `causal`: residuals follow the last frame of the window instead of the middle one.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        window: int = 243,
        *,
        channels: int = 1024,
        dropout: float = 0.25,
        causal: bool = False,
        form: str = "auto",
    ) -> None:
        super().__init__()
        if form not in ("auto", "strided", "dilated"):
            raise ValueError(f"unknown form {form!r}; known: auto, strided, dilated")
        self.window, self.form = window, form
        self.expand = nn.Conv1d(features, channels, _WIDTH, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        kept = _WIDTH - 1 if causal else _WIDTH // 2
        depth = exponent_of_three(window) - 1
        self.blocks = nn.ModuleList(_Block(channels, dropout, kept) for _ in range(depth))
        self.shrink = nn.Conv1d(channels, outputs, 1)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch frame output"]:
        strided = self._strided(x.shape[1])
        if self.training and x.shape[0] == 1 and x.shape[1] == self.window:
            raise ValueError("batch norm cannot be trained on one frame: one window makes one; take two")
        stride = _WIDTH if strided else 1
        x = conv1d(x.mT, self.expand.weight, stride=stride)
        x = self.dropout(torch.relu(self.norm(x)))
        for i, block in enumerate(self.blocks):
            x = block(x, stride, 1 if strided else _WIDTH ** (i + 1))
        return self.shrink(x).mT

    def _strided(self, time: int) -> bool:
        if time < self.window or (self.form == "strided" and time != self.window):
            raise ValueError(f"the {self.form} TCN reads windows of {self.window} frames, found {time}")
        return self.form == "strided" or (self.form == "auto" and time == self.window)


class _Block(nn.Module):
    """Convolution over 3 frames and one over channels, and the residual of the frame `kept` of the 3."""

    def __init__(self, channels: int, dropout: float, kept: int) -> None:
        super().__init__()
        self.kept = kept
        self.wide = nn.Conv1d(channels, channels, _WIDTH, bias=False)
        self.norm1 = nn.BatchNorm1d(channels)
        self.point = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch channel time"], stride: int, dilation: int
    ) -> Float[Tensor, "batch channel kept"]:
        y = conv1d(x, self.wide.weight, stride=stride, dilation=dilation)
        residual = x[..., self.kept * dilation :: stride][..., : y.shape[-1]]
        y = self.dropout(torch.relu(self.norm1(y)))
        return residual + self.dropout(torch.relu(self.norm2(self.point(y))))
