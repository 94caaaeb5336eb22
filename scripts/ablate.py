"""Train and compare the switches that paper and released code disagree about:  python scripts/ablate.py

Goes on where it was stopped; writes data/results/ablation.json when all runs are there.
"""

import dataclasses
import sys
from pathlib import Path

import _cli
import torch

from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.report import deviations, tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.studies import ablation


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "ablation.json")
    parser.add_argument("--profile", default="demo", help="whose records are used, made if missing")
    parser.add_argument("--records", type=Path, help="a folder of records instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=ablation.FRAME.images, help="a frame run")
    parser.add_argument("--epochs", type=int, default=ablation.TEMPORAL.epochs, help="a refiner's run")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    base = ablation.AblationConfig(seeds=tuple(range(given.seeds)))
    config = dataclasses.replace(
        base,
        frame=dataclasses.replace(base.frame, images=given.images),
        temporal=dataclasses.replace(base.temporal, epochs=given.epochs),
    )
    data = given.records or pipeline.data(given.profile)
    result = ablation.ablate(config, data, artifacts.out_root() / "ablation")
    artifacts.write_json(given.to, result)
    print(tables.markdown(deviations.ablation_table(result)))


if __name__ == "__main__":
    sys.exit(main())
