"""Actions: inside the ranges, never still, smooth, pure; and they are what they are called."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.synthetic.channels import CHANNELS
from d3ke_lib.data.synthetic.motion import (
    ACTIONS,
    Motion,
    Style,
    draw_style,
    generate_motion,
)

FPS = 60
SECONDS = 5.0
PLAIN = Style(tempo=1.0, gains=(1.0,) * len(CHANNELS), posture=(0.0,) * len(CHANNELS), left_handed=False)


def times(seconds: float = SECONDS, fps: float = FPS) -> Tensor:
    return torch.arange(round(seconds * fps), dtype=torch.float64) / fps


@pytest.fixture(scope="module")
def skeleton():
    return default_skeleton().double()


def points(skeleton, moved: Motion) -> Points:
    """Joints and markers with the pelvis at the origin, world axes."""
    scales = skeleton.generic_scales.expand(len(moved.angles), -1, -1)
    return skeleton(Pose(moved.angles, scales, moved.R_world_root))


def height(skeleton, moved: Motion, name: str) -> Tensor:
    """Height of a joint or marker over the lowest point, m."""
    found = points(skeleton, moved)
    everything = torch.cat([found.joints, found.markers], -2)[..., 2]
    index = (skeleton.joints + skeleton.markers).index(name)
    return everything[:, index] - everything.amin(-1)


def angle(moved: Motion, name: str) -> Tensor:
    return torch.rad2deg(moved.angles[:, D3KE.coordinates.index(name)])


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def test_twenty_actions_and_a_random_one():
    assert len(ACTIONS) == len(set(ACTIONS)) == 21
    assert ACTIONS[-1] == "random"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("who", [3, 4])
def test_every_coordinate_moves_smoothly_inside_its_range(action, who, skeleton):
    moved = generate_motion(action, draw_style(who), times(), seed=who)
    low, high = skeleton.ranges.unbind(-1)
    assert (moved.angles > low).all()
    assert (moved.angles < high).all()
    spread = torch.rad2deg(moved.angles.amax(0) - moved.angles.amin(0))
    assert spread.min() > 0.3
    acceleration = torch.rad2deg(moved.angles.diff(n=2, dim=0)) * FPS**2
    assert acceleration.abs().max() < 30_000  # a jog's knee reaches about 10 000 °/s²
    velocity = torch.rad2deg(moved.angles.diff(dim=0)) * FPS
    assert velocity.abs().max() < 1500


@pytest.mark.parametrize("action", ACTIONS)
def test_root_is_a_rotation_and_stays_before_the_cameras(action):
    moved = generate_motion(action, draw_style(5), times(20.0, 15), seed=5)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(moved.R_world_root @ moved.R_world_root.mT, eye.expand_as(moved.R_world_root))
    torch.testing.assert_close(torch.linalg.det(moved.R_world_root), torch.ones(300, dtype=torch.float64))
    assert moved.xy.norm(dim=-1).max() < 1.3
    assert moved.hop.min() >= 0
    assert moved.hop.max() < 0.6


@pytest.mark.parametrize("action", ["walking", "waving", "random"])
def test_time_may_come_in_any_pieces(action):
    style, t = draw_style(7), times(2.0)
    whole = generate_motion(action, style, t, seed=1)
    pieces = [generate_motion(action, style, part, seed=1) for part in t.split([1, 50, 69])]
    for name in Motion._fields:
        torch.testing.assert_close(
            torch.cat([getattr(piece, name) for piece in pieces]), getattr(whole, name), rtol=0, atol=1e-12
        )


def test_same_seed_same_motion_and_no_global_draws():
    torch.manual_seed(0)
    first = generate_motion("kicking", draw_style(1), times(1.0), seed=(2, 3))
    torch.manual_seed(99)
    second = generate_motion("kicking", draw_style(1), times(1.0), seed=(2, 3))
    assert torch.equal(first.angles, second.angles)
    assert not torch.equal(
        first.angles, generate_motion("kicking", draw_style(1), times(1.0), seed=(2, 4)).angles
    )


def test_subjects_differ_visibly():
    people = [generate_motion("walking", draw_style(i), times(), seed=0).angles for i in range(6)]
    for one, other in itertools.pairwise(people):
        assert torch.rad2deg((one - other).abs()).amax(0).gt(8).sum() >= 8
    assert len({draw_style(i).tempo for i in range(6)}) == 6
    assert 0 < sum(draw_style(i).left_handed for i in range(60)) < 30


def test_unknown_action_names_those_there_are():
    with pytest.raises(ValueError, match=r"walking.*found 'flying'"):
        generate_motion("flying", PLAIN, times(0.1), seed=0)


# -- what they are called -----------------------------------------------------------------------------------


def test_walking_legs_alternate_and_arms_swing_against_them():
    moved = generate_motion("walking", PLAIN, times(), seed=0)
    right, left = angle(moved, "hip_flexion_r"), angle(moved, "hip_flexion_l")
    assert correlation(right, left) < -0.6
    assert correlation(right, angle(moved, "elv_angle")) < -0.5
    assert right.max() - right.min() > 30


def test_jumping_jacks_hands_over_head_feet_apart_and_off_the_floor(skeleton):
    moved = generate_motion("jumping_jacks", PLAIN, times(), seed=0)
    head = height(skeleton, moved, "RFHD")
    hands = torch.minimum(height(skeleton, moved, "radiocarpal"), height(skeleton, moved, "radiocarpal_l"))
    assert (hands > head).any()
    assert (hands < head - 0.5).any()
    assert moved.hop.max() > 0.05
    assert moved.hop.min() < 0.01
    joints = points(skeleton, moved).joints
    ankles = [joints[:, skeleton.joints.index(f"ankle_{side}")] for side in "rl"]
    apart = (ankles[0] - ankles[1]).norm(dim=-1)
    assert apart.max() > 2.5 * apart.min()


def test_vertical_jump_crouches_and_flies():
    moved = generate_motion("vertical_jump", PLAIN, times(), seed=0)
    assert moved.hop.max() > 0.2
    assert angle(moved, "knee_angle_r").min() < -70


def test_crawling_on_hands_and_knees(skeleton):
    moved = generate_motion("crawling", PLAIN, times(), seed=0)
    spine_up = moved.R_world_root[:, 2, 1]  # the pelvis' own "up" against the world's
    assert spine_up.abs().max() < math.sin(math.radians(25))
    for name in ("radiocarpal", "radiocarpal_l", "knee_r", "knee_l"):
        assert height(skeleton, moved, name).max() < 0.3
        assert height(skeleton, moved, name).min() < 0.16
    assert height(skeleton, moved, "C7").min() > 0.35


def test_sitting_down_lowers_the_pelvis_to_a_chair(skeleton):
    moved = generate_motion("sitting_down", PLAIN, times(), seed=0)
    pelvis = height(skeleton, moved, "ground_pelvis")
    assert pelvis.max() > 0.85
    assert 0.4 < pelvis.min() < 0.65
    seated = pelvis.argmin()
    assert angle(moved, "hip_flexion_r")[seated] > 65


@pytest.mark.parametrize(
    ("action", "hand", "target", "reach"),
    [
        ("scratching_head", "radiocarpal", "RFHD", 0.25),
        ("phone_talking", "radiocarpal", "RBHD", 0.27),
        ("taking_photo", "radiocarpal", "radiocarpal_l", 0.3),
        ("clapping", "radiocarpal", "radiocarpal_l", 0.25),  # the hands go on from the wrists
        ("crossing_arms", "radiocarpal", "LELB", 0.22),
        ("crossing_legs_sitting", "knee_r", "knee_l", 0.2),
    ],
)
def test_hands_and_knees_reach_what_the_action_is_about(action, hand, target, reach, skeleton):
    moved = generate_motion(action, PLAIN, times(), seed=0)
    found = torch.cat(points(skeleton, moved), -2)
    names = skeleton.joints + skeleton.markers
    distance = (found[:, names.index(hand)] - found[:, names.index(target)]).norm(dim=-1)
    assert distance.min() < reach


def test_waving_and_pointing_raise_the_right_hand(skeleton):
    for action in ("waving", "pointing"):
        moved = generate_motion(action, PLAIN, times(), seed=0)
        shoulder, hand = (height(skeleton, moved, name) for name in ("shoulder2", "radiocarpal"))
        assert (hand > shoulder + 0.02).any()
        assert (height(skeleton, moved, "radiocarpal_l") < shoulder + 0.05).all()


def test_left_handers_wave_with_the_left():
    moved = generate_motion("waving", Style(1.0, PLAIN.gains, PLAIN.posture, True), times(), seed=0)
    assert angle(moved, "shoulder_elv_l").max() > 70
    assert angle(moved, "shoulder_elv").max() < 40


def test_right_shoulder_keeps_the_models_coupling():
    moved = generate_motion("random", draw_style(2), times(), seed=2)
    torch.testing.assert_close(angle(moved, "shoulder1_r2"), -angle(moved, "elv_angle"))


def test_facing_varies_between_takes_by_up_to_sixty_degrees_and_drifts():
    headings = []
    for seed in range(40):
        forward = generate_motion("clapping", PLAIN, times(0.1), seed=seed).R_world_root[0, :, 0]
        headings.append(math.degrees(math.atan2(forward[0], -forward[1])))
    assert 40 < max(headings) < 80
    assert -80 < min(headings) < -40
