"""Cameras against the calibration's numbers, hand-written formulas, and a image in closed form."""

import math

import pytest
import torch

from d3ke_lib.body.spec import D3KE
from d3ke_lib.data import camera as cameras
from d3ke_lib.data.camera import Camera, calibrated, crop_camera, from_pixels, project, rays, resample

NAMES = ("PG1", "PG2")
BOX = [300.0, 120.0, 460.0, 530.0]


def to_world(camera: Camera, seen: torch.Tensor) -> torch.Tensor:
    """Camera → world by solving: the calibrated R is orthonormal to float32's rounding only."""
    return torch.linalg.solve(camera.R, (seen - camera.t).mT).mT


def pinhole(focal: float = 100.0, px: int = 64) -> Camera:
    center = torch.full((2,), px / 2, dtype=torch.float64)
    distortion = torch.zeros(2, dtype=torch.float64)
    R, t = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    return Camera(R, t, torch.full_like(center, focal), center, distortion)


@pytest.mark.parametrize("name", NAMES)
def test_projection_is_opencvs_formula(name: str) -> None:
    given = D3KE.cameras[name]
    point = (0.3, -0.4, 1.2)
    x, y, z = (sum(r * p for r, p in zip(row, point)) + t for row, t in zip(given.R, given.t))
    u, v = x / z, y / z
    bend = 1 + given.radial[0] * (u * u + v * v) + given.radial[1] * (u * u + v * v) ** 2
    wanted = [given.focal[0] * u * bend + given.center[0], given.focal[1] * v * bend + given.center[1]]
    got = project(calibrated(name, torch.float64), torch.tensor([point], dtype=torch.float64))
    torch.testing.assert_close(got[0], torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_calibrated_cameras_are_right_handed_with_the_world_upright(name: str) -> None:
    camera = calibrated(name, torch.float64)
    torch.testing.assert_close(camera.R @ camera.R.mT, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert torch.linalg.det(camera.R) > 0
    head, feet = project(camera, torch.tensor([[0.0, 0.0, 1.7], [0.0, 0.0, 0.0]], dtype=torch.float64))
    assert head[1] < feet[1], "world z is up, image y is down"
    assert 0 < head[1] < 600
    assert 0 < feet[1] < 600


def test_right_hand_of_a_person_facing_pg1_is_on_the_images_left() -> None:
    # Facing −y with z up, the right hand is at −x.
    right, left = project(calibrated("PG1"), torch.tensor([[-0.5, 0.0, 1.0], [0.5, 0.0, 1.0]]))
    assert right[0] < left[0]


def test_unknown_camera_is_refused() -> None:
    with pytest.raises(KeyError, match="PG1"):
        calibrated("PG3")


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.parametrize("name", NAMES)
def test_rays_project_back_onto_pixel_centres(name: str, dtype: torch.dtype, error: float) -> None:
    camera = calibrated(name, dtype)
    direction = rays(camera, 600, 800)
    assert direction.shape == (600, 800, 3)
    torch.testing.assert_close(direction.norm(dim=-1), torch.ones(600, 800, dtype=dtype))
    world = to_world(camera, direction.flatten(0, 1) * 3)
    got = project(camera, world).unflatten(0, (600, 800))
    centers = cameras.pixel_centers(600, 800, camera.focal).unflatten(0, (600, 800))
    assert (got - centers).abs().max() < error


def test_a_batch_of_cameras_equals_each_alone() -> None:
    pair = [calibrated(name, torch.float64) for name in NAMES]
    both = Camera(*(torch.stack(values) for values in zip(*pair)))
    points = torch.randn(5, 1, 7, 3, dtype=torch.float64) * 0.5
    got = project(both, points)
    assert got.shape == (5, 2, 7, 2)
    for i, one in enumerate(pair):
        torch.testing.assert_close(got[:, i], project(one, points[:, 0]))
    crop = crop_camera(both, torch.tensor(BOX, dtype=torch.float64).expand(3, 2, 4), 64)
    alone = crop_camera(pair[1], torch.tensor(BOX, dtype=torch.float64), 64)
    torch.testing.assert_close(crop.R[2, 1], alone.R)
    torch.testing.assert_close(crop.focal[0, 1], alone.focal)


# -- crops -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("box", [BOX, [20.0, 300.0, 420.0, 380.0], [600.0, -20.0, 830.0, 200.0]])
def test_crop_looks_at_the_box_and_its_longer_side_fills_it(name: str, box: list[float]) -> None:
    camera = calibrated(name, torch.float64)
    x1, y1, x2, y2 = box
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    ends = [[x, y1], [x, y2]] if y2 - y1 > x2 - x1 else [[x1, y], [x2, y]]
    crop = crop_camera(camera, torch.tensor(box, dtype=torch.float64), 128)
    seen = cameras._directions(from_pixels(camera, torch.tensor([[x, y], *ends], dtype=torch.float64)))
    got = project(crop, to_world(camera, seen * 4))
    torch.testing.assert_close(got[0], torch.full((2,), 64.0, dtype=torch.float64))
    assert (got[2] - got[1]).norm() == pytest.approx(128, abs=1e-6)
    assert crop.focal[0] == crop.focal[1]
    assert not crop.distortion.any()
    origin = torch.zeros(1, 3, dtype=torch.float64)
    torch.testing.assert_close(to_world(crop, origin), to_world(camera, origin))


def test_the_crops_rotation_has_no_roll_and_is_the_smallest() -> None:
    direction = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64), dim=0)
    R = cameras._rotation_towards(direction)
    torch.testing.assert_close(R @ direction, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(R @ R.mT, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(R) > 0
    angle = torch.arccos((R.trace() - 1) / 2)
    assert angle == pytest.approx(math.acos(direction[2]))


def test_zoom_roll_and_shift() -> None:
    camera, box = calibrated("PG1", torch.float64), torch.tensor(BOX, dtype=torch.float64)
    plain = crop_camera(camera, box, 128)
    zoomed = crop_camera(camera, box, 128, zoom=1.25)
    torch.testing.assert_close(zoomed.focal, plain.focal * 1.25)
    # Rolled by 90° clockwise, what was to the right of the middle is below it.
    rolled = crop_camera(camera, box, 128, roll=math.pi / 2)
    right = torch.tensor([[1.0, 0.0, 5.0]], dtype=torch.float64)
    below = cameras.pixels(rolled, right @ (rolled.R @ plain.R.mT).mT)[0]
    reach = plain.focal[0] / 5
    torch.testing.assert_close(below, torch.stack((reach * 0 + 64, 64 + reach)))
    # Moved by a tenth of the longer side (410 px) to the right.
    moved = crop_camera(camera, box, 128, shift=(0.1, 0.0))
    aim = from_pixels(camera, torch.tensor([[380.0 + 41.0, 325.0]], dtype=torch.float64))
    seen = to_world(camera, cameras._directions(aim) * 4)
    torch.testing.assert_close(project(moved, seen)[0], torch.full((2,), 64.0, dtype=torch.float64))


# -- images ----------------------------------------------------------------------


def wave(plane: torch.Tensor) -> torch.Tensor:
    """A smooth checker on the normalised image plane, in [0, 1]."""
    return 0.5 + 0.5 * torch.sin(40 * plane[..., 0]) * torch.sin(30 * plane[..., 1])


def painted(camera: Camera, reference: Camera, height: int, width: int) -> torch.Tensor:
    """The wave, fixed to `reference`'s axes, as `camera` (standing there too) sees it."""
    seen = rays(camera, height, width) @ (reference.R @ camera.R.mT).mT
    return wave(seen[..., :2] / seen[..., 2:])


def test_resampling_equals_painting_through_the_new_camera() -> None:
    old = calibrated("PG2", torch.float64)
    new = crop_camera(old, torch.tensor(BOX, dtype=torch.float64), 160, roll=0.3, zoom=1.1)
    got = resample(painted(old, old, 600, 800)[None], old, new, 160)[0]
    # Bilinear error: an eighth of the wave's curvature over a pixel, (40² + 30²) / 980².
    torch.testing.assert_close(got, painted(new, old, 160, 160), atol=2e-3, rtol=0)


def test_resampling_with_the_same_camera_is_the_identity() -> None:
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(resample(image, pinhole(), pinhole(), 64), image)


def test_outside_and_behind_are_black() -> None:
    image = torch.ones(1, 64, 64, dtype=torch.float64)
    away = pinhole()._replace(R=torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)))
    assert not resample(image, pinhole(), away, 64).any()
    wide = resample(image, pinhole(), pinhole(focal=50.0), 64)[0]
    assert wide[32, 32] == 1
    assert wide[32, 2] == 0


def test_gradients_flow_through_crop_and_resampling() -> None:
    camera = calibrated("PG1", torch.float64)
    image = painted(camera, camera, 600, 800)[None]
    zoom, roll = torch.tensor([1.1, 0.2], dtype=torch.float64)

    def crop(box: torch.Tensor, zoom: torch.Tensor, roll: torch.Tensor) -> torch.Tensor:
        new = crop_camera(camera, box, 8, zoom=zoom, roll=roll)
        points = torch.tensor([[0.1, 0.2, 1.1], [-0.3, 0.4, 0.5]], dtype=torch.float64)
        return project(new, points)

    box = torch.tensor(BOX, dtype=torch.float64)
    inputs = [value.clone().requires_grad_() for value in (box, zoom, roll)]
    assert torch.autograd.gradcheck(crop, inputs)
    seen = resample(image, camera, crop_camera(camera, inputs[0], 16), 16)
    seen.sum().backward()
    assert inputs[0].grad.abs().sum() > 0
    assert inputs[0].grad.isfinite().all()
