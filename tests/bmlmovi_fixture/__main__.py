"""Write a small BMLmovi of synthetic subjects in the published formats, with the ground truth.

PYTHONPATH=tests python -m bmlmovi_fixture out/fixture --subjects 1 2 --frames 20
"""

import argparse
import sys
from pathlib import Path

import torch

from bmlmovi_fixture import generate as fixture
from bmlmovi_fixture.generate import FixtureConfig


def main() -> int:
    default = FixtureConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write: what RAW= is for the real downloads")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--subjects", type=int, nargs="+", default=default.subjects)
    parser.add_argument("--cameras", nargs="+", default=default.cameras)
    parser.add_argument("--motions", nargs="+", default=default.motions)
    parser.add_argument("--frames", type=int, default=default.frames, help="of the video, of each motion")
    arguments = parser.parse_args()
    values = {name: getattr(arguments, name) for name in ("subjects", "cameras", "motions")}
    values = {name: tuple(value) for name, value in values.items()}
    try:
        config = FixtureConfig(seed=arguments.seed, frames=arguments.frames, **values)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    fixture.make(config, arguments.raw)
    for path in sorted(arguments.raw.rglob("*.*")):
        print(f"{path.stat().st_size:>10}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
