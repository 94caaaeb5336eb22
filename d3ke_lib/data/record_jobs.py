"""Making a data set's files in worker processes, whatever they are made from."""

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, TypeVar

import torch

from d3ke_lib import files
from d3ke_lib.data import records
from d3ke_lib.data.schema import RecordError

_Result = TypeVar("_Result")


def describe_config(config: Any, sources: Iterable[Path]) -> dict[str, Any]:
    """The configuration (a dataclass) and the hashes of `sources`, the other files its records depend on."""
    values = json.loads(json.dumps(asdict(config)))
    return values | {"sources": {path.name: files.sha256(path) for path in sources}}


def is_finished(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether the record file exists. Raises RecordError where it was made from another configuration."""
    if not path.is_file():
        return False
    found = records.read(path).metadata.config
    differ = [key for key in sorted({*description, *found}) if description.get(key) != found.get(key)]
    if differ:
        pairs = ", ".join(f"{key}: expected {description.get(key)}, found {found.get(key)}" for key in differ)
        raise RecordError(f"{path}: made from another configuration ({pairs}); use another folder")
    return True


def run_jobs(
    task: Callable[..., _Result], jobs: Sequence[Any], workers: int, *constants: Any
) -> Iterator[_Result]:
    """`task(*constants, job)` of every job, as they finish, in `workers` processes of one thread each.

    One worker is a process, too: sums then have the same order for any number of workers.
    Raises RecordError when a worker is killed, and what the task raises.
    """
    context = _worker_context(task.__module__)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        futures = [pool.submit(task, *constants, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise RecordError(
                f"a worker process was killed (out of memory?): run again with fewer than {workers} workers; "
                "finished files are kept"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_json(path: Path, value: Any) -> None:
    files.write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def _worker_context(module: str) -> BaseContext:
    """Processes that inherit no thread; where the system can, they share one import of `module`."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def _start_worker() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # A pool whose owner was killed would otherwise wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
