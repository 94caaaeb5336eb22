"""Every backbone's anatomy, cost and time in the frame network: python scripts/bench_backbones.py"""

import argparse
from pathlib import Path

import torch

from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.report import tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.config import EvaluationConfig
from d3ke_lib.experiment.studies import backbone_costs
from d3ke_lib.nets.backbone import NAMES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--to", type=Path, default=artifacts.REPOSITORY / "data" / "results" / "backbones.json"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    judging = EvaluationConfig(batch=given.batch, timing_batches=given.repeats)
    result = backbone_costs.measure(NAMES, given.px, judging)
    artifacts.write_json(given.to, rounded(result))
    print(tables.markdown(backbone_costs.table(result)))


if __name__ == "__main__":
    main()
