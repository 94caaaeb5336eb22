"""Functions of coordinates against OpenSim's own."""

import numpy as np
import pytest
import torch

from d3ke_lib.body.opensim.functions import (
    constant,
    linear,
    multiplied,
    piecewise_linear,
    polynomial,
    simm_spline,
)

X, Y = (-1.0, -0.2, 0.5, 1.5, 2.25), (0.3, -0.4, 0.9, 0.1, 0.7)


def theirs(function, at) -> torch.Tensor:
    opensim = pytest.importorskip("opensim")
    vector = lambda v: opensim.Vector(1, v)  # noqa: E731
    return torch.tensor([function.calcValue(vector(float(v))) for v in at], dtype=torch.float64)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_simm_spline(count):
    opensim = pytest.importorskip("opensim")
    reference = opensim.SimmSpline()
    for x, y in zip(X[:count], Y[:count], strict=True):
        reference.addPoint(x, y)
    at = torch.linspace(-3, 4, 141, dtype=torch.float64)
    torch.testing.assert_close(
        simm_spline(X[:count], Y[:count])(at), theirs(reference, at), rtol=0, atol=1e-12
    )


def test_piecewise_linear():
    opensim = pytest.importorskip("opensim")
    reference = opensim.PiecewiseLinearFunction()
    for x, y in zip(X, Y, strict=True):
        reference.addPoint(x, y)
    at = torch.linspace(-3, 4, 141, dtype=torch.float64)
    torch.testing.assert_close(piecewise_linear(X, Y)(at), theirs(reference, at), rtol=0, atol=1e-12)


def test_polynomial_constant_linear_multiplied():
    at = torch.linspace(-2, 2, 9, dtype=torch.float64)
    torch.testing.assert_close(polynomial((2.0, -1.0, 0.5))(at), 2 * at**2 - at + 0.5)
    torch.testing.assert_close(constant(3.0)(at), torch.full_like(at, 3.0))
    torch.testing.assert_close(multiplied(linear(2.0, 1.0), 0.5)(at), at + 0.5)


def test_spline_derivative():
    function = simm_spline(X, Y)
    at = torch.tensor(np.linspace(-2, 3, 23), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (at,))


@pytest.mark.parametrize(("x", "y"), [((0.0, 0.0), (1.0, 2.0)), ((0.0,), (1.0,)), ((0.0, 1.0), (1.0,))])
def test_bad_knots(x, y):
    with pytest.raises(ValueError, match="knots"):
        simm_spline(x, y)
