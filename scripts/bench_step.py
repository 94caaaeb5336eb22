"""What a training step of the frame network is made of: python scripts/bench_step.py

Loading, augmentation, network, skeleton with losses, optimiser; ms and shares, in bf16 and fp32. Aim:
skeleton, losses and loading together at most a tenth of the step at 128 px. Its records are made first.
"""

import dataclasses
import os
import sys

import _cli
import torch

from d3ke_lib.data.augment import AugmentConfig
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.motion import ACTIONS
from d3ke_lib.experiment.report import tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.config import FrameConfig
from d3ke_lib.experiment.studies import step_profile

MARGIN = 1.40625  # the demo's


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "step.json")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--backbone", default="resnext50_32x4d")
    parser.add_argument("--augmentation", choices=("paper", "none"), default="paper")
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    stored = round(given.px * MARGIN)
    subjects = DataConfig(
        train=1, validation=0, test=0, actions=ACTIONS[:4], seconds=1.0, fps=10.0, px=stored, margin=MARGIN
    )
    records = artifacts.out_root() / "bench" / f"step_{stored}"
    synthetic.make(subjects, records, len(os.sched_getaffinity(0)))
    settings = FrameConfig(backbone=given.backbone, px=given.px, batch=given.batch, weights=None)
    if given.augmentation == "none":
        settings = dataclasses.replace(settings, augment=AugmentConfig(None, None, None))
    result = step_profile.measure(records, settings, given.repeats)
    artifacts.write_json(given.to, result | {"load": os.getloadavg()[0]})
    print(tables.markdown(step_profile.table(result)))


if __name__ == "__main__":
    sys.exit(main())
