"""Skeletons to build networks on, and the released networks' weights and inputs, made from names alone."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.body.spec import BODY_FILE, D3KE
from d3ke_lib.nets import head

SALT = "shared"


@pytest.fixture(scope="session")
def skeleton(request: pytest.FixtureRequest) -> Skeleton:
    """Our own body with D3KE's interface; the released one while ours is not made."""
    if BODY_FILE.is_file():
        return Skeleton(load_osim(BODY_FILE), D3KE)
    return request.getfixturevalue("released_skeleton")


@pytest.fixture(scope="session")
def labelled(skeleton: Skeleton) -> Callable[..., tuple[tuple[Pose, Points], Validity]]:
    """labelled(*batch) → target within half of every range, the root rotated at random; all of it valid."""

    def make(*batch: int) -> tuple[tuple[Pose, Points], Validity]:
        unit = torch.rand(*batch, head.width(skeleton) - head.ROTATION) - 0.5
        pose = head.to_pose(skeleton, torch.randn(*batch, head.ROTATION), unit)
        points = skeleton(pose)
        sizes = (len(skeleton.coordinates), len(skeleton.joints), len(skeleton.markers))
        return (pose, points), Validity(*(torch.ones(*batch, n, dtype=torch.bool) for n in sizes))

    return make


@pytest.fixture(scope="session")
def released_skeleton(shared: Path) -> Skeleton:
    return Skeleton(load_osim(shared / "assets/d3ke/full_body_wo_hands.osim"), D3KE)


@pytest.fixture(scope="session")
def fill(shared: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill", shared / "parity/fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def released_state(shared: Path, fill: ModuleType) -> Callable[[str], dict[str, torch.Tensor]]:
    """Name in keys.json → a state dict in the released naming."""
    keys = json.loads((shared / "parity/keys.json").read_text())
    return lambda name: {
        key: torch.from_numpy(np.asarray(fill.tensor(key, tuple(shape), SALT)))
        for key, shape in keys[name].items()
    }


@pytest.fixture(scope="session")
def uniform(fill: ModuleType) -> Callable[[str, tuple[int, ...]], torch.Tensor]:
    return lambda name, shape: torch.from_numpy(fill.uniform(name, shape, SALT))


@pytest.fixture(scope="session")
def difference(shared: Path) -> Callable[[str, Pose, Points], dict[str, float]]:
    """Largest difference to a parity file, a field."""

    def compare(name: str, pose: Pose, points: Points) -> dict[str, float]:
        with np.load(shared / f"parity/{name}.npz") as stored:
            pairs = {
                "scales": (pose.scales, stored["predBoneScale"]),
                "angles": (pose.angles, stored["predRot"]),
                "R_ground_root": (pose.R_ground_root, stored["rootRot"][..., :3, :3]),
                "joints": (points.joints, stored["predJointPos"]),
                "markers": (points.markers, stored["predMarkerPos"]),
            }
            assert all(ours.shape == theirs.shape for ours, theirs in pairs.values())
            return {
                field: float(np.abs(ours.numpy() - theirs).max()) for field, (ours, theirs) in pairs.items()
            }

    return compare
