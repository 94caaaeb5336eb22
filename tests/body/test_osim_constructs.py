"""What public files hold beyond the ordinary is read as OpenSim reads it; its numbers are the measure."""

from pathlib import Path

import numpy as np
import osim_models as models
import pytest
import torch

from d3ke_lib.body.ik.solve import solve
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.markers import read_marker_set
from d3ke_lib.body.opensim.model import Body, OsimError
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.experiment.studies.opensim_oracle import opensim_places

WHOLE, OLD = models.every_kind(), models.old()
FREE = "".join(models.coordinate(f"FreeJoint_{i}") for i in range(6))
BEND = f"<coordinates>{models.coordinate('bend')}</coordinates>"
PARAMETERS = "HuntCrossleyForce::ContactParametersSet"
CONTACT = f"<{PARAMETERS} name='p'><objects/></{PARAMETERS}>"
CONTACT = f"<ForceSet><objects><HuntCrossleyForce name='c'>{CONTACT}</HuntCrossleyForce></objects></ForceSet>"
SECOND = "<Marker name='m'><body>a</body><location>0 0.3 0</location></Marker></objects></MarkerSet>"
STILL = '<TransformAxis name="translation3"><coordinates></coordinates><axis>0 0 1</axis>' + (
    "<Constant><value>0.07</value></Constant></TransformAxis>"
)
CONSTRUCTS = {
    "tags with ::": WHOLE.replace("<BodySet", f"{CONTACT}<BodySet"),
    "bytes of cp1252": WHOLE.replace("<BodySet", "<credits>M\u00fcller</credits><BodySet").encode("cp1252"),
    "a byte order mark": WHOLE.encode("utf-8-sig"),
    "a blank line first": '\n<?xml version="1.0" encoding="UTF-8"?>\n' + WHOLE,
    "version 20303": OLD.replace("30000", "20303"),
    "version 10901": OLD.replace("30000", "10901"),
    "version 30501": models.connectors(),
    "version 30516": models.connectee_names(),
    "an old spline": WHOLE.replace("SimmSpline", "natCubicSpline"),
    "joints without a name": OLD.replace(" name='pin'", "").replace(" name='slide'", ""),
    "a coordinate without a name": OLD.replace(' name="slide"', ""),
    "a marker without a name": OLD.replace("Marker name='m'", "Marker"),
    "spaces in names": OLD.replace("name='pin'", "name='the pin'").replace("name='m'", "name='m 1'"),
    "no coordinates": WHOLE.replace(f"<coordinates>{FREE}</coordinates>", ""),
    "no coordinates of a custom joint": WHOLE.replace(BEND, ""),
    "coordinates of a custom joint empty": WHOLE.replace(BEND, "<coordinates/>"),
    "two joints of one name": WHOLE.replace('name="j_PinJoint"', 'name="j_SliderJoint"'),
    "two markers of one name": OLD.replace("</objects></MarkerSet>", SECOND),
    "two coordinates of one name": WHOLE.replace('name="GimbalJoint_1"', 'name="GimbalJoint_0"'),
    "one name in two joints": WHOLE.replace('name="GimbalJoint_1"', 'name="PlanarJoint_2"'),
    "two bodies of a marker": OLD.replace("<body>b</body>", "<body>b</body><body>a</body>"),
    "a joint reversed": OLD.replace("<reverse>false", "<reverse>true", 1),
    "an axis left out": WHOLE.replace(STILL, ""),
}  # fmt: skip
SLIDER = models.joint(
    "SliderJoint", "s", "ground", "a", f"<coordinates>{models.coordinate('q')}</coordinates>"
)
CONSTRUCTS["no rotation"] = models.document(models.body("a"), SLIDER)
BENCH = models.frame("bench", "/ground", "0.3 0.4 0.5", "0.1 0.2 0.3")
WITH_BENCH = WHOLE.replace(">/ground</socket_parent>", ">/bench</socket_parent>")
CONSTRUCTS["a frame of the model"] = WITH_BENCH.replace(
    "<BodySet", f"<components>{BENCH}</components><BodySet"
)


def write(folder: Path, text: str | bytes, name: str = "model.osim") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def random_points(body: Body, count: int = 5) -> tuple[tuple[str, ...], np.ndarray, Points]:
    """Coordinates that follow no coupler, values for them, and the skeleton's points there."""
    skeleton = Skeleton(body).double()
    angles = torch.rand(count, len(skeleton.coordinates), dtype=torch.float64) * 2 - 1
    follows = {c.dependent for c in body.couplers if c.enforced}
    free = [i for i, name in enumerate(skeleton.coordinates) if name not in follows]
    points = skeleton(Pose(angles, skeleton.generic_scales))
    return tuple(skeleton.coordinates[i] for i in free), angles[:, free].numpy(), points


def assert_equals_opensim(path: Path, body: Body) -> None:
    pytest.importorskip("opensim")
    names, values, points = random_points(body)
    theirs = opensim_places(path, body, names, values)
    np.testing.assert_allclose(points.joints, theirs.joints, rtol=0, atol=1e-9)
    np.testing.assert_allclose(points.markers, theirs.markers, rtol=0, atol=1e-9)


def opensim_names(path: Path) -> dict[str, list[str]]:
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(str(path))
    model.initSystem()
    sets = {"joints": model.getJointSet(), "bodies": model.getBodySet(), "markers": model.getMarkerSet()}
    found = {kind: [part.get(i).getName() for i in range(part.getSize())] for kind, part in sets.items()}
    joints = [model.getJointSet().get(i) for i in range(model.getJointSet().getSize())]
    coordinates = [j.get_coordinates(i).getName() for j in joints for i in range(j.numCoordinates())]
    return found | {"coordinates": coordinates}


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_constructs_equal_opensim(tmp_path, construct):
    path = write(tmp_path, CONSTRUCTS[construct])
    body = load_osim(path)
    assert CONSTRUCTS[construct] not in (WHOLE, OLD)
    assert_equals_opensim(path, body)
    theirs = opensim_names(path)
    assert [j.name for j in body.joints] == theirs["joints"]
    assert [s.name for s in body.segments] == theirs["bodies"]
    assert [m.name for m in body.markers] == theirs["markers"]
    assert [c.name.split("/")[-1] for c in body.coordinates] == theirs["coordinates"]


def test_a_coordinate_of_another_joint_is_told_by_its_joint(tmp_path):
    body = load_osim(write(tmp_path, CONSTRUCTS["one name in two joints"]))
    assert [c.name for c in body.coordinates].count("PlanarJoint_2") == 1
    assert "j_PlanarJoint/PlanarJoint_2" in Skeleton(body).coordinates


CASES = {  # m1 (or the marker named) in ground at default coordinates, m, as OpenSim has it
    "contact_double_colon": ("m1", (0.079534, 0.208984, 0.3)),
    "version_20303": ("m1", (0.079534, 1.208984, 0.3)),
    "slider_only": ("m1", (0.2, 0.2, 0.3)),
    "pin_without_coordinates": ("m1", (0.1, 0.2, 0.3)),
    "duplicate_markers": ("m1_0", (0.278535, 0.228951, 0.1)),
    "latin1_credits": ("m1", (0.079534, 0.208984, 0.3)),
    "leading_blank_line": ("m1", (0.079534, 0.208984, 0.3)),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(shared, case):
    path = shared / "cases" / f"{case}.osim"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    skeleton = Skeleton(load_osim(path)).double()
    defaults = {c.name: c.default for c in skeleton.body.coordinates}
    angles = torch.tensor([defaults[n] for n in skeleton.coordinates], dtype=torch.float64)
    markers = dict(zip(skeleton.markers, skeleton(Pose(angles, skeleton.generic_scales)).markers))
    name, expected = CASES[case]
    np.testing.assert_allclose(markers[name], expected, rtol=0, atol=1e-6)


def test_a_scaled_model_keeps_its_tags_and_names(tmp_path):
    """`::` comes back, and a joint without a name is written with the one that OpenSim gives it."""
    text = CONSTRUCTS["tags with ::"].replace(' name="j_PinJoint"', "")
    path, scaled = write(tmp_path, text), tmp_path / "scaled.osim"
    write_osim(scaled, path, {"b2": np.array([1.1, 1.2, 1.3])})
    assert f"<{PARAMETERS}" in scaled.read_text()
    assert '<PinJoint name="pinjoint">' in scaled.read_text()
    assert_equals_opensim(scaled, load_osim(scaled))


SOCKETS = {"WeldConstraint": ("frame1", "frame2"), "PointConstraint": ("body_1", "body_2")}
SOCKETS |= {"ConstantDistanceConstraint": ("body_1", "body_2")}


def constrained(kind: str, a: str, b: str) -> str:
    """The whole chain with a constraint between two of its bodies; b6 and b7 are welded by a joint."""
    sockets = [f"<socket_{s}>/bodyset/{n}</socket_{s}>" for s, n in zip(SOCKETS[kind], (a, b), strict=True)]
    length = "<constant_distance>0.5</constant_distance>" if kind.startswith("ConstantD") else ""
    written = f'<{kind} name="c">{"".join(sockets)}{length}</{kind}>'
    return WHOLE.replace("<CoordinateCouplerConstraint", f"{written}<CoordinateCouplerConstraint", 1)


@pytest.mark.parametrize("kind", SOCKETS)
def test_constraints_of_no_loop_are_read(tmp_path, kind):
    """Between bodies that a weld joint holds together nothing, between neighbours one joint is restricted."""
    rigid, neighbours = (
        load_osim(write(tmp_path, constrained(kind, *pair))) for pair in (("b6", "b7"), ("b4", "b5"))
    )
    assert rigid.constraints == ()
    assert [(c.name, c.kind, c.bodies) for c in neighbours.constraints] == [("c", kind, ("b4", "b5"))]
    assert_equals_opensim(tmp_path / "model.osim", neighbours)


@pytest.mark.parametrize("kind", SOCKETS)
def test_a_constraint_that_closes_a_loop_is_read_with_a_warning(tmp_path, kind):
    path = write(tmp_path, constrained(kind, "b1", "last"))
    with pytest.warns(UserWarning, match=f"'c' is a {kind} that closes a loop of joints .*'j_custom'"):
        body = load_osim(path)
    assert [(c.kind, c.closes_loop) for c in body.constraints] == [(kind, True)]
    assert_equals_opensim(path, body)
    with pytest.raises(ValueError, match=r"expected no loop of joints, found constraints \['c'\]"):
        solve(Skeleton(body).double(), torch.zeros(1, len(body.markers), 3, dtype=torch.float64))


def test_a_constraint_that_is_switched_off_is_nothing(tmp_path):
    text = constrained("WeldConstraint", "b1", "last").replace(
        'name="c">', 'name="c"><isEnforced>false</isEnforced>'
    )
    assert load_osim(write(tmp_path, text)).constraints == ()


def test_a_frame_defined_by_stations_is_refused(tmp_path):
    frame = '<components><StationDefinedFrame name="bench"/></components>'
    text = WITH_BENCH.replace("<BodySet", f"{frame}<BodySet")
    with pytest.raises(OsimError, match="'bench' is a StationDefinedFrame"):
        load_osim(write(tmp_path, text))


def test_a_slider_towards_the_ground_is_refused(tmp_path):
    text = OLD.replace("<reverse>false", "<reverse>true")
    with pytest.raises(OsimError, match="'slide' slides and leads towards the ground"):
        load_osim(write(tmp_path, text))


def marker(name: str, frame: str, location: str) -> str:
    socket = f"<socket_parent_frame>{frame}</socket_parent_frame>"
    return f'<Marker name="{name}">{socket}<location>{location}</location></Marker>'


def old_marker(name: str, body: str, location: str) -> str:
    return f'<Marker name="{name}"><body>{body}</body><location>{location}</location></Marker>'


MARKERS = {
    "40000": marker("m_b2", "/bodyset/b1", "0 0.1 0.2")
    + marker("new", "/jointset/j_custom/b7_offset", "0 0 1")
    + marker("new", "/ground", "0.5 0 0"),
    "30000": old_marker("m b2", "b1", "0 0.1 0.2") + old_marker("new", "ground", "0.5 0 0"),
}


def marker_set(folder: Path, version: str, markers: str) -> Path:
    inside = f'<MarkerSet name="s"><objects>{markers}</objects></MarkerSet>'
    document = f'<OpenSimDocument Version="{version}">{inside}</OpenSimDocument>'
    return write(folder, document, "markers.xml")


@pytest.mark.parametrize("version", MARKERS)
def test_a_marker_set_equals_opensims_update(tmp_path, version):
    opensim = pytest.importorskip("opensim")
    path, markers = write(tmp_path, WHOLE), marker_set(tmp_path, version, MARKERS[version])
    body = load_osim(path, markers=markers)
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(str(path))
    model.updateMarkerSet(opensim.MarkerSet(str(markers)))
    model.finalizeConnections()
    model.printToXML(str(tmp_path / "updated.osim"))
    theirs = load_osim(tmp_path / "updated.osim").markers
    assert [(m.name, m.body) for m in body.markers] == [(m.name, m.body) for m in theirs]
    np.testing.assert_allclose([m.location for m in body.markers], [m.location for m in theirs], atol=1e-12)
    assert_equals_opensim(tmp_path / "updated.osim", body)


def test_a_scaled_model_takes_a_marker_set(tmp_path):
    path, scaled = write(tmp_path, WHOLE), tmp_path / "scaled.osim"
    markers = marker_set(tmp_path, "30000", MARKERS["30000"])
    write_osim(scaled, path, {"b1": np.array([1.1, 1.2, 1.3])}, markers=markers)
    body = load_osim(scaled)
    assert [m.name for m in body.markers] == [m.name for m in load_osim(path, markers).markers]
    assert next(m.location for m in body.markers if m.name == "mb2") == pytest.approx((0.0, 0.12, 0.26))
    assert_equals_opensim(scaled, body)


def test_a_marker_set_alone(tmp_path):
    found = read_marker_set(marker_set(tmp_path, "30000", MARKERS["30000"]))
    assert [(m.name, m.body, m.location) for m in found] == [
        ("mb2", "b1", (0.0, 0.1, 0.2)),
        ("new", "ground", (0.5, 0.0, 0.0)),
    ]


BAD_MARKERS = {
    "a model": ("<OpenSimDocument Version='40000'><Model/></OpenSimDocument>", "expected .*<MarkerSet>"),
    "no version": ("<OpenSimDocument><MarkerSet/></OpenSimDocument>", "expected .*Version"),
    "no body": (MARKERS["30000"].replace("<body>b1</body>", ""), "has no <body>"),
    "no such body": (MARKERS["30000"].replace("b1", "tail"), "'mb2' is on body 'tail'"),
    "no such frame": (MARKERS["40000"].replace("b7_offset", "b9_offset"), "no frame"),
    "no numbers": (MARKERS["40000"].replace("0 0.1", "0 here"), "expected numbers"),
}


@pytest.mark.parametrize("case", BAD_MARKERS)
def test_bad_marker_sets_are_named(tmp_path, case):
    text, message = BAD_MARKERS[case]
    version = "40000" if "socket" in text else "30000"
    path = (
        write(tmp_path, text, "markers.xml")
        if text.startswith("<Open")
        else marker_set(tmp_path, version, text)
    )
    with pytest.raises(OsimError, match=message) as caught:
        load_osim(write(tmp_path, WHOLE), markers=path)
    assert "markers.xml" in str(caught.value)
