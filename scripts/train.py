"""Train one frame network; started by torchrun, on all its processes. `make reproduce` then finds it trained.

python -m torch.distributed.run --standalone --nproc-per-node 4 scripts/train.py --profile bmlmovi
(make train P=bmlmovi PROCESSES=4 BACKBONE=resnext101_32x8d SEED=0)
"""

import sys

import _cli

from d3ke_lib import settings
from d3ke_lib.data import records
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.run import config


@_cli.command(interrupted="the same command resumes it")
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--profile", default="demo", choices=config.PROFILES)
    parser.add_argument("--backbone", default="resnext50_32x4d")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = settings.read()
    made = pipeline.folder(options.profile) / "data" / records.MANIFEST
    if started.processes > 1 and not made.is_file():
        raise ValueError(f"{made}: expected records, found none; make them in one process first")
    run = pipeline.frame(options.profile, options.backbone, options.seed)
    if started.rank == 0:
        print(run)


if __name__ == "__main__":
    sys.exit(main())
