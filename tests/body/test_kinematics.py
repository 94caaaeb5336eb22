"""The skeleton layer against OpenSim itself, the released layer, and its own derivatives."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from d3ke_lib.body import layout
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.reference import forward_kinematics
from d3ke_lib.body.spec import BODY_FILE, D3KE

MODELS = ["d3ke_body", "full_body_wo_hands", "full_body"]


@pytest.fixture(params=MODELS)
def model_path(request):
    if request.param == "d3ke_body":
        return BODY_FILE
    return request.getfixturevalue("shared") / "assets" / "d3ke" / f"{request.param}.osim"


def opensim_points(path, skeleton: Skeleton, values: Tensor, names: list[str]) -> list[Points]:
    """OpenSim's own joint (child) frames and markers for rows of all coordinates, as they are given."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    model = opensim.Model(str(path))
    state = model.initSystem()
    for coordinate in (model.updCoordinateSet().get(n) for n in names):
        coordinate.setLocked(state, False)
    found = []
    for row in values.tolist():
        for name, value in zip(names, row, strict=True):
            model.updCoordinateSet().get(name).setValue(state, value, False)
        model.realizePosition(state)
        joints = [
            model.getJointSet().get(n).getChildFrame().getPositionInGround(state) for n in skeleton.joints
        ]
        markers = [model.getMarkerSet().get(n).getLocationInGround(state) for n in skeleton.markers]
        found.append(Points(_tensor(joints), _tensor(markers)))
    return found


def _tensor(vectors: list) -> Tensor:
    return torch.tensor([[v.get(i) for i in range(3)] for v in vectors], dtype=torch.float64)


def random_angles(skeleton: Skeleton, count: int) -> Tensor:
    low, high = skeleton.ranges.unbind(-1)
    return low + (high - low) * torch.rand(count, len(low), dtype=low.dtype)


def test_equals_opensim(model_path):
    body = load_osim(model_path)
    skeleton = Skeleton(body).double()
    angles = random_angles(skeleton, 50)
    names = [c.name for j in body.joints for c in j.coordinates]
    ours = skeleton(Pose(angles, skeleton.generic_scales))
    theirs = opensim_points(model_path, skeleton, skeleton.coupled(angles), names)
    torch.testing.assert_close(ours.joints, torch.stack([p.joints for p in theirs]), rtol=0, atol=1e-9)
    torch.testing.assert_close(ours.markers, torch.stack([p.markers for p in theirs]), rtol=0, atol=1e-9)


def test_equals_the_released_layer(shared):
    vectors = {k: v for k, v in np.load(shared / "parity" / "tree.npz").items() if v.dtype.kind == "f"}
    stored = {k: torch.from_numpy(v) for k, v in vectors.items()}
    skeleton = Skeleton(load_osim(shared / "assets" / "d3ke" / "full_body_wo_hands.osim"), D3KE)
    points = skeleton(Pose(stored["predRot"], stored["predBoneScale"], stored["rootRot"][:, :3, :3]))
    torch.testing.assert_close(points.joints, stored["predJointPos"], rtol=0, atol=1e-5)
    torch.testing.assert_close(points.markers, stored["predMarkerPos"], rtol=0, atol=1e-5)
    ranges = torch.stack([skeleton.angle_middle, skeleton.angle_half], 1)
    torch.testing.assert_close(ranges, stored["coordinate_mid_half"])


def random_pose(skeleton: Skeleton, *batch: int) -> Pose:
    count = int(np.prod(batch, initial=1))
    angles = random_angles(skeleton, count).reshape(*batch, -1)
    scales = skeleton.generic_scales * (
        0.8 + 0.4 * torch.rand(*batch, len(skeleton.bodies), 3, dtype=angles.dtype)
    )
    return Pose(angles, scales, torch.linalg.qr(torch.randn(*batch, 3, 3, dtype=angles.dtype))[0])


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
def test_any_leading_axes(batch):
    skeleton = default_skeleton().double()
    pose = random_pose(skeleton, *batch)
    points = skeleton(pose)
    assert points.joints.shape == (*batch, 50, 3)
    assert points.markers.shape == (*batch, 65, 3)
    flat = Pose(*(t.reshape(-1, *t.shape[len(batch) :]) for t in pose))
    one_by_one = [skeleton(Pose(*rows)).markers for rows in zip(*flat, strict=True)]
    torch.testing.assert_close(points.markers.reshape(-1, 65, 3), torch.stack(one_by_one))


def test_derivatives():
    skeleton = default_skeleton().double()
    angles, scales, R = random_pose(skeleton, 2)
    inputs = tuple(t.requires_grad_() for t in (angles, scales, R))
    function = lambda *pose: torch.cat(skeleton(Pose(*pose)), -2)  # noqa: E731
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def test_double_is_exact():
    """Casting up must not keep float32's rounding of the constants."""
    body = load_osim(BODY_FILE)
    joint = body.joints[-1]
    skeleton = Skeleton(body).double()
    kept = skeleton.parent_translation[skeleton.order.index(joint.name)]
    assert kept.tolist() == list(joint.parent.translation)


def test_frames_carry_the_markers():
    skeleton = default_skeleton().double()
    pose = random_pose(skeleton, 3)
    R, p = skeleton.frames(pose)
    marker = next(m for m in skeleton.body.markers if m.name == "RASI")
    pelvis = skeleton.bodies.index("pelvis")
    ratio = (pose.scales / skeleton.generic_scales)[:, pelvis]
    local = torch.tensor(marker.location, dtype=torch.float64) * ratio
    there = (R[:, pelvis] @ local[..., None])[..., 0] + p[:, pelvis]
    torch.testing.assert_close(there, skeleton(pose).markers[:, skeleton.markers.index("RASI")])


def test_tied_scales_round_trip():
    skeleton = default_skeleton()
    unique = skeleton.scale_middle + skeleton.scale_half * (2 * torch.rand(5, 51) - 1)
    torch.testing.assert_close(skeleton.unique_scales(skeleton.spread_scales(unique)), unique)


COMPILE = """
import torch
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose
skeleton = default_skeleton()
pose = Pose(torch.randn(4, 69), skeleton.generic_scales.expand(4, -1, -1), torch.eye(3).expand(4, 3, 3))
whole = torch.compile(skeleton, fullgraph=True, backend="eager")
torch.testing.assert_close(whole(pose), skeleton(pose))
"""


def test_compiles_without_a_graph_break():
    """In a process of its own: the shape checks of the tests cannot be traced."""
    run = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.parametrize("shapes", [((4, 1), (3,)), ((), (2, 3)), ((0,), (1,)), ((5,), (5,), (1,))])
def test_leading_axes_broadcast_as_torchs(shapes):
    sizes = [torch.Size(shape) for shape in shapes]
    assert layout.broadcast(sizes) == torch.broadcast_shapes(*shapes)
    with pytest.raises(ValueError, match=r"expected leading axes that broadcast, found \[\(3,\), \(2,\)\]"):
        layout.broadcast([torch.Size([3]), torch.Size([2])])


def test_a_pose_imports_no_computer_algebra():
    code = """import sys, torch
from d3ke_lib.body import layout
from d3ke_lib.body.kinematics import default_skeleton
skeleton = default_skeleton()
skeleton(skeleton.rest()._replace(R_ground_root=torch.eye(3)))
print("sympy" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_interface_has_d3kes_sizes():
    skeleton = default_skeleton()
    assert (len(skeleton.coordinates), len(skeleton.bodies)) == (69, 48)
    assert (len(skeleton.joints), len(skeleton.markers)) == (50, 65)
    mean = skeleton.spread_scales(skeleton.scale_middle)
    torch.testing.assert_close(mean, skeleton.generic_scales, rtol=0, atol=1e-6)


def test_the_spec_names_what_the_body_lacks():
    body = load_osim(BODY_FILE)
    with pytest.raises(ValueError, match="no_such_marker"):
        Skeleton(body, replace(D3KE, markers=("no_such_marker",)))


@pytest.mark.parametrize("with_spec", [True, False])
def test_equals_a_plain_loop(model_path, with_spec):
    """Scales, the root's rotation and derivatives too, which OpenSim cannot be asked for."""
    skeleton = Skeleton(load_osim(model_path), D3KE if with_spec else None).double()
    pose = random_pose(skeleton, 3)
    pose = Pose(*(t.requires_grad_() for t in pose)) if with_spec else pose._replace(R_ground_root=None)
    ours, theirs = skeleton(pose), forward_kinematics(skeleton, pose)
    torch.testing.assert_close(tuple(ours), tuple(theirs), rtol=0, atol=1e-12)
    if with_spec:
        weights = [torch.randn_like(p) for p in ours]
        found = [
            torch.autograd.grad(sum((p * w).sum() for p, w in zip(points, weights)), tuple(pose))
            for points in (ours, theirs)
        ]
        torch.testing.assert_close(*found, rtol=0, atol=1e-10)
