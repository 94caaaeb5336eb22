"""Which person in a video a request means, and where in each frame: found before networks are loaded."""

from typing import NamedTuple

import numpy as np

from d3ke_lib.data import video as videos
from d3ke_lib.data.person_tracking import Track, boxes_by_motion
from d3ke_lib.data.video import Progress, Video, VideoError, no_progress
from d3ke_lib.experiment.video.request import Request


class Person(NamedTuple):
    """One person's boxes, px of the video's frames; `choice` says how the person was chosen."""

    video: Video
    track: Track
    choice: str


def find_person(request: Request, progress: Progress = no_progress) -> Person:
    """The given box for the whole video, or the moving person's.

    Raises VideoError: unreadable, too short, nothing moves, no such person.
    """
    video = videos.probe(request.video, progress)
    if request.box is not None:
        count = len(video.times)
        track = Track(0, np.tile(request.box, (count, 1)), np.ones(count, bool))
        return Person(video, track, "given")
    small = videos.Thumbnails(video, progress=progress)
    try:
        tracks = boxes_by_motion(small, video.fps)
    except VideoError as error:
        raise VideoError(f"{video.path}: {error}") from None
    if request.person > len(tracks):
        raise VideoError(
            f"{video.path}: PERSON: expected at most {len(tracks)} (who moves), found {request.person}"
        )
    track = tracks[request.person - 1]
    scale = np.array([video.size[0] / small.size[0], video.size[1] / small.size[1]] * 2)
    return Person(video, track._replace(boxes=track.boxes * scale), _describe(request.person, len(tracks)))


def _describe(person: int, count: int) -> str:
    which = "the person who moves most" if person == 1 else f"person {person} by movement"
    return f"{which}; {count} were found (PERSON=1 … {count})" if count > 1 else which
