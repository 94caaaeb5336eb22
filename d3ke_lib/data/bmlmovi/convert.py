"""BMLmovi, AMASS and SMPL-H → records: from published downloads, files in the synthetic set's format.

    <out>/labels/subject_001.npz       coordinates, scale factors, residuals, points: one per subject
    <out>/subjects/subject_001.json    residuals, and what was left out
    <out>/subject_001_PG1.arrow        crops and labels: one per subject and camera
    <out>/report.json  <out>/manifest.json

Every file is written next to its target and renamed: a file that exists is finished.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from d3ke_lib.data import record_jobs, records
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig, describe, is_finished
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, find_downloads
from d3ke_lib.data.bmlmovi.subject import make_subject

__all__ = ["BmlmoviConfig", "BmlmoviError", "IncompleteError", "describe", "make"]
_REPORT = "report.json"


class IncompleteError(BmlmoviError):
    """All files that could be made exist; the message names the others, and why."""


def make(
    config: BmlmoviConfig, raw: Path, out: Path, workers: int = 1, partial: bool = False
) -> dict[str, Any]:
    """Make what is missing of the records of `config` in the folder `out`; returns its manifest.

    Subjects are spread over `workers` processes of one thread; finished files are never made again, and are
    the same bytes whatever the number and however often the making was killed. A file that cannot be made
    does not stop the others: at the end `IncompleteError` names them all, and there is no manifest — unless
    `partial`, which lists the missing files in the manifest's config["missing"]. Raises RecordError where
    `out` holds files of another configuration, and OSError naming the file when it cannot be written.
    """
    tree = find_downloads(raw)
    todo = [
        s for s, cameras in config.files.items() if not all(is_finished(config, out, s, c) for c in cameras)
    ]
    if todo:
        (out / records.MANIFEST).unlink(missing_ok=True)  # a partial one: it would not know the new files
    missing: dict[str, str] = {}
    done = record_jobs.run_jobs(make_subject, todo, workers, config, tree, out)
    for failed in tqdm(
        done, total=len(todo), desc=f"BMLmovi in {out.name}", unit="subject", disable=not todo
    ):
        missing |= failed
    _write_report(out, missing)
    return _finish(config, out, missing, partial)


def _finish(config: BmlmoviConfig, out: Path, missing: Mapping[str, str], partial: bool) -> dict[str, Any]:
    lines = [f"{name}: {why}" for name, why in sorted(missing.items())]
    if missing and not partial:
        count = sum(map(len, config.files.values()))
        raise IncompleteError(
            f"{out}: incomplete: {len(missing)} of {count} files could not be made "
            "(PARTIAL=1 goes on without them):\n  " + "\n  ".join(lines)
        )
    there = {int(path.name.split("_")[1]) for path in out.glob("*.arrow")}
    splits = {name: [s for s in subjects if s in there] for name, subjects in config.splits.items()}
    about = describe(config) | ({"missing": lines} if missing else {})
    return records.write_manifest(out, about, splits)


def _write_report(out: Path, missing: Mapping[str, str]) -> None:
    """Merges the subjects' reports and the list of missing files."""
    subjects = {
        path.stem: json.loads(path.read_bytes()) for path in sorted((out / "subjects").glob("*.json"))
    }
    record_jobs.write_json(out / _REPORT, {"subjects": subjects, "missing": dict(missing)})
