"""Scaling: an OpenSim model and a static trial (.trc) → the model at the subject's size.

    python -m d3ke_lib.body.scaling model.osim static.trc -o scaled.osim

Exit codes: 0 done, 2 an error, 130 interrupted.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.opensim.motion_files import read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.scaling.factors import D3KE_MEASUREMENTS, scale_factors
from d3ke_lib.body.scaling.setup_file import ScaleSetup, read_scale_setup
from d3ke_lib.command_line import command


@command()
def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    setup = ScaleSetup(D3KE_MEASUREMENTS, {}, None, None, True)
    if options.setup:
        setup = read_scale_setup(options.setup)
    seconds = tuple(options.time) if options.time else setup.seconds
    body = load_osim(options.model, options.markers)
    factors = scale_factors(body, read_trc(options.trial), setup.measurements, setup.manual, seconds)
    if all((factor == 1).all() for factor in factors.values()):
        raise ValueError(
            f"{options.trial}: expected markers of a measurement in model and trial, found none: "
            "every scale factor is 1"
        )
    own = {segment.name: np.array(segment.scale_factors) for segment in body.segments}
    write_osim(
        options.output, options.model, {name: own[name] * factor for name, factor in factors.items()},
        options.mass or setup.mass, setup.keep_masses, options.markers,
    )  # fmt: skip
    _report(factors)
    print(f"{options.output}: {len(factors)} bodies")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m d3ke_lib.body.scaling", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", type=Path, help="OpenSim model (.osim)")
    parser.add_argument("trial", type=Path, help="markers of the subject standing still (.trc)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="scaled model to write (.osim)")
    parser.add_argument("--setup", type=Path, help="OpenSim's ScaleTool setup (.xml); D3KE's set otherwise")
    parser.add_argument("--markers", type=Path, help="MarkerSet file (.xml) to put into the model")
    parser.add_argument("--mass", type=float, help="of the subject, kg")
    parser.add_argument("--time", type=float, nargs=2, metavar=("START", "END"), help="part of the trial, s")
    return parser


def _report(factors: dict[str, Float[np.ndarray, " 3"]]) -> None:
    width = max(len(name) for name in factors)
    print(f"{'body':<{width}}       x       y       z")
    for name, factor in factors.items():
        print(f"{name:<{width}}  " + "  ".join(f"{value:6.4f}" for value in factor))


if __name__ == "__main__":
    sys.exit(main())
