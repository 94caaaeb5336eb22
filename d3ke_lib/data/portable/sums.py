"""Sums, products of matrices and what is made of them, in an order that no vector register decides."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from d3ke_lib.data.portable.functions import exp, in_double, log, square_root


def _total(x: Tensor, dim: int) -> Tensor:
    """The sum over one axis: its halves added to each other until one element is left."""
    x = x.movedim(dim, 0)
    if len(x) == 1:
        return x[0].clone()
    while len(x) > 1:
        half = len(x) // 2
        rest = x[2 * half :]
        x = torch.cat([x[:half] + x[half : 2 * half], rest])
    return x[0] if len(x) else x.sum(0)


def sum_over(
    x: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    axes = sorted(d % max(x.ndim, 1) for d in (range(x.ndim) if dim is None or len(dim) == 0 else dim))
    for axis in reversed(axes):
        x = _total(x, axis).unsqueeze(axis) if keepdim else _total(x, axis)
    return x


def mean_over(
    x: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    total = sum_over(x, dim, keepdim, dtype=dtype)
    return total / (x.numel() // max(total.numel(), 1))


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product over any leading axes, summed in order."""
    total = torch.zeros((), dtype=a.dtype)
    for k in range(a.shape[-1]):
        total = total + a[..., :, k : k + 1] * b[..., k : k + 1, :]
    return total.expand(*a.shape[:-1], b.shape[-1])


def matrix_vector(a: Tensor, x: Tensor) -> Tensor:
    return matrix_product(a, x[:, None])[:, 0]


def multiply_out(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The product over one axis, in order."""
    found = functools.reduce(torch.mul, x.unbind(dim), torch.ones((), dtype=x.dtype))
    return found.unsqueeze(dim) if keepdim else found


def dot(a: Tensor, b: Tensor) -> Tensor:
    return _total(a * b, 0)


def add_product(c: Tensor, a: Tensor, b: Tensor, *, beta: float | int = 1, alpha: float | int = 1) -> Tensor:
    return beta * c + alpha * matrix_product(a, b)


def add_scaled_product(c: Tensor, a: Tensor, b: Tensor, *, value: float | int = 1) -> Tensor:
    return c + a * b if value == 1 else c + value * (a * b)


def add(a: Tensor, b: Any, *, alpha: float | int = 1) -> Tensor:
    return a + b if alpha == 1 else a + alpha * b


def subtract(a: Tensor, b: Any, *, alpha: float | int = 1) -> Tensor:
    return a - b if alpha == 1 else a - alpha * b


def interpolate(a: Tensor, b: Tensor, weight: Any) -> Tensor:
    return a + weight * (b - a)


def norm(
    x: Tensor, p: float | int | None = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    if p not in (2, None):
        raise NotImplementedError(f"norm: expected the order 2, found {p}")
    dim = [dim] if isinstance(dim, int) else dim
    return square_root(sum_over(x * x, dim, keepdim, dtype=dtype))


def cross(a: Tensor, b: Tensor, *, dim: int = -1) -> Tensor:
    a, b = torch.broadcast_tensors(a, b)
    (ax, ay, az), (bx, by, bz) = a.unbind(dim), b.unbind(dim)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim)


def distances(a: Tensor, b: Tensor, *_: object) -> Tensor:
    off = a[..., :, None, :] - b[..., None, :, :]
    return square_root(_total(off * off, -1))


def softmax(x: Tensor, dim: int, *_: object) -> Tensor:
    weights = in_double(exp)(x - x.amax(dim, keepdim=True))
    return weights / sum_over(weights, [dim], True)


def log_sum_exp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    (axis,) = [dim] if isinstance(dim, int) else dim
    most = x.amax(axis, keepdim=True)
    found = most + in_double(log)(sum_over(in_double(exp)(x - most), [axis], True))
    return found if keepdim else found.squeeze(axis)


def solve(A: Tensor, B: Tensor, **_: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gaussian elimination with pivots; a square matrix of full rank, no batch."""
    count, rows = len(A), torch.cat([A, B.unsqueeze(-1) if B.ndim == 1 else B], 1)
    for k in range(count):
        pivot = k + int(rows[k:, k].abs().argmax())
        order = list(range(count))
        order[k], order[pivot] = pivot, k
        rows = rows[order]
        row = rows[k : k + 1] / rows[k, k]
        factors = rows[:, k : k + 1].clone()
        factors[k] = 0
        rows = rows - factors * row
        rows[k] = row[0]
    found = rows[:, count:]
    none = torch.zeros(count, dtype=torch.int32)
    return found[:, 0] if B.ndim == 1 else found, A, none, torch.zeros((), dtype=torch.int32)
