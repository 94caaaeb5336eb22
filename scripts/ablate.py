"""Train and compare the switches that paper and released code disagree about:  python scripts/ablate.py

Goes on where it was stopped; writes data/results/ablation.json when all runs are there. With --switch only
one is trained, and put into what is recorded of the same records and settings.
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
    usual = ablation.AblationConfig()
    parser.add_argument("--images", type=int, default=usual.frame.images, help="a frame run")
    parser.add_argument("--epochs", type=int, default=usual.temporal.epochs, help="a refiner's run")
    parser.add_argument("--switch", choices=tuple(ablation.SWITCHES), help="only this one")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = ablation.AblationConfig(
        frame=dataclasses.replace(usual.frame, images=given.images),
        temporal=dataclasses.replace(usual.temporal, epochs=given.epochs),
        seeds=tuple(range(given.seeds)),
    )
    data = given.records or pipeline.data(given.profile)
    result = ablation.ablate(config, data, artifacts.out_root() / "ablation", given.switch)
    artifacts.write_json(given.to, ablation.merge(result, given.to) if given.switch else result)
    print(tables.markdown(deviations.ablation_table(result)))


if __name__ == "__main__":
    sys.exit(main())
