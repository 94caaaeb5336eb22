"""What Make has to do for a profile: which runs there are, and which pages of the report are out of date.

    python -m d3ke_lib.experiment.plan check P [REFINER [BACKBONE]]   are these values right? writes nothing
    python -m d3ke_lib.experiment.plan write P REFINER                out/<P>/plan.mk and out/<P>/stamps/

A page is an executed notebook. Its stamp is a file that Make compares its time with, and holds a hash of the
notebook's cells and of all they import. A stamp is written anew where that hash has changed and where the
page's stage, or one before it, is not up to date: the same functions of `pipeline` say so to the stages
themselves. Neither the times of sources nor files that lie next to them make Make run anything.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from d3ke_lib.command_line import command
from d3ke_lib.experiment import networks, pipeline, record_folder
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.report import figures
from d3ke_lib.experiment.report.data_text import is_synthetic
from d3ke_lib.experiment.resolved import Experiment, find_methods, resolve, settings_of
from d3ke_lib.experiment.run import run_folder
from d3ke_lib.experiment.run.code_hash import hash_files, sources
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.files import D3keError, write_if_changed
from d3ke_lib.settings import REPOSITORY

_REPORT = "report"  # the stamp of the report itself
_NOTEBOOKS = REPOSITORY / "notebooks"
_DATA, _FRAME, _TEMPORAL = "02_data", "04_frame", "05_temporal"
_EVALUATION, _FIGURES = "06_evaluation", "07_figures"


def _check(profile: str, refiner: str | None = None, backbone: str | None = None) -> Experiment:
    """The experiment, after checking all that a user can set. Writes nothing.

    Raises ValueErrors naming the value, what was expected and what was found.
    """
    experiment = resolve(profile, refiner)
    if backbone is not None:
        settings_of(experiment.profile, Method("frame", backbone))
    if not is_synthetic(experiment.profile) and not pipeline.data_up_to_date(experiment):
        pipeline.check_downloads(experiment)
    return experiment


def write(experiment: Experiment) -> Path:
    """Writes plan.mk and the stamps; returns plan.mk."""
    folder, pages = experiment.folder, find_pages(experiment)
    stale = set(find_stale(experiment))
    for page, start in pages.items():
        stamp = folder / "stamps" / page
        if page in stale:
            stamp.unlink(missing_ok=True)
        write_if_changed(stamp, hash_page(experiment, start) + "\n")
    del pages[_REPORT]
    frames = [method for method in _find_shown(experiment) if method.kind == "frame"]
    lists = {
        "RUNS": [f"{method.backbone}.{method.seed}" for method in frames],
        "PAGES": pages,
        "STALE": [page for page in pages if not _is_executed(folder, page)],
    }
    text = "".join(f"{name} := {' '.join(values)}\n" for name, values in lists.items())
    write_if_changed(folder / "plan.mk", text)
    return folder / "plan.mk"


def _is_executed(folder: Path, page: str) -> bool:
    executed = folder / "notebooks" / f"{page}.ipynb"
    return executed.is_file() and not _is_newer(folder / "stamps" / page, executed)


def find_pages(experiment: Experiment) -> dict[str, list[Path]]:
    """Page → the files whose imports are behind it, in the order of execution; last, the report."""
    single = [path for path in _NOTEBOOKS.glob("*.ipynb") if path.stem not in (_FRAME, _TEMPORAL)]
    pages = {path.stem: [path] for path in single}
    for method in _find_shown(experiment):
        page = _page_of(method)
        pages[page] = [_NOTEBOOKS / f"{page.partition('.')[0]}.ipynb"]
    templates = sorted(path for path in (REPOSITORY / "scripts" / "report").rglob("*") if path.is_file())
    ordered = {page: pages[page] for page in sorted(pages, key=lambda page: page[:2])}
    texts = [REPOSITORY / "docs" / name for name in ("claims.md", "reproducibility.md")]
    return ordered | {_REPORT: [REPOSITORY / "scripts" / "build_report.py", *texts, *templates]}


def _find_shown(experiment: Experiment) -> list[Method]:
    """The methods whose training has a page: `make study` trains those of a plan, which are many."""
    return [] if experiment.profile.plan else find_methods(experiment.profile)


def _page_of(method: Method) -> str:
    """frame/resnext50_32x4d.0 → 04_frame.resnext50_32x4d.0."""
    return f"{_FRAME if method.kind == 'frame' else _TEMPORAL}.{method.name.partition('/')[2]}"


def hash_page(experiment: Experiment, start: list[Path]) -> str:
    """Of cells and imported code, and of the configuration that notebooks show."""
    return fingerprint(hash_files(sources(*start)), experiment.profile.data, experiment.profile.frame)


def find_stale(experiment: Experiment) -> Iterator[str]:
    """Pages whose stage, or one before it, is not up to date, or has made something since."""
    made = pipeline.data_up_to_date(experiment)
    runs = networks.find_runs(experiment) if made else {}
    methods = _find_shown(experiment)
    evaluated = (
        set(methods) <= set(runs) and runs and pipeline.results_up_to_date(experiment, experiment.data, runs)
    )
    drawn = evaluated and figures.find_drawn(experiment.folder) is not None
    results = {_DATA: (made, experiment.data / record_folder.IDENTITY)}
    results |= {_page_of(m): (m in runs, experiment.folder / m.name / run_folder.RESULT) for m in methods}
    results[_EVALUATION] = (evaluated, experiment.folder / pipeline.RESULTS)
    results[_FIGURES] = (drawn, experiment.folder / "figures" / "captions.json")
    for page, (is_up_to_date, path) in results.items():
        executed = experiment.folder / "notebooks" / f"{page}.ipynb"
        if not is_up_to_date or (executed.is_file() and _is_newer(path, executed)):
            yield page


def _is_newer(path: Path, than: Path) -> bool:
    return path.stat().st_mtime_ns > than.stat().st_mtime_ns


def main(task: str = "", *values: str) -> None:
    if task not in ("check", "write") or not values:
        raise D3keError(f"plan: expected check or write and a profile, found {task} {' '.join(values)}")
    experiment = _check(*(value or None for value in values))
    if task == "write":
        write(experiment)


if __name__ == "__main__":
    sys.exit(command()(main)(*sys.argv[1:]))
