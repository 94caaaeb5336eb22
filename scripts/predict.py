"""Joint angles of a person in a video:  python scripts/predict.py walk.mp4 [--box x,y,w,h] [--profile demo]

Writes out/<profile>/predict/<video>/: angles.mot and person.osim for OpenSim, angles.csv, markers.trc,
overlay.mp4, boxes.png and index.html.
"""

import argparse
import sys
from pathlib import Path

from d3ke_lib.experiment.run.artifacts import out_root
from d3ke_lib.experiment.video.outputs import WARNING, write_all
from d3ke_lib.experiment.video.predict import FOCAL, find, load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", help="any file that FFmpeg reads; one person, a camera that stands still")
    parser.add_argument("--profile", default="demo", help="whose networks (default: %(default)s)")
    parser.add_argument("--backbone", default="resnext50_32x4d", help="default: %(default)s")
    parser.add_argument(
        "--refiner", default="transformer", help="default: %(default)s; used where it is trained"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--box", help="x,y,w,h in px of the whole picture; default: who moves")
    parser.add_argument("--focal", type=float, help=f"focal length in px; default: {FOCAL} × the longer side")
    given = parser.parse_args()
    try:
        nets = load(given.profile, given.backbone, given.refiner, given.seed)
        found = find(Path(given.video), nets, given.box, given.focal)
        folder = out_root() / given.profile / "predict" / Path(given.video).stem
        page = write_all(found, nets, folder, "given" if given.box else "the person who moves most")
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{page}  ({WARNING})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
