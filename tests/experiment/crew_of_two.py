"""What each of two processes does in test_crews: gradients of its share of a batch, or a whole training."""

import sys
from pathlib import Path

import pytest
import torch
import toy
from torch import nn

from d3ke_lib.data import augment
from d3ke_lib.experiment.run import artifacts, train
from d3ke_lib.experiment.run.distributed import Crew, joined
from d3ke_lib.nets.losses import losses, total


def gradients(records: Path, crew: Crew) -> dict[str, torch.Tensor]:
    """Of the loss over one batch of eight; norms hold still, as a share's statistics are not the batch's."""
    frames, _ = train.open_frames(toy.FRAME, records, train.default_skeleton())
    torch.manual_seed(0)  # for the toy backbone, which knows no seed
    net = train.build_frame(toy.FRAME, train.default_skeleton(), seed=3)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    image, truth = augment.crop(frames.load(crew.share(torch.arange(8))), toy.PX)
    joint = crew.joint(net)  # averages only as long as it lives
    terms = losses(joint(image), (truth.pose, truth.points), truth.valid, net.skeleton)
    total(terms, toy.FRAME.loss).backward()
    return {name: part.grad for name, part in net.named_parameters() if part.grad is not None}


def main(what: str, records: Path, out: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        if what == "train":
            train.train_frame(toy.FRAME, records, out, seed=1)
            return
        with joined("cpu", 8) as crew:
            found = gradients(records, crew)
            if crew.leads:
                artifacts.write_tensors(out, found, {})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
