"""Compare a sample of labels made from BMLmovi with OpenSim's InverseKinematicsTool on the same markers.

python scripts/check_labels.py out/bmlmovi/data --subjects 1 2 [--frames 60] [--json report.json]
Needs the package opensim (in requirements.lock). Ends with 1 where ours fits worse by more than a tenth.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import _cli
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.spec import body_file
from d3ke_lib.data.bmlmovi.labels import Labels, load_labels, select_markers
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.studies.opensim_oracle import opensim_inverse, opensim_markers


def stored(records: Path, subject: int) -> Labels:
    """The subject's labels in a folder of records. Raises D3keError where there are none."""
    path = records / "labels" / f"subject_{subject:03d}.npz"
    labels = load_labels(path)
    if labels is None:
        raise D3keError(f"{path}: expected a subject's labels, found none")
    return labels


def compare_with_opensim(labels: Labels, frames: int) -> dict[str, Any]:
    """The first frames of the first motion: marker errors (mm) of both solvers, and how their angles differ.

    Both solve for the same markers with D3KE's weights on the body at the subject's size; each frame's error
    is the weighted root mean square over markers. OpenSim knows no prior: it goes from frame to frame. Needs
    `opensim` (ImportError). Raises D3keError for less than two frames.
    """
    rows = np.flatnonzero(labels.motion == labels.motion[0])[:frames]
    if len(rows) < 2:
        raise D3keError(f"frames: expected two or more of a motion, found {len(rows)}")
    skeleton = default_skeleton().double()
    names, weights = skeleton.markers, skeleton.marker_weights.numpy()
    goal = select_markers(skeleton, torch.from_numpy(labels.points[rows]).double()).numpy()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "subject.osim"
        write_osim(model, body_file(), dict(zip(skeleton.bodies, labels.scales, strict=True)))
        coordinates, found, seconds = opensim_inverse(model, names, goal, VIDEO_HZ, weights)
        theirs = np.linalg.norm(opensim_markers(model, coordinates, found, names) - goal, axis=-1)
    columns = [coordinates.index(name) for name in skeleton.coordinates]
    apart = np.rad2deg(np.abs(found[:, columns] - labels.angles[rows])).mean(0)
    return {
        "frames": len(rows),
        "opensim_seconds": round(seconds, 2),
        "ours_mm": _weighted(labels.distance[rows], weights),
        "opensim_mm": _weighted(theirs, weights),
        "apart_median_deg": round(float(np.median(apart)), 3),
        "apart_deg": {n: round(float(a), 2) for n, a in zip(skeleton.coordinates, apart, strict=True)},
    }


def _weighted(distance: Float[ndarray, "frame marker"], weights: Float[ndarray, " marker"]) -> float:
    """Weighted root mean square, mm."""
    square = (np.square(distance) * weights).sum(-1) / weights.sum()
    return round(1e3 * float(np.sqrt(square.mean())), 3)


@_cli.command(ImportError)
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("records", type=Path, help="folder that holds labels/")
    parser.add_argument("--subjects", type=int, nargs="+", required=True)
    parser.add_argument("--frames", type=int, default=60, help="of the first motion")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    found = {s: compare_with_opensim(stored(options.records, s), options.frames) for s in options.subjects}
    for subject, one in found.items():
        print(
            f"subject {subject}, {one['frames']} frames: markers off by {one['ours_mm']} mm, "
            f"OpenSim's by {one['opensim_mm']} mm; angles differ by {one['apart_median_deg']}° (median)"
        )
    if options.json:
        artifacts.write_json(options.json, found)
    return int(any(one["ours_mm"] > 1.1 * one["opensim_mm"] + 0.1 for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
