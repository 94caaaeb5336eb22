"""Which public .osim files are read, which are refused, and how far those read are from OpenSim.

    python scripts/public_models.py FOLDER [--poses 5] [--out data/results/public_models.json]

FOLDER has a folder per repository with any .osim below; files of the same content count once. The table has a
row per construct found in the files (a file is in several) and one per reason for a refusal.
"""

import hashlib
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree.ElementTree import Element

import _cli
import torch
from agreement import OwnProcess, opensim_distances
from tqdm import tqdm

from d3ke_lib.body.opensim.couplers import COUPLER
from d3ke_lib.body.opensim.model import OsimError
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.opensim.xml import objects, parse
from d3ke_lib.files import write_text

EQUAL = 1e-9  # m
SETS = ("BodySet", "JointSet", "MarkerSet")


def read_version(root: Element) -> int:
    return int(root.get("Version", "0"))


def list_joints(root: Element) -> list[Element]:
    model = root.find("Model")
    return [*objects(model, "JointSet"), *model.findall("BodySet/objects/Body/Joint/*")]


def has_repeated_names(root: Element) -> bool:
    siblings = [objects(root.find("Model"), name) for name in SETS]
    siblings.append([c for joint in list_joints(root) for c in joint.iter("Coordinate")])
    names = [[e.get("name") for e in group] for group in siblings]
    return any(len(set(group)) < len(group) for group in names)


def has_joint_without_coordinates(root: Element) -> bool:
    return any(j.tag != "WeldJoint" and next(j.iter("Coordinate"), None) is None for j in list_joints(root))


def has_no_rotation(root: Element) -> bool:
    """Sliders alone, or custom joints whose rotations have no coordinate."""
    axes = [a for j in list_joints(root) for a in j.iter("TransformAxis")]
    turning = [
        a
        for a in axes
        if a.get("name", "").startswith("rotation") and (a.findtext("coordinates") or "").strip()
    ]
    kinds = {j.tag for j in list_joints(root)}
    return kinds <= {"SliderJoint", "WeldJoint", "CustomJoint"} and not turning


def list_constraints(root: Element) -> list[Element]:
    found = objects(root.find("Model"), "ConstraintSet")
    off = ("isEnforced", "false"), ("isDisabled", "true")
    return [c for c in found if not any((c.findtext(tag) or "").strip().lower() == no for tag, no in off)]


IN_BYTES: dict[str, Callable[[bytes], bool]] = {
    "tags with ::": lambda content: re.search(rb"<\w+::", content) is not None,
    "bytes that are not UTF-8": lambda content: not is_utf8(content),
    "blank line before <?xml": lambda content: content[:1].isspace(),
}
IN_DOCUMENT: dict[str, Callable[[Element], bool]] = {
    "version 10901 to 20303": lambda root: read_version(root) < 30000,
    "version 30000 to 30517": lambda root: 30000 <= read_version(root) < 40000,
    "version 40000 and later": lambda root: read_version(root) >= 40000,
    "no rotation": has_no_rotation,
    "joint without a name": lambda root: any(not j.get("name") for j in list_joints(root)),
    "joint without coordinates": has_joint_without_coordinates,
    "name used twice": has_repeated_names,
    "reversed joint": lambda root: any(
        (j.findtext("reverse") or "").strip() == "true" for j in list_joints(root)
    ),
    "coordinate coupler": lambda root: any(c.tag == COUPLER for c in list_constraints(root)),
    "other constraint": lambda root: any(c.tag != COUPLER for c in list_constraints(root)),
}


def is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def find_distinct_files(folder: Path) -> list[Path]:
    """The .osim files of a folder, each content once."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.osim")):
        found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return list(found.values())


def find_constructs(path: Path) -> list[str]:
    """What of the lists above a file has."""
    found = [name for name, test in IN_BYTES.items() if test(path.read_bytes())]
    try:
        root = parse(path)
        return found + [name for name, test in IN_DOCUMENT.items() if test(root)]
    except (OsimError, AttributeError):
        return [*found, "not an OpenSim model"]


def describe_refusal(path: Path, error: OsimError) -> str:
    """The reason without names and numbers of this file."""
    reason = str(error).removeprefix(f"{path}: ").split("; known")[0].split(", expected")[0]
    return re.sub(r"'[^']*'|\[[^]]*\]", "…", reason)


def examine(path: Path, poses: int, apart: OwnProcess) -> dict:
    """Whether the file is read, and its distance to OpenSim (m), at default and at random coordinates."""
    row = {"constructs": find_constructs(path), "refused": None, "loops": False, "opensim": None}
    try:
        row["loops"] = any(constraint.closes_loop for constraint in load_osim(path).constraints)
        at_default, random = apart(opensim_distances, path, poses)
        row |= {"default_m": at_default, "random_m": random}
    except OsimError as error:
        row["refused"] = describe_refusal(path, error)
    except RuntimeError as error:
        row["opensim"] = str(error).strip().splitlines()[0][:120]
    return row


def summarize(rows: Iterable[dict]) -> dict:
    """Files, and how many are read, equal to OpenSim, not read by OpenSim, refused; the largest distances."""
    rows = list(rows)
    read = [row for row in rows if row["refused"] is None]
    compared = [row for row in read if "random_m" in row]
    return {
        "files": len(rows),
        "read": len(read),
        "equal": sum(row["random_m"] < EQUAL for row in compared),
        "opensim_does_not_read": len(read) - len(compared),
        "refused": len(rows) - len(read),
        "with_loops": sum(row["loops"] for row in read),
        "largest_default_m": max((row["default_m"] for row in compared), default=None),
        "largest_random_m": max((row["random_m"] for row in compared), default=None),
    }


def format_table(counts: dict[str, dict]) -> str:
    head = f"{'':46}{'files':>6}{'read':>6}{'equal':>6}{'refused':>8}{'largest distance, m':>21}"
    lines = [
        f"{name:46.46}{c['files']:6}{c['read']:6}{c['equal']:6}{c['refused']:8}"
        f"{'' if c['largest_random_m'] is None else format(c['largest_random_m'], '.1e'):>21}"
        for name, c in counts.items()
    ]
    return "\n".join([head, *lines])


@_cli.command(ImportError)
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--poses", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # loops are counted
    files, apart = find_distinct_files(options.folder), OwnProcess()
    if not files:
        parser.error(f"{options.folder}: expected .osim files, found none")
    rows = []
    for path in tqdm(files, disable=None):
        repository = path.relative_to(options.folder).parts[0]
        rows.append({"path": path, "repository": repository, **examine(path, options.poses, apart)})
    summary = {"total": summarize(rows)}
    for name in sorted({row["repository"] for row in rows}):
        summary[name] = summarize(row for row in rows if row["repository"] == name)
    for name in [*IN_BYTES, *IN_DOCUMENT, "not an OpenSim model"]:
        summary[name] = summarize(row for row in rows if name in row["constructs"])
    refused = dict(Counter(row["refused"] for row in rows if row["refused"]).most_common())
    print_report(rows, summary, refused)
    if options.out:
        result = {"poses": options.poses, "counts": summary, "refused": refused}
        write_text(options.out, json.dumps(result, indent=1) + "\n")


def print_report(rows: list[dict], summary: dict[str, dict], refused: dict[str, int]) -> None:
    print(format_table(summary), "\n\nrefused", sep="")
    for reason, number in refused.items():
        print(f"{number:4}  {reason}")
    print(f"{summary['total']['with_loops']} of those read have constraints that close a loop of joints")
    for row in rows:
        if row["opensim"] or row.get("random_m", 0.0) >= EQUAL:
            print(f"{row['path']}: {row['opensim'] or format(row['random_m'], '.2g') + ' m'}")


if __name__ == "__main__":
    sys.exit(main())
