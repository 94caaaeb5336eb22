"""OpenSim itself as the measure of our skeleton layer. The only module that imports opensim."""

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from d3ke_lib.body.opensim.model import Body
from d3ke_lib.body.opensim.motion_files import Trajectories, read_mot, write_trc
from d3ke_lib.body.opensim.read import load_osim


def opensim_markers(
    path: Path, coordinates: tuple[str, ...], values: Float[ndarray, "pose coord"], markers: tuple[str, ...]
) -> Float[ndarray, "pose marker 3"]:
    """Where OpenSim puts the markers, m, in ground, when the coordinates have these values (rad, m).

    Coordinates left out are 0, or follow their enforced coupler by OpenSim's own function. Raises
    `ImportError` where opensim is not installed, `KeyError` for unknown coordinates, and
    OpenSim's `RuntimeError` for what it cannot read.
    """
    opensim = _import_opensim("Error")  # the meshes are missing by design
    model = opensim.Model(str(path))
    state = model.initSystem()
    points = np.empty((len(values), len(markers), 3))
    for found, pose in zip(points, values, strict=True):
        _set(opensim, model, state, dict(zip(coordinates, pose.tolist(), strict=True)))
        model.realizePosition(state)
        for place, name in zip(found, markers, strict=True):
            at = model.getMarkerSet().get(name).getLocationInGround(state)
            place[:] = at.get(0), at.get(1), at.get(2)
    return points


class Places(NamedTuple):
    """Where OpenSim has a model's parts in ground, m; joints are their child frames."""

    joints: Float[ndarray, "pose joint 3"]
    bodies: Float[ndarray, "pose body 3"]
    markers: Float[ndarray, "pose marker 3"]
    R: Float[ndarray, "pose body 3 3"]


def opensim_places(
    path: Path,
    body: Body,
    coordinates: tuple[str, ...],
    values: Float[ndarray, "pose coord"],
    factors: dict[str, Float[ndarray, " 3"]] | None = None,
) -> Places:
    """Everything of `body` (read from `path`) when the coordinates have these values, as `opensim_markers`.

    `factors`, relative to the file, scale the model by OpenSim's own Model.scale first.
    """
    opensim = _import_opensim("Off")
    model = opensim.Model(str(path))
    if factors:
        _scale(opensim, model, factors)
    state = model.initSystem()
    joints = [model.getJointSet().get(j.name).getChildFrame() for j in body.joints]
    bodies = [model.getBodySet().get(s.name) for s in body.segments]
    markers = [model.getMarkerSet().get(m.name) for m in body.markers]
    found = []
    for pose in values.tolist():
        _set(opensim, model, state, dict(zip(coordinates, pose, strict=True)))
        model.realizePosition(state)
        origins = [[f.getPositionInGround(state) for f in group] for group in (joints, bodies)]
        origins.append([m.getLocationInGround(state) for m in markers])
        turned = [b.getTransformInGround(state).R() for b in bodies]
        found.append((*map(_array, origins), _matrices(turned)))
    return Places(*map(np.stack, zip(*found, strict=True)))


def _array(vectors: list) -> Float[ndarray, "point 3"]:
    return np.reshape([[v.get(i) for i in range(3)] for v in vectors], (-1, 3))


def _matrices(rotations: list) -> Float[ndarray, "body 3 3"]:
    return np.array([[[R.get(i, j) for j in range(3)] for i in range(3)] for R in rotations])


def _scale(opensim, model, factors: dict[str, Float[ndarray, " 3"]]) -> None:
    scales = opensim.ScaleSet()
    for name, factor in factors.items():
        scale = opensim.Scale()
        scale.setSegmentName(name)
        scale.setScaleFactors(opensim.Vec3(*factor))
        scale.setApply(True)
        scales.cloneAndAppend(scale)
    model.scale(model.initSystem(), scales, False, -1.0)


def _set(opensim, model, state, values: dict[str, float]) -> None:
    everything = _coordinates(model)
    for i in range(model.getConstraintSet().getSize()):
        coupler = opensim.CoordinateCouplerConstraint.safeDownCast(model.getConstraintSet().get(i))
        if coupler is None:  # values are set as they are: other constraints move nothing
            continue
        follower = coupler.getDependentCoordinateName()
        if coupler.get_isEnforced() and follower not in values:
            driver = coupler.getIndependentCoordinateNames().get(0)
            values[follower] = coupler.getFunction().calcValue(opensim.Vector(1, values.get(driver, 0.0)))
    for coordinate in everything.values():
        coordinate.setClamped(state, False)
        coordinate.setLocked(state, False)  # a locked one ignores setValue without a word
    for name, value in values.items():
        everything[name].setValue(state, value, False)


def _coordinates(model) -> dict:
    """Coordinates by name; of one name the first, others as `joint/name`, as load_osim has them."""
    found: dict = {}
    for joint in (model.getJointSet().get(i) for i in range(model.getJointSet().getSize())):
        for coordinate in (joint.get_coordinates(i) for i in range(joint.numCoordinates())):
            name = coordinate.getName()
            found[f"{joint.getName()}/{name}" if name in found else name] = coordinate
    return found


def opensim_inverse(
    path: Path,
    names: tuple[str, ...],
    markers: Float[ndarray, "frame marker 3"],
    rate: float,
    weights: Float[ndarray, " marker"] | None = None,
) -> tuple[tuple[str, ...], Float[ndarray, "frame coord"], float]:
    """OpenSim's InverseKinematicsTool on markers (m, NaN = missing), weights 1 by default, accuracy 1e-5.

    Names and values (rad, m) of all coordinates, and the seconds the tool took. Raises as `opensim_markers`.
    """
    opensim = _import_opensim("Off")
    model, tool = opensim.Model(str(path)), opensim.InverseKinematicsTool()
    model.initSystem()
    tool.setModel(model)
    with tempfile.TemporaryDirectory() as folder:
        times = np.arange(len(markers)) / rate
        write_trc(Path(folder) / "m.trc", Trajectories(times, names, markers), rate)
        each = np.ones(len(names)) if weights is None else weights
        _tell(opensim, tool, Path(folder), dict(zip(names, each.tolist(), strict=True)), float(times[-1]))
        begin = time.perf_counter()
        with _quiet():
            tool.run()
        seconds = time.perf_counter() - begin
        found = read_mot(Path(folder) / "ik.mot", load_osim(path))
    return found.labels, found.values, seconds


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on standard output: the tool describes the model there, whatever the log level."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # C++ still holds what it has not written
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _tell(opensim, tool, folder: Path, weights: dict[str, float], end: float) -> None:
    tool.setMarkerDataFileName(str(folder / "m.trc"))
    tool.setOutputMotionFileName(str(folder / "ik.mot"))
    tool.setResultsDir(str(folder))
    tool.setEndTime(end + 1e-6)
    tool.set_report_errors(False)
    tool.set_accuracy(1e-5)
    for name, weight in weights.items():
        task = opensim.IKMarkerTask()
        task.setName(name)
        task.setApply(weight > 0)
        task.setWeight(weight)
        tool.getIKTaskSet().cloneAndAppend(task)


def opensim_scaled_markers(
    path: Path, factors: dict[str, Float[ndarray, " 3"]], names: tuple[str, ...]
) -> tuple[Float[ndarray, "marker 3"], dict[str, float]]:
    """OpenSim's own scaling by relative factors: markers (m) in the default pose, bodies' masses (kg)."""
    opensim = _import_opensim("Off")
    model = opensim.Model(str(path))
    _scale(opensim, model, factors)
    state = model.initSystem()
    model.realizePosition(state)
    points = _array([model.getMarkerSet().get(name).getLocationInGround(state) for name in names])
    bodies = [model.getBodySet().get(i) for i in range(model.getBodySet().getSize())]
    return points, {b.getName(): b.getMass() for b in bodies}


def _import_opensim(level: str) -> Any:
    """The module, which writes no opensim.log into the working directory and logs from `level` on."""
    import opensim

    opensim.Logger.removeFileSink()
    opensim.Logger.setLevelString(level)
    return opensim
