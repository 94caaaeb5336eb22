"""All coordinates from a predicted pose put every point of the model where the skeleton layer puts it."""

import numpy as np
import pytest
import roma
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.coordinates import all_coordinates
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import BODY_FILE

FRAMES = 6


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return default_skeleton().double()


@pytest.fixture
def pose(skeleton: Skeleton) -> Pose:
    draws = torch.Generator().manual_seed(3)
    share = torch.rand(FRAMES, len(skeleton.coordinates), generator=draws, dtype=torch.float64)
    angles_y = torch.linspace(-1.0, 7.0, FRAMES, dtype=torch.float64)  # more than a revolution
    tilt = roma.rotvec_to_rotmat(0.4 * torch.randn(FRAMES, 3, generator=draws, dtype=torch.float64))
    about_y = roma.rotvec_to_rotmat(angles_y[:, None] * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    angles = skeleton.ranges[:, 0] + share * (skeleton.ranges[:, 1] - skeleton.ranges[:, 0])
    return Pose(angles, skeleton.generic_scales.expand(FRAMES, -1, 3), about_y @ tilt)


@pytest.fixture
def origin() -> torch.Tensor:
    return torch.linspace(-1, 2, FRAMES * 3, dtype=torch.float64).reshape(FRAMES, 3)


def test_the_whole_model_moves_as_the_skeleton_layer(skeleton, pose, origin) -> None:
    names, values = all_coordinates(skeleton, pose, origin)
    whole = Skeleton(skeleton.body).double()
    assert names == whole.coordinates
    moved = whole(Pose(torch.from_numpy(values), whole.generic_scales.expand(FRAMES, -1, 3), None))
    ours = skeleton(pose)
    expected = Points(ours.joints + origin[:, None], ours.markers + origin[:, None])
    joints = [whole.joints.index(name) for name in skeleton.joints]
    markers = [whole.markers.index(name) for name in skeleton.markers]
    torch.testing.assert_close(moved.joints[:, joints], expected.joints, atol=1e-9, rtol=0)
    torch.testing.assert_close(moved.markers[:, markers], expected.markers, atol=1e-9, rtol=0)


def test_opensim_puts_the_markers_there_too(skeleton, pose, origin) -> None:
    """The real model, every coordinate set as a .mot would set it."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    names, values = all_coordinates(skeleton, pose, origin)
    model = opensim.Model(str(BODY_FILE))
    state = model.initSystem()
    expected = skeleton(pose).markers + origin[:, None]
    for row, where in zip(values, expected):
        for name, value in zip(names, row):
            coordinate = model.getCoordinateSet().get(name)
            coordinate.setLocked(state, False)
            coordinate.setValue(state, float(value), False)
        model.realizePosition(state)
        markers = [model.getMarkerSet().get(name).getLocationInGround(state) for name in skeleton.markers]
        found = np.array([[m.get(i) for i in range(3)] for m in markers])
        np.testing.assert_allclose(found, where.numpy(), atol=1e-8)


def test_rotations_do_not_jump(skeleton, pose, origin) -> None:
    smooth = pose._replace(
        R_ground_root=roma.rotvec_to_rotmat(
            torch.linspace(0, 9, 60, dtype=torch.float64)[:, None] * torch.tensor([0.0, 1.0, 0.0]).double()
        ),
        angles=pose.angles[:1].expand(60, -1),
    )
    names, values = all_coordinates(skeleton, smooth, origin[:1].expand(60, 3))
    rotation = values[:, names.index("pelvis_rotation")]
    assert rotation[-1] - rotation[0] == pytest.approx(9.0)
    assert np.abs(np.diff(rotation)).max() < 0.2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotations_do_not_jump_beyond_a_right_angle(skeleton, pose, origin, axis: int) -> None:
    """Once round each axis, the middle one of the three among them: two of the angles could flip by 180°."""
    direction = torch.eye(3, dtype=torch.float64)[axis] + 0.02
    R = roma.rotvec_to_rotmat(torch.linspace(0, 6, 120, dtype=torch.float64)[:, None] * direction)
    round_ = pose._replace(
        R_ground_root=R, angles=pose.angles[:1].expand(120, -1), scales=pose.scales[:1].expand(120, -1, 3)
    )
    names, values = all_coordinates(skeleton, round_, origin[:1].expand(120, 3))
    columns = [names.index(f"pelvis_{turn}") for turn in ("tilt", "list", "rotation")]
    assert np.abs(np.diff(values[:, columns], axis=0)).max() < 1.4  # steep where two axes nearly coincide
