"""The landmarks of every person in a video, frame by frame; frames are read once and not kept.

The detector runs where nobody is tracked and a few times per second for those who enter; in between a
person's region follows from the landmarks of the frame before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from d3ke_lib.data.video import Frame, VideoError
from d3ke_lib.landmarks.landmark_network import COUNT, Observation, observe
from d3ke_lib.landmarks.networks import LandmarkNetworks
from d3ke_lib.landmarks.one_euro import AlignmentFilter
from d3ke_lib.landmarks.person_detector import detect_regions
from d3ke_lib.landmarks.regions import Region, are_close, region_between

_MOST = 3  # persons followed at a time
LOOK_EVERY = 15  # frames
_FEWEST = 5  # frames: who is seen in less is nobody
_FORGOTTEN = 60  # frames after which somebody who was lost is a new person


class Landmarks(NamedTuple):
    """One person's landmarks in every frame of a video; NaN where the person is not seen (`valid` False)."""

    image: Float[np.ndarray, "frame 33 2"]  # px
    world: Float[np.ndarray, "frame 33 3"]  # m from the middle of the hips: x right, y down, z away
    visibility: Float[np.ndarray, "frame 33"]  # 0 … 1
    valid: Bool[np.ndarray, " frame"]


@dataclass
class _Track:
    """Somebody: what was observed by frame, and where to look next."""

    region: Region
    smooth: AlignmentFilter
    seen: dict[int, Observation] = field(default_factory=dict)
    lost: bool = False

    def look(self, networks: LandmarkNetworks, frame: Frame, index: int) -> None:
        found = observe(networks.landmarker, frame, self.region)
        self.lost = found is None
        if found is not None:
            self.seen[index], self.region = found, region_between(*self.smooth(found.alignment))

    @property
    def last(self) -> int:
        return max(self.seen, default=-1)


def detect_landmarks(
    networks: LandmarkNetworks,
    frames: Iterable[Frame],
    person: int = 1,
    box: Float[np.ndarray, " 4"] | None = None,
    fps: float = 30.0,
) -> Landmarks:
    """The landmarks of one person: 1 is who is seen in most frames, or of those in `box` when they enter.

    `box` (x0, y0, x1, y1) in px. Raises VideoError where nobody, or fewer persons, are found.
    """
    return choose_person(detect_people(networks, frames, box, fps), person, box)


def choose_person(
    people: list[Landmarks], person: int, box: Float[np.ndarray, " 4"] | None = None
) -> Landmarks:
    """The one of that number, from 1; raises VideoError where there are fewer."""
    if not people:
        raise VideoError("no person was found" + ("" if box is None else " in BOX"))
    if person > len(people):
        raise VideoError(f"PERSON: expected at most {len(people)} (who is seen), found {person}")
    return people[person - 1]


def detect_people(
    networks: LandmarkNetworks,
    frames: Iterable[Frame],
    box: Float[np.ndarray, " 4"] | None = None,
    fps: float = 30.0,
) -> list[Landmarks]:
    """The landmarks of everybody, who is seen in most frames first; `box`: as `detect_landmarks`."""
    tracks: list[_Track] = []
    count = 0
    for index, frame in enumerate(frames):
        for track in _living(tracks):
            track.look(networks, frame, index)
        _drop_doubles(tracks, index)
        living = len(_living(tracks))
        if living == 0 or (living < _MOST and index % LOOK_EVERY == 0):
            regions = _unfollowed(detect_regions(networks.detector, frame), tracks)
            for track in _tracks_of(regions, tracks, index, fps, box):
                track.look(networks, frame, index)
        count = index + 1
    long_enough = (track for track in tracks if len(track.seen) >= min(_FEWEST, 1 + count // 2))
    found = sorted(long_enough, key=lambda track: -len(track.seen))
    return [_collect(track.seen, count) for track in found]


def _living(tracks: list[_Track]) -> list[_Track]:
    return [track for track in tracks if not track.lost]


def _drop_doubles(tracks: list[_Track], index: int) -> None:
    """Of two tracks that have come to one person, the one that has seen less is lost here."""
    living = sorted(_living(tracks), key=lambda track: -len(track.seen))
    for i, track in enumerate(living):
        if any(_is_same(track, other) for other in living[:i] if not other.lost):
            track.lost = True
            track.seen.pop(index, None)


def _is_same(a: _Track, b: _Track) -> bool:
    """Whether both have the same landmarks in their last frame, to a twentieth of the region."""
    if a.last != b.last:
        return False
    distance = np.linalg.norm(a.seen[a.last].image - b.seen[b.last].image, axis=-1)
    return bool(np.median(distance) < 0.05 * b.region.side)


def _unfollowed(regions: list[Region], tracks: list[_Track]) -> list[Region]:
    """Regions that no living track follows, as many more as may be followed."""
    living = _living(tracks)
    others = [r for r in regions if not any(are_close(r, track.region) for track in living)]
    return others[: _MOST - len(living)]


def _tracks_of(
    regions: list[Region], tracks: list[_Track], index: int, fps: float, box: Float[np.ndarray, " 4"] | None
) -> list[_Track]:
    """The track of each region, there to look next: one that was lost close by, or a new one, added."""
    found = []
    for region in regions:
        known = [t for t in tracks if t.lost and index - t.last <= _FORGOTTEN and are_close(t.region, region)]
        if known:
            track = max(known, key=lambda track: track.last)
        elif box is None or _is_inside(region, box):
            track = _Track(region, AlignmentFilter(fps))
            tracks.append(track)
        else:
            continue
        track.region, track.smooth, track.lost = region, AlignmentFilter(fps), False
        found.append(track)
    return found


def _is_inside(region: Region, box: Float[np.ndarray, " 4"]) -> bool:
    return bool((box[:2] <= region.center).all() and (region.center <= box[2:]).all())


def _collect(seen: dict[int, Observation], count: int) -> Landmarks:
    shapes = ((count, COUNT, 2), (count, COUNT, 3), (count, COUNT))
    image, world, visibility = (np.full(shape, np.nan) for shape in shapes)
    valid = np.zeros(count, bool)
    for index, found in seen.items():
        image[index], world[index], visibility[index] = found[:3]
        valid[index] = True
    return Landmarks(image, world, visibility, valid)
