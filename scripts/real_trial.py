"""The real trial:  python scripts/real_trial.py [--profile demo] [--to data/results/real_trial.json]

Fetches the recordings of the package Pose2Sim (51 MB, never installed), makes the reference from four
cameras, predicts from each camera alone by every method and every finished run of the profile, and writes a
JSON, the views with skeletons (out/real-trial) and a table.
"""

import sys
import warnings

import _cli
import torch

from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.trial import run as trial
from d3ke_lib.experiment.trial.tables import RECORDED, coordinate_table, method_table, sentence


@_cli.command(interrupted="nothing was recorded")
def main() -> None:
    parser = _cli.bench_parser(__doc__, RECORDED)
    parser.add_argument("--profile", default="demo", help="whose runs are measured (default: %(default)s)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", category=UserWarning)
    record = trial.run(artifacts.out_root(), given.profile, _cli.show_progress)
    artifacts.write_json(given.to, record)
    print(method_table(record).to_string(index=False), coordinate_table(record).to_string(), sep="\n\n")
    print(f"\n{sentence(record)}\n{given.to}")


if __name__ == "__main__":
    sys.exit(main())
