"""Every backbone's anatomy, cost and time in the frame network: python scripts/bench_backbones.py"""

import sys

import _cli
import torch

from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.report import tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.config import EvaluationConfig
from d3ke_lib.experiment.studies import backbone_costs
from d3ke_lib.nets.backbone import NAMES


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "backbones.json")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    evaluation = EvaluationConfig(batch=given.batch, timing_batches=given.repeats)
    result = backbone_costs.measure(NAMES, given.px, evaluation)
    artifacts.write_json(given.to, rounded(result))
    print(tables.markdown(backbone_costs.table(result)))


if __name__ == "__main__":
    sys.exit(main())
