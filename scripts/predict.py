"""Joint angles of a person in a video:  python scripts/predict.py walk.mp4 [--method lifted] [--box x,y,w,h]

Writes out/predict/<video>-<hash>.<method>/ or the folder given by --out: angles.mot and person.osim for
OpenSim, angles.csv, markers.trc, overlay.mp4, boxes.png and index.html.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import _cli
from tqdm import tqdm

from d3ke_lib.experiment import video as room


@_cli.command(interrupted="nothing was written")
def main() -> None:
    given = vars(_parser().parse_args())
    request = room.check_request(**given)
    prediction, skeleton = room.predict_request(request, _show)
    for note in prediction.video.notes:
        print(f"note: {request.video}: {note}", file=sys.stderr)
    page = room.write_prediction(prediction, skeleton, request.folder, _show)
    print(f"{page}  ({room.warning(request.method)})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path, help="any file that FFmpeg reads; a camera that stands still")
    parser.add_argument("--method", help="lifted (default), landmarks, or d3ke (trained networks)")
    parser.add_argument("--profile", default="demo", help="d3ke: whose networks (default: %(default)s)")
    parser.add_argument("--backbone", default="resnext50_32x4d", help="default: %(default)s")
    parser.add_argument("--refiner", help="default: transformer where it is trained, else none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="a frame network of export_weights.py, not a profile's")
    parser.add_argument("--refiner-weights", type=Path, help="the temporal network exported with it")
    parser.add_argument("--box", help="x,y,w,h in px of the person in the first frame")
    parser.add_argument("--person", type=int, default=1, help="2: who is seen second longest …")
    parser.add_argument("--focal", type=float, help="focal length in px; default: 1.2 × the longer side")
    parser.add_argument("--out", dest="folder", type=Path, help="folder to write, replaced as a whole")
    return parser


def _show(stage: str, items: Iterable[Any], total: int | None = None) -> Iterable[Any]:
    """A progress bar, where there is a terminal."""
    yield from tqdm(items, desc=stage, total=total, unit="frame", disable=None)


if __name__ == "__main__":
    sys.exit(main())
