"""How far the skeleton layer is from OpenSim, model by model: the largest distance over random poses, m.

python scripts/agreement.py MODEL.osim … [--out data/results/opensim_agreement.json]; a model that the reader
refuses is listed with the reason.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from d3ke_lib.body.kinematics import Pose, Skeleton
from d3ke_lib.body.osim import OsimError, load_osim
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.opensim_reference import opensim_markers


def agreement(path: Path, poses: int) -> dict:
    """Sizes of the model and the largest difference in float64 and float32, m; or why it is refused."""
    try:
        body = load_osim(path)
    except OsimError as error:
        return {"model": path.stem, "refused": str(error).removeprefix(f"{path}: ")}
    skeleton = Skeleton(body).double()
    draws = torch.Generator().manual_seed(0)
    low, high = skeleton.ranges.clamp(-3, 3).unbind(-1)
    angles = low + (high - low) * torch.rand(poses, len(low), generator=draws, dtype=torch.float64)
    follows = {c.dependent for c in body.couplers if c.enforced}
    free = [i for i, name in enumerate(skeleton.coordinates) if name not in follows]
    names = tuple(skeleton.coordinates[i] for i in free)
    theirs = opensim_markers(path, names, angles[:, free].numpy(), skeleton.markers)
    ours = skeleton(Pose(angles, skeleton.generic_scales)).markers.numpy()
    single = Skeleton(body)(Pose(angles.float(), Skeleton(body).generic_scales)).markers.numpy()
    worst = [float(np.abs(found - theirs).max()) if theirs.size else None for found in (ours, single)]
    sizes = {"bodies": len(body.segments), "coordinates": len(body.coordinates), "markers": len(body.markers)}
    return {
        "model": path.stem,
        **sizes,
        "couplers": len(body.couplers),
        "float64_m": worst[0],
        "float32_m": worst[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, default=[BODY_FILE])
    parser.add_argument("--poses", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [agreement(path, options.poses) for path in options.models]
    print(json.dumps(rows, indent=1))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
