"""Both sides of the body from the tables of its right side; surface markers put onto the flesh."""

import math

import body_shape as shape
import body_tables as tables

MIDDLE = {n for _, *pair, _ in (*tables.TRUNK_JOINTS, *tables.HEAD_JOINTS, *tables.RIB_JOINTS) for n in pair}
# A surface marker lies on the flesh of its own region: the chest does not push out an arm's marker.
REGIONS = (
    ("pelvis", "lumbar", "thoracic", "thorax", "clavicle", "scapula", "head_neck"),
    ("skull", "jaw"),
    ("humerus", "ulna", "radius"),
    ("femur", "tibia", "talus", "calcn", "toes"),
)


def left(name: str) -> str:
    """The left twin of a body, joint or coordinate: hip_r → hip_l, elbow → elbow_l; the middle stays."""
    if name in MIDDLE:
        return name
    return f"{name[:-2]}_l" if name.endswith("_r") else f"{name}_l"


def left_marker(name: str) -> str:
    stem = name.rfind("_") + 1
    return f"{name[:stem]}{name[stem:].replace('R', 'L', 1)}"


def mirrored(point):
    return (point[0], point[1], -point[2])


def mirrored_axis(axis):
    """A turn by +θ about the mirrored axis is the mirror image of a turn by +θ about the axis."""
    return (-axis[0], -axis[1], axis[2])


def origins() -> dict:
    """Where every body's frame stands, both sides, m."""
    right = {n: tuple(round(v, 6) for v in p) for n, p in tables.ORIGIN.items()}
    return right | {left(n): mirrored(p) for n, p in right.items() if n not in MIDDLE}


def joints() -> list:
    """Both sides, in D3KE's order: trunk, legs, head, arms, ribs."""

    def twins(rows):
        for name, parent, child, turns in rows:
            yield left(name), left(parent), left(child), tuple((left(c), mirrored_axis(a)) for c, a in turns)

    legs = [*tables.LEG_JOINTS, *twins(tables.LEG_JOINTS)]
    arms = [*tables.ARM_JOINTS, *twins(tables.ARM_JOINTS)]
    return [*tables.TRUNK_JOINTS, *legs, *tables.HEAD_JOINTS, *arms, *tables.RIB_JOINTS]


def ranges() -> dict:
    # D3KE: two ranges differ between the sides; the left one is then written out.
    twins = {left(n): limits for n, limits in tables.RANGES.items()}
    return twins | tables.RANGES | dict.fromkeys(("pelvis_tx", "pelvis_ty", "pelvis_tz"), (-20.0, 20.0))


def couplers() -> list:
    rows = tables.COUPLERS
    return [*rows, *((left(f), left(d), value, enforced) for f, d, value, enforced in rows)]


def flesh() -> list:
    """All cones, both sides, standing: (body, part, garment, a, ra, b, rb)."""
    right = shape.RIGHT_FLESH
    twins = [(left(n), *how, mirrored(a), ra, mirrored(b), rb) for n, *how, a, ra, b, rb in right]
    return [*shape.MIDDLE_FLESH, *right, *twins]


def masses() -> dict:
    right = shape.MASSES
    rows = right | {left(n): (p, mirrored(c), *size) for n, (p, c, *size) in right.items() if n not in MIDDLE}
    factor = tables.MASS / sum(row[0] for row in rows.values())
    return {n: (p * factor, *rest) for n, (p, *rest) in rows.items()}


def outside(point, a, ra, b, rb) -> float:
    """Distance of a point to the hull of two spheres, m; negative inside."""
    axis = [q - p for p, q in zip(a, b)]
    length = math.hypot(*axis)
    relative = [v - p for p, v in zip(a, point)]
    if length <= abs(ra - rb):
        return min(math.dist(point, a) - ra, math.dist(point, b) - rb)
    along = sum(u * v for u, v in zip(axis, relative)) / length
    across = math.sqrt(max(sum(v * v for v in relative) - along**2, 0.0))
    sine = (ra - rb) / length
    cosine = math.sqrt(1 - sine**2)
    foot = along * cosine - across * sine  # the surface's straight part runs from foot 0 to length·cosine
    if foot <= 0:
        return math.hypot(along, across) - ra
    if foot >= length * cosine:
        return math.hypot(along - length, across) - rb
    return across * cosine + along * sine - ra


def skin(body: str, point, direction) -> tuple:
    """Where the ray from a point inside leaves the flesh of the body's region."""
    region = next(r for r in REGIONS if body.startswith(r))
    cones = [c[3:] for c in (*shape.MIDDLE_FLESH, *shape.RIGHT_FLESH) if c[0].startswith(region)]
    for _ in range(2000):
        distance = min(outside(point, *cone) for cone in cones)
        if distance > -1e-9:
            return point
        point = tuple(p - distance * d for p, d in zip(point, direction))
    raise RuntimeError(f"{body}: the ray from {point} along {direction} never leaves the flesh")


def mean(points) -> tuple:
    return tuple(sum(v) / len(points) for v in zip(*points))


def markers() -> dict:
    """Name → (body, position standing)."""
    middle = dict(shape.INSIDE_MIDDLE)
    middle |= {n: (b, skin(b, p, d)) for n, (b, p, d) in shape.SURFACE_MIDDLE.items()}
    right = {n: (b, skin(b, p, d)) for n, (b, p, d) in shape.SURFACE_RIGHT.items()} | shape.INSIDE_RIGHT
    right |= {n: (b, mean([right[k][1] for k in of.split()])) for n, (b, of) in shape.MEANS_RIGHT.items()}
    for name, (body, above) in shape.FLOOR_RIGHT.items():
        right[name] = body, (right[above][1][0], 0.0, right[above][1][2])
    rounded = {n: (b, tuple(round(v, 6) for v in p)) for n, (b, p) in (middle | right).items()}
    both = rounded | {left_marker(n): (left(b), mirrored(p)) for n, (b, p) in rounded.items() if n in right}
    means = {n: (b, mean([both[k][1] for k in of.split()])) for n, (b, of) in shape.MEANS_MIDDLE.items()}
    return both | means
