"""What each of two processes in test_distributed does: gradients of its part of a batch, or a training."""

import sys
from pathlib import Path

import pytest
import torch
import toy
from torch import nn

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data import augment
from d3ke_lib.experiment.run import artifacts, train_frame
from d3ke_lib.experiment.run.distributed import ProcessGroup, init
from d3ke_lib.nets.losses import losses, total


def gradients(records: Path, group: ProcessGroup) -> dict[str, torch.Tensor]:
    """Of the loss over one batch of eight; norms hold still, as a share's statistics are not the batch's."""
    frames, _ = train_frame.open_frames(toy.FRAME, records, default_skeleton())
    torch.manual_seed(0)  # for the toy backbone, which knows no seed
    net = train_frame.build_frame(toy.FRAME, default_skeleton(), seed=3)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    image, truth = augment.crop(frames.load(group.share(torch.arange(8))), toy.PX)
    parallel = group.synchronise_gradients(net)  # averages only as long as it lives
    terms = losses(parallel(image), (truth.pose, truth.points), truth.valid, net.skeleton)
    total(terms, toy.FRAME.loss).backward()
    return {name: part.grad for name, part in net.named_parameters() if part.grad is not None}


def main(what: str, records: Path, out: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        if what == "train":
            train_frame.train_frame(toy.FRAME, records, out, 1, default_skeleton())
            return
        with init("cpu", 8) as group:
            found = gradients(records, group)
            if group.is_main:
                artifacts.write_tensors(out, found, {})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
