"""Documents of OpenSim 3 (version 30000 and about), rewritten in place as version 4 has them.

Version 3 keeps a joint inside its child body, frames as four vectors of the joint, inertia as six elements.
Versions between (305xx) already have a JointSet and name their sockets <connectors>.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from d3ke_lib.body.opensim.model import OsimError
from d3ke_lib.body.opensim.xml import flag, objects, text

INERTIA = ("inertia_xx", "inertia_yy", "inertia_zz", "inertia_xy", "inertia_xz", "inertia_yz")
OFFSETS = {"parent": "location_in_parent orientation_in_parent", "child": "location orientation"}


def upgraded(model: Element, path: Path) -> Element:
    """The same <Model>, its bodies, joints, markers and constraints as version 4 writes them."""
    _connectors(model)
    joints = model.find("JointSet/objects")
    if joints is None:
        joints = SubElement(SubElement(model, "JointSet"), "objects")
    bodies = model.find("BodySet/objects")
    for body in list(bodies) if bodies is not None else []:
        _body(body)
        joints.extend([_joint(j, body, path) for j in body.findall("Joint/*")])
        if body.get("name") == "ground":
            bodies.remove(body)
    for marker in objects(model, "MarkerSet"):
        if marker.find("socket_parent_frame") is None:
            _add(marker, "socket_parent_frame", text(marker, "body", path))
    for constraint in objects(model, "ConstraintSet"):
        if constraint.find("isEnforced") is None:
            _add(constraint, "isEnforced", str(not flag(constraint, "isDisabled", path, "false")).lower())
    return model


def _add(parent: Element, tag: str, value: str) -> None:
    SubElement(parent, tag).text = value


def _six_digits(numbers: str) -> str:
    """OpenSim keeps six digits of a joint's frames when it upgrades a file, and so do we."""
    try:
        return " ".join(format(float(n), ".6g") for n in numbers.split())
    except ValueError:
        return numbers  # refused, by name, when it is read


def _connectors(model: Element) -> None:
    """<connectors><Connector name="parent_frame"><connectee_name> as <socket_parent_frame>."""
    for owner in model.iter():
        for connector in owner.findall("connectors/*"):
            if owner.find(f"socket_{connector.get('name')}") is None:
                _add(owner, f"socket_{connector.get('name')}", connector.findtext("connectee_name") or "")


def _body(body: Element) -> None:
    if body.find("inertia") is None:
        _add(body, "inertia", _six_digits(" ".join(body.findtext(tag) or "0" for tag in INERTIA)))
    factors = body.findtext("VisibleObject/scale_factors")
    if factors and body.find("attached_geometry") is None:
        _add(SubElement(SubElement(body, "attached_geometry"), "Mesh"), "scale_factors", factors)


def _joint(joint: Element, body: Element, path: Path) -> Element:
    name, child = joint.get("name", ""), body.get("name", "")
    if flag(joint, "reverse", path, "false"):
        raise OsimError(f"{path}: joint {name!r} is reversed, which is not modelled")
    frames = SubElement(joint, "frames")
    for side, of in (("parent", text(joint, "parent_body", path)), ("child", child)):
        frame = SubElement(frames, "PhysicalOffsetFrame", name=f"{side}_offset")
        _add(frame, "socket_parent", of)
        for tag, source in zip(("translation", "orientation"), OFFSETS[side].split(), strict=True):
            _add(frame, tag, _six_digits(joint.findtext(source) or "0 0 0"))
        _add(joint, f"socket_{side}_frame", f"{side}_offset")
    coordinates = SubElement(joint, "coordinates")
    coordinates.extend(joint.findall("CoordinateSet/objects/Coordinate"))
    return joint
