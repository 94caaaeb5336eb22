"""OpenSim's ScaleTool setup files: measurements, manual scale factors, mass and time range."""

from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.opensim.model import OsimError
from d3ke_lib.body.opensim.xml import flag, floats, objects, parse, text
from d3ke_lib.body.scaling.factors import Measurement

_ORDERS = ([], ["measurements"], ["manualscale"], ["measurements", "manualscale"])


class ScaleSetup(NamedTuple):
    """What a ScaleTool's ModelScaler says; files that it names are not opened."""

    measurements: tuple[Measurement, ...]
    manual: dict[str, Float[np.ndarray, " 3"]]  # by body, relative to the model
    seconds: tuple[float, float] | None  # the part of the trial to average; None: all of it
    mass: float | None  # kg, of the whole body
    keep_masses: bool  # bodies keep their shares of the mass


def read_scale_setup(path: str | Path) -> ScaleSetup:
    """Read a ScaleTool setup file.

    Raises OsimError for a file without a ModelScaler, for a manual scale before the measurements, and for
    measurements without two markers per pair or with axes other than X, Y and Z.
    """
    path = Path(path)
    root = parse(path)
    tool = root if root.tag == "ScaleTool" else root.find("ScaleTool")
    scaler = None if tool is None else tool.find("ModelScaler")
    if tool is None or scaler is None:
        raise OsimError(f"{path}: expected <ScaleTool> with <ModelScaler>, found <{root.tag}>")
    order = (scaler.findtext("scaling_order") or "").lower().split()
    if order not in _ORDERS:
        raise OsimError(
            f"{path}: scaling_order: expected measurements before manualScale, found {' '.join(order)}"
        )
    wanted = [m for m in objects(scaler, "MeasurementSet") if _applies(m, path)]
    scales = [s for s in objects(scaler, "ScaleSet") if _applies(s, path)]
    mass = floats(tool, "mass", path, 1, "-1")[0]
    times = (scaler.findtext("time_range") or "").split()
    seconds = floats(scaler, "time_range", path, 2) if times and times != ["-1", "-1"] else None
    return ScaleSetup(
        tuple(_measurement(m, path) for m in wanted) if "measurements" in order else (),
        dict(_manual(s, path) for s in scales) if "manualscale" in order else {},
        (seconds[0], seconds[1]) if seconds else None,
        mass if mass > 0 else None,
        flag(scaler, "preserve_mass_distribution", path, "false"),
    )


def _applies(element: Element, path: Path) -> bool:
    return flag(element, "apply", path, "true")


def _manual(scale: Element, path: Path) -> tuple[str, Float[np.ndarray, " 3"]]:
    return text(scale, "segment", path), np.array(floats(scale, "scales", path, 3))


def _measurement(element: Element, path: Path) -> Measurement:
    name = element.get("name", "")
    pairs = [text(pair, "markers", path).split() for pair in objects(element, "MarkerPairSet")]
    scales = objects(element, "BodyScaleSet")
    axes = [text(scale, "axes", path).upper().split() for scale in scales]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise OsimError(f"{path}: measurement {name!r}: expected pairs of two markers, found {pairs}")
    if wrong := [axis for every in axes for axis in every if axis not in ("X", "Y", "Z")]:
        raise OsimError(f"{path}: measurement {name!r}: expected axes of X, Y and Z, found {wrong}")
    numbers = tuple(tuple("XYZ".index(axis) for axis in every) for every in axes)
    return Measurement(
        name, tuple((a, b) for a, b in pairs), tuple(s.get("name", "") for s in scales), numbers
    )
