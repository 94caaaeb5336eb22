"""Small record files with random labels, for tests."""

from pathlib import Path

import numpy as np
import torch

from d3ke_lib.data import records
from d3ke_lib.data.schema import COLUMNS, Metadata, row_shape

SIZES = {"coordinates": 5, "bodies": 4, "joints": 6, "markers": 7}
NAMES = {kind: [f"{kind}{i}" for i in range(size)] for kind, size in SIZES.items()}


def example(
    frames: int = 9,
    subject: int = 3,
    camera: str = "PG1",
    px: int = 16,
    motions: dict[str, int] | None = None,
    **changes,
) -> tuple[dict, Metadata]:
    """(columns, metadata) of one file; motions: action -> frames."""
    motions = motions or {"walking": frames}
    frames = sum(motions.values())
    draw = np.random.default_rng(subject)
    metadata = Metadata(subject, camera, px, 2.0, NAMES, {"seed": 1})
    columns = {}
    for name, (kind, shape) in COLUMNS.items():
        values = draw.normal(size=(frames, *row_shape(shape, NAMES)))
        columns[name] = (
            values > 0 if kind == "bool" else values.astype(kind.to_pandas_dtype() if shape else float)
        )
    pixels = torch.from_numpy(draw.integers(0, 256, (frames, 3, px, px), dtype=np.uint8))
    columns["image"] = records.encode(pixels)
    columns["subject"] = np.full(frames, subject)
    columns["action"] = np.repeat(list(motions), list(motions.values()))
    columns["parts"] = np.full(frames, "")
    columns["frame"] = np.arange(frames)
    columns["time"] = np.concatenate([np.arange(count) / 30 for count in motions.values()])
    return {**columns, **changes}, metadata


def save(folder: Path, **options) -> Path:
    columns, metadata = example(**options)
    path = folder / records.file_name(metadata.subject, metadata.camera)
    records.write(path, columns, metadata)
    return path
