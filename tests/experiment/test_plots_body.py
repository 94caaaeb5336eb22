"""The image of the body: what is in front is seen, and its size is right."""

import numpy as np
import pytest

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.report import body_plots

EXTENT = (-1.0, 1.0, -0.5, 0.5)


def test_a_sphere_covers_its_disc_at_its_place() -> None:
    flesh = np.array([[9.0, 0.2, -0.5]]), np.array([0.25]), np.array([[1.0, 0.0, 0.0]])
    image = body_plots.shaded(flesh, *body_plots.VIEWS["front"], EXTENT, 200)
    covered = image[..., 3] > 0
    assert image.shape == (200, 400, 4)
    assert covered.sum() / 200**2 == pytest.approx(np.pi * 0.25**2, rel=0.01)
    rows, columns = np.nonzero(covered)
    assert columns.mean() / 200 - 1 == pytest.approx(0.5, abs=0.005)  # z = -0.5, the viewer's right
    assert 0.5 - rows.mean() / 200 == pytest.approx(0.2, abs=0.005)


def test_the_nearer_of_two_is_seen() -> None:
    red_in_front = np.array([[1.0, 0, 0], [0, 0, 0]]), np.array([0.2, 0.2]), np.eye(3)[:2]
    front, back = (body_plots.shaded(red_in_front, *body_plots.VIEWS[v], EXTENT) for v in ("front", "back"))
    middle = front.shape[0] // 2, front.shape[1] // 2
    assert front[middle][0] > 0
    assert front[middle][1] == 0
    assert back[middle][0] == 0
    assert back[middle][1] > 0


def test_every_coordinate_has_its_group() -> None:
    table = body_plots.coordinate_table(default_skeleton())
    assert list(table["coordinate"]) == list(default_skeleton().coordinates)
    assert set(table["group"]) == set(body_plots.GROUPS)
    knee = table[table["coordinate"] == "knee_angle_r"].iloc[0]
    assert (knee["group"], knee["from_deg"], knee["to_deg"]) == ("knees", -150, 10)


def test_flesh_follows_pose_and_scale() -> None:
    skeleton = default_skeleton()
    standing = body_plots.pose_of(skeleton)
    centres, radii, colours = body_plots.spheres(skeleton, standing, steps=5)
    larger = standing._replace(scales=2 * standing.scales)
    twice, fat, _ = body_plots.spheres(skeleton, larger, steps=5)
    np.testing.assert_allclose(twice, 2 * centres, atol=1e-5)
    np.testing.assert_allclose(fat, 2 * radii, rtol=1e-6)
    assert len(colours) == len(centres) == 5 * len(body_plots.load_flesh())
