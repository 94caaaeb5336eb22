"""Documents of OpenSim 1.9 to 3 (versions 10901 to 30517), rewritten in place as version 4 has them.

Up to version 3 a joint is inside its child body, its frames are four vectors and an inertia is six elements.
Versions between (305xx) already have a JointSet, but name their sockets <connectors> or <…_connectee_name>.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from d3ke_lib.body.opensim.xml import flag, objects, text

_INERTIA = {"inertia_xx": "1", "inertia_yy": "1", "inertia_zz": "1"}
_INERTIA |= dict.fromkeys(("inertia_xy", "inertia_xz", "inertia_yz"), "0")
_JOINT_FRAMES = {
    "parent": (("location_in_parent",), ("orientation_in_parent",)),
    "child": (("location", "location_in_child"), ("orientation", "orientation_in_child")),
}
_CONSTRAINED = {  # by constraint: what its sockets were called, what they are called now
    "PointConstraint": {"body_1": "body_1", "body_2": "body_2"},
    "ConstantDistanceConstraint": {"body_1": "body_1", "body_2": "body_2"},
    "PointOnLineConstraint": {"line_body": "line_body", "follower_body": "follower_body"},
    "WeldConstraint": {"body_1": "frame1", "body_2": "frame2"},
}


def upgrade(model: Element, path: Path) -> Element:
    """The same <Model>, its bodies, joints, markers and constraints as version 4 writes them.

    Raises OsimError for a joint or marker that names no body.
    """
    _rename_sockets(model)
    joints = model.find("JointSet/objects")
    if joints is None:
        joints = SubElement(SubElement(model, "JointSet"), "objects")
    bodies = model.find("BodySet/objects")
    for body in list(bodies) if bodies is not None else []:
        _upgrade_body(body)
        joints.extend([_take_out_joint(j, body, path) for j in body.findall("Joint/*")])
        if body.get("name") == "ground":
            bodies.remove(body)
    for joint in joints:
        _upgrade_joint(joint, path)
    for marker in objects(model, "MarkerSet"):
        upgrade_marker(marker, path)
    for constraint in objects(model, "ConstraintSet"):
        _upgrade_constraint(constraint, path)
    return model


def upgrade_marker(marker: Element, path: Path) -> None:
    """<body> of OpenSim 3 as <socket_parent_frame>."""
    if marker.find("socket_parent_frame") is None:
        _add(marker, "socket_parent_frame", _first(marker, "body", path))


def _add(parent: Element, tag: str, value: str) -> None:
    SubElement(parent, tag).text = value


def _first(element: Element, tag: str, path: Path) -> str:
    """As `text`, but of the first where there are several: OpenSim upgrades that one."""
    found = element.findtext(tag)
    return found.strip() if found and found.strip() else text(element, tag, path)


def _round_to_six_digits(numbers: str) -> str:
    """OpenSim keeps six digits of a joint's frames when it upgrades a file, and so do we."""
    try:
        return " ".join(format(float(n), ".6g") for n in numbers.split())
    except ValueError:
        return numbers  # refused, by name, when it is read


def _rename_sockets(model: Element) -> None:
    """<connectors><Connector name="x"><connectee_name> and <socket_x_connectee_name> as <socket_x>."""
    for owner in model.iter():
        for connector in owner.findall("connectors/*"):
            if owner.find(f"socket_{connector.get('name')}") is None:
                _add(owner, f"socket_{connector.get('name')}", connector.findtext("connectee_name") or "")
        for child in owner:
            if child.tag.startswith(("socket_", "connector_")) and child.tag.endswith("_connectee_name"):
                name = child.tag.removesuffix("_connectee_name").split("_", 1)[1]
                child.tag = f"socket_{name}"


def _upgrade_body(body: Element) -> None:
    if body.find("inertia") is None:
        elements = [body.findtext(tag) or default for tag, default in _INERTIA.items()]
        _add(body, "inertia", _round_to_six_digits(" ".join(elements)))
    factors = body.findtext("VisibleObject/scale_factors")
    if factors and body.find("attached_geometry") is None:
        _add(SubElement(SubElement(body, "attached_geometry"), "Mesh"), "scale_factors", factors)


def _take_out_joint(joint: Element, body: Element, path: Path) -> Element:
    """The joint inside a body of OpenSim 3 with its two sockets written out."""
    _add(joint, "socket_parent_body", text(joint, "parent_body", path))
    _add(joint, "socket_child_body", body.get("name", ""))
    return joint


def _upgrade_joint(joint: Element, path: Path) -> None:
    _write_offset_frames(joint)
    if flag(joint, "reverse", path, "false"):
        parent, child = (joint.find(f"socket_{side}_frame") for side in _JOINT_FRAMES)
        parent.text, child.text = child.text, parent.text
    if joint.find("coordinates") is None and joint.find("CoordinateSet/objects/Coordinate") is not None:
        SubElement(joint, "coordinates").extend(joint.findall("CoordinateSet/objects/Coordinate"))


def _write_offset_frames(joint: Element) -> None:
    """Locations and orientations in parent and child as frames that the joint owns."""
    frames = joint.find("frames")
    frames = SubElement(joint, "frames") if frames is None else frames
    for side, (locations, orientations) in _JOINT_FRAMES.items():
        base = joint.findtext(f"socket_{side}_body") or ""
        if not base or joint.find(f"socket_{side}_frame") is not None:
            continue
        frame = SubElement(frames, "PhysicalOffsetFrame", name=f"{side}_offset")
        _add(frame, "socket_parent", base.strip().split("/")[-1])
        for tag, sources in (("translation", locations), ("orientation", orientations)):
            written = next((found for s in sources if (found := joint.findtext(s))), "0 0 0")
            _add(frame, tag, _round_to_six_digits(written))
        _add(joint, f"socket_{side}_frame", f"{side}_offset")


def _upgrade_constraint(constraint: Element, path: Path) -> None:
    if constraint.find("isEnforced") is None:
        _add(constraint, "isEnforced", str(not flag(constraint, "isDisabled", path, "false")).lower())
    for old, socket in _CONSTRAINED.get(constraint.tag, {}).items():
        if constraint.find(f"socket_{socket}") is None and constraint.findtext(old):
            _add(constraint, f"socket_{socket}", constraint.findtext(old).strip())
