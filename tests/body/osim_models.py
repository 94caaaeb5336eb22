# ruff: noqa: E501 (XML as it stands in a file)
"""Small models written out: one of every joint and function, as versions 4 and 3 of OpenSim write them."""

AXES = [f"{kind}{i}" for kind in ("rotation", "translation") for i in (1, 2, 3)]
UNIT = ["1 0 0", "0 1 0", "0 0 1"] * 2
FUNCTIONS = {
    "rotation1": "<SimmSpline><x>-2 -1 0 1 2</x><y>-1.5 -1.2 0 0.8 1.9</y></SimmSpline>",
    "rotation2": "<PiecewiseLinearFunction><x>-1 0 2</x><y>0.2 0 1</y></PiecewiseLinearFunction>",
    "rotation3": "<PolynomialFunction><coefficients>0.1 -0.4 0.5 0.02</coefficients></PolynomialFunction>",
    "translation1": "<MultiplierFunction><function><SimmSpline><x>-2 0 1 2</x><y>0.1 0 0.05 0.2</y></SimmSpline>"
    "</function><scale>1.5</scale></MultiplierFunction>",
    "translation2": "<LinearFunction><coefficients>0.2 0.01</coefficients></LinearFunction>",
    "translation3": "<Constant><value>0.07</value></Constant>",
}
KINDS = {
    "PinJoint": 1,
    "SliderJoint": 1,
    "UniversalJoint": 2,
    "GimbalJoint": 3,
    "BallJoint": 3,
    "PlanarJoint": 3,
}
KINDS |= {"FreeJoint": 6, "WeldJoint": 0}


def coordinate(name: str, value: float = 0.1) -> str:
    return (
        f'<Coordinate name="{name}"><default_value>{value}</default_value><range>-1.5 1.5</range>'
        "<clamped>false</clamped><locked>false</locked></Coordinate>"
    )


def body(name: str) -> str:
    return (
        f'<Body name="{name}"><mass>2</mass><mass_center>0.01 0.1 0</mass_center>'
        "<inertia>0.01 0.02 0.015 0 0 0</inertia></Body>"
    )


def frame(name: str, of: str, at: str, turned: str) -> str:
    return (
        f'<PhysicalOffsetFrame name="{name}"><socket_parent>{of}</socket_parent><translation>{at}</translation>'
        f"<orientation>{turned}</orientation></PhysicalOffsetFrame>"
    )


def joint(kind: str, name: str, parent: str, child: str, inside: str) -> str:
    return (
        f'<{kind} name="{name}"><socket_parent_frame>{parent}_offset</socket_parent_frame>'
        f"<socket_child_frame>{child}_offset</socket_child_frame>{inside}<frames>"
        f"{frame(parent + '_offset', parent_path(parent), '0.1 0.2 -0.1', '0.3 -0.2 0.5')}"
        f"{frame(child + '_offset', parent_path(child), '0.02 -0.1 0.03', '-0.1 0.4 0.2')}</frames></{kind}>"
    )


def parent_path(name: str) -> str:
    return "/ground" if name == "ground" else f"/bodyset/{name}"


def custom(coordinates: str, of: str) -> str:
    axes = "".join(
        f'<TransformAxis name="{name}"><coordinates>{"" if "Constant" in FUNCTIONS[name] else of}</coordinates>'
        f"<axis>{unit}</axis>{FUNCTIONS[name]}</TransformAxis>"
        for name, unit in zip(AXES, UNIT, strict=True)
    )
    return f"<coordinates>{coordinates}</coordinates><SpatialTransform>{axes}</SpatialTransform>"


def every_kind() -> str:
    """A chain with one joint of every kind, a marker at each body, a spline coupler that drives another."""
    names = ["ground", *(f"b{i}" for i in range(len(KINDS))), "last"]
    joints, bodies = [], [body(n) for n in names[1:]]
    for (kind, count), parent, child in zip(KINDS.items(), names[:-2], names[1:-1], strict=True):
        coordinates = "".join(coordinate(f"{kind}_{i}") for i in range(count))
        joints.append(joint(kind, f"j_{kind}", parent, child, f"<coordinates>{coordinates}</coordinates>"))
    inside = custom(coordinate("bend"), "bend")
    joints.append(joint("CustomJoint", "j_custom", names[-2], "last", inside))
    markers = "".join(
        f'<Marker name="m_{n}"><socket_parent_frame>/bodyset/{n}</socket_parent_frame>'
        "<location>0.1 0.05 -0.02</location></Marker>"
        for n in names[1:]
    )
    couplers = coupler("c1", "PinJoint_0", "bend") + coupler("c2", "bend", "BallJoint_1")
    return document("".join(bodies), "".join(joints), markers, couplers)


def coupler(name: str, independent: str, dependent: str) -> str:
    return (
        f'<CoordinateCouplerConstraint name="{name}"><isEnforced>true</isEnforced><coupled_coordinates_function>'
        "<SimmSpline><x>-2 -1 0 1 2</x><y>-0.9 -0.5 0 0.3 0.8</y></SimmSpline></coupled_coordinates_function>"
        f"<independent_coordinate_names>{independent}</independent_coordinate_names>"
        f"<dependent_coordinate_name>{dependent}</dependent_coordinate_name>"
        "<scale_factor>1</scale_factor></CoordinateCouplerConstraint>"
    )


def document(bodies: str, joints: str, markers: str = "", constraints: str = "") -> str:
    sets = {"BodySet": bodies, "JointSet": joints, "MarkerSet": markers, "ConstraintSet": constraints}
    inside = "".join(f'<{k} name="{k.lower()}"><objects>{v}</objects></{k}>' for k, v in sets.items())
    return f'<OpenSimDocument Version="40000"><Model name="m">{inside}</Model></OpenSimDocument>'


OLD_JOINT = (
    "<Joint><{kind} name='{name}'><parent_body>{parent}</parent_body>"
    "<location_in_parent>0.1 0.2345678901 0</location_in_parent>"
    "<orientation_in_parent>0.3 0 0.123456789</orientation_in_parent>"
    "<location>0 0.01 0</location><orientation>0 0.2 0</orientation>"
    "<CoordinateSet><objects>{coordinates}</objects></CoordinateSet><reverse>false</reverse></{kind}></Joint>"
)


def old() -> str:
    """As OpenSim 3 writes it: joints inside their bodies."""
    pin = OLD_JOINT.format(kind="PinJoint", name="pin", parent="ground", coordinates=coordinate("pin"))
    slide = OLD_JOINT.format(kind="SliderJoint", name="slide", parent="a", coordinates=coordinate("slide"))
    inertia = "".join(f"<inertia_{k}>0.01</inertia_{k}>" for k in ("xx", "yy", "zz"))
    bodies = "<Body name='ground'><mass>0</mass><Joint/></Body>"
    for name, inside in (("a", pin), ("b", slide)):
        bodies += (
            f"<Body name='{name}'><mass>1</mass><mass_center>0 0 0</mass_center>{inertia}{inside}</Body>"
        )
    marker = "<Marker name='m'><body>b</body><location>0.1 0 0</location></Marker>"
    return (
        f"<OpenSimDocument Version='30000'><Model name='old'><BodySet><objects>{bodies}</objects></BodySet>"
        f"<MarkerSet><objects>{marker}</objects></MarkerSet></Model></OpenSimDocument>"
    )


def nested() -> str:
    """A joint and a marker on a frame that hangs on a frame."""
    stacked = frame("inner", "../ground_offset", "0.05 0 0.1", "0.2 0.1 -0.3")
    pin = joint("PinJoint", "pin", "ground", "a", f"<coordinates>{coordinate('q')}</coordinates>")
    pin = pin.replace("<frames>", f"<frames>{stacked}").replace(
        ">ground_offset</socket_parent_f", ">inner</socket_parent_f"
    )
    marker = (
        "<Marker name='m'><socket_parent_frame>/jointset/pin/a_offset</socket_parent_frame>"
        "<location>0.1 0.2 0.3</location></Marker>"
    )
    return document(body("a"), pin, marker)


def connectors() -> str:
    """As versions 305xx write it: a JointSet, bodies named by connectors, frames still as four vectors."""
    connector = "<Connector_PhysicalFrame_ name='{}'><connectee_name>../{}</connectee_name></Connector_PhysicalFrame_>"
    pin = (
        f"<PinJoint name='pin'><connectors>{connector.format('parent_body', 'ground')}"
        f"{connector.format('child_body', 'a')}</connectors><location_in_parent>0.1 0.2345678901 0</location_in_parent>"
        "<orientation_in_parent>0.3 0 0.1</orientation_in_parent><location_in_child>0 0.5 0.1</location_in_child>"
        "<orientation_in_child>0 0.2 0</orientation_in_child>"
        f"<CoordinateSet><objects>{coordinate('q')}</objects></CoordinateSet><reverse>false</reverse></PinJoint>"
    )
    marker = (
        f"<Marker name='m'><connectors>{connector.format('parent_frame', '../bodyset/a')}</connectors>"
        "<location>0.1 0 0.2</location></Marker>"
    )
    return document(body("a"), pin, marker).replace("40000", "30501")


def connectee_names() -> str:
    """As version 30516 writes it: sockets end in _connectee_name."""
    sockets = every_kind().replace("40000", "30516")
    for side in ("parent_frame", "child_frame", "parent"):
        sockets = sockets.replace(f"<socket_{side}>", f"<socket_{side}_connectee_name>")
        sockets = sockets.replace(f"</socket_{side}>", f"</socket_{side}_connectee_name>")
    return sockets
