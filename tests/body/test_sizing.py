"""Scale factors and motion found together."""

import pytest
import torch

from d3ke_lib.body.ik.joint_scaling import solve_with_scales
from d3ke_lib.body.ik.least_squares import TOLERANCE
from d3ke_lib.body.ik.solve import solve
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose

FRAMES = 12
NOISE = 2e-3  # m an axis
FIRM = (NOISE / 0.1) ** 2  # what `solve_with_scales` believes unless told otherwise


def unique(skeleton, scales):
    """Tied ratios to the file's factors."""
    return skeleton.unique_scales(scales) / skeleton.scale_middle


@pytest.fixture(scope="module")
def person():
    """The layer, a person of another size in motion, and where their markers are in a room."""
    skeleton = default_skeleton().double()
    draws = torch.Generator().manual_seed(2)
    part = torch.rand(51, generator=draws, dtype=torch.float64) * 2 - 1
    scales = skeleton.spread_scales(skeleton.scale_middle * (1 + 0.08 * part))
    low, high = skeleton.ranges.unbind(-1)
    phase = 6.28 * torch.rand(len(low), generator=draws, dtype=torch.float64)
    swing = torch.sin(torch.linspace(0, 5, FRAMES, dtype=torch.float64)[:, None] + phase)
    angles = (low + high) / 2 + 0.5 * (high - low) / 2 * swing
    pose = Pose(angles, scales.expand(FRAMES, -1, 3), torch.eye(3, dtype=torch.float64).expand(FRAMES, 3, 3))
    return skeleton, pose, skeleton(pose).markers + torch.tensor([0.3, 1.0, -0.2], dtype=torch.float64)


def test_a_persons_size_is_found(person):
    skeleton, truth, markers = person
    _, generic = solve(skeleton, markers)
    found, residuals = solve_with_scales(skeleton, markers)
    # Of all that explain exact markers the nearest to the file costs least: at most what the truth costs.
    ratio, true = (unique(skeleton, scales) for scales in (found.scales[0], truth.scales[0]))
    cost = (skeleton.marker_weights * residuals.distance.square()).sum() + FIRM * (ratio - 1).square().sum()
    unstarted = FRAMES * skeleton.marker_weights.sum() * TOLERANCE**2  # steps that `solve` does not take
    assert cost < FIRM * (true - 1).square().sum() + unstarted
    assert residuals.converged.all()
    assert residuals.rms.max() < 0.01 * generic.rms.min()
    # Half of the factors are seen by markers all around their body; their bias is that of the belief.
    assert (ratio - true).abs().median() < 1e-3
    assert (ratio - true).abs().mean() < 0.2 * (true - 1).abs().mean()


def test_factors_are_one_for_all_frames_and_stay_tied(person):
    skeleton, _, markers = person
    found, _ = solve_with_scales(skeleton, markers[:3])
    assert (found.scales == found.scales[:1]).all()
    torch.testing.assert_close(skeleton.spread_scales(skeleton.unique_scales(found.scales)), found.scales)


def test_noise_is_not_taken_for_size(person):
    skeleton, truth, markers = person
    draws = torch.Generator().manual_seed(5)
    noisy = markers + NOISE * torch.randn(markers.shape, generator=draws, dtype=markers.dtype)
    noisy[torch.rand(markers.shape[:2], generator=draws) < 0.05] = torch.nan
    found, residuals = solve_with_scales(skeleton, noisy, noise=NOISE)
    heavy = skeleton.marker_weights * noisy.isfinite().all(-1)
    # The truth leaves Σ weight · 3 NOISE² on average; what fits best leaves less.
    assert (heavy * residuals.distance.nan_to_num().square()).sum() < heavy.sum() * 3 * NOISE**2
    there = skeleton(found).markers + residuals.root[:, None]
    off = (there - markers).square().sum(-1)[:, skeleton.marker_weights > 0].mean().sqrt()
    assert off < NOISE * 3**0.5
    ratio, true = (unique(skeleton, scales) for scales in (found.scales[0], truth.scales[0]))
    assert (ratio - true).abs().median() < 0.015
    assert (ratio - true).abs().mean() < 0.7 * (true - 1).abs().mean()


def test_without_markers_there_is_no_size(person):
    skeleton, _, markers = person
    with pytest.raises(ValueError, match="none of 12"):
        solve_with_scales(skeleton, torch.full_like(markers, torch.nan))
