"""Sheets of synthetic images: frames rendered again are those of the records, and every row is drawn."""

import pytest
import torch

from d3ke_lib.data.synthetic import generate
from d3ke_lib.experiment.report import image_grids

pytestmark = pytest.mark.usefixtures("people_folder")
DATA = generate.DataConfig(
    train=1, validation=0, test=0, actions=("waving", "walking"), seconds=0.2, fps=10.0, px=32, margin=1.25
)


def test_a_frame_rendered_again_is_the_records_frame():
    """The middle of the stored crop, rendered at the size of the network's crop, differs by noise alone."""
    takes = list(generate.make_takes(DATA, (1, ("R1",))))
    number = DATA.list_takes(1).index("walking")
    stored = takes[number]["R1"][1][1].float()
    middle = stored[:, 3:29, 3:29]
    again = image_grids.render_large(DATA, 1, "walking", "R1", 1, 26).float()
    other = image_grids.render_large(DATA, 1, "waving", "R1", 1, 26).float()
    assert (again - middle).abs().mean() < 12
    assert (again - middle).abs().mean() < 0.6 * (other - middle).abs().mean()
    with pytest.raises(ValueError, match=r"expected one of waving, walking, found 'mixture'"):
        image_grids.render_large(DATA, 1, "mixture", "R1", 0)


def test_everything_that_varies_is_drawn():
    rows = image_grids.draw_variety(DATA, count=2, px=24)
    assert [len(images) for images in rows.values()] == [2, 2, 2, 5]
    images = torch.stack([image for images in rows.values() for image in images.values()])
    for row in rows.values():
        assert len({image.numpy().tobytes() for image in row.values()}) == len(row)
    drawn, table = image_grids.sheet_in_rows(rows, "a note", "What varies")
    assert len(table) == len(images)
    assert drawn.get_label() == "What varies"
    _, table = image_grids.sheet_in_pairs(
        list(images[:3]), list(images[:3]), ["a", "b", "c"], "a note", "Pairs"
    )
    assert table.label.tolist() == ["a", "b", "c"]
