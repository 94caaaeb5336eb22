"""Write our own body: data/body/d3ke_body.osim (OpenSim 4) and data/body/flesh.json.

    python scripts/make_body.py [folder]

The numbers and their sources are in body_tables.py and body_shape.py; this file only mirrors, subtracts and writes.
The same tables give the same bytes on every machine: lengths are rounded to a micrometre.
"""

import json
import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import body_shape as shape
import body_tables as tables

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "d3ke_lib" / "body" / "d3ke_spec.json"
AXES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
MIDDLE = {"ground", *(n for _, *pair, _ in (*tables.MIDDLE_JOINTS, tables.RIB_JOINT) for n in pair)}
# A surface marker lies on the flesh of its own region: an arm's marker is not pushed out by the chest beside it.
REGIONS = (
    ("pelvis", "lumbar", "thoracic", "thorax", "clavicle", "scapula", "head_neck"),
    ("skull", "jaw"),
    ("humerus", "ulna", "radius"),
    ("femur", "tibia", "talus", "calcn", "toes"),
)


# --- left and right ---------------------------------------------------------------------------------------------------
def left(name: str) -> str:
    """The left twin of a right body, joint or coordinate: hip_r → hip_l, elbow → elbow_l; the middle stays."""
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
    def twin(joint):
        name, parent, child, turns = joint
        return left(name), left(parent), left(child), tuple((left(c), mirrored_axis(a)) for c, a in turns)

    leg, arm = tables.LEG_JOINTS, tables.ARM_JOINTS
    return [*leg_order(leg, twin), *arm, *map(twin, arm), tables.RIB_JOINT]


def leg_order(leg, twin) -> list:
    """D3KE's order: trunk up to the neck, right leg, left leg, then the neck and the head."""
    cut = next(i for i, joint in enumerate(tables.MIDDLE_JOINTS) if joint[0] == "T1_head_neck") + 1
    return [*tables.MIDDLE_JOINTS[:cut], *leg, *map(twin, leg), *tables.MIDDLE_JOINTS[cut:]]


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


# --- markers ----------------------------------------------------------------------------------------------------------
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
    cones = [c[3:] for c in flesh() if c[0].startswith(region) and (region is REGIONS[0] or not c[0].endswith("_l"))]
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
    return both | {n: (b, mean([both[k][1] for k in of.split()])) for n, (b, of) in shape.MEANS_MIDDLE.items()}


# --- XML --------------------------------------------------------------------------------------------------------------
def text(values, digits: int = 10) -> str:
    return " ".join(f"{v + 0.0:.{digits}g}" for v in values)


def minus(a, b) -> str:
    return text([round(u - v, 6) for u, v in zip(a, b)])


def add(parent, tag: str, content: str | None = None, **attributes):
    element = ET.SubElement(parent, tag, attributes)
    element.text = content
    return element


def cylinder_inertia(mass: float, axis: str, length: float, radius: float) -> list:
    """Of a uniform cylinder about its centre, along the frame's axes, kg m²."""
    around, across = mass * radius**2 / 2, mass * (3 * radius**2 + length**2) / 12
    return [around if name == axis else across for name in "xyz"]


def scale_factors() -> dict:
    """D3KE's mean scale factors: this body is the mean subject, so its geometry is what these factors made."""
    spec = json.loads(SPEC.read_text(encoding="utf-8"))
    means = spec["unique_scale_mean"]
    return {n: [means[i] for i in index] for n, index in zip(spec["bodies"], spec["body_scale_mapping"])}


def write_bodies(model, place: dict) -> None:
    objects, scales = add(add(model, "BodySet", name="bodyset"), "objects"), scale_factors()
    order = [child for _, _, child, _ in joints()]
    weights = masses()
    for name in order:
        mass, center, axis, length, radius = weights[name]
        body = add(objects, "Body", name=name)
        if name in scales:
            mesh = add(add(body, "attached_geometry"), "Mesh", name="mesh")
            add(mesh, "socket_frame", "..")
            add(mesh, "scale_factors", text(scales[name]))
            add(mesh, "mesh_file", f"{name}.obj")
        add(body, "mass", text([mass], 9))
        add(body, "mass_center", minus(center, place[name]))
        add(body, "inertia", text([*cylinder_inertia(mass, axis, length, radius), 0, 0, 0], 9))


def write_joint(objects, place: dict, name: str, parent: str, child: str, turns) -> None:
    joint = add(objects, "CustomJoint" if turns else "WeldJoint", name=name)
    add(joint, "socket_parent_frame", f"{parent}_offset")
    add(joint, "socket_child_frame", f"{child}_offset")
    slides = [(f"pelvis_t{a}", axis) for a, axis in zip("xyz", AXES)] if parent == "ground" else []
    if turns:
        write_coordinates(joint, turns, slides)
    center = place["thoracic1"] if name == "T1_rib" else place[child]
    frames = add(joint, "frames")
    for body in (parent, child):
        frame = add(frames, "PhysicalOffsetFrame", name=f"{body}_offset")
        add(frame, "socket_parent", "/ground" if body == "ground" else f"/bodyset/{body}")
        add(frame, "translation", minus(center, place[body]))
        add(frame, "orientation", "0 0 0")
    if turns:
        write_axes(add(joint, "SpatialTransform"), turns, slides)


def write_coordinates(joint, turns, slides) -> None:
    coordinates = add(joint, "coordinates")
    for name, _ in [*turns, *slides]:
        right = name if name in tables.RANGES else f"{name[:-2]}_r"
        right = right if right in tables.RANGES else name.removesuffix("_l")
        coordinate = add(coordinates, "Coordinate", name=name)
        add(coordinate, "default_value", "0")
        add(coordinate, "range", "-20 20" if (name, right) in [(n, n) for n, _ in slides] else text(tables.RANGES[right], 11))
        add(coordinate, "clamped", "true")
        add(coordinate, "locked", "false")


def write_axes(transform, turns, slides) -> None:
    """Three turns, each about an axis carried along by the turns before it, then three slides."""
    unused = [a for a in AXES if not any(abs(sum(u * v for u, v in zip(a, b))) for _, b in turns)]
    rotations = [*turns, *((None, a) for a in unused)]
    translations = slides or [(None, a) for a in AXES]
    for kind, rows in (("rotation", rotations), ("translation", translations)):
        for i, (coordinate, axis) in enumerate(rows, 1):
            element = add(transform, "TransformAxis", name=f"{kind}{i}")
            add(element, "coordinates", coordinate or "")
            add(element, "axis", text(axis))
            if coordinate:
                add(add(element, "LinearFunction", name="function"), "coefficients", "1 0")
            else:
                add(add(element, "Constant", name="function"), "value", "0")


def write_couplers(model) -> None:
    objects = add(add(model, "ConstraintSet", name="constraintset"), "objects")
    for follower, driver, value, enforced in couplers():
        stem, side = (follower[:-2], "_l") if follower.endswith("_l") else (follower, "")
        coupler = add(objects, "CoordinateCouplerConstraint", name=f"{stem}_con{side}")
        add(coupler, "isEnforced", "true" if enforced else "false")
        spline = add(add(coupler, "coupled_coordinates_function"), "SimmSpline", name="line")
        add(spline, "x", text([0, tables.END]))
        add(spline, "y", text([0, value]))
        add(coupler, "independent_coordinate_names", driver)
        add(coupler, "dependent_coordinate_name", follower)


def write_markers(model, place: dict) -> None:
    objects = add(add(model, "MarkerSet", name="markerset"), "objects")
    for name, (body, position) in markers().items():
        marker = add(objects, "Marker", name=name)
        add(marker, "socket_parent_frame", f"/bodyset/{body}")
        add(marker, "location", minus(position, place[body]))
        add(marker, "fixed", "true")


def osim() -> str:
    document, place = ET.Element("OpenSimDocument", Version="40000"), origins()
    model = add(document, "Model", name="d3ke_body")
    add(model, "credits", "Written by scripts/make_body.py from published body proportions; MIT licence.")
    add(model, "publications", "Sources are listed in scripts/body_tables.py.")
    add(model, "length_units", "meters")
    add(model, "force_units", "N")
    add(model, "gravity", "0 -9.80665 0")
    write_bodies(model, place)
    objects = add(add(model, "JointSet", name="jointset"), "objects")
    for joint in joints():
        write_joint(objects, place, *joint)
    write_couplers(model)
    write_markers(model, place)
    ET.indent(document, "  ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(document, encoding="unicode") + "\n"


def flesh_json() -> str:
    place, rows = origins(), []
    for body, part, garment, a, ra, b, rb in flesh():
        local = [[round(u - v, 6) + 0.0 for u, v in zip(p, place[body])] for p in (a, b)]
        cone = {"body": body, "part": part, "garment": garment, "a": local[0], "b": local[1], "ra": ra, "rb": rb}
        rows.append("    " + json.dumps(cone))
    return '{\n  "units": "m, body frames",\n  "cones": [\n' + ",\n".join(rows) + "\n  ]\n}\n"


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "d3ke_body.osim").write_text(osim(), encoding="utf-8", newline="\n")
    (folder / "flesh.json").write_text(flesh_json(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "data" / "body")
