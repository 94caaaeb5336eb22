"""Train and compare the switches that paper and released code disagree about:  python scripts/ablate.py

Goes on where it was stopped; writes data/results/ablation.json when all runs are there.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch

from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.report import deviations, tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.studies import ablation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo", help="whose records are used, made if missing")
    parser.add_argument("--records", type=Path, help="a folder of records instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=ablation.FRAME.images, help="a frame run")
    parser.add_argument("--epochs", type=int, default=ablation.TEMPORAL.epochs, help="a refiner's run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--to", type=Path, default=artifacts.REPOSITORY / "data" / "results" / "ablation.json"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    base = ablation.AblationConfig(seeds=tuple(range(given.seeds)))
    config = dataclasses.replace(
        base,
        frame=dataclasses.replace(base.frame, images=given.images),
        temporal=dataclasses.replace(base.temporal, epochs=given.epochs),
    )
    try:
        data = given.records or pipeline.data(given.profile)
        result = ablation.ablate(config, data, artifacts.out_root() / "ablation")
        artifacts.write_json(given.to, result)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(tables.markdown(deviations.ablation_table(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
