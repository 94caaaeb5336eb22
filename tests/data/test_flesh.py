"""Our body's surface on its skeleton, and what it is dressed in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bmlmovi_fixture.clothes import draw_appearance, paint_body

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.renderer.body_surface import (
    SURFACE_FILE,
    load_surface,
    pose_surface,
)

UPRIGHT = torch.tensor([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.fixture(scope="module")
def skeleton():
    return default_skeleton()


def standing(skeleton) -> Pose:
    return Pose(torch.zeros(len(skeleton.coordinates)), skeleton.generic_scales, UPRIGHT)


def test_a_standing_person_is_symmetric_and_as_tall_as_one(skeleton) -> None:
    cones = pose_surface(load_surface(), skeleton, standing(skeleton), torch.zeros(3))
    ends, radii = torch.cat((cones.a, cones.b)), torch.cat((cones.ra, cones.rb))
    height = (ends[:, 2] + radii).amax() - (ends[:, 2] - radii).amin()
    assert 1.5 < height < 1.9
    mirrored = ends * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.cdist(ends, mirrored).amin(1).max() < 1e-3


def test_cones_follow_their_body_and_its_scale(skeleton) -> None:
    surface, pose = load_surface(), standing(skeleton)
    pose = pose._replace(angles=0.3 * torch.randn(2, len(skeleton.coordinates)))
    factor = torch.tensor([1.1, 0.9, 1.3])
    body = skeleton.bodies.index("femur_r")
    scales = skeleton.generic_scales.clone()
    scales[body] *= factor
    root = torch.tensor([0.5, -1.0, 1.0])
    cones = pose_surface(surface, skeleton, pose._replace(scales=scales), root)
    R, p = skeleton.frames(pose._replace(scales=scales))
    mine = [i for i, name in enumerate(surface.body) if name == "femur_r"]
    for i in mine:
        wanted = torch.einsum("bij,j->bi", R[:, body], surface.a[i] * factor) + p[:, body] + root
        torch.testing.assert_close(cones.a[:, i], wanted)
        torch.testing.assert_close(cones.ra[0, i], surface.ra[i] * factor.prod() ** (1 / 3))
    others = [i for i, name in enumerate(surface.body) if name == "femur_l"]
    torch.testing.assert_close(cones.ra[0, others], surface.ra[others])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"part": "scales"}, ValueError, "part"),
        ({"garment": "cloak"}, ValueError, "cloak"),
        ({"ra": 0.0}, ValueError, "ra expected > 0"),
        ({"rb": None}, KeyError, "rb"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, change: dict, error: type, match: str) -> None:
    content = json.loads(SURFACE_FILE.read_text())
    content["cones"][3].update(change)
    content["cones"][3] = {key: value for key, value in content["cones"][3].items() if value is not None}
    path = tmp_path / "flesh.json"
    path.write_text(json.dumps(content))
    with pytest.raises(error, match=match) as caught:
        load_surface(path)
    assert "cone 3" in str(caught.value)


def test_flesh_on_an_unknown_body_is_refused(skeleton) -> None:
    surface = load_surface()
    surface = replace(surface, body=("tail", *surface.body[1:]))
    with pytest.raises(KeyError, match="tail"):
        pose_surface(surface, skeleton, standing(skeleton), torch.zeros(3))


# -- clothes -----------------------------------------------------------------------------


def test_looks_follow_from_the_generator_alone() -> None:
    first, again, other = (draw_appearance(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("sleeve", "covered"), [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5), (2.0, 1.0)])
def test_sleeves_reach_as_far_as_they_should(sleeve: float, covered: float) -> None:
    """1 is the elbow, 2 the wrist: measured as the length of cones that cloth covers."""
    surface = load_surface()
    looks = replace(draw_appearance(torch.Generator().manual_seed(0)), sleeve=sleeve)
    hem = paint_body(surface, looks).hem.clamp(0, 1)
    arm = [i for i, b in enumerate(surface.body) if b in ("humerus", "ulna") and surface.garment[i] != "none"]
    length = (surface.b - surface.a).norm(dim=1)[arm]
    assert (hem[arm] * length).sum() / length.sum() == pytest.approx(covered, abs=0.07)


def test_hands_and_face_are_always_bare_and_the_trunk_never() -> None:
    surface = load_surface()
    looks = draw_appearance(torch.Generator().manual_seed(0))
    painted = paint_body(surface, looks)
    skin = torch.tensor(looks.skin.color).square()
    for i, garment in enumerate(surface.garment):
        if garment == "none":
            torch.testing.assert_close(painted.color[i], skin)
        if garment == "shirt":
            assert painted.hem[i] > 1
