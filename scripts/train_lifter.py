"""Trains the lifting network of METHOD=lifted, if it is not, and records its error:  train_lifter.py

`make predict` trains it on first use as well. Writes data/results/lifter.json, or what --to names.
"""

import json
import os
import sys
import time
from pathlib import Path

import _cli
import torch

from d3ke_lib.experiment.video.lifter_training import LifterConfig, load_lifter
from d3ke_lib.files import write_text


@_cli.command(interrupted="nothing was written")
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--to", type=Path, default=_cli.RESULTS / "lifter.json", help="JSON file to write")
    options = parser.parse_args()
    began, cpu = time.perf_counter(), time.process_time()
    _, about = load_lifter(LifterConfig(), progress=_cli.show_progress)
    facts = {
        "mae_deg": about["validation_deg"],
        "weights_sha256": about["weights_sha256"],
        "seconds": time.perf_counter() - began,
        "core_seconds": time.process_time() - cpu,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    write_text(options.to, json.dumps(facts, indent=1) + "\n")
    for group, error in facts["mae_deg"].items():
        print(f"{group}: {error:.2f}°")


if __name__ == "__main__":
    sys.exit(main())
