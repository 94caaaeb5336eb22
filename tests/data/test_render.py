"""The renderer against closed forms, against brute force without squares, and against itself in a batch."""

import math

import pytest
import torch
from bmlmovi_fixture import raytrace as renderer
from bmlmovi_fixture.clothes import Cloth, draw_appearance
from bmlmovi_fixture.cones import PreparedCones, intersect, prepare_cones
from bmlmovi_fixture.culling import (
    _FINE,
    find_candidates,
    find_nearest,
    list_pixels,
    take_rays,
)
from bmlmovi_fixture.raytrace import Shading, render
from torch import Tensor
from toy_scenes import GREY, ball, dressed, looking_north, scattered

from d3ke_lib.data.camera import Camera, calibrated, crop_camera, project
from d3ke_lib.data.renderer.appearance import draw_light, draw_room
from d3ke_lib.data.renderer.body_surface import Cones
from d3ke_lib.data.renderer.rays import Grid, square_rays
from d3ke_lib.data.renderer.shade import EDGE

NOWHERE = ball((0.0, 0.0, -50.0), 0.01)


def person(cones: Cones, looks: Shading, camera: Camera, px: int) -> Tensor:
    """(px, px): pixels that differ from the same place without anyone."""
    empty = render(NOWHERE, dressed(NOWHERE)._replace(room=looks.room, light=looks.light), camera, px, px)
    return (render(cones, looks, camera, px, px) != empty).any(-3)


def to_gpu(value: tuple) -> tuple:
    return type(value)(*(to_gpu(part) if isinstance(part, tuple) else part.cuda() for part in value))


# -- closed forms ----------------------------------------------------------------------


def test_a_balls_outline_is_the_circle_it_must_be() -> None:
    px, radius, distance = 96, 0.3, 4.0
    cones, camera = ball((0.0, 0.0, 1.0), radius), looking_north(96, distance)
    # No shadow where the floor is seen: the sun is low and the ball high.
    seen = person(cones, dressed(cones), camera, px)[:60]
    outline = camera.focal[0] * radius / math.sqrt(distance**2 - radius**2)
    at = torch.arange(px) + 0.5 - px / 2
    away = (at[:60, None].square() + at.square()).sqrt()
    assert seen[away < outline - 0.75].all()
    assert not seen[away > outline + 0.75].any()


def test_the_middle_of_a_ball_has_lamberts_colour() -> None:
    cones, camera = ball(), looking_north(64)
    color = render(cones, dressed(cones), camera, 64, 64)[:, 31:33, 31:33].float().mean((1, 2))
    normal = torch.tensor([0.0, -1.0, 0.0])
    looks = dressed(cones)
    lit = (normal @ looks.light.towards) * looks.light.sun
    sky = looks.light.sky * (1 + 0.45) / 2  # a wall sees half the sky, half the ground
    wanted = 255 * (0.8**2 * (lit + sky * (1 - EDGE + EDGE))).sqrt()
    torch.testing.assert_close(color, wanted, atol=1.5, rtol=0)


def test_the_lit_side_follows_the_light() -> None:
    cones, camera = ball(), looking_north(64)
    looks = dressed(cones)
    west = looks.light._replace(towards=looks.light.towards * torch.tensor([-1.0, 1.0, 1.0]))
    east = render(cones, looks, camera, 64, 64).float().mean(0)
    other = render(cones, looks._replace(light=west), camera, 64, 64).float().mean(0)
    assert east[32, 40] > east[32, 23] + 20
    assert other[32, 23] > other[32, 40] + 20
    assert (other[20:44, 20:44] - east[20:44, 20:44].flip(-1)).abs().mean() < 2, "a mirror image"


def test_the_nearer_of_two_balls_hides_the_other() -> None:
    near, far = ball((0.0, -0.5, 1.0), 0.2), ball((0.0, 0.5, 1.0), 0.2)
    both = Cones(*(torch.cat(pair) for pair in zip(far, near)))
    red, looks = Cloth((0.9, 0.1, 0.1), (0.9, 0.1, 0.1)), dressed(both)
    paint = looks.paint._replace(color=torch.tensor([red.color, (0.1, 0.1, 0.9)]))
    r, _, b = render(both, looks._replace(paint=paint), looking_north(64), 64, 64)[:, 32, 32].tolist()
    assert b > r + 50


def test_nothing_behind_the_camera_is_seen() -> None:
    camera = looking_north(64)
    behind = ball((0.0, -5.0, 1.0), 0.5)
    assert not person(behind, dressed(behind), camera, 64).any()


def test_a_pattern_moves_with_the_body() -> None:
    cloth = Cloth((0.9, 0.9, 0.9), (0.2, 0.2, 0.2), "checks", 0.2)
    cones, step = ball(), torch.tensor([0.4, 0.3, 0.1])
    moved = cones._replace(a=cones.a + step, b=cones.b + step, p_world_body=cones.p_world_body + step)
    camera = looking_north(64)
    along = camera._replace(t=camera.t - camera.R @ step)
    here = render(cones, dressed(cones, cloth), camera, 64, 64)[:, 26:38, 26:38].float()
    there = render(moved, dressed(moved, cloth), along, 64, 64)[:, 26:38, 26:38].float()
    assert here.std() > 20
    torch.testing.assert_close(here, there, atol=2, rtol=0)


def test_a_point_of_the_room_stays_where_it_is_when_the_camera_turns() -> None:
    camera, looks = calibrated("PG1"), dressed(NOWHERE)
    boxes = torch.tensor([[300.0, 150, 500, 500], [350.0, 200, 600, 520]])
    crops = [crop_camera(camera, box, 128, roll=roll) for box, roll in zip(boxes, (0.0, 0.3))]
    images = [render(NOWHERE, looks, crop, 128, 128).float() for crop in crops]
    world = torch.tensor([[0.3, 4.0, 1.2], [0.6, 4.0, 0.6], [0.5, 1.0, 0.0], [0.9, 3.0, 0.0]])
    for point in world:
        at = [project(crop, point[None])[0].floor().long() for crop in crops]
        first, second = (image[:, y, x] for image, (x, y) in zip(images, at))
        torch.testing.assert_close(first, second, atol=6, rtol=0)


def test_the_shadow_is_away_from_the_sun() -> None:
    cones, camera = ball((0.0, 0.5, 0.25), 0.2), looking_north(96, focal=1.5)
    looks = dressed(cones)
    bright = render(NOWHERE, dressed(NOWHERE), camera, 96, 96).float().mean(0)
    change = render(cones, looks, camera, 96, 96).float().mean(0) - bright
    y, x = project(camera, torch.tensor([[-0.2, 0.75, 0.0]]))[0].flip(0).long()
    assert change[y, x] < -10, "the sun is in the east: the shadow is west of the ball"
    y, x = project(camera, torch.tensor([[0.7, 0.3, 0.0]]))[0].flip(0).long()
    assert change[y, x].abs() < 3


# -- squares and edges -------------------------------------------------------------------


def distorted(frames: int) -> Camera:
    camera = calibrated("PG2")
    camera = camera._replace(distortion=camera.distortion * 3)
    return Camera(*(value.expand(frames, *value.shape) for value in camera))


@pytest.mark.parametrize("kind", ["pinhole", "distorted"])
def test_squares_lose_nothing(kind: str) -> None:
    frames = 2
    grid = Grid(frames, 96, 96) if kind == "pinhole" else Grid(frames, 608, 800)
    cones = scattered(5, frames, 24)
    one = looking_north(96)
    camera = Camera(*(v.expand(frames, *v.shape) for v in one)) if kind == "pinhole" else distorted(frames)
    eye = -(camera.R.mT @ camera.t[..., None])[:, None, :, 0]
    a, b = cones.a - eye, cones.b - eye
    solids = torch.stack(prepare_cones(a, b, cones.ra, cones.rb))
    reach = torch.maximum(a.norm(dim=-1) + cones.ra, b.norm(dim=-1) + cones.rb)
    rays = square_rays(camera, grid, 1, 0.5, 0.5)
    lists = find_candidates(solids, reach, camera, grid)
    pixel = list_pixels(lists, grid)
    inverse, cone = find_nearest(solids, lists, take_rays(rays, pixel))
    got, which = torch.zeros(rays.x.numel()), torch.full((rays.x.numel(),), -1)
    got[pixel], which[pixel] = inverse.clamp(min=0), torch.where(inverse > 0, cone, -1)
    for frame in range(frames):
        each = PreparedCones(*(row[:, None] for row in solids[:, frame]))
        every, _ = intersect(each, type(rays)(*(component[frame] for component in rays)))
        wanted, number = every.clamp(min=0).max(0)
        mine = slice(frame * wanted.numel(), (frame + 1) * wanted.numel())
        assert (wanted > 0).sum() > 500
        assert torch.equal(got[mine] > 0, wanted > 0)
        torch.testing.assert_close(got[mine], wanted, rtol=2e-5, atol=0)
        differ = (which[mine] != number + frame * 24) & (wanted > 0)
        assert differ.sum() < 5, "only where two cones are equally near"
    assert len(lists.square) < rays.x.numel() / _FINE**2 / 2, "most squares are empty"


def test_edges_are_smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    cones = Cones(*(value[0] for value in scattered(2, count=20)))
    looks = dressed(cones)

    def shot(px: int) -> Tensor:
        return render(cones, looks, looking_north(px), px, px).float()

    fine = shot(512).square().unflatten(-1, (64, 8)).unflatten(-3, (64, 8)).mean((-1, -3)).sqrt()
    smooth = (shot(64) - fine).square().mean().sqrt()
    monkeypatch.setattr(renderer, "_EDGE_STEP", 9.0)
    rough = (shot(64) - fine).square().mean().sqrt()
    assert smooth < 0.7 * rough


# -- the same bytes ------------------------------------------------------------------------


def many(frames: int) -> tuple[Cones, list[Shading], Camera]:
    cones = scattered(3, frames, 30)
    looks = []
    for seed in range(frames):
        generator = torch.Generator().manual_seed(seed)
        cloth = draw_appearance(generator).top
        own = dressed(Cones(*(value[seed] for value in cones)), cloth)
        looks.append(own._replace(room=draw_room(generator), light=draw_light(generator)))
    box = torch.tensor([250.0, 100.0, 480.0, 480.0]) + 20 * torch.rand(frames, 4)
    return cones, looks, crop_camera(calibrated("PG1"), box, 72)


def stacked(looks: list[Shading]) -> Shading:
    parts = ([one[i] for one in looks] for i in range(3))
    return Shading(*(type(part[0])(*(torch.stack(fields) for fields in zip(*part))) for part in parts))


def test_a_frame_is_the_same_bytes_alone_and_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    cones, looks, camera = many(5)
    together = render(cones, stacked(looks), camera, 72, 72)
    assert together.shape == (5, 3, 72, 72)
    assert torch.equal(together, render(cones, stacked(looks), camera, 72, 72)), "twice"
    for i, own in enumerate(looks):
        alone = render(Cones(*(v[i] for v in cones)), own, Camera(*(v[i] for v in camera)), 72, 72)
        assert torch.equal(alone, together[i])
    monkeypatch.setattr(renderer, "_MAX_PIXELS", 2 * 80 * 80)
    assert torch.equal(render(cones, stacked(looks), camera, 72, 72), together), "in chunks"


def test_a_pinhole_among_distorted_cameras_is_the_same_bytes() -> None:
    cones = scattered(4, 2)
    pair = [looking_north(64), looking_north(64)._replace(distortion=torch.tensor([-0.2, 0.1]))]
    both = Camera(*(torch.stack(values) for values in zip(*pair)))
    looks = dressed(Cones(*(value[0] for value in cones)))
    alone = render(Cones(*(value[0] for value in cones)), looks, pair[0], 64, 64)
    assert torch.equal(render(cones, looks, both, 64, 64)[0], alone)


def test_leading_axes_and_sizes_are_free() -> None:
    cones = scattered(4, 6)
    folded = Cones(*(value.unflatten(0, (2, 3)) for value in cones))
    looks = dressed(Cones(*(value[0] for value in cones)))
    got = render(folded, looks, looking_north(50), 50, 41)
    assert got.shape == (2, 3, 3, 50, 41)
    assert torch.equal(got.flatten(0, 1), render(cones, looks, looking_north(50), 50, 41))
    assert got.dtype == torch.uint8


def test_a_distorted_full_image_shows_the_ball_where_it_projects() -> None:
    camera = calibrated("PG1")
    cones = ball((1.2, 0.3, 1.5), 0.05)
    looks = dressed(cones)
    empty = render(NOWHERE, dressed(NOWHERE), camera, 600, 800)
    seen = (render(cones, looks, camera, 600, 800) != empty).any(0)
    seen[300:] = False  # its shadow
    y, x = seen.nonzero(as_tuple=True)
    middle = torch.stack((x.float().mean(), y.float().mean())) + 0.5
    torch.testing.assert_close(middle, project(camera, cones.a)[0], atol=0.3, rtol=0)


def test_an_eye_outside_the_room_is_refused() -> None:
    cones = ball()
    with pytest.raises(ValueError, match="inside"):
        render(cones, dressed(cones, GREY), looking_north(32, distance=7.0), 32, 32)


def test_no_frames_or_nobody_in_the_image() -> None:
    away = ball((2.9, 0.0, 1.0), 0.1)
    assert not person(away, dressed(away), looking_north(32), 32).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_shows_the_same() -> None:
    cones, looks, camera = many(4)
    here = render(cones, stacked(looks), camera, 72, 72)
    there = render(to_gpu(cones), to_gpu(stacked(looks)), to_gpu(camera), 72, 72).cpu()
    assert (here.float() - there.float()).abs().mean() < 0.1
