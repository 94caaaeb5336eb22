"""Photographs and panoramas behind subjects: where they are seen, the light that they give, and bad files."""

import math
import sys

import pytest
import torch
from torchvision.io import write_png

from d3ke_lib.data.camera import crop_camera
from d3ke_lib.data.renderer.backdrop import render_backdrop
from d3ke_lib.data.renderer.rays import Grid, square_rays
from d3ke_lib.data.renderer.room import Casters, cast_shadows
from d3ke_lib.data.renderer.shade import Light
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate
from d3ke_lib.data.synthetic.backgrounds import (
    choose_background,
    draw_backdrop,
    list_backgrounds,
    read_background,
)
from d3ke_lib.data.synthetic.cameras import place_camera
from d3ke_lib.files import D3keError


@pytest.fixture
def folder(tmp_path):
    """A panorama whose sky has a red sun on one side, and a photograph with a bright right side."""
    panorama = torch.full((3, 64, 128), 60, dtype=torch.uint8)
    panorama[2, :32] = 120
    panorama[:, 12:18, 30:36] = torch.tensor([255, 80, 40], dtype=torch.uint8)[:, None, None]
    write_png(panorama, str(tmp_path / "a_panorama.png"))
    photograph = torch.full((3, 60, 80), 40, dtype=torch.uint8)
    photograph[:, :, 40:] = 200
    write_png(photograph, str(tmp_path / "b_photograph.png"))
    return tmp_path


def camera_at(seed=0):
    return place_camera("R1", torch.zeros(1, 2).double(), seed_generator(seed))


def seen(backdrop, camera, px=48):
    """The backdrop alone, without any shadow."""
    box = torch.tensor([[0.0, 0.0, 800.0, 600.0]]).double()
    crop = crop_camera(camera, box, px)
    crop = type(crop)(*(field.float() for field in crop))
    far = torch.tensor([[[500.0, 500.0, 0.0]]])
    casters = Casters(far, far, torch.full((1, 1), 0.1), torch.full((1, 1), 0.1))
    light = Light(*(torch.tensor([value]) for value in ([0.0, 0.0, 1.0],) * 3))
    rays = square_rays(crop, Grid(1, px, px), 1, 0.5, 0.5)
    eye = -(crop.R.mT @ crop.t[..., None])[..., 0]
    part = type(backdrop)(*(field.float()[None] for field in backdrop))
    return render_backdrop(part, cast_shadows(casters, light), rays, eye).view(3, px, px)


def test_a_photograph_fills_the_frame_and_lights_from_its_bright_side(folder):
    for seed in range(6):
        camera = camera_at(seed)
        backdrop, light = draw_backdrop(folder / "b_photograph.png", camera, seed_generator(seed))
        image = seen(backdrop, camera)
        halves = image[:, :, :20].mean(), image[:, :, 28:].mean()
        assert max(halves) > 5 * min(halves)
        side = float(light.towards.double() @ camera.R[0])
        assert (side > 0) == (halves[1] > halves[0])
        torch.testing.assert_close(light.towards.norm(), torch.tensor(1.0))


def test_the_lamp_is_where_the_panoramas_sun_is_seen(folder):
    found = 0
    camera = camera_at()
    wide = camera._replace(focal=torch.tensor([120.0, 120.0]).double())
    for seed in range(40):
        backdrop, light = draw_backdrop(folder / "a_panorama.png", wide, seed_generator(seed))
        height, width = backdrop.texture.shape[1:]
        red = backdrop.texture[0] - backdrop.texture[2]
        row, column = divmod(int(red.argmax()), width)
        if red.max() < 0.5 or min(row, column, width - column) < 10:
            continue
        plane = torch.tensor([(column + 0.5) / width * 2 - 1, (row + 0.5) / height * 2 - 1]) / backdrop.scale
        world = camera.R.mT @ torch.tensor([*plane.tolist(), 1.0], dtype=torch.float64)
        apart = math.atan2(world[1], world[0]) - math.atan2(light.towards[1], light.towards[0])
        assert abs((apart + math.pi) % (2 * math.pi) - math.pi) < math.radians(12)
        assert light.sun[0] > 1.3 * light.sun[2]
        assert light.sky[2] > light.sky[1]
        found += 1
    assert found >= 2


def test_the_held_out_look_has_files_of_its_own(folder):
    files = list_backgrounds(folder)
    chosen = [
        {choose_background(files, held, seed_generator(n)).name for n in range(9)} for held in (False, True)
    ]
    assert chosen == [{"a_panorama.png"}, {"b_photograph.png"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "expected .*found no file"),
        ("notes.txt", b"hello", "expected .jpg, .jpeg, .png, .exr alone, found notes.txt"),
    ],
)
def test_a_folder_without_images_or_with_others_is_named(tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(D3keError, match=message):
        list_backgrounds(tmp_path)


def test_a_missing_folder_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(D3keError, match="nowhere: expected a folder"):
        list_backgrounds(tmp_path / "nowhere")
    (tmp_path / "half.png").write_bytes(b"\x89PNG and nothing more")
    with pytest.raises(D3keError, match=r"half\.png: expected an image, found 21 other bytes"):
        read_background(tmp_path / "half.png")


def test_an_exr_needs_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    (tmp_path / "room.exr").write_bytes(b"v/1")
    with pytest.raises(D3keError, match=r"room\.exr: \.exr needs the package OpenEXR.*pip install OpenEXR"):
        read_background(tmp_path / "room.exr")


@pytest.mark.usefixtures("people_folder")
def test_records_with_backgrounds_have_the_same_labels_and_name_the_files(folder, monkeypatch):
    config = generate.DataConfig(
        train=1,
        validation=0,
        test=0,
        actions=("waving",),
        train_cameras=("R1",),
        seconds=0.2,
        fps=10.0,
        px=32,
    )
    plain = next(generate.make_takes(config, (1, ("R1",))))["R1"]
    assert "backgrounds" not in generate.describe(config)
    monkeypatch.setenv("D3KE_BACKGROUNDS", str(folder))
    shot = next(generate.make_takes(config, (1, ("R1",))))["R1"]
    assert sorted(generate.describe(config)["backgrounds"]) == ["a_panorama.png", "b_photograph.png"]
    assert not torch.equal(plain[1], shot[1])
    for name in ("angles", "joints", "R_camera_root", "box"):
        assert torch.equal(plain[0][name], shot[0][name])
