"""The 1€ filter (Casiez et al. 2012) of the two points that say where to look next, as mediapipe has it."""

import math

import numpy as np
from jaxtyping import Float

_SLOWEST, _RESPONSE = 0.01, 10.0  # cut-off frequency at rest, Hz, and how it grows with the speed
_OF_SPEED = 1.0  # cut-off frequency of the speed, Hz

_Points = Float[np.ndarray, "2 2"]


class AlignmentFilter:
    """Heavy smoothing at rest, little in fast motion; speeds are in sizes of the person per second."""

    def __init__(self, fps: float) -> None:
        self._fps, self._speed = fps, np.zeros((2, 2))
        self._raw: _Points | None = None
        self._smooth: _Points | None = None

    def __call__(self, points: _Points) -> _Points:
        if self._raw is None:
            self._raw = self._smooth = points
            return points
        size = 2 * max(math.dist(*points), 1e-6)
        share = self._share(_OF_SPEED)
        self._speed = share * (points - self._raw) * self._fps / size + (1 - share) * self._speed
        share = self._share(_SLOWEST + _RESPONSE * np.abs(self._speed))
        self._raw, self._smooth = points, share * points + (1 - share) * self._smooth
        return self._smooth

    def _share(self, cutoff: float | _Points) -> float | _Points:
        """Of the newest value, for a cut-off frequency in Hz."""
        return 1 / (1 + self._fps / (2 * math.pi * cutoff))
