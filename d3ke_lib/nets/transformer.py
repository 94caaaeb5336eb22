"""D3KE's transformer: whole-window blocks, then strided blocks that narrow the window to its target frame.

After the strided transformer of Li et al. 2022 (arXiv 2103.14304).
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Transformer(nn.Module):
    """(batch, window, features) → (batch, window + 1, outputs): every frame's prediction, then the target's.

    `strides`: one per strided block, their product is the window; default `default_strides(window)`.
    `causal`: strided blocks keep the last frame of each stride instead of the middle one, so that the target
    is the window's last frame.  Raises ValueError where strides and window disagree.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        window: int = 243,
        *,
        channels: int = 256,
        hidden: int = 512,
        heads: int = 8,
        layers: int = 3,
        strides: Sequence[int] | None = None,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.window = window
        self.strides = tuple(default_strides(window) if strides is None else strides)
        if math.prod(self.strides) != window:
            raise ValueError(
                f"strides {self.strides} multiply to {math.prod(self.strides)}, the window is {window}"
            )
        sizes = (channels, hidden, heads, dropout)
        self.expand = nn.Linear(features, channels)
        self.blocks = nn.ModuleList(_Block(*sizes) for _ in range(layers))
        self.shrink_all = nn.Linear(channels, outputs)
        self.strided = nn.ModuleList(
            _Block(*sizes, stride, stride - 1 if causal else stride // 2, bias=False)
            for stride in self.strides
        )
        self.shrink_target = nn.Linear(channels, outputs)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch frame output"]:
        if x.shape[1] != self.window:
            raise ValueError(f"this transformer reads windows of {self.window} frames, found {x.shape[1]}")
        x = _with_positions(self.expand(x))
        for block in self.blocks:
            x = block(x)
        every_frame = self.shrink_all(x)
        for block in self.strided:
            x = block(_with_positions(x))
        return torch.cat([every_frame, self.shrink_target(x)], dim=1)


class _Block(nn.Module):
    """Post-norm attention and two linear layers; keeps frames offset, offset + stride, …"""

    def __init__(
        self,
        channels: int,
        hidden: int,
        heads: int,
        dropout: float,
        stride: int = 1,
        offset: int = 0,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.offset = stride, offset
        self.attention = nn.MultiheadAttention(channels, heads, dropout, batch_first=True)
        self.norm1 = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden, bias)
        self.shrink = nn.Linear(hidden, channels, bias)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch time channel"]) -> Float[Tensor, "batch kept channel"]:
        attended, _ = self.attention(x, x, x, need_weights=False)
        x = self.norm1(x + self.dropout(attended))
        x = x[:, self.offset :: self.stride]
        return self.norm2(x + self.dropout(self.shrink(torch.relu(self.expand(x)))))


def default_strides(window: int) -> tuple[int, int, int]:
    """Three strides of 1 or more threes: 243 → (3, 9, 9) as in D3KE, 27 → (3, 3, 3), 9 → (3, 3, 1)."""
    threes = exponent_of_three(window)
    if threes < 3:
        return tuple(3 if i < threes else 1 for i in range(3))
    return tuple(3 ** ((threes + i) // 3) for i in range(3))


def exponent_of_three(window: int) -> int:
    """k of window = 3ᵏ, k ≥ 1; ValueError for other windows."""
    exponent = round(math.log(max(window, 1), 3))
    if exponent < 1 or 3**exponent != window:
        raise ValueError(f"window must be a power of 3 (3, 9, 27, 81, 243 …), found {window}")
    return exponent


def _with_positions(x: Float[Tensor, "batch time channel"]) -> Float[Tensor, "batch time channel"]:
    """x plus sines (even channels) and cosines (odd) of the frame number (Vaswani et al. 2017, 3.5)."""
    frames, channels = x.shape[1:]
    rate = torch.exp(torch.arange(0, channels, 2, device=x.device) * (-math.log(10_000) / channels))
    phase = torch.arange(frames, device=x.device)[:, None] * rate
    return x + torch.stack((phase.sin(), phase.cos()), dim=-1).flatten(-2).to(x.dtype)
