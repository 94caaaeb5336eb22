"""Write our own body: data/body/d3ke_body.osim (OpenSim 4) and data/body/flesh.json.

    python tools/body/make_body.py [folder]

The numbers and their sources are in body_tables.py and body_shape.py, what follows from them for both sides
in body_sides.py; this file subtracts and writes.  The same tables give the same bytes on every machine:
lengths are rounded to a micrometre.
"""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import body_sides as sides
import body_tables as tables

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "d3ke_lib" / "body" / "d3ke_spec.json"
AXES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


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
    """D3KE's mean scale factors: this body is the mean subject, already scaled."""
    spec = json.loads(SPEC.read_text(encoding="utf-8"))
    means = spec["unique_scale_mean"]
    return {n: [means[i] for i in index] for n, index in zip(spec["bodies"], spec["body_scale_mapping"])}


def write_bodies(model, place: dict) -> None:
    objects, scales = add(add(model, "BodySet", name="bodyset"), "objects"), scale_factors()
    rows = sides.masses()
    for _, _, name, _ in sides.joints():
        mass, center, axis, length, radius = rows[name]
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
        write_coordinates(joint, [name for name, _ in (*turns, *slides)])
    frames, center = add(joint, "frames"), place[tables.CENTER.get(name, child)]
    for body in (parent, child):
        frame = add(frames, "PhysicalOffsetFrame", name=f"{body}_offset")
        add(frame, "socket_parent", "/ground" if body == "ground" else f"/bodyset/{body}")
        add(frame, "translation", minus(center, place[body]))
        add(frame, "orientation", "0 0 0")
    if turns:
        write_axes(add(joint, "SpatialTransform"), turns, slides)


def write_coordinates(joint, names: list) -> None:
    coordinates, limits = add(joint, "coordinates"), sides.ranges()
    for name in names:
        coordinate = add(coordinates, "Coordinate", name=name)
        add(coordinate, "default_value", "0")
        add(coordinate, "range", text(limits[name], 11))
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
    for follower, driver, value, enforced in sides.couplers():
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
    for name, (body, position) in sides.markers().items():
        marker = add(objects, "Marker", name=name)
        add(marker, "socket_parent_frame", f"/bodyset/{body}")
        add(marker, "location", minus(position, place[body]))
        add(marker, "fixed", "true")


def osim() -> str:
    document, place = ET.Element("OpenSimDocument", Version="40000"), sides.origins()
    model = add(document, "Model", name="d3ke_body")
    add(model, "credits", "Written by scripts/make_body.py from published body proportions; MIT licence.")
    add(model, "publications", "Sources are listed in scripts/body_tables.py.")
    add(model, "length_units", "meters")
    add(model, "force_units", "N")
    add(model, "gravity", "0 -9.80665 0")
    write_bodies(model, place)
    objects = add(add(model, "JointSet", name="jointset"), "objects")
    for joint in sides.joints():
        write_joint(objects, place, *joint)
    write_couplers(model)
    write_markers(model, place)
    ET.indent(document, "  ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(document, encoding="unicode") + "\n"


def flesh_json() -> str:
    place, rows = sides.origins(), []
    for body, part, garment, a, ra, b, rb in sides.flesh():
        local = [[round(u - v, 6) + 0.0 for u, v in zip(p, place[body])] for p in (a, b)]
        cone = {"body": body, "part": part, "garment": garment, "a": local[0], "b": local[1]}
        rows.append("    " + json.dumps(cone | {"ra": ra, "rb": rb}))
    return '{\n  "units": "m, body frames",\n  "cones": [\n' + ",\n".join(rows) + "\n  ]\n}\n"


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "d3ke_body.osim").write_text(osim(), encoding="utf-8", newline="\n")
    (folder / "flesh.json").write_text(flesh_json(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "data" / "body")
