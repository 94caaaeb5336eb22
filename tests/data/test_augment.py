"""A label stays on what it names, however the crop's camera is moved."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.data import camera as cameras
from d3ke_lib.data.augment import (
    AugmentConfig,
    ViewConfig,
    _crop_view,
    _resample,
    augment,
    camera_values,
    crop,
)
from d3ke_lib.data.augment_pixels import ColorConfig, OccluderConfig, _chroma_matrix, occlude, recolor
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.seeds import seed_generator

STORED, MARGIN = 96, 1.5
MOVED = AugmentConfig(color=None, occluder=None)
STILL = AugmentConfig(None, None, None)


def spread(frames: int, points: int, reach: float) -> torch.Tensor:
    """Points (m) about 5 m ahead that project up to `reach` stored pixels from the middle."""
    depth = 5 + torch.rand(frames, points, 1)
    aim = reach * (2 * torch.rand(frames, points, 2) - 1) / (5 * STORED)
    return torch.cat([aim * depth, depth], -1)


def example(frames: int = 4, stored: int = STORED, margin: float = MARGIN, reach: float = 25.0) -> Batch:
    """Smooth random images and labels in front of a camera with a narrow view, as BMLmovi's crops have."""
    coarse = torch.randint(0, 256, (frames, 3, 12, 12)).float()
    image = torch.nn.functional.interpolate(coarse, size=stored, mode="bilinear").to(torch.uint8)
    eye = torch.eye(3).repeat(frames, 1, 1)
    R = torch.linalg.qr(torch.randn(frames, 3, 3)).Q
    ids = torch.arange(frames)
    camera = Camera(
        R=eye,
        t=torch.zeros(frames, 3),
        focal=torch.full((frames, 2), 5.0 * stored),
        center=torch.full((frames, 2), stored / 2),
        distortion=torch.zeros(frames, 2),
    )
    return Batch(
        image=image,
        camera=camera,
        pose=Pose(torch.rand(frames, 5), torch.rand(frames, 4, 3), R * R.det()[:, None, None]),
        points=Points(spread(frames, 6, reach), spread(frames, 7, reach)),
        valid=Validity(*(torch.ones(frames, n, dtype=torch.bool) for n in (5, 6, 7))),
        R_camera_world=eye.flip(1),
        t_camera_world=torch.randn(frames, 3),
        margin=torch.full((frames,), margin),
        index=ids,
        subject=ids,
        view=ids,
        action=ids,
        frame=ids,
        time=ids / 30,
    )


def with_dot(batch: Batch, joint: int) -> Batch:
    """The same with black images and one soft bright dot where that joint projects."""
    at = cameras.pixels(batch.camera, batch.points.joints)[:, joint]
    centers = cameras.pixel_centers(*batch.image.shape[-2:], batch.camera.focal)
    far = (centers - at[:, None]).square().sum(-1)
    scale = batch.image.shape[-1] / STORED
    dot = 255 * torch.exp(-far / (2 * (2 * scale) ** 2)).unflatten(1, batch.image.shape[-2:])
    return replace(batch, image=dot[:, None].round().to(torch.uint8).expand(-1, 3, -1, -1))


def centroid(images: torch.Tensor) -> torch.Tensor:
    """(x, y) of the bright dot in each image, px."""
    centers = cameras.pixel_centers(*images.shape[-2:], images)
    weight = images[:, 0].flatten(1)[..., None]
    return (weight * centers).sum(1) / weight.sum(1)


def projected(batch: Batch, joint: int) -> torch.Tensor:
    """Written out once more: focal · x / z + center."""
    point = batch.points.joints[:, joint]
    return batch.camera.focal * point[:, :2] / point[:, 2:] + batch.camera.center


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), px=st.sampled_from([48, 64, 80]))
def test_dot_stays_on_its_label(seed, px):
    """Oracle: what is drawn at a joint is, after the camera moved, where the moved label projects."""
    torch.manual_seed(seed)
    batch = with_dot(example(8, reach=8.0), 2)
    images, moved = augment(batch, px, seed_generator(seed), MOVED)
    error = (centroid(images) - projected(moved, 2)).norm(dim=1)
    assert error.max() < 0.1, f"px off: {error.tolist()}"


@pytest.mark.parametrize("px", [64, 48, 40])
def test_dot_stays_on_its_label_in_plain_crops(px):
    batch = with_dot(example(8, reach=15.0), 0)
    images, labels = crop(batch, px)
    assert (centroid(images) - projected(labels, 0)).norm(dim=1).max() < 0.1
    assert torch.equal(labels.points.joints, batch.points.joints)


def test_crops_much_smaller_than_stored_are_averaged():
    """A checkerboard of pixels turns grey, and the dot does not move."""
    batch = example(2, stored=384)
    board = (torch.arange(384)[:, None] + torch.arange(384)) % 2 * 255
    images, _ = crop(replace(batch, image=board.to(torch.uint8).expand(2, 3, -1, -1)), 64)
    assert (images - 0.5).abs().max() < 1e-3
    dotted = with_dot(example(8, stored=384, reach=8.0), 1)
    images, labels = augment(dotted, 64, seed_generator(3), MOVED)
    assert (centroid(images) - projected(labels, 1)).norm(dim=1).max() < 0.1


def test_plain_crop_is_the_middle_and_what_resampling_gives():
    batch = example()
    images, labels = crop(batch, 64)
    assert torch.equal(images, batch.image[:, :, 16:80, 16:80].float() / 255)
    torch.testing.assert_close(_resample(batch, _crop_view(batch, 64), 64), images, atol=2e-5, rtol=0)
    assert labels.image is None
    assert labels.margin.tolist() == [1] * 4
    torch.testing.assert_close(labels.camera.center, torch.full((4, 2), 32.0))


def test_resampling_is_the_cameras_by_ray():
    batch = example()
    camera = _crop_view(batch, 64, torch.full((4,), 1.2), torch.full((4,), 0.3), torch.full((4, 2), 0.05))
    by_ray = cameras.resample(batch.image.float() / 255, batch.camera, camera, 64)
    torch.testing.assert_close(_resample(batch, camera, 64), by_ray, atol=1e-4, rtol=0)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_moved_camera_keeps_to_its_ranges(seed):
    """Zoom in 0.75-1.25, centre within 10 % of the box, roll within 20°: read back from the labels."""
    torch.manual_seed(seed)
    batch = example(16)
    _, moved = augment(batch, 64, seed_generator(seed), MOVED)
    zoom = moved.camera.focal[:, 0] / (batch.camera.focal[:, 0] * 64 * MARGIN / STORED)
    assert zoom.min() > 0.749
    assert zoom.max() < 1.251
    R = moved.R_camera_world @ batch.R_camera_world.mT
    aim = R[:, 2] / R[:, 2, 2:] * batch.camera.focal[:, :1]
    assert aim[:, :2].norm(dim=1).max() < 0.1001 * STORED / MARGIN
    assert torch.atan2(R[:, 1, 0], R[:, 0, 0]).abs().max() < 0.36
    torch.testing.assert_close(R.det(), torch.ones(16))


def test_draws_fill_their_ranges():
    batch = example(512, stored=6)
    _, moved = augment(batch, 4, seed_generator(1), MOVED)
    zoom = moved.camera.focal[:, 0] / (batch.camera.focal[:, 0] * 4 * MARGIN / 6)
    assert zoom.min() < 0.77
    assert zoom.max() > 1.23
    R = moved.R_camera_world @ batch.R_camera_world.mT
    roll = torch.atan2(R[:, 1, 0], R[:, 0, 0]).rad2deg()
    assert roll.min() < -19
    assert roll.max() > 19
    aim = R[:, 2, :2] / R[:, 2, 2:] * batch.camera.focal[:, :1] / (6 / MARGIN)
    # Uniform in a disc: a quarter lies within half its radius.
    assert abs((aim.norm(dim=1) < 0.05).float().mean() - 0.25) < 0.06
    assert aim.mean(0).norm() < 0.01


def test_turning_points_is_reposing():
    """The skeleton posed with the new pelvis rotation has the new points."""
    skeleton = default_skeleton()
    batch = example(3)
    pose = Pose(0.3 * torch.randn(3, 69), skeleton.generic_scales.repeat(3, 1, 1), batch.pose.R_ground_root)
    ahead = torch.tensor([0.0, 0.0, 5.0])
    points = Points(*(part + ahead for part in skeleton(pose)))
    valid = Validity(*(torch.ones(3, n, dtype=torch.bool) for n in (69, 50, 65)))
    _, moved = augment(replace(batch, pose=pose, points=points, valid=valid), 64, seed_generator(2), MOVED)
    again = skeleton(moved.pose)
    root = moved.points.joints[:, :1]
    torch.testing.assert_close(again.joints, moved.points.joints - root, atol=2e-5, rtol=0)
    torch.testing.assert_close(again.markers, moved.points.markers - root, atol=2e-5, rtol=0)
    assert torch.equal(moved.pose.angles, pose.angles)
    assert torch.equal(moved.pose.scales, pose.scales)


def test_points_stay_in_the_world():
    batch = example()
    _, moved = augment(batch, 64, seed_generator(5), MOVED)

    def world(b: Batch) -> torch.Tensor:
        return (b.points.joints - b.t_camera_world[:, None]) @ b.R_camera_world

    torch.testing.assert_close(world(moved), world(batch), atol=2e-5, rtol=0)


def test_points_outside_are_masked():
    batch = example(8, reach=70.0)
    behind = batch.points.joints.clone()
    behind[0, 0] *= -1
    unknown = batch.valid.markers.clone()
    unknown[:, 3] = False
    batch = replace(
        batch,
        points=batch.points._replace(joints=behind),
        valid=batch.valid._replace(markers=unknown),
    )
    for _, seen in (crop(batch, 64), augment(batch, 64, seed_generator(1), MOVED)):
        for j in range(6):
            inside = ((projected(seen, j) >= 0) & (projected(seen, j) <= 64)).all(1)
            inside &= seen.points.joints[:, j, 2] > 0
            assert torch.equal(seen.valid.joints[:, j], inside)
        assert seen.valid.joints.any()
        assert not seen.valid.joints.all()
        assert not seen.valid.joints[0, 0]
        assert not seen.valid.markers[:, 3].any()
        assert torch.equal(seen.valid.angles, batch.valid.angles)


def test_a_sample_of_which_nothing_is_seen():
    batch = example(2)
    away = Points(batch.points.joints * torch.tensor([50.0, 1, 1]) + 100, batch.points.markers * 0 - 1)
    images, seen = augment(replace(batch, points=away), 64, seed_generator(1))
    assert not seen.valid.joints.any()
    assert not seen.valid.markers.any()
    assert images.isfinite().all()


def test_switched_off_is_the_plain_crop():
    batch = example()
    generator = seed_generator(1)
    state = generator.get_state()
    images, labels = augment(batch, 64, generator, STILL)
    expected, expected_labels = crop(batch, 64)
    assert torch.equal(images, expected)
    assert torch.equal(labels.points.markers, expected_labels.points.markers)
    assert torch.equal(generator.get_state(), state)


def test_zero_motion_is_the_plain_crop():
    batch = example()
    config = replace(MOVED, view=ViewConfig(shift=0.0, zoom=(1.0, 1.0), roll_deg=0.0))
    torch.testing.assert_close(
        augment(batch, 64, seed_generator(1), config)[0], crop(batch, 64)[0], atol=2e-5, rtol=0
    )


def test_camera_values_are_those_of_the_moved_camera():
    batch = example()  # its world's z axis points to the camera's right
    still = camera_values(crop(batch, 64)[1], 64)
    torch.testing.assert_close(still[:, 0].exp(), torch.full((4,), 5.0 * MARGIN))
    torch.testing.assert_close(still[:, 1:], torch.tensor([[1.0, 0.0, 0.0]]).expand(4, 3))
    torch.testing.assert_close(camera_values(crop(batch, 32)[1], 32), still)  # whatever the crop's side
    rolled = replace(MOVED, view=ViewConfig(shift=0.0, zoom=(1.25, 1.25), roll_deg=20.0))
    moved = camera_values(augment(batch, 64, seed_generator(1), rolled)[1], 64)
    torch.testing.assert_close(moved[:, 0] - still[:, 0], torch.full((4,), 1.25).log())
    assert (moved[:, 2].abs() > 0.01).all()
    torch.testing.assert_close(moved[:, 1:].norm(dim=1), torch.ones(4))


def test_the_seed_decides_and_nothing_else():
    batch = example()
    first, labels = augment(batch, 64, seed_generator(1, 2, 3))
    torch.rand(7)
    again, again_labels = augment(batch, 64, seed_generator(1, 2, 3))
    assert torch.equal(first, again)
    assert torch.equal(labels.points.joints, again_labels.points.joints)
    other, _ = augment(batch, 64, seed_generator(1, 2, 4))
    assert (first - other).abs().mean() > 0.01
    assert first.min() >= 0
    assert first.max() <= 1


def test_colours_do_not_move_labels_and_come_after_the_view():
    batch = example()
    _, plain = augment(batch, 64, seed_generator(9), MOVED)
    _, full = augment(batch, 64, seed_generator(9))
    assert torch.equal(plain.points.joints, full.points.joints)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_the_same():
    batch = example(16)
    images, labels = augment(batch, 64, seed_generator(4))
    far_images, far = augment(batch.to("cuda"), 64, seed_generator(4))
    torch.testing.assert_close(far_images.cpu(), images, atol=1e-3, rtol=0)
    torch.testing.assert_close(far.points.joints.cpu(), labels.points.joints, atol=1e-5, rtol=0)


# --- colours and occluders ---------------------------------------------------------------------

PLAIN = ColorConfig(brightness=0.0, contrast=(1.0, 1.0), hue=0.0, saturation=(1.0, 1.0))
LUMA = torch.tensor([0.299, 0.587, 0.114])


def colors(frames: int = 5) -> torch.Tensor:
    """Images far enough from black and white not to be cut."""
    return 0.4 + 0.2 * torch.rand(frames, 3, 8, 8)


def luma(images: torch.Tensor) -> torch.Tensor:
    return (LUMA[:, None, None] * images).sum(1)


def test_each_colour_change_alone():
    images, generator = colors(), seed_generator(1)
    torch.testing.assert_close(recolor(images, generator, PLAIN), images)
    brighter = recolor(images, generator, replace(PLAIN, brightness=0.125)) - images
    torch.testing.assert_close(brighter, brighter[:, :1, :1, :1].expand_as(images))
    assert 0.01 < brighter.abs().max() <= 0.125
    contrast = recolor(images, generator, replace(PLAIN, contrast=(0.5, 0.5)))
    mean = images.mean((2, 3), keepdim=True)
    torch.testing.assert_close(contrast, (images + mean) / 2)
    grey = recolor(images, generator, replace(PLAIN, saturation=(0.0, 0.0)))
    torch.testing.assert_close(grey, luma(images)[:, None].expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    turned = recolor(images, generator, replace(PLAIN, hue=0.2))
    torch.testing.assert_close(luma(turned), luma(images), atol=1e-5, rtol=0)
    assert (turned - images).abs().max() > 0.02


def test_order_of_colour_changes_does_not_matter():
    """Why there is none to draw: applied one after the other, in either order, they are the one map."""
    images = colors()
    turn = _chroma_matrix(torch.full((5,), 0.7), torch.full((5,), 1.4))

    def saturate(x: torch.Tensor) -> torch.Tensor:
        return (turn @ x.flatten(2)).view_as(x)

    def contrast(x: torch.Tensor) -> torch.Tensor:
        return 1.3 * x - 0.3 * x.mean((2, 3), keepdim=True)

    def brighten(x: torch.Tensor) -> torch.Tensor:
        return x + 0.1

    one = brighten(contrast(saturate(images)))
    other = saturate(brighten(contrast(images)))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_colours_are_cut_to_the_unit_range():
    images = torch.rand(64, 3, 8, 8)
    changed = recolor(images, seed_generator(1), ColorConfig())
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert changed.isfinite().all()


def test_occluders_cover_their_share_of_images():
    images = torch.full((400, 3, 16, 16), 0.5)
    changed = occlude(images, seed_generator(1), OccluderConfig())
    covered = (changed != images).any(1).flatten(1).any(1).float().mean()
    assert 0.55 < covered < 0.78  # 0.7, less cut-outs that miss a small image's pixels
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(images, torch.full_like(images, 0.5))
    assert torch.equal(occlude(images, seed_generator(1), OccluderConfig(probability=0.0)), images)


def test_rectangles_of_noise_have_their_area():
    images = torch.full((300, 3, 64, 64), 2.0)
    config = OccluderConfig(probability=1.0, noise=1.0)
    changed = (occlude(images, seed_generator(1), config) != 2).all(1)
    area = changed.float().mean((1, 2))
    assert area.min() > 0.5 * config.area[0]
    assert area.max() < 1.15 * config.area[1]
    full_rows = changed.any(2).sum(1) * changed.any(1).sum(1)
    assert torch.equal(full_rows, changed.sum((1, 2)))


def test_cutouts_are_shapes_of_bounded_size():
    images = torch.full((200, 3, 64, 64), 2.0)
    config = OccluderConfig(probability=1.0, noise=0.0, cutouts=1)
    area = (occlude(images, seed_generator(1), config) != 2).all(1).float().mean((1, 2))
    assert 0 < area.mean() < config.length[1] ** 2
    assert area.max() <= config.length[1] ** 2
