"""Values out of the elements of an OpenSim document; an element that is not as expected is named."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, tostring

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from d3ke_lib.body.opensim.model import OsimError

# OpenSim writes <HuntCrossleyForce::ContactParameters>, which XML with namespaces does not allow.
_COLONS, _STAND_IN = "::", "\u02d0\u02d0"  # the stand-in is a letter to XML
_TAG = re.compile(r"<(/?[\w.-]+)::([\w.-]+)")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")


def parse(path: Path) -> Element:
    """The document's root; entities are refused, as they can read other files or never end.

    As OpenSim does, it takes `::` in tags, blank lines before the declaration and bytes that are not in the
    declared encoding (then cp1252). Raises OsimError for text that is not XML.
    """
    try:
        text = _TAG.sub(rf"<\1{_STAND_IN}\2", _decode(path.read_bytes()))
        return defusedxml.ElementTree.fromstring(text.lstrip())
    except FileNotFoundError:
        raise
    except (ParseError, DefusedXmlException, UnicodeError, LookupError, ValueError, OSError) as error:
        raise OsimError(f"{path}: not readable as XML: {error!r}") from error


def serialize(root: Element) -> str:
    """The document as text that OpenSim reads; the inverse of `parse`."""
    xml = tostring(root, encoding="unicode").replace(_STAND_IN, _COLONS)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}\n'


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    declared = _DECLARED.match(content)
    encoding = declared[1].decode() if declared else "utf-8"
    try:
        return content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def objects(model: Element, collection: str) -> list[Element]:
    """The elements of a set (BodySet, JointSet …), none where the model has no such set."""
    found = model.find(f"{collection}/objects")
    return [] if found is None else list(found)


def text(element: Element, tag: str, path: Path, default: str | None = None) -> str:
    """The text in <tag>, or the default where it is absent or empty."""
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
    """The truth value in <tag>: true, false, 1 or 0."""
    found = text(element, tag, path, default).lower()
    if found not in ("true", "false", "0", "1"):
        raise OsimError(f"{path}: {element.get('name')}: <{tag}> is {found!r}, expected true or false")
    return found in ("true", "1")
