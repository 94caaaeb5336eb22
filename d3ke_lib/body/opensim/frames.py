"""Frames fixed to bodies, through however many frames between, resolved to their body."""

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from xml.etree.ElementTree import Element

from scipy.spatial.transform import Rotation

from d3ke_lib.body.opensim.model import Offset, OsimError
from d3ke_lib.body.opensim.xml import floats, text

_NONE = (0.0, 0.0, 0.0)
_MODEL = "/"  # owner of the frames that belong to no part
_SETS = ("bodyset", "jointset", "componentset")


class Frames:
    """Every PhysicalOffsetFrame of a model by owner and name: what a socket's path leads to."""

    def __init__(self, model: Element, path: Path) -> None:
        self.path = path
        self.found: dict[tuple, Element] = {}
        self.station_defined = {frame.get("name") for frame in model.iter("StationDefinedFrame")}
        for owner, frame in _offset_frames(model):
            key = (owner, frame.get("name"))
            if self.found.get(key, frame) is not frame:
                raise OsimError(f"{path}: {owner!r} has two frames {key[1]!r}")
            self.found[key] = frame

    def named_in(self, path: Path) -> "Frames":
        """The same frames for sockets of another file, which errors then name."""
        other = copy(self)
        other.path = path
        return other

    def base(self, socket: str, owner: str = "", seen: tuple = ()) -> str:
        """Name of the body that a frame is fixed to."""
        return self.offset(socket, owner, seen).body

    def offset(self, socket: str, owner: str = "", seen: tuple = ()) -> Offset:
        """Where a frame is on its body. `owner`: the component whose socket it is, for relative paths."""
        steps = [s for s in socket.strip().split("/") if s not in ("", ".", "..")]
        name = steps[-1] if steps else ""
        key = (steps[-2] if len(steps) > 1 else owner, name)
        if len(steps) == 1 and key not in self.found:
            key = (_MODEL, name)
        if name in self.station_defined:
            raise OsimError(f"{self.path}: frame {name!r} is a StationDefinedFrame, which is not modelled")
        if socket.strip().startswith("/") and len(steps) > 2 and steps[0] not in _SETS:
            raise OsimError(f"{self.path}: {owner or 'a socket'}: there is no frame {socket.strip()!r}")
        if key not in self.found:
            rooted = socket.strip().startswith(("/", ".."))
            if steps[:-1] and not (rooted and steps[:-1] == ["bodyset"]):
                raise OsimError(f"{self.path}: {owner or 'a socket'}: there is no frame {socket.strip()!r}")
            return Offset(name, _NONE, _NONE)
        if key in seen:
            raise OsimError(f"{self.path}: frame {name!r} is fixed to itself")
        frame = self.found[key]
        below = self.offset(text(frame, "socket_parent", self.path), key[0], (*seen, key))
        translation = floats(frame, "translation", self.path, 3, "0 0 0")
        return _on(below, translation, floats(frame, "orientation", self.path, 3, "0 0 0"))


def _offset_frames(model: Element) -> Iterator[tuple[str, Element]]:
    """(name of the component that owns it, frame)."""
    for element in model.iter():
        for holder in ("frames", "components", "FrameSet/objects"):
            for frame in element.findall(f"{holder}/PhysicalOffsetFrame"):
                yield _MODEL if element is model else element.get("name", ""), frame


def _on(below: Offset, translation: tuple, orientation: tuple) -> Offset:
    if below.translation == _NONE and below.orientation == _NONE:
        return Offset(below.body, translation, orientation)
    R = Rotation.from_euler("XYZ", below.orientation)
    shifted = R.apply(translation) + below.translation
    rotated = (R * Rotation.from_euler("XYZ", orientation)).as_euler("XYZ")
    return Offset(below.body, tuple(shifted.tolist()), tuple(rotated.tolist()))


def in_body_frame(offset: Offset, location: tuple[float, ...]) -> tuple[float, ...]:
    """A point of an offset frame in its body's frame."""
    if offset.translation == _NONE and offset.orientation == _NONE:
        return location
    moved = Rotation.from_euler("XYZ", offset.orientation).apply(location) + offset.translation
    return tuple(moved.tolist())
