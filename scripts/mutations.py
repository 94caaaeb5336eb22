"""What becomes of broken model and motion files: thousands of mutated ones, counted by how each class ended.

    python scripts/mutations.py --count 3000 --out data/results/mutations.json

A file that is read although mutated has to be one that OpenSim reads to the same points: `--opensim N` asks
it about N of those, in another process, as it may crash.
"""

import collections
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _cli
import numpy as np
import torch
from agreement import OwnProcess

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.model import Body
from d3ke_lib.body.opensim.motion_files import read_mot, read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.studies.opensim_oracle import opensim_places
from d3ke_lib.files import write_text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/body"))
import osim_models as models
from test_osim import MOT, TRC

SOURCES = {
    "every joint and function": (".osim", models.every_kind, load_osim),
    "OpenSim 3": (".osim", models.old, load_osim),
    "frames on frames": (".osim", models.nested, load_osim),
    "our body": (".osim", BODY_FILE.read_text, load_osim),
    ".mot": (".mot", lambda: MOT, read_mot),
    ".trc": (".trc", lambda: TRC, read_trc),
}
JUNK = ("nan", "-", "1e999", "x", "0", "-1", "<", ">", "&", "\t", "\n", "\x00", "ü", "1 2 3 4")
SLOW = 10.0  # s
NEAR = 1e-6  # m


def cut(text: str, draws: random.Random) -> str:
    at = draws.randrange(len(text))
    return text[:at] + text[at + draws.choice((1, 5, 40, 400, 10**7)) :]


def insert(text: str, draws: random.Random) -> str:
    at = draws.randrange(len(text))
    return text[:at] + draws.choice(JUNK) + text[at:]


def repeat(text: str, draws: random.Random) -> str:
    at, length = draws.randrange(len(text)), draws.choice((1, 20, 200, 2000))
    return text[: at + length] + text[at:]


def swap_words(text: str, draws: random.Random) -> str:
    """Two of the file's words (numbers, names, tags) change places."""
    words = text.split(" ")
    a, b = draws.randrange(len(words)), draws.randrange(len(words))
    words[a], words[b] = words[b], words[a]
    return " ".join(words)


def change_number(text: str, draws: random.Random) -> str:
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    at = draws.choice(digits)
    return text[:at] + draws.choice(("nan", "inf", "-7", "1e308", "", "9", "0")) + text[at + 1 :]


MUTATIONS = {f.__name__: f for f in (cut, insert, repeat, swap_words, change_number)}


def read_and_pose(read: Callable, path: Path) -> str:
    """How reading the file and posing the body ended."""
    begin = time.monotonic()
    try:
        found = read(path)
    except ValueError as error:
        result = "refused by name" if path.name in str(error) else "REFUSED WITHOUT THE FILE'S NAME"
    except Exception as error:  # noqa: BLE001  (what this script looks for)
        result = f"CRASHED: {type(error).__name__}"
    else:
        result = "read" if path.suffix != ".osim" or is_finite(found) else "NOT FINITE"
    return result if time.monotonic() - begin < SLOW else "SLOW"


def is_finite(body: Body) -> bool:
    skeleton = Skeleton(body).double()
    return all(bool(part.isfinite().all()) for part in skeleton(skeleton.rest()))


def compare(path: Path) -> str:
    body = load_osim(path)
    skeleton = Skeleton(body).double()
    draws = np.random.default_rng(0).uniform(-1, 1, (2, len(skeleton.coordinates)))
    follows = {c.dependent for c in body.couplers if c.enforced}
    free = [i for i, name in enumerate(skeleton.coordinates) if name not in follows]
    names = tuple(skeleton.coordinates[i] for i in free)
    try:
        theirs = opensim_places(path, body, names, draws[:, free])
    except RuntimeError as error:
        return f"OpenSim refuses: {str(error).strip().splitlines()[0][:80]}"
    joints, markers = skeleton(Pose(torch.from_numpy(draws), skeleton.generic_scales))
    pairs = ((joints, theirs.joints), (markers, theirs.markers))
    off = max(float(np.abs(ours.numpy() - them).max(initial=0.0)) for ours, them in pairs)
    return "the same points" if off < NEAR else f"OTHER POINTS ({path.name}: {off:.2g} m)"


def ask_opensim(apart: OwnProcess, path: Path) -> str:
    try:
        return apart(compare, path)
    except RuntimeError as error:
        return str(error)


@_cli.command(ImportError)
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--opensim", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files that were read or ended badly")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    draws, counts, asked = random.Random(options.seed), collections.Counter(), collections.Counter()
    apart, texts = OwnProcess(), {name: text() for name, (_, text, _) in SOURCES.items()}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.count):
            source, kind = draws.choice(list(SOURCES)), draws.choice(list(MUTATIONS))
            suffix, _, read = SOURCES[source]
            path = (options.keep or Path(folder)) / f"mutated{i}{suffix}"
            path.write_text(MUTATIONS[kind](texts[source], draws), encoding="utf-8")
            result = read_and_pose(read, path)
            counts[source, kind, result] += 1
            if result == "read" and suffix == ".osim" and asked.total() < options.opensim:
                asked[ask_opensim(apart, path)] += 1
            if result == "refused by name":
                path.unlink()
    rows = [{"file": f, "mutation": m, "ended": e, "count": n} for (f, m, e), n in sorted(counts.items())]
    result = {"count": options.count, "rows": rows, "read_ones_in_opensim": dict(asked)}
    print(json.dumps(result, indent=1))
    if options.out:
        write_text(options.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
