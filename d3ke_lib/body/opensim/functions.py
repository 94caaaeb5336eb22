"""Functions of one coordinate as OpenSim's joints and couplers use them, on tensors.

Every kind is held as one thing: a piecewise cubic with straight continuations at both ends
(a constant and a line are piecewise cubics of one piece), so that the kinematics knows no kinds.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Function:
    """Pieces c0 + c1·d + c2·d² + c3·d³ …, d = x − knots[i], the piece i being the last with knots[i] ≤ x.

    `coefficients` is (piece, degree + 1), lowest degree first. The first piece also serves every x
    before its knot. `scaled` marks OpenSim's MultiplierFunction, whose factor follows the body scale.
    """

    knots: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    scaled: bool = False

    @property
    def is_linear(self) -> bool:
        return len(self.knots) == 1 and len(self.coefficients[0]) <= 2

    @property
    def line(self) -> tuple[float, float]:
        """(slope, value at 0) of a linear function."""
        value, slope = (*self.coefficients[0], 0.0)[:2]
        return slope, value - slope * self.knots[0]

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Values at x, elementwise, differentiable."""
        if len(self.knots) == 1:
            table, d = self._table(x)[0].expand(*x.shape, -1), x - self.knots[0]
        else:
            knots = torch.tensor(self.knots, dtype=x.dtype, device=x.device)
            piece = (torch.searchsorted(knots, x.detach().contiguous(), right=True) - 1).clamp(min=0)
            table, d = self._table(x)[piece], x - knots[piece]
        value = table[..., -1]
        for degree in range(table.shape[-1] - 2, -1, -1):
            value = value * d + table[..., degree]
        return value

    def _table(self, like: Tensor) -> Float[Tensor, "piece degree"]:
        return torch.tensor(self.coefficients, dtype=like.dtype, device=like.device)


def constant(value: float) -> Function:
    return Function((0.0,), ((value,),))


def linear(slope: float, intercept: float) -> Function:
    return Function((0.0,), ((intercept, slope),))


def polynomial(coefficients: tuple[float, ...]) -> Function:
    """OpenSim writes the highest degree first."""
    return Function((0.0,), (tuple(reversed(coefficients)),))


def multiplied(function: Function, factor: float) -> Function:
    rows = tuple(tuple(factor * c for c in row) for row in function.coefficients)
    return replace(function, coefficients=rows, scaled=True)


def negated(function: Function) -> Function:
    return replace(function, coefficients=tuple(tuple(-c for c in row) for row in function.coefficients))


def piecewise_linear(x: tuple[float, ...], y: tuple[float, ...]) -> Function:
    """Straight between the points, the end pieces continued."""
    x, y = _checked(x, y, 2)
    slopes = np.diff(y) / np.diff(x)
    return Function(tuple(x[:-1]), tuple(zip(y[:-1].tolist(), slopes.tolist(), strict=True)))


def simm_spline(x: tuple[float, ...], y: tuple[float, ...]) -> Function:
    """OpenSim's SimmSpline: the interpolating cubic spline of Forsythe, Malcolm and Moler (1977).

    Its third derivative at either end is that of the cubic through the four outer points; with three
    points the ends have no curvature change, with two it is a line. Beyond the knots it is straight.
    """
    x, y = _checked(x, y, 2)
    if len(x) == 2:
        slope = float((y[1] - y[0]) / (x[1] - x[0]))
        return linear(slope, float(y[0] - slope * x[0]))
    slopes, second, third = _spline_derivatives(x, y)
    pieces = np.stack([y, slopes, second, third], 1)
    before, after = (y[0], slopes[0], 0.0, 0.0), (y[-1], slopes[-1], 0.0, 0.0)
    # The piece before the first knot is anchored there as well: a line through it.
    knots = (x[0] - 1.0, *x[:-1], x[-1])
    first = (before[0] - before[1], before[1], 0.0, 0.0)
    rows = (first, *map(tuple, pieces[:-1].tolist()), after)
    return Function(tuple(float(k) for k in knots), tuple(tuple(float(c) for c in row) for row in rows))


def _spline_derivatives(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First derivative, half the second, a sixth of the third, at every knot."""
    n, h, slope = len(x), np.diff(x), np.diff(y) / np.diff(x)
    matrix, right = np.zeros((n, n)), np.zeros(n)
    for i in range(1, n - 1):
        matrix[i, i - 1 : i + 2] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        right[i] = slope[i] - slope[i - 1]
    matrix[0, :2], matrix[-1, -2:] = (-h[0], h[0]), (h[-1], -h[-1])
    if n > 3:
        third = np.diff(np.diff(slope) / (x[2:] - x[:-2])) / (x[3:] - x[:-3])
        right[0], right[-1] = h[0] ** 2 * third[0], -(h[-1] ** 2) * third[-1]
    second = np.linalg.solve(matrix, right)
    first = np.append(slope - h * (second[1:] + 2 * second[:-1]), 0.0)
    first[-1] = slope[-1] + h[-1] * (second[-2] + 2 * second[-1])
    third = np.append(np.diff(second) / h, 0.0)
    return first, 3 * second, third


def _checked(x: tuple[float, ...], y: tuple[float, ...], least: int) -> tuple[np.ndarray, np.ndarray]:
    if len(x) != len(y) or len(x) < least:
        raise ValueError(f"{len(x)} knots and {len(y)} values; expected equally many, at least {least}")
    steps = np.diff(x)
    if not (steps > 0).all():
        raise ValueError(f"knots are not increasing at number {int(np.argmin(steps > 0)) + 1}: {list(x)}")
    return np.asarray(x, float), np.asarray(y, float)
