"""Compare with the released networks' stored outputs: python scripts/parity.py [--shared ../shared]

Writes data/results/parity.json, which notebook 09 shows.
"""

import argparse
import sys
from pathlib import Path

import torch

from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.studies import parity


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=artifacts.REPOSITORY.parent / "shared")
    parser.add_argument("--to", type=Path, default=artifacts.REPOSITORY / "data" / "results" / "parity.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        found = parity.compare(parity.open_vectors(given.shared))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    about = {"machine": devices.describe(), "git": artifacts.git_revision()}
    artifacts.write_json(given.to, rounded(found | about))
    for row in found["networks"]:
        print(", ".join(f"{k}: {v:.1e}" if isinstance(v, float) else v for k, v in row.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
