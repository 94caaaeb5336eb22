"""What to make of BMLmovi: subjects, cameras, and how; which of them were published."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from d3ke_lib.body.opensim import scaling as measurements
from d3ke_lib.body.spec import D3KE, body_file
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi.boxes import Source
from d3ke_lib.data.bmlmovi.folder_tree import CAMERAS, BmlmoviError
from d3ke_lib.data.bmlmovi.points import POINTS_FILE
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ
from d3ke_lib.data.schema import file_name

# Never published: fits of these subjects, videos of these subjects and cameras.
NO_FIT = (7, 10, 26, 49)
NO_VIDEO = ((7, "PG1"), (7, "PG2"), (14, "PG1"), (14, "PG2"), (6, "PG1"))
# Files that decide what is made besides the configuration, the body and the downloads.
SOURCES = (POINTS_FILE, Path(measurements.__file__).with_name("scale_measurements.json"))


def usable(split: str) -> tuple[int, ...]:
    """D3KE's subjects of a split of whom a fit and a video were published: 66, 3 and 15 of 67, 4 and 18."""
    return tuple(s for s in D3KE.subjects[split] if s not in NO_FIT and published(s, CAMERAS))


def published(subject: int, cameras: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(camera for camera in cameras if (subject, camera) not in NO_VIDEO)


@dataclass(frozen=True)
class BmlmoviConfig:
    """What to make of the downloads. Subjects by their published numbers. Raises ValueError."""

    train: tuple[int, ...] = usable("train")
    validation: tuple[int, ...] = usable("validation")
    test: tuple[int, ...] = usable("test")
    cameras: tuple[str, ...] = CAMERAS
    # "measured": D3KE's 83 measurements of the T-pose; "fitted": to the markers of 24 frames in motion
    scaling: Literal["measured", "fitted"] = "measured"
    boxes: Source = "labels"  # D3KE: "detector"
    detector: str | None = None  # its weights: a file, or torchvision's name
    px: int = 360  # side of a stored crop
    margin: float = 360 / 256  # how many sides of the network's crop it covers
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        everybody = (*self.train, *self.validation, *self.test)
        if not self.train or len({*everybody}) != len(everybody) or min(everybody) < 1:
            raise ValueError(f"BmlmoviConfig: expected different subjects, found {everybody}")
        if not self.cameras or not {*self.cameras} <= {*CAMERAS}:
            raise ValueError(f"BmlmoviConfig.cameras: expected some of {CAMERAS}, found {self.cameras}")
        if self.px < 1 or self.margin < 1:
            raise ValueError(f"BmlmoviConfig: expected px and margin >= 1, found {self.px}, {self.margin}")
        if (self.boxes == "detector") != (self.detector is not None):
            raise ValueError(f"BmlmoviConfig.detector: expected with boxes='detector', found {self.detector}")

    @property
    def fps(self) -> float:
        """The videos'."""
        return VIDEO_HZ

    @property
    def splits(self) -> dict[str, list[int]]:
        """Split → subjects."""
        return {name: list(getattr(self, name)) for name in ("train", "validation", "test")}

    @property
    def files(self) -> dict[int, tuple[str, ...]]:
        """Subject → cameras of which a video was published, in the order of subjects."""
        return {s: published(s, self.cameras) for s in sorted((*self.train, *self.validation, *self.test))}


def described(config: BmlmoviConfig) -> dict[str, Any]:
    """The configuration and the hashes of the body and of `SOURCES`, as JSON values."""
    values = json.loads(json.dumps(asdict(config)))
    return values | {"sources": {path.name: records.sha256(path) for path in (body_file(), *SOURCES)}}


def is_finished(config: BmlmoviConfig, out: Path, subject: int, camera: str) -> bool:
    """True: the file is there and whole. Raises BmlmoviError where it is one of another configuration."""
    path = out / file_name(subject, camera)
    if not path.is_file():
        return False
    expected, found = described(config), records.read(path).metadata.config
    differ = [key for key in sorted({*expected, *found}) if expected.get(key) != found.get(key)]
    if differ:
        pairs = ", ".join(f"{key}: expected {expected.get(key)}, found {found.get(key)}" for key in differ)
        raise BmlmoviError(f"{path}: made otherwise ({pairs}); make the records in another folder")
    return True
