"""The records to make from BMLmovi: subjects, cameras, and how; which of them were published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from d3ke_lib.body.scaling import factors as measurements
from d3ke_lib.body.spec import D3KE, body_file
from d3ke_lib.data import record_jobs
from d3ke_lib.data.bmlmovi.boxes import Source
from d3ke_lib.data.bmlmovi.folder_tree import CAMERAS
from d3ke_lib.data.bmlmovi.points import POINTS_FILE
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ
from d3ke_lib.data.schema import file_name

# Never published: fits of these subjects, videos of these subjects and cameras.
NO_FIT = (7, 10, 26, 49)
NO_VIDEO = ((7, "PG1"), (7, "PG2"), (14, "PG1"), (14, "PG2"), (6, "PG1"))
# Files that the records depend on, in addition to the configuration, the body and the downloads.
_SOURCES = (POINTS_FILE, Path(measurements.__file__).with_name("scale_measurements.json"))


def _usable_subjects(split: str) -> tuple[int, ...]:
    """D3KE's subjects of a split with a published fit and video: 66, 3 and 15 of 67, 4 and 18."""
    return tuple(s for s in D3KE.subjects[split] if s not in NO_FIT and _published_cameras(s, CAMERAS))


def _published_cameras(subject: int, cameras: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(camera for camera in cameras if (subject, camera) not in NO_VIDEO)


@dataclass(frozen=True)
class BmlmoviConfig:
    """Which records to make from the downloads. Subjects by their published numbers. Raises ValueError."""

    train: tuple[int, ...] = _usable_subjects("train")
    validation: tuple[int, ...] = _usable_subjects("validation")
    test: tuple[int, ...] = _usable_subjects("test")
    cameras: tuple[str, ...] = CAMERAS
    # "measured": D3KE's 83 measurements of the T-pose; "fitted": to the markers of 24 frames in motion
    scaling: Literal["measured", "fitted"] = "measured"
    boxes: Source = "labels"  # D3KE: "detector"
    detector: str | None = None  # its weights: a file, or torchvision's name
    px: int = 360  # side of a stored crop
    margin: float = 360 / 256  # how many sides of the network's crop it covers
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        subjects = (*self.train, *self.validation, *self.test)
        if not self.train or len({*subjects}) != len(subjects) or min(subjects) < 1:
            raise ValueError(f"BmlmoviConfig: expected different subjects, found {subjects}")
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
        """Subject → cameras with a published video, in the order of subjects."""
        return {
            s: _published_cameras(s, self.cameras)
            for s in sorted((*self.train, *self.validation, *self.test))
        }


def describe(config: BmlmoviConfig) -> dict[str, Any]:
    """The configuration and the hashes of the body and of `_SOURCES`, as JSON values."""
    return record_jobs.describe_config(config, (body_file(), *_SOURCES))


def is_finished(config: BmlmoviConfig, out: Path, subject: int, camera: str) -> bool:
    """Whether the record file exists. Raises RecordError where it was made from another configuration."""
    return record_jobs.is_finished(out / file_name(subject, camera), describe(config))
