"""How far the skeleton layer is from OpenSim, model by model: the largest difference over random poses.

python scripts/agreement.py [MODEL.osim …] [--out data/results/opensim_agreement.json]

Compared are joint frames, body frames and markers, in the file's size and at another that OpenSim itself
scaled to. Without models: ours, those in ../shared/assets/d3ke, and those that installed packages bring
(pip install --no-deps nimblephysics pose2sim bioscout). A model that the reader refuses is listed with the
reason.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import Body, OsimError, load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.studies.opensim_oracle import Places, opensim_places

PACKAGES = ("nimblephysics", "Pose2Sim", "bioscout")
SHARED = BODY_FILE.parents[3] / "shared/assets/d3ke"
WIDEST = 3.0  # rad, m: ranges beyond this are cut


def at_hand() -> list[tuple[str, Path]]:
    """(who brings it, file)"""
    specs = {name: importlib.util.find_spec(name) for name in PACKAGES}
    folders = {name: Path(spec.submodule_search_locations[0]) for name, spec in specs.items() if spec}
    folders = {"d3ke_lib": BODY_FILE.parent, "D3KE": SHARED, **folders}
    return [(name, path) for name, folder in folders.items() for path in sorted(folder.rglob("*.osim"))]


def agreement(source: str, path: Path, poses: int) -> dict:
    """Sizes of the model and the largest differences; or why it is refused."""
    try:
        body = load_osim(path)
    except OsimError as error:
        return {"model": path.stem, "from": source, "refused": str(error).removeprefix(f"{path}: ")}
    sizes = {"bodies": len(body.segments), "coordinates": len(body.coordinates), "markers": len(body.markers)}
    couplers = sum(c.enforced for c in body.couplers)
    return {
        "model": path.stem,
        "from": source,
        **sizes,
        "couplers": couplers,
        "poses": poses,
        **differences(path, body, poses),
    }


def differences(path: Path, body: Body, poses: int) -> dict[str, float]:
    """Largest difference of a coordinate of any joint, body origin or marker, m; of a rotation's entries."""
    exact, single = Skeleton(body).double(), Skeleton(body)
    angles, free = drawn(exact, poses)
    names = tuple(exact.coordinates[i] for i in free)
    draws = np.random.default_rng(1)
    factors = {s.name: draws.uniform(0.8, 1.25, 3) for s in body.segments}
    ratio = torch.from_numpy(np.array([factors[name] for name in exact.bodies]))
    theirs = opensim_places(path, body, names, angles[:, free].numpy())
    scaled = opensim_places(path, body, names, angles[:, free].numpy(), factors)
    ours = places(exact, angles, exact.generic_scales)
    return {
        "float64_m": farthest(ours, theirs),
        "float64_rotation": float(np.abs(ours.R - theirs.R).max()),
        "scaled_float64_m": farthest(places(exact, angles, exact.generic_scales * ratio), scaled),
        "float32_m": farthest(places(single, angles.float(), single.generic_scales), theirs),
    }


def drawn(skeleton: Skeleton, poses: int) -> tuple[torch.Tensor, list[int]]:
    """Coordinates anywhere in their ranges, and which of them follow no coupler."""
    draws = torch.Generator().manual_seed(0)
    low, high = skeleton.ranges.clamp(-WIDEST, WIDEST).unbind(-1)
    angles = low + (high - low) * torch.rand(poses, len(low), generator=draws, dtype=torch.float64)
    follows = {c.dependent for c in skeleton.body.couplers if c.enforced}
    return angles, [i for i, name in enumerate(skeleton.coordinates) if name not in follows]


def places(skeleton: Skeleton, angles: torch.Tensor, scales: torch.Tensor) -> Places:
    pose = Pose(angles, scales)
    (joints, markers), (R, origins) = skeleton(pose), skeleton.frames(pose)
    return Places(*(part.double().numpy() for part in (joints, origins, markers, R)))


def farthest(ours: Places, theirs: Places) -> float:
    pairs = zip(ours[:3], theirs[:3], strict=True)
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--poses", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [("given", path) for path in options.models] or at_hand()
    rows = [agreement(source, path, options.poses) for source, path in models]
    print(json.dumps(rows, indent=1))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
