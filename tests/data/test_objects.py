"""Objects cut out of a very small PASCAL VOC, and put in front of images."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from d3ke_lib.data import voc_cutouts
from d3ke_lib.data.augment_pixels import OccluderConfig, _paste_objects, occlude
from d3ke_lib.data.seeds import seed_generator

XML = "<annotation>{}</annotation>"
OBJECT = "<object><name>{}</name><truncated>{}</truncated><difficult>{}</difficult></object>"
# name, truncated, difficult: only the first is of use.
THINGS = (("sofa", 0, 0), ("person", 0, 0), ("chair", 1, 0), ("dog", 0, 1), ("cat", 0, 0))


@pytest.fixture
def voc(tmp_path):
    """One photograph, blue, with five things; the last is too small."""
    for name in voc_cutouts._FOLDERS:
        (tmp_path / name).mkdir()
    numbers = np.zeros((120, 200), np.uint8)
    for i in range(4):
        numbers[10:40, 40 * i : 40 * i + 30] = i + 1
    numbers[10:40, 20:30] = 255  # a border is no object: the sofa is 30 x 20
    numbers[100:105, 100:105] = 5
    Image.fromarray(numbers).save(tmp_path / "SegmentationObject/a.png")
    Image.new("RGB", (200, 120), (0, 0, 254)).save(tmp_path / "JPEGImages/a.jpg", quality=100)
    notes = "".join(OBJECT.format(*thing) for thing in THINGS)
    (tmp_path / "Annotations/a.xml").write_text(XML.format(notes))
    return tmp_path


def test_whole_objects_are_cut_out(voc, tmp_path):
    out = tmp_path / "bank.safetensors"
    assert voc_cutouts.make_cutouts(voc, out) == 1
    (cut,) = voc_cutouts.load_cutouts(out)
    assert cut.shape == (4, voc_cutouts._SIDE, voc_cutouts._SIDE)
    assert cut.dtype == torch.uint8
    alpha = cut[3] == 255
    assert alpha.sum() == voc_cutouts._SIDE * 64  # 30 x 20 px, its longer side the square's
    assert alpha[:, 16:80].all()
    assert (cut[2][alpha] > 250).all()
    assert (cut[:3, ~alpha] == 0).all()
    first = out.read_bytes()
    voc_cutouts.make_cutouts(voc, out)
    assert out.read_bytes() == first


@pytest.mark.parametrize("folder", voc_cutouts._FOLDERS)
def test_missing_folders_are_named(voc, tmp_path, folder):
    (voc / folder).rename(voc / "elsewhere")
    with pytest.raises(ValueError, match=f"found no {folder}"):
        voc_cutouts.make_cutouts(voc, tmp_path / "bank.safetensors")
    assert not (tmp_path / "bank.safetensors").exists()


def test_images_and_masks_must_belong_together(voc, tmp_path):
    Image.new("RGB", (10, 10)).save(voc / "JPEGImages/a.jpg")
    with pytest.raises(ValueError, match=r"a.png: expected \(10, 10\) px, found \(120, 200\)"):
        voc_cutouts.make_cutouts(voc, tmp_path / "bank.safetensors")


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "bank.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bank.safetensors: expected objects cut out"):
        voc_cutouts.load_cutouts(tmp_path / "bank.safetensors")


def test_an_object_covers_its_square(voc, tmp_path):
    voc_cutouts.make_cutouts(voc, tmp_path / "bank.safetensors")
    cut = voc_cutouts.load_cutouts(tmp_path / "bank.safetensors").float() / 255
    white = torch.ones(1, 3, 64, 64)
    found = _paste_objects(white, cut, torch.tensor([[32.0, 20.0]]), torch.tensor([30.0]))
    blue = (found[0, 0] < 0.5) & (found[0, 2] > 0.9)
    rows, columns = (torch.nonzero(blue.any(axis))[:, 0] for axis in (1, 0))
    assert (rows.min(), rows.max()) == (5, 34)
    assert abs(int(columns.min()) - 22) <= 1
    assert abs(int(columns.max()) - 41) <= 1
    assert torch.equal(found[0, :, 40:], white[0, :, 40:])


def test_objects_stand_in_front_by_the_same_draws(voc, tmp_path):
    voc_cutouts.make_cutouts(voc, tmp_path / "bank.safetensors")
    config = OccluderConfig(noise=0.0, objects=str(tmp_path / "bank.safetensors"))
    images = torch.full((200, 3, 32, 32), 0.5)
    found = occlude(images, seed_generator(2), config)
    assert torch.equal(found, occlude(images, seed_generator(2), config))
    covered = (found != images).flatten(1).any(1).float().mean()
    assert 0.5 < covered < 0.75
    assert found.min() >= 0
    assert found.max() <= 1
    none = dataclasses.replace(config, probability=0.0)
    assert torch.equal(occlude(images, seed_generator(2), none), images)
