"""A training step of both backbones with 1×1 convolutions as oneDNN's and as matrix products, in one run.

python scripts/bench_pointwise.py [--px 48 64] [--batch 16]; images per second, CPU, bf16 autocast, AdamW.
"""

import sys
import time

import _cli
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.nets import frame
from d3ke_lib.nets.pointwise import Pointwise


def images_per_second(net: torch.nn.Module, px: int, batch: int, steps: int = 6) -> float:
    """By the median step, after one to warm up."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-6, fused=True)
    image = torch.rand(batch, 3, px, px).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(steps):
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            pose, points = net(image)
        (pose.angles.sum() + points.joints.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return batch / sorted(seconds[1:])[len(seconds[1:]) // 2]


def as_convolutions(net: torch.nn.Module) -> torch.nn.Module:
    for module in net.modules():
        if isinstance(module, Pointwise):
            module.forward = super(Pointwise, module).forward
    return net


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--px", type=int, nargs="*", default=[48, 64])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--backbones", nargs="*", default=["resnext50_32x4d", "resnext101_32x8d"])
    options = parser.parse_args()
    print(f"{'backbone':18} {'px':>4} {'convolutions':>13} {'products':>9}   images/s, batch {options.batch}")
    for name in options.backbones:
        for px in options.px:
            nets = [frame.build(default_skeleton(), name, seed=0) for _ in range(2)]
            rates = [images_per_second(net, px, options.batch) for net in (as_convolutions(nets[0]), nets[1])]
            print(f"{name:18} {px:4} {rates[0]:13.1f} {rates[1]:9.1f}")


if __name__ == "__main__":
    sys.exit(main())
