"""Objects cut out of PASCAL VOC photographs, to stand in front of people as D3KE has them.

VOC's segmented photographs → one file of square cut-outs, which training reads into memory.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import torch
from defusedxml import ElementTree
from jaxtyping import UInt8
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from d3ke_lib.data import records

SIDE = 96  # px of a cut-out; at 256 px of picture and D3KE's sizes none is drawn much larger
LEAST = 500  # px of an object in its photograph: smaller ones are blots
NOT_PEOPLE = "person"  # a person in front would be another answer, not something in the way
FOLDERS = ("Annotations", "JPEGImages", "SegmentationObject")


def make(voc: Path, out: Path) -> int:
    """Writes the cut-outs of a VOC folder (VOCdevkit/VOC2012) to `out`; returns how many.

    Objects that are whole, not marked difficult, no people and not too small, in the order of the
    photographs' names: the same folder gives the same bytes. Raises ValueError where folders are missing or
    nothing can be cut out, and naming a photograph whose files do not belong together.
    """
    if missing := [name for name in FOLDERS if not (voc / name).is_dir()]:
        raise ValueError(f"{voc}: expected the folders {', '.join(FOLDERS)}, found no {', '.join(missing)}")
    found = [
        cut for path in sorted((voc / "SegmentationObject").glob("*.png")) for cut in _cut_out(voc, path)
    ]
    if not found:
        raise ValueError(f"{voc}: expected segmented objects, found none that can be used")
    records.write_whole(out, save({"objects": torch.from_numpy(np.stack(found))}))
    return len(found)


def _cut_out(voc: Path, segmented: Path) -> Iterator[UInt8[np.ndarray, "4 side side"]]:
    """The objects of one photograph, red, green, blue times alpha, and alpha."""
    photograph = np.asarray(Image.open(voc / "JPEGImages" / f"{segmented.stem}.jpg").convert("RGB"))
    numbers = np.asarray(Image.open(segmented))
    if numbers.shape != photograph.shape[:2]:
        raise ValueError(f"{segmented}: expected {photograph.shape[:2]} px, found {numbers.shape}")
    notes = ElementTree.parse(voc / "Annotations" / f"{segmented.stem}.xml")
    for number, note in enumerate(notes.iterfind("object"), 1):
        mask = numbers == number
        if _is_whole(note) and mask.sum() >= LEAST:
            yield _square(photograph, mask)


def _is_whole(note: Element) -> bool:
    marks = (note.findtext("difficult", "0"), note.findtext("truncated", "0"))
    return note.findtext("name") != NOT_PEOPLE and marks == ("0", "0")


def _square(
    photograph: UInt8[np.ndarray, "height width 3"], mask: np.ndarray
) -> UInt8[np.ndarray, "4 side side"]:
    """The object in the middle of a square that it spans."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = mask[part][..., None].astype(np.uint8)
    cut = np.concatenate([photograph[part] * alpha, 255 * alpha], -1)
    height, width = cut.shape[:2]
    ratio = SIDE / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = [
        Image.fromarray(channel).resize(size, Image.Resampling.BOX) for channel in np.moveaxis(cut, -1, 0)
    ]
    whole = np.zeros((4, SIDE, SIDE), np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    whole[:, top : top + size[1], left : left + size[0]] = np.stack([np.asarray(each) for each in small])
    return whole


@cache
def load(path: Path) -> UInt8[Tensor, "object 4 side side"]:
    """What `make` wrote. Raises ValueError naming a file that is missing or another."""
    try:
        return load_file(path)["objects"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError(
            f"{path}: expected objects cut out by make occluders, found none ({error})"
        ) from error
