"""D3KE's LSTM: three layers of 512, both ways, a linear layer to the outputs of every frame."""

from jaxtyping import Float
from torch import Tensor, nn


class LSTM(nn.Module):
    """(batch, time, features) → (batch, time, outputs).  `window` is what it is trained on; any length runs.

    `causal`: forwards only.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        window: int = 243,
        *,
        channels: int = 512,
        layers: int = 3,
        dropout: float = 0.1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.window = window
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            features, channels, layers, batch_first=True, dropout=between, bidirectional=not causal
        )
        self.shrink = nn.Linear(channels if causal else 2 * channels, outputs)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch time output"]:
        return self.shrink(self.lstm(x)[0])
