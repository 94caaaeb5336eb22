"""Reading values out of an .osim document's elements; an element that is not as it should be is named."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from d3ke_lib.body.opensim.model import OsimError


def parse(path: Path) -> Element:
    """The document's root; entities are refused, as they can read other files or never end."""
    try:
        return defusedxml.ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise
    except (ParseError, DefusedXmlException, UnicodeError, LookupError, ValueError, OSError) as error:
        raise OsimError(f"{path}: not readable as XML: {error!r}") from error


def objects(model: Element, collection: str) -> list[Element]:
    found = model.find(f"{collection}/objects")
    return [] if found is None else list(found)


def text(element: Element, tag: str, path: Path, default: str | None = None) -> str:
    if len(element.findall(tag)) > 1:
        raise OsimError(f"{path}: <{element.tag} name={element.get('name')!r}> has <{tag}> more than once")
    found = (element.findtext(tag) or "").strip() or default
    if found is None:
        raise OsimError(f"{path}: <{element.tag} name={element.get('name')!r}> has no <{tag}>")
    return found


def floats(
    element: Element, tag: str, path: Path, count: int | None = None, default: str | None = None
) -> tuple[float, ...]:
    """The finite numbers in <tag>, `count` of them where given."""
    found, owner = text(element, tag, path, default), element.get("name") or element.tag
    try:
        values = tuple(float(v) for v in found.split())
    except ValueError as error:
        raise OsimError(f"{path}: {owner}: <{tag}> is {found!r}, expected numbers") from error
    if count is not None and len(values) != count:
        raise OsimError(f"{path}: {owner}: <{tag}> has {len(values)} numbers, expected {count}")
    if any(v != v or abs(v) > 1e100 for v in values):
        raise OsimError(f"{path}: {owner}: <{tag}> is not finite: {found!r}")
    return values


def flag(element: Element, tag: str, path: Path, default: str) -> bool:
    found = text(element, tag, path, default).lower()
    if found not in ("true", "false", "0", "1"):
        raise OsimError(f"{path}: {element.get('name')}: <{tag}> is {found!r}, expected true or false")
    return found in ("true", "1")
