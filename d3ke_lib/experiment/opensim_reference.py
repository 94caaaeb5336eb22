"""OpenSim itself as the measure of our skeleton layer. The only module that imports opensim."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def opensim_markers(
    path: Path, coordinates: tuple[str, ...], values: Float[ndarray, "pose coord"], markers: tuple[str, ...]
) -> Float[ndarray, "pose marker 3"]:
    """Where OpenSim puts the markers, m, in ground, when the coordinates have these values (rad, m).

    Coordinates left out are 0, or follow their enforced coupler by OpenSim's own function. Raises
    `ImportError` where opensim is not installed, and OpenSim's `RuntimeError` for unknown names.
    """
    import opensim

    opensim.Logger.setLevelString("Error")  # the meshes are missing by design
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


def _set(opensim, model, state, values: dict[str, float]) -> None:
    everything = model.getCoordinateSet()
    for i in range(model.getConstraintSet().getSize()):
        coupler = opensim.CoordinateCouplerConstraint.safeDownCast(model.getConstraintSet().get(i))
        follower = coupler.getDependentCoordinateName()
        if coupler.get_isEnforced() and follower not in values:
            driver = coupler.getIndependentCoordinateNames().get(0)
            values[follower] = coupler.getFunction().calcValue(opensim.Vector(1, values.get(driver, 0.0)))
    for i in range(everything.getSize()):
        everything.get(i).setClamped(state, False)
    for name, value in values.items():
        everything.get(name).setValue(state, value, False)
