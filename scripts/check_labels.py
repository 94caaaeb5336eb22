"""Compare a sample of labels made from BMLmovi with OpenSim's InverseKinematicsTool on the same markers.

python scripts/check_labels.py out/bmlmovi/data --subjects 1 2 [--frames 60] [--json report.json]
Needs the package opensim (in requirements.lock). Ends with 1 where ours fits worse by more than a tenth.
"""

import sys
from pathlib import Path

import _cli

from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.studies.labels_vs_opensim import compare_with_opensim, stored


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
