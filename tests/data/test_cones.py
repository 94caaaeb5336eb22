"""Rays against round cones, against brute force over the spheres a round cone is made of."""

import pytest
import torch
from bmlmovi_fixture.cones import intersect, prepare_cones, thicken
from torch import Tensor

from d3ke_lib.data.renderer.rays import make_ray

MANY = 4001


def brute_force(a: Tensor, b: Tensor, ra: Tensor, rb: Tensor, aim: Tensor) -> tuple[Tensor, Tensor]:
    """(first t, most any sphere's half chord² is, m², < 0 if missed): MANY spheres a cone, float64."""
    s = torch.linspace(0, 1, MANY, dtype=torch.float64)
    a, b, ra, rb, aim = (value.double() for value in (a, b, ra, rb, aim))
    center = a[:, None] + s[:, None] * (b - a)[:, None]
    radius = ra[:, None] + s * (rb - ra)[:, None]
    square, along = aim.square().sum(-1)[:, None], (center * aim[:, None]).sum(-1)
    inside = along.square() - square * (center.square().sum(-1) - radius.square())
    t = (along - inside.clamp(min=0).sqrt()) / square
    first = torch.where(inside > 0, t, torch.inf).amin(-1)
    return first, (inside / square).amax(-1)


def problems(kind: str, n: int = 400) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Cones 4 m ahead of the eye and rays near them; some hit, some miss."""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(n, 3, generator=generator) * 0.2 + torch.tensor([0.0, 0.0, 4.0])
    b = a + torch.randn(n, 3, generator=generator) * 0.15
    ra, rb = 0.02 + 0.1 * torch.rand(2, n, generator=generator)
    if kind == "end-on":
        b = a * (1 + 0.1 * torch.rand(n, 1, generator=generator).sub(0.5)) + 0.002
        rb = ra * (0.3 + 0.7 * torch.rand(n, generator=generator))
    if kind == "ball":
        b = a
    if kind == "swallowed":
        b, rb = a + 0.01, ra + 0.05
    target = a + (b - a) * torch.rand(n, 1, generator=generator)
    aim = target + torch.randn(n, 3, generator=generator) * 0.07
    return a, b, ra, rb, aim / aim[:, 2:]


def meeting(a: Tensor, b: Tensor, ra: Tensor, rb: Tensor, aim: Tensor) -> tuple[Tensor, Tensor]:
    return intersect(prepare_cones(a, b, ra, rb), make_ray(*aim.unbind(-1)))


@pytest.mark.parametrize(
    ("kind", "error"),
    [("any", 3e-4), ("end-on", 3e-3), ("ball", 3e-4), ("swallowed", 3e-4)],  # √GRAZE is 2e-3
)
def test_first_meeting_is_that_of_the_nearest_of_all_spheres(kind: str, error: float) -> None:
    problem = problems(kind)
    inverse, inside = meeting(*problem)
    first, deepest = brute_force(*problem)
    clear = deepest.abs() > 1e-5
    assert clear.sum() > 300
    hit = deepest > 0
    assert 50 < hit.sum() < 390
    assert torch.equal((inside > 0)[clear], hit[clear]), "no hole, no speck"
    assert torch.equal((inverse > 0)[clear], hit[clear])
    torch.testing.assert_close(1 / inverse[clear & hit], first[clear & hit].float(), atol=error, rtol=0)


def test_both_ends_are_alike() -> None:
    a, b, ra, rb, aim = problems("any")
    one, inside = meeting(a, b, ra, rb, aim)
    other, _ = meeting(b, a, rb, ra, aim)
    clear = inside > 1e-3
    torch.testing.assert_close(1 / one[clear], 1 / other[clear], atol=1e-4, rtol=0)


def test_what_is_behind_or_around_the_eye_is_not_met() -> None:
    a, b, ra, rb, aim = problems("any")
    behind, _ = meeting(-a, -b, ra, rb, aim)
    assert (behind <= 0).all()
    around, _ = meeting(a * 0, b - a, ra + 0.01, rb, aim)
    assert (around <= 0).all()


def test_a_fatter_cone_is_one_with_larger_radii() -> None:
    a, b, ra, rb, _ = problems("any")
    more = torch.linspace(0, 0.1, len(ra))
    for got, wanted in zip(
        thicken(prepare_cones(a, b, ra, rb), more), prepare_cones(a, b, ra + more, rb + more)
    ):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_each_element_is_the_same_bits_in_any_company() -> None:
    a, b, ra, rb, aim = problems("any", 203)
    inverse, inside = meeting(a, b, ra, rb, aim)
    for i in (0, 1, 7, 100, 202):
        alone = meeting(*(value[i : i + 1] for value in (a, b, ra, rb, aim)))
        assert torch.equal(alone[0], inverse[i : i + 1])
        assert torch.equal(alone[1], inside[i : i + 1])
