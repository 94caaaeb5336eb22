"""Several processes that train one network, each on its share of every batch: what `torchrun` starts.

A process started alone is a group of one, and nothing here does anything. The engine is torch's
DistributedDataParallel: gradients are averaged over the processes, batch-norm statistics too on GPUs. The
process of rank 0 is the main one: it alone validates and writes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from d3ke_lib import settings
from d3ke_lib.experiment.run import devices
from d3ke_lib.files import D3keError


class ProcessGroup(NamedTuple):
    """Which of how many processes this is, and where it computes."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def stream(self) -> tuple[int, ...]:
        """What makes this process's random numbers its own."""
        return () if self.size == 1 else (self.rank,)

    def share(self, items: Int[Tensor, " item"]) -> Int[Tensor, " own"]:
        """This process's part of a batch."""
        return items[self.rank :: self.size]

    def synchronise_norms(self, net: nn.Module) -> nn.Module:
        """`net` with norms that see the group's whole batch; on CPUs torch has none: each sees its share."""
        alone = self.size == 1 or self.device.type == "cpu"
        return net if alone else nn.SyncBatchNorm.convert_sync_batchnorm(net)

    def synchronise_gradients(self, net: nn.Module) -> nn.Module:
        """What to call in training, so that gradients are the whole batch's; `net` holds the weights."""
        if self.size == 1:
            return net
        return DistributedDataParallel(net, [self.device] if self.device.type == "cuda" else None)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def init(device: str, batch: int) -> Iterator[ProcessGroup]:
    """The group that torchrun's environment names, at work on `device` (as `devices.choose`).

    Raises D3keError for a batch that does not divide evenly and for more processes than GPUs.
    """
    started, chosen = settings.read(), devices.choose(device)
    if started.processes == 1:
        yield ProcessGroup(chosen)
        return
    if batch % started.processes:
        raise D3keError(f"batch {batch}: expected a multiple of the {started.processes} processes")
    if chosen.type == "cuda":
        if started.local_rank >= torch.cuda.device_count():
            raise D3keError(f"expected at most {torch.cuda.device_count()} processes, one per GPU")
        chosen = torch.device("cuda", started.local_rank)
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(chosen, started.rank, started.processes)
    finally:
        distributed.destroy_process_group()
