"""Mass, mass centre and inertia of bodies at another size, as OpenSim gives them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.opensim.model import Body, Segment


def scaled_segments(
    body: Body, factors: Mapping[str, Float[np.ndarray, " 3"]], mass: float | None, keep_masses: bool
) -> tuple[Segment, ...]:
    """Bodies with mass, mass centre and inertia as OpenSim scales them; `mass`: the whole body's, kg."""
    segments = [_scaled(s, np.asarray(factors.get(s.name, np.ones(3))), keep_masses) for s in body.segments]
    total = sum(s.mass for s in segments)
    share = mass / total if mass and total > 0 else 1.0
    return tuple(
        replace(s, mass=s.mass * share, inertia=tuple(share * i for i in s.inertia)) for s in segments
    )


def _scaled(segment: Segment, factor: np.ndarray, keep_mass: bool) -> Segment:
    heavier = 1.0 if keep_mass else float(abs(np.prod(factor)))
    mass = segment.mass * heavier
    return replace(
        segment,
        mass=mass,
        mass_center=tuple((np.array(segment.mass_center) * factor).tolist()),
        inertia=_inertia(segment, factor, heavier) if mass > np.finfo(float).eps else (0.0,) * 6,
        scale_factors=tuple((np.array(segment.scale_factors) * factor).tolist()),
    )


def _inertia(segment: Segment, factor: np.ndarray, heavier: float) -> tuple[float, ...]:
    """Exact where all axes scale alike; else, as in OpenSim, that of a cylinder along the lightest axis."""
    inertia = np.array(segment.inertia)
    if np.allclose(factor, factor[0], rtol=1e-14, atol=0):
        return tuple((inertia * heavier * factor[0] ** 2).tolist())
    moments, mass = inertia[:3], segment.mass
    axis = int(np.argmin(moments))
    axis = 2 if moments[2] < moments[axis] or (axis == 1 and moments[2] < moments[1]) else axis
    across = [i for i in range(3) if i != axis]
    square = max(2 * moments[axis] / mass, 0.0)  # radius²
    length = max(12 * (moments[across[0]] - mass * square / 4) / mass, 0.0) * factor[axis] ** 2  # length²
    square *= np.prod(factor[across])
    scaled = np.empty(6)
    scaled[:3] = mass * heavier * (length / 12 + square / 4)
    scaled[axis] = mass * heavier * square / 2
    scaled[3:] = inertia[3:] * heavier * factor[[0, 0, 1]] * factor[[1, 2, 2]]
    return tuple(scaled.tolist())
