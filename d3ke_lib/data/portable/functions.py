"""Elementary functions from sums and products: fdlibm's sine and cosine, Taylor's series of the others."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# π/2 in three parts of 33 bits, so that a part times a whole number below 2²⁰ is exact.
_HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
_SINE = (
    1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
    -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01,
)  # fmt: skip
_COSINE = (
    -1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
    2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02,
)  # fmt: skip
_LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
_EXPONENTIAL = tuple(1 / math.factorial(n) for n in range(13, -1, -1))
_LOGARITHM = tuple(2 / n for n in range(23, 0, -2))
_SMALLEST = 2.0**-1022


def in_double(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x.double()).to(x.dtype)


def _horner(coefficients: Sequence[float], x: Tensor) -> Tensor:
    total = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _quarter_turns(x: Tensor, shift: int) -> Tensor:
    """sin(x + shift · π/2)."""
    turns = (x * (2 / math.pi)).round()
    for part in _HALF_PI:
        x = x - turns * part
    z = x * x
    sine = x + x * z * _horner(_SINE, z)
    cosine = 1 - (0.5 * z - z * z * _horner(_COSINE, z))
    quadrant = (turns.to(torch.int64) + shift).remainder(4)
    value = torch.where(quadrant.remainder(2) == 0, sine, cosine)
    return torch.where(quadrant >= 2, -value, value)


def sin(x: Tensor) -> Tensor:
    return _quarter_turns(x, 0)


def cos(x: Tensor) -> Tensor:
    return _quarter_turns(x, 1)


def exp(x: Tensor) -> Tensor:
    x = x.clamp(-708.0, 709.0)
    power = (x * (1 / math.log(2))).round()
    x = x - power * _LN2[0] - power * _LN2[1]
    scale = ((power.to(torch.int64) + 1023) * 2**52).view(torch.float64)
    return _horner(_EXPONENTIAL, x) * scale


def log(x: Tensor) -> Tensor:
    """Of positive numbers; the logarithm of less than 2⁻¹⁰²² is that of 2⁻¹⁰²²."""
    bits = x.clamp(min=_SMALLEST).contiguous().view(torch.int64)
    power = torch.div(bits, 2**52, rounding_mode="floor") - 1023
    mantissa = (bits.remainder(2**52) + 1023 * 2**52).view(torch.float64)
    large = mantissa > math.sqrt(2)
    mantissa, power = torch.where(large, mantissa * 0.5, mantissa), (power + large).double()
    f = (mantissa - 1) / (mantissa + 1)
    return power * _LN2[0] + (f * _horner(_LOGARITHM, f * f) + power * _LN2[1])


def tanh(x: Tensor) -> Tensor:
    return 1 - 2 / (exp(2 * x.clamp(-20.0, 20.0)) + 1)


def square_root(x: Tensor) -> Tensor:
    """The library's root is chosen by processor, its reciprocal is not."""
    return torch.where(x == 0, x, x * x.rsqrt())


def square_root_in_place(x: Tensor) -> Tensor:
    return x.copy_(square_root(x))


def power(x: Tensor, exponent: float | int) -> Tensor:
    if exponent in (2, 3):
        return x * x if exponent == 2 else x * x * x
    if exponent == 0.5:
        return square_root(x)
    return in_double(lambda base: exp(log(base) * exponent))(x)


def power_in_place(x: Tensor, exponent: float | int) -> Tensor:
    return x.copy_(power(x, exponent))
