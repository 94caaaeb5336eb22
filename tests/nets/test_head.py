import torch
from torch.autograd import gradcheck

from d3ke_lib.nets import head


def test_gram_schmidt_gives_rotations_and_keeps_a_rotations_columns():
    R = head.gram_schmidt(torch.randn(5, 4, 6, dtype=torch.float64))
    torch.testing.assert_close(R @ R.mT, torch.eye(3, dtype=torch.float64).expand_as(R))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(5, 4, dtype=torch.float64))
    columns = R.mT[..., :2, :].flatten(-2)
    torch.testing.assert_close(head.gram_schmidt(columns), R)


def test_gram_schmidt_has_the_right_derivative():
    assert gradcheck(head.gram_schmidt, torch.randn(2, 6, dtype=torch.float64, requires_grad=True))


def test_ends_and_middle_of_the_ranges(skeleton):
    count = head.width(skeleton) - head.ROTATION
    rotation = torch.tensor([1.0, 0, 0, 0, 1, 0])
    for unit in (-1.0, 0.0, 1.0):
        pose = head.to_pose(skeleton, rotation, torch.full((count,), unit))
        torch.testing.assert_close(pose.angles, skeleton.angle_middle + unit * skeleton.angle_half)
        unique = skeleton.unique_scales(pose.scales)
        torch.testing.assert_close(unique, skeleton.scale_middle + unit * skeleton.scale_half)
    assert torch.equal(pose.R_ground_root, torch.eye(3))
    assert count == 51 + 69
