"""A model scaled to a subject, as an .osim that OpenSim opens."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.opensim.frames import Frames
from d3ke_lib.body.opensim.inertia import scaled_segments
from d3ke_lib.body.opensim.model import Marker, OsimError, Segment
from d3ke_lib.body.opensim.read import load_osim, model_element
from d3ke_lib.body.opensim.xml import objects, parse, serialize, text
from d3ke_lib.files import write_text

_NOT_SCALED = ("PathPoint", "WrapSphere", "WrapCylinder", "WrapEllipsoid", "WrapTorus")
_NOT_SCALED += ("PointConstraint", "ConstantDistanceConstraint", "PointOnLineConstraint")


class _NotScaled(UserWarning):
    """Parts of a model that stay as they are: muscles' paths, wrapping surfaces, points of constraints."""


def write_osim(
    path: Path,
    source: Path,
    scales: Mapping[str, Float[np.ndarray, " 3"]],
    mass: float | None = None,
    keep_masses: bool = True,
    markers: str | Path | None = None,
) -> None:
    """The model `source` at another size: joint frames, markers, meshes, translations, bodies' inertia.

    `scales` are absolute factors of bodies, as a Pose has them and the file writes them. Masses stay as they
    are (`keep_masses`), or grow with the volume; `mass` (kg) is what they add up to in the end: the inertias
    are OpenSim's. Markers of a MarkerSet file (`markers`) are put in before, as by `load_osim`. The file's
    points are where the Skeleton of `source` has them at these scales. Raises OsimError for a source the
    library does not model or older than version 4, ValueError for a body that it lacks and factors that are
    not above 0; warns of `_NotScaled` parts. Writes all or nothing.
    """
    path, source = Path(path), Path(source)
    body, document = load_osim(source, markers), parse(source)
    model = model_element(document, source)
    if not document.get("Version", "").startswith("4"):
        raise OsimError(
            f"{source}: file version {document.get('Version')}; open and save it with OpenSim 4 first"
        )
    if markers is not None:
        _write_markers(model, body.markers)
    own = {segment.name: np.array(segment.scale_factors) for segment in body.segments}
    ratios = {name: scale / own[name] for name, scale in _check_scales(source, own, scales).items()}
    segments = {s.name: s for s in scaled_segments(body, ratios, mass, keep_masses)}
    _scale(model, source, lambda name: ratios.get(name, np.ones(3)), segments)
    write_text(path, serialize(document))


def _write_markers(model: Element, markers: tuple[Marker, ...]) -> None:
    """The model's MarkerSet made of these, each in its body's frame."""
    if (old := model.find("MarkerSet")) is not None:
        model.remove(old)
    collection = SubElement(SubElement(model, "MarkerSet", name="markerset"), "objects")
    for marker in markers:
        element = SubElement(collection, "Marker", name=marker.name)
        path = "/ground" if marker.body == "ground" else f"/bodyset/{marker.body}"
        SubElement(element, "socket_parent_frame").text = path
        SubElement(element, "location").text = _text(marker.location)


def _check_scales(source: Path, own: Mapping, scales: Mapping) -> dict[str, np.ndarray]:
    if unknown := sorted(set(scales) - set(own)):
        raise ValueError(f"{source}: scales: expected bodies of the model, found {', '.join(unknown)}")
    found = {name: np.asarray(scale, float) for name, scale in scales.items()}
    if bad := [n for n, s in found.items() if s.shape != (3,) or not (np.isfinite(s) & (s > 0)).all()]:
        raise ValueError(f"{source}: scales of {', '.join(bad)}: expected three factors above 0")
    return found


def _scale(
    model: Element, source: Path, ratio: Callable[[str], np.ndarray], segments: dict[str, Segment]
) -> None:
    frames = Frames(model, source)
    for element in objects(model, "BodySet"):
        _write_inertia(element, segments[element.get("name")])
        for mesh in element.iter("scale_factors"):
            _multiply(mesh, ratio(element.get("name")))
    for marker in objects(model, "MarkerSet"):
        base = frames.base(text(marker, "socket_parent_frame", source), marker.get("name"))
        _multiply(marker.find("location"), ratio(base))
    for (owner, _), frame in frames.found.items():
        _multiply(frame.find("translation"), ratio(frames.base(text(frame, "socket_parent", source), owner)))
    for joint in objects(model, "JointSet"):
        base = frames.base(text(joint, "socket_parent_frame", source), joint.get("name"))
        _scale_translations(joint, ratio(base))
    if left := sorted({e.tag for e in model.iter() if e.tag in _NOT_SCALED}):
        warnings.warn(f"{source}: {', '.join(left)} stay as they are", _NotScaled, stacklevel=4)


def _write_inertia(element: Element, segment: Segment) -> None:
    for tag in ("mass", "mass_center", "inertia"):
        value = getattr(segment, tag)
        found = element.find(tag)
        found = SubElement(element, tag) if found is None else found
        found.text = _text(value if isinstance(value, tuple) else (value,))


def _scale_translations(joint: Element, ratio: np.ndarray) -> None:
    """OpenSim multiplies every translation's function but that of a coordinate written as itself."""
    for axis in joint.iter("TransformAxis"):
        if not axis.get("name", "").startswith("translation"):
            continue
        share = np.abs([float(v) for v in axis.findtext("axis").split()])
        _scale_function(axis, float(share @ ratio / share.sum()))


def _scale_function(axis: Element, factor: float) -> None:
    holder = axis.find("function") if axis.find("function") is not None else axis
    for function in list(holder):
        if function.tag == "MultiplierFunction":
            if function.find("scale") is None:
                SubElement(function, "scale").text = "1"
            _multiply(function.find("scale"), factor)
        elif function.tag.endswith(("Function", "Spline")) or function.tag == "Constant":
            plain = function.tag == "LinearFunction" and _numbers(function.find("coefficients")) == [1.0, 0.0]
            if not plain:
                _wrap(holder, function, factor)


def _wrap(holder: Element, function: Element, factor: float) -> None:
    index = list(holder).index(function)
    holder.remove(function)
    outer = Element("MultiplierFunction", name="function")
    SubElement(outer, "function").append(function)
    SubElement(outer, "scale").text = _text((factor,))
    holder.insert(index, outer)


def _numbers(element: Element | None) -> list[float]:
    return [float(v) for v in (element.text or "").split()] if element is not None else []


def _multiply(element: Element | None, ratio: np.ndarray | float) -> None:
    if _numbers(element):
        element.text = _text(np.array(_numbers(element)) * ratio)


def _text(numbers: object) -> str:
    return " ".join(repr(float(number)) for number in numbers)
