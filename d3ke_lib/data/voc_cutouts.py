"""Objects cut out of PASCAL VOC photographs, the occluders of D3KE.

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

from d3ke_lib import files

_SIDE = 96  # px of a cut-out; for images of 256 px and D3KE's sizes, none is drawn much larger
_LEAST = 500  # px of an object in its photograph: smaller ones are blots
_EXCLUDED = "person"  # a person in front would be a second subject, not an occluder
_FOLDERS = ("Annotations", "JPEGImages", "SegmentationObject")


def make_cutouts(voc: Path, out: Path) -> int:
    """Writes the cut-outs of a VOC folder (VOCdevkit/VOC2012) to `out`; returns how many.

    Whole objects, not marked difficult, no persons and not too small, in the order of the
    photographs' names: the same folder gives the same bytes. Raises ValueError where folders are missing or
    nothing can be cut out, and naming a photograph whose files do not belong together.
    """
    if missing := [name for name in _FOLDERS if not (voc / name).is_dir()]:
        raise ValueError(f"{voc}: expected the folders {', '.join(_FOLDERS)}, found no {', '.join(missing)}")
    found = [
        cut for path in sorted((voc / "SegmentationObject").glob("*.png")) for cut in _cut_out(voc, path)
    ]
    if not found:
        raise ValueError(f"{voc}: expected segmented objects, found none that can be used")
    files.write_bytes(out, save({"objects": torch.from_numpy(np.stack(found))}))
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
        if _is_whole(note) and mask.sum() >= _LEAST:
            yield _square(photograph, mask)


def _is_whole(note: Element) -> bool:
    flags = (note.findtext("difficult", "0"), note.findtext("truncated", "0"))
    return note.findtext("name") != _EXCLUDED and flags == ("0", "0")


def _square(
    photograph: UInt8[np.ndarray, "height width 3"], mask: np.ndarray
) -> UInt8[np.ndarray, "4 side side"]:
    """The object in the middle of a square that it spans."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = mask[part][..., None].astype(np.uint8)
    cut = np.concatenate([photograph[part] * alpha, 255 * alpha], -1)
    height, width = cut.shape[:2]
    ratio = _SIDE / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = [
        Image.fromarray(channel).resize(size, Image.Resampling.BOX) for channel in np.moveaxis(cut, -1, 0)
    ]
    whole = np.zeros((4, _SIDE, _SIDE), np.uint8)
    top, left = (_SIDE - size[1]) // 2, (_SIDE - size[0]) // 2
    whole[:, top : top + size[1], left : left + size[0]] = np.stack([np.asarray(each) for each in small])
    return whole


@cache
def load_cutouts(path: Path) -> UInt8[Tensor, "object 4 side side"]:
    """What `make_cutouts` wrote. Raises ValueError naming a file that is missing or another."""
    try:
        return load_file(path)["objects"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError(
            f"{path}: expected objects cut out by make occluders, found none ({error})"
        ) from error
