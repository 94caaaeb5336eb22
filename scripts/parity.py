"""Compare with the released networks' stored outputs: python scripts/parity.py [--shared ../shared]

Writes data/results/parity.json, which notebook 09 shows.
"""

import sys
from pathlib import Path

import _cli
import torch

from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.studies import parity


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "parity.json", threads=1)
    parser.add_argument("--shared", type=Path, default=_cli.ROOT.parent / "shared")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = parity.compare(parity.open_vectors(given.shared))
    about = {"machine": devices.describe(), "git": artifacts.git_revision()}
    artifacts.write_json(given.to, rounded(found | about))
    for row in found["networks"]:
        print(", ".join(f"{k}: {v:.1e}" if isinstance(v, float) else v for k, v in row.items()))


if __name__ == "__main__":
    sys.exit(main())
