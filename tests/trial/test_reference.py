"""The reference from synthetic views of a motion that is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
import views

from d3ke_lib.experiment.trial import reference
from d3ke_lib.experiment.trial.association import Seen, Views, associate
from d3ke_lib.experiment.trial.calibration import read_calibration
from d3ke_lib.files import D3keError

RATE, FRAMES = 6.0, 8  # of a motion that takes about a second


@pytest.fixture(scope="module")
def calibration(tmp_path_factory) -> Path:
    return views.write_calibration(tmp_path_factory.mktemp("cameras") / "Calib.qca.txt")


@pytest.fixture(scope="module")
def seen(calibration: Path):
    pose, points = views.motion(FRAMES)
    return pose, views.look(read_calibration(calibration), points, 2.0)


@pytest.fixture(scope="module")
def found(calibration: Path, seen) -> reference.Reference:
    """Of three cameras."""
    three = Views(*(part[:3] for part in seen[1]))
    return reference.make_reference(read_calibration(calibration)[:3], three, RATE)


def test_known_angles_come_back(found, seen) -> None:
    """Hip flexion is off with the pelvic tilt, which no landmark sees; the jackknife cannot show that."""
    truth = reference.observable_deg(reference.reference_skeleton(), seen[0])
    error = dict(zip(reference.OBSERVABLE, np.abs(found.angles_deg - truth).mean(0)))
    assert np.mean(list(error.values())) < 4
    assert max(error[name] for name in error if name.startswith(("knee", "ankle"))) < 4, error
    assert 0.1 < found.se_deg.mean() < 6


def test_fits_as_well_as_opensims_own_inverse_kinematics(found) -> None:
    check = reference.compare_with_opensim(found, RATE)
    assert check["ours_rms_mm"] < check["opensim_rms_mm"] + 0.5 < 20
    assert max(check["difference_deg"][f"knee_angle_{side}"] for side in "rl") < 5, check


def test_views_in_the_wrong_order_are_refused(calibration: Path, seen) -> None:
    cameras = read_calibration(calibration)
    people = [[Seen(px, visibility)] for px, visibility in zip(*seen[1])]
    assert associate(cameras, people) == [(0, 0, 0, 0)]
    with pytest.raises(D3keError, match="expected landmarks that meet within"):
        associate(cameras, [people[1], people[0], people[3], people[2]])


def test_persons_are_told_apart_by_where_views_meet(calibration: Path, seen) -> None:
    """A second person 0.8 m away, found in another order by each view, and a bystander in one view."""
    cameras, first = read_calibration(calibration), seen[1]
    aside = views.motion(FRAMES)[1] + torch.tensor([0.0, 0.0, 0.8], dtype=torch.float64)
    second = views.look(cameras, aside, 4.0)
    people = []
    for view in range(4):
        both = [Seen(first.px[view], first.visibility[view]), Seen(second.px[view], second.visibility[view])]
        people.append(both[::-1] if view % 2 else both)
    people[2].insert(0, Seen(first.px[2] - 300, first.visibility[2]))
    assert sorted(associate(cameras, people)) == [(0, 1, 1, 1), (1, 0, 2, 0)]


def test_a_view_without_anybody_is_named(calibration: Path, seen) -> None:
    people = [[Seen(px, visibility)] for px, visibility in zip(*seen[1])]
    people[1] = []
    with pytest.raises(D3keError, match="camera cam2: expected a person"):
        associate(read_calibration(calibration), people)
