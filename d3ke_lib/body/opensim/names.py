"""Names of a model's parts as OpenSim resolves them: missing ones given, repeated ones numbered."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.model import OsimError
from d3ke_lib.body.opensim.xml import objects

_SETS = ("BodySet", "JointSet", "MarkerSet", "ConstraintSet")
_FORBIDDEN = set("\\*+/ \t\n\r")
_SPACES_GO_BEFORE = 30500  # until then OpenSim takes whitespace out of names


def resolve_names(model: Element, version: int, path: Path) -> None:
    """Each body, joint, coordinate, marker and constraint gets a name of its own in its set, in place.

    A part without a name has its class's in lower case; of equal names the second gets `_0`, then `_1` …
    (others refer to the first). Raises OsimError for a name that OpenSim refuses.
    """
    for collection in _SETS:
        _resolve(objects(model, collection), version, path)
    for joint in objects(model, "JointSet"):
        _resolve(joint.findall("coordinates/Coordinate"), version, path)


def _resolve(siblings: Iterable[Element], version: int, path: Path) -> None:
    taken: set[str] = set()
    for element in siblings:
        written = without_spaces(element.get("name", ""), version)
        name = next_free(written or element.tag.lower(), taken)
        check_name(element.tag, name, path)
        element.set("name", name)
        taken.add(name)


def without_spaces(name: str, version: int) -> str:
    """The name as a file of this version means it."""
    return "".join(name.split()) if version < _SPACES_GO_BEFORE else name


def next_free(name: str, taken: set[str]) -> str:
    """The name, or the first of name_0, name_1 … that is not taken."""
    free, count = name, 0
    while free in taken:
        free, count = f"{name}_{count}", count + 1
    return free


def check_name(tag: str, name: str, path: Path) -> None:
    """Raises OsimError for a name with one of \\ * + / or whitespace."""
    if set(name) & _FORBIDDEN:
        raise OsimError(f"{path}: {tag} {name!r}: a name that OpenSim does not allow")
