"""What subjects do: headings, sides, held-out actions, mixtures and self-collision."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from d3ke_lib.data import records
from d3ke_lib.data.synthetic import generate, takes
from d3ke_lib.data.synthetic.channels import POSTURES
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.mixtures import (
    HELD_OUT,
    MIXTURE,
    draw_mixture,
    draw_wide_style,
    generate_mixture,
    vary_motion,
)
from d3ke_lib.data.synthetic.motion import ACTIONS, Motion, generate_motion

CONFIG = DataConfig(train=2, validation=1, test=1)
STYLE = draw_wide_style((0, 1, 1))
TIMES = torch.arange(12, dtype=torch.float64) / 4


def depths(angles: dict[str, float]) -> float:
    """Penetration (m) of the mean body in a pose given in degrees."""
    skeleton, surface = generate.load_body()
    q = torch.zeros(1, len(skeleton.coordinates), dtype=torch.float64)
    for name, degrees in angles.items():
        q[:, skeleton.coordinates.index(name)] = math.radians(degrees)
    mover = takes.Mover(skeleton, surface, skeleton.generic_scales, STYLE)
    upright = torch.eye(3, dtype=torch.float64)[None]
    standing = Motion(q, upright, torch.zeros(1, 2).double(), torch.zeros(1).double())
    return float(takes.measure_depth(mover, standing))


def heading(R: Tensor) -> Tensor:
    """Direction of the pelvis' forward axis on the floor, rad."""
    return torch.atan2(R[..., 1, 0], R[..., 0, 0])


# -- configuration ---------------------------------------------------------------------------------------


def test_records_depend_on_motions_body_and_people(people_folder):
    assert people_folder.is_dir()
    assert set(generate.describe(CONFIG)["sources"]) == {
        "actions.toml",
        "postures.toml",
        "flesh.json",
        "d3ke_body.osim",
        "people.safetensors",
    }


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


def test_actions_that_are_all_held_out_are_refused():
    with pytest.raises(ValueError, match=r"DataConfig\.actions: expected some not in .*kicking"):
        replace(CONFIG, actions=("kicking",))


def test_an_unknown_action_is_refused_and_the_known_are_named():
    with pytest.raises(ValueError, match=r"DataConfig\.actions: .*walking.*flying"):
        replace(CONFIG, actions=("flying",))


def test_frames_are_counted_by_takes_and_cameras():
    config = replace(CONFIG, test_cameras=("PG1",), seconds=1.0)
    takes = [len(config.list_takes(subject)) for subject in (1, 2, 3, 4)]
    assert takes == [23, 23, 26, 29]
    assert config.count_frames([1, 2]) == 30 * 2 * 2 * 23
    assert config.count_frames([3, 4]) == 30 * (26 + 29)


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
    whole, parts = generate_mixture(ACTIONS[:5], STYLE, TIMES, (0, 7))
    part, some = generate_mixture(ACTIONS[:5], STYLE, TIMES[3:6], (0, 7))
    assert some == parts[3:6]
    for a, b in zip(whole, part):
        torch.testing.assert_close(a[3:6], b, rtol=0, atol=1e-12)
    skeleton, _ = generate.load_body()
    low, high = skeleton.ranges.unbind(-1)
    for i in range(30):
        angles = generate_mixture(ACTIONS[:5], STYLE, TIMES, (0, i))[0].angles
        assert ((angles >= low) & (angles <= high)).all()


def test_the_parts_of_a_mixture_are_told_by_half_of_the_body():
    known = {*CONFIG.seen_actions, *POSTURES, "random"}
    for i in range(20):
        for frame in generate_mixture(CONFIG.seen_actions, STYLE, TIMES[:2], (0, i))[1]:
            described = json.loads(frame)
            assert described.keys() == {"upper", "lower"}
            for weights in described.values():
                assert weights.keys() <= known
                assert min(weights.values()) >= 0
                assert sum(weights.values()) == pytest.approx(1, abs=0.004)


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
    mover = takes.Mover(skeleton, surface, skeleton.generic_scales, STYLE)
    found = []
    for i in range(6):
        moved, _ = takes.choose_mixture(mover, CONFIG.seen_actions, TIMES, (0, 1, i))
        found.append(float(takes.measure_depth(mover, moved).max()))
    assert sum(depth < 0.04 for depth in found) >= 5


def test_records_of_mixtures_are_the_same_bytes_for_any_number_of_workers(
    tmp_path: Path, people_folder: Path
):
    config = replace(
        CONFIG,
        train=1,
        validation=0,
        actions=("walking", "kicking"),
        seconds=0.2,
        fps=10.0,
        px=16,
        train_cameras=("R1",),
        test_cameras=("PG1", "H1"),
    )
    made = [generate.make(config, tmp_path / str(workers), workers) for workers in (1, 2)]
    assert made[0] == made[1]
    record = records.read(tmp_path / "1" / "subject_002_PG1.arrow")
    assert record.column("action").tolist() == ["walking"] * 2 + ["kicking"] * 2 + [MIXTURE] * 2
    parts = record.column("parts").tolist()
    assert parts[:4] == [""] * 4
    assert all(json.loads(each) for each in parts[4:])
