"""BMLmovi, AMASS and SMPL-H → records: published downloads in, the same files as the embedded set's out.

    <out>/labels/subject_001.npz       coordinates, scale factors, residuals, points: one a subject
    <out>/subjects/subject_001.json    what was left over and left out
    <out>/subject_001_PG1.arrow        crops and labels: one a subject and camera
    <out>/report.json  <out>/manifest.json

Every file is written once, beside its place, then renamed: whatever is there is finished. Nobody else in the
library knows BMLmovi.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tqdm import tqdm

from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig, described, is_finished
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, Tree, find
from d3ke_lib.data.bmlmovi.subject import make_subject
from d3ke_lib.data.synthetic.generate import begin, fresh_processes

__all__ = ["BmlmoviConfig", "BmlmoviError", "IncompleteError", "described", "make"]
REPORT = "report.json"


class IncompleteError(BmlmoviError):
    """Everything that could be made is; the message names what could not, and why."""


def make(
    config: BmlmoviConfig, raw: Path, out: Path, workers: int = 1, partial: bool = False
) -> dict[str, Any]:
    """Make what is missing of the records of `config` in the folder `out`; returns its manifest.

    Subjects are spread over `workers` processes of one thread; finished files are never made again, and are
    the same bytes whatever the number and however often the making was killed. A file that cannot be made
    does not stop the others: at the end `IncompleteError` names them all, and there is no manifest — unless
    `partial`, which says in the manifest's config["missing"] what is not there. Raises BmlmoviError where
    `out` holds files of another configuration, and OSError naming the file when it cannot be written.
    """
    tree = find(raw)
    todo = [
        s for s, cameras in config.files.items() if not all(is_finished(config, out, s, c) for c in cameras)
    ]
    if todo:
        (out / records.MANIFEST).unlink(missing_ok=True)  # a partial one: it would not know the new files
    missing: dict[str, str] = {}
    done = in_processes(config, tree, out, todo, workers)
    for failed in tqdm(
        done, total=len(todo), desc=f"BMLmovi in {out.name}", unit="subject", disable=not todo
    ):
        missing |= failed
    write_report(out, missing)
    return manifest(config, out, missing, partial)


def manifest(config: BmlmoviConfig, out: Path, missing: Mapping[str, str], partial: bool) -> dict[str, Any]:
    lines = [f"{name}: {why}" for name, why in sorted(missing.items())]
    if missing and not partial:
        count = sum(map(len, config.files.values()))
        raise IncompleteError(
            f"{out}: incomplete: {len(missing)} of {count} files could not be made "
            "(PARTIAL=1 goes on without them):\n  " + "\n  ".join(lines)
        )
    there = {int(path.name.split("_")[1]) for path in out.glob("*.arrow")}
    splits = {name: [s for s in subjects if s in there] for name, subjects in config.splits.items()}
    about = described(config) | ({"missing": lines} if missing else {})
    return records.write_manifest(out, about, splits)


def write_report(out: Path, missing: Mapping[str, str]) -> None:
    """Merges the subjects' reports, and says what could not be made."""
    subjects = {
        path.stem: json.loads(path.read_bytes()) for path in sorted((out / "subjects").glob("*.json"))
    }
    text = json.dumps({"subjects": subjects, "missing": dict(missing)}, indent=1, sort_keys=True)
    records.write_whole(out / REPORT, (text + "\n").encode())


def in_processes(
    config: BmlmoviConfig, tree: Tree, out: Path, todo: list[int], workers: int
) -> Iterator[dict[str, str]]:
    """Each subject in a process of one thread; yields what of it could not be made."""
    with ProcessPoolExecutor(workers, mp_context=fresh_processes(), initializer=begin) as pool:
        futures = [pool.submit(make_subject, config, tree, out, subject) for subject in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise BmlmoviError(
                f"{out}: a worker was killed (out of memory?): run again, with fewer than {workers} workers; "
                "finished files are kept"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
