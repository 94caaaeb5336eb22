"""How far the skeleton layer is from OpenSim, model by model: the largest difference over random poses.

python scripts/agreement.py [MODEL.osim …] [--out data/results/opensim_agreement.json]

Compared are joint frames, body frames and markers, in the file's size and at another that OpenSim itself
scaled to. Without models: ours, those in ../shared/assets/d3ke, and those that installed packages bring
(pip install --no-deps nimblephysics pose2sim bioscout). A model that the reader refuses is listed with the
reason.
"""

import importlib.util
import json
import multiprocessing
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import _cli
import numpy as np
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Body, OsimError
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.xml import parse, serialize
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.studies.opensim_oracle import Places, opensim_places
from d3ke_lib.files import write_text

PACKAGES = ("nimblephysics", "Pose2Sim", "bioscout")
SHARED = BODY_FILE.parents[3] / "shared/assets/d3ke"
WIDEST = 3.0  # rad, m: ranges beyond this are cut
WITHOUT_KINEMATICS = ("ForceSet", "ContactGeometrySet", "ControllerSet", "ProbeSet", "ComponentSet")


def installed_models() -> list[tuple[str, Path]]:
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
    angles, free = draw_angles(exact, poses)
    names = tuple(exact.coordinates[i] for i in free)
    draws = np.random.default_rng(1)
    factors = {s.name: draws.uniform(0.8, 1.25, 3) for s in body.segments}
    ratio = torch.from_numpy(np.array([factors[name] for name in exact.bodies]))
    theirs = opensim_places(path, body, names, angles[:, free].numpy())
    scaled = opensim_places(path, body, names, angles[:, free].numpy(), factors)
    ours = skeleton_places(exact, angles, exact.generic_scales)
    return {
        "float64_m": largest_distance(ours, theirs),
        "float64_rotation": float(np.abs(ours.R - theirs.R).max()),
        "scaled_float64_m": largest_distance(
            skeleton_places(exact, angles, exact.generic_scales * ratio), scaled
        ),
        "float32_m": largest_distance(skeleton_places(single, angles.float(), single.generic_scales), theirs),
    }


def draw_angles(skeleton: Skeleton, poses: int) -> tuple[torch.Tensor, list[int]]:
    """Coordinates anywhere in their ranges, and which of them follow no coupler."""
    draws = torch.Generator().manual_seed(0)
    low, high = skeleton.ranges.clamp(-WIDEST, WIDEST).unbind(-1)
    angles = low + (high - low) * torch.rand(poses, len(low), generator=draws, dtype=torch.float64)
    follows = {c.dependent for c in skeleton.body.couplers if c.enforced}
    return angles, [i for i, name in enumerate(skeleton.coordinates) if name not in follows]


def skeleton_places(skeleton: Skeleton, angles: torch.Tensor, scales: torch.Tensor) -> Places:
    pose = Pose(angles, scales)
    (joints, markers), (R, origins) = skeleton(pose), skeleton.frames(pose)
    return Places(*(part.double().numpy() for part in (joints, origins, markers, R)))


def largest_distance(ours: Places, theirs: Places) -> float:
    pairs = zip(ours[:3], theirs[:3], strict=True)
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)


def kinematics_alone(path: Path, folder: Path) -> Path:
    """A copy without forces and contacts, for a model whose meshes or plugins OpenSim does not have."""
    document = parse(path)
    model = document.find("Model")
    for element in [e for e in model if e.tag in WITHOUT_KINEMATICS]:
        model.remove(element)
    copy = folder / path.name
    copy.write_text(serialize(document), encoding="utf-8")
    return copy


def opensim_distances(path: Path, poses: int) -> tuple[float, float]:
    """(at the default coordinates, over random ones) largest distance, m, of a joint, body or marker.

    Raises OpenSim's RuntimeError for a model that it does not read either.
    """
    with warnings.catch_warnings(action="ignore"):  # of loops, which the points do not depend on
        body = load_osim(path)
    skeleton = Skeleton(body).double()
    angles, free = draw_angles(skeleton, poses)
    default = {c.name: c.default for c in body.coordinates}
    first = torch.tensor([[default[n] for n in skeleton.coordinates]], dtype=torch.float64)
    angles = torch.cat([first, angles])
    names = tuple(skeleton.coordinates[i] for i in free)
    with tempfile.TemporaryDirectory() as folder:
        try:
            theirs = opensim_places(path, body, names, angles[:, free].numpy())
        except RuntimeError:
            alone = kinematics_alone(path, Path(folder))
            theirs = opensim_places(alone, body, names, angles[:, free].numpy())
    ours = skeleton_places(skeleton, angles, skeleton.generic_scales)
    at_default = largest_distance(*(Places(*(part[:1] for part in places)) for places in (ours, theirs)))
    return at_default, largest_distance(ours, theirs)


class OwnProcess:
    """Calls in a process of their own, started again after a crash: OpenSim ends the process it runs in."""

    def __init__(self) -> None:
        self._pool = None

    def __call__(self, function: Callable, *arguments: object) -> object:
        """What the function returns or raises; RuntimeError where it crashed."""
        self._pool = self._pool or ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            self._pool = None
            raise RuntimeError("OpenSim crashed") from error


@_cli.command(ImportError)
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--poses", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [("given", path) for path in options.models] or installed_models()
    rows = [agreement(source, path, options.poses) for source, path in models]
    print(json.dumps(rows, indent=1))
    if options.out:
        write_text(options.out, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
