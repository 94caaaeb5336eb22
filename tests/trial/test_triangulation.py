"""Points from views: exact, with noise, with wrong views, with missing ones."""

from pathlib import Path

import pytest
import torch
import views

from d3ke_lib.experiment.trial.calibration import read_calibration
from d3ke_lib.experiment.trial.triangulation import triangulate


@pytest.fixture
def cameras(tmp_path: Path):
    return read_calibration(views.write_calibration(tmp_path / "Calib.qca.txt"))


def cloud() -> torch.Tensor:
    draws = torch.Generator().manual_seed(1)
    return views.TARGET + torch.rand(20, 7, 3, generator=draws, dtype=torch.float64) - 0.5


def test_exact_views_give_exact_points(cameras) -> None:
    points = cloud()
    px, weight = views.look(cameras, points, 0.0)
    found = triangulate(cameras, px, weight)
    assert (found.points - points).norm(dim=-1).max() < 1e-7
    assert found.error_px.max() < 1e-3
    assert found.inlying.all()


def test_a_wrong_view_is_let_go(cameras) -> None:
    points = cloud()
    px, weight = views.look(cameras, points, 3.0)
    px[2, :, 0] += 300.0  # a left landmark taken for a right one
    found = triangulate(cameras, px, weight)
    assert (found.points - points).norm(dim=-1).median() < 0.01
    assert (found.points - points)[:, 0].norm(dim=-1).max() < 0.03
    assert not found.inlying[2, :, 0].any()
    assert found.inlying[[0, 1, 3]].float().mean() > 0.98


def test_noise_of_the_point_is_that_of_the_views(cameras) -> None:
    """5 px at 1680 px focal length and 4 m: 12 mm per view and axis, less by √4 over four views."""
    points = cloud()
    found = triangulate(cameras, *views.look(cameras, points, 5.0))
    per_axis = (found.points - points).square().mean().sqrt()
    assert 0.004 < per_axis < 0.012


def test_missing_views(cameras) -> None:
    points = cloud()
    px, weight = views.look(cameras, points, 0.0)
    px[:2, :, 0] = torch.nan  # two views left
    px[1:, :, 1] = torch.nan  # one view left
    weight[:, :, 2] = 0.0
    found = triangulate(cameras, px, weight)
    assert (found.points[:, 0] - points[:, 0]).norm(dim=-1).max() < 1e-6
    assert found.points[:, 1:3].isnan().all()
    assert found.error_px[:, :, 1:3].isnan().all()
    assert not found.inlying[:, :, 1:3].any()


def test_low_visibility_counts_less(cameras) -> None:
    points = cloud()
    px, weight = views.look(cameras, points, 0.0)
    px[0] += 8.0
    even = triangulate(cameras, px, weight)
    weight[0] = 0.05
    less = triangulate(cameras, px, weight)
    assert (less.points - points).norm(dim=-1).mean() < 0.3 * (even.points - points).norm(dim=-1).mean()


def test_as_many_views_as_cameras(cameras) -> None:
    px, weight = views.look(cameras, cloud(), 0.0)
    with pytest.raises(ValueError, match="expected views of 4 cameras"):
        triangulate(cameras, px[:3], weight[:3])
