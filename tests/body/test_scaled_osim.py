"""A model written at another size stands where the skeleton layer puts a body of that size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE, D3KE


def person(skeleton: Skeleton) -> Pose:
    """In-range angles and a size far from the file's, from a fixed draw."""
    draws = torch.Generator().manual_seed(1)
    share = torch.rand(len(skeleton.coordinates), generator=draws, dtype=torch.float64)
    angles = skeleton.ranges[:, 0] + share * (skeleton.ranges[:, 1] - skeleton.ranges[:, 0])
    spread = torch.rand(len(skeleton.scale_middle), generator=draws, dtype=torch.float64) * 2 - 1
    scales = skeleton.spread_scales(skeleton.scale_middle + skeleton.scale_half * spread)
    return Pose(angles, scales, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("model", ["ours", "released"])
def test_scaled_model_equals_scaled_pose(tmp_path: Path, model: str, request: pytest.FixtureRequest) -> None:
    source = BODY_FILE
    if model == "released":  # has meshes, wrap surfaces and multiplier functions that ours lacks
        source = request.getfixturevalue("shared") / "assets/d3ke/full_body_wo_hands.osim"
    skeleton = Skeleton(load_osim(source), D3KE).double()
    pose = person(skeleton)
    scales = dict(zip(skeleton.bodies, pose.scales.numpy()))
    write_osim(tmp_path / "person.osim", source, scales)
    written = Skeleton(load_osim(tmp_path / "person.osim"), D3KE).double()
    np.testing.assert_allclose(written.generic_scales, pose.scales, rtol=1e-9)
    found = written(pose._replace(scales=written.generic_scales))
    torch.testing.assert_close(found.joints, skeleton(pose).joints, atol=1e-8, rtol=0)
    torch.testing.assert_close(found.markers, skeleton(pose).markers, atol=1e-8, rtol=0)


def test_opensim_loads_it(tmp_path: Path) -> None:
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    write_osim(tmp_path / "person.osim", BODY_FILE, {"femur_r": np.array([1.5, 1.5, 1.5])})
    model, original = opensim.Model(str(tmp_path / "person.osim")), opensim.Model(str(BODY_FILE))
    long, short = (
        np.linalg.norm(
            [m.getJointSet().get("knee_r").get_frames(0).get_translation().get(i) for i in range(3)]
        )
        for m in (model, original)
    )
    factor = load_osim(BODY_FILE).segments
    own = next(s.scale_factors[1] for s in factor if s.name == "femur_r")
    assert long / short == pytest.approx(1.5 / own, rel=0.02)
    assert model.getNumCoordinates() == original.getNumCoordinates()


def test_unknown_body_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found tail"):
        write_osim(tmp_path / "person.osim", BODY_FILE, {"tail": np.ones(3)})
    assert not list(tmp_path.iterdir())
