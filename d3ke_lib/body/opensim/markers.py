"""Markers of a model, and MarkerSet files (.xml) as OpenSim's scaling uses them."""

from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.frames import Frames, in_body_frame
from d3ke_lib.body.opensim.model import Marker, OsimError
from d3ke_lib.body.opensim.names import check_name, next_free, without_spaces
from d3ke_lib.body.opensim.older_versions import upgrade_marker
from d3ke_lib.body.opensim.xml import floats, parse, text


def read_marker(element: Element, frames: Frames, path: Path) -> Marker:
    """A <Marker>, in its body's frame whatever frame it is fixed to."""
    name = element.get("name", "")
    offset = frames.offset(text(element, "socket_parent_frame", path), name)
    return Marker(name, offset.body, in_body_frame(offset, floats(element, "location", path, 3)))


def read_marker_set(path: str | Path, frames: Frames | None = None) -> tuple[Marker, ...]:
    """Markers of a MarkerSet file, m in their bodies' frames; of equal names the last (updateMarkerSet).

    `frames`: those of the model that the set is for, needed by markers on frames other than a body's.
    Raises OsimError for a file that is not a MarkerSet and for a marker without a body or location.
    """
    path = Path(path)
    root = parse(path)
    collection, version = root.find("MarkerSet"), root.get("Version", "none")
    if root.tag != "OpenSimDocument" or collection is None or not version.isdecimal():
        raise OsimError(f"{path}: expected <OpenSimDocument Version=…><MarkerSet>, found <{root.tag}>")
    frames = Frames(Element("Model"), path) if frames is None else frames.named_in(path)
    found: dict[str, Marker] = {}
    for element in collection.findall("objects/Marker"):
        name = without_spaces(element.get("name", ""), int(version)) or next_free("marker", set(found))
        check_name(element.tag, name, path)
        element.set("name", name)
        upgrade_marker(element, path)
        found.pop(name, None)
        found[name] = read_marker(element, frames, path)
    return tuple(found.values())
