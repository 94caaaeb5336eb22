"""The second version of the motion: headings, sides, held-out actions, mixtures and self-collision."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from d3ke_lib.body.pose import Pose
from d3ke_lib.data import records
from d3ke_lib.data.renderer.body_surface import pose_surface
from d3ke_lib.data.synthetic import generate, scene
from d3ke_lib.data.synthetic.collisions import penetration_depth
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.mixtures import (
    HELD_OUT,
    MIXTURE,
    draw_mixture,
    draw_wide_style,
    generate_mixture,
    vary_motion,
)
from d3ke_lib.data.synthetic.motion import ACTIONS, generate_motion

CONFIG = DataConfig(train=2, validation=1, test=1, motion="mixtures")
STYLE = draw_wide_style((0, 1, 1))
TIMES = torch.arange(12, dtype=torch.float64) / 4


def depths(angles: dict[str, float]) -> float:
    """Penetration (m) of the mean body in a pose given in degrees."""
    skeleton, surface = generate.load_body()
    q = torch.zeros(1, len(skeleton.coordinates), dtype=torch.float64)
    for name, degrees in angles.items():
        q[:, skeleton.coordinates.index(name)] = math.radians(degrees)
    pose = Pose(q, skeleton.generic_scales[None], torch.eye(3, dtype=torch.float64)[None])
    cones = pose_surface(surface, skeleton, pose, torch.zeros(1, 3, dtype=torch.float64))
    return float(penetration_depth(cones, generate._load_pairs()))


def heading(R: Tensor) -> Tensor:
    """Direction of the pelvis' forward axis on the floor, rad."""
    return torch.atan2(R[..., 1, 0], R[..., 0, 0])


# -- configuration ---------------------------------------------------------------------------------------


def test_the_first_version_is_described_as_before():
    described = generate.describe(DataConfig())
    assert "motion" not in described
    assert set(described["sources"]) == {"actions.toml", "flesh.json", "d3ke_body.osim"}
    assert generate.describe(CONFIG)["motion"] == "mixtures"
    assert "postures.toml" in generate.describe(CONFIG)["sources"]


def test_held_out_actions_are_performed_by_the_subjects_of_their_split_alone():
    training, validation, test = (set(CONFIG.list_takes(subject)) for subject in (1, 3, 4))
    held_out = {name for names in HELD_OUT.values() for name in names}
    assert len(held_out) == 6
    assert held_out < {*ACTIONS}
    assert not training & held_out
    assert validation - training == {*HELD_OUT["validation"]}
    assert test - training == {*HELD_OUT["test"]}


def test_a_third_of_the_takes_are_mixtures_of_seen_actions():
    for subject in (1, 3, 4):
        takes = CONFIG.list_takes(subject)
        assert takes.count(MIXTURE) / len(takes) == pytest.approx(1 / 3, abs=0.02)
    parts = [draw_mixture(CONFIG.seen_actions, torch.Generator().manual_seed(i)) for i in range(200)]
    names = {name for part in parts for name in (*part.upper, *part.lower, *part.limbs.values())}
    assert not names & {name for held_out in HELD_OUT.values() for name in held_out}
    assert {*CONFIG.seen_actions} < names


@pytest.mark.parametrize("change", [{"motion": "other"}, {"motion": "mixtures", "actions": ("kicking",)}])
def test_a_configuration_without_sense_is_refused(change):
    with pytest.raises((ValueError, TypeError), match=r"motion|DataConfig\.actions: expected some not in"):
        replace(DataConfig(), **change)


# -- motion ------------------------------------------------------------------------------------------------


def test_headings_are_uniform_and_both_sides_are_used():
    motions = [vary_motion("throwing", STYLE, TIMES[:1], (0, i)) for i in range(400)]
    angles = torch.stack([heading(motion.R_world_root[0]) for motion in motions])
    for k in (1, 2):  # of uniform angles this mean vector is longer than 0.15 in one of 10,000 cases
        assert torch.polar(torch.ones_like(angles), k * angles).mean().abs() < 0.15
    first = [generate_motion("throwing", STYLE, TIMES[:1], (0, i)).angles for i in range(400)]
    changed = sum(not torch.equal(a, motion.angles) for a, motion in zip(first, motions))
    assert 150 < changed < 250


def test_styles_are_wider():
    styles = [draw_wide_style((0, i)) for i in range(300)]
    tempos = torch.tensor([style.tempo for style in styles])
    assert 0.6 <= tempos.min() < 0.65
    assert 1.35 < tempos.max() <= 1.4


def test_a_mixture_is_a_function_of_each_time_alone_inside_the_ranges():
    whole = generate_mixture(ACTIONS[:5], STYLE, TIMES, (0, 7))
    part = generate_mixture(ACTIONS[:5], STYLE, TIMES[3:6], (0, 7))
    for a, b in zip(whole, part):
        torch.testing.assert_close(a[3:6], b, rtol=0, atol=1e-12)
    skeleton, _ = generate.load_body()
    low, high = skeleton.ranges.unbind(-1)
    for i in range(30):
        angles = generate_mixture(ACTIONS[:5], STYLE, TIMES, (0, i)).angles
        assert ((angles >= low) & (angles <= high)).all()


# -- self-collision ------------------------------------------------------------------------------------------


def test_limbs_inside_the_body_are_found():
    spread = {"shoulder_elv": 60, "shoulder_elv_l": 60, "hip_adduction_r": -15, "hip_adduction_l": -15}
    assert depths(spread) == 0
    crossed = depths(spread | {"hip_adduction_r": 20, "hip_adduction_l": 20})
    assert 0.03 < crossed < 0.2
    assert (
        depths(spread | {"elv_angle": 90, "elbow_flexion": 120, "shoulder_rot": 60, "shoulder_elv": 20})
        > 0.01
    )


def test_mixtures_hardly_penetrate_themselves():
    skeleton, surface = generate.load_body()
    subject, pairs = scene.draw_subject(skeleton, surface, 0, 1), generate._load_pairs()
    subject = subject._replace(style=STYLE)
    found = []
    for i in range(6):
        moved = scene.choose_mixture(skeleton, subject, CONFIG.seen_actions, TIMES, (0, 1, i), pairs)
        take = scene.put_on_floor(skeleton, subject, moved)
        found.append(float(penetration_depth(take.cones, pairs).max()))
    assert sum(depth < 0.04 for depth in found) >= 5


def test_records_of_mixtures_are_the_same_bytes_for_any_number_of_workers(tmp_path: Path):
    config = replace(
        CONFIG, train=1, validation=0, actions=("walking", "kicking"), seconds=0.2, fps=10.0, px=16
    )
    made = [generate.make(config, tmp_path / str(workers), workers) for workers in (1, 2)]
    assert made[0] == made[1]
    actions = records.read(tmp_path / "1" / "subject_002_PG1.arrow").column("action").tolist()
    assert actions == ["walking"] * 2 + ["kicking"] * 2 + [MIXTURE] * 2
