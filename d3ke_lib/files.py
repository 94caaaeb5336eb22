"""Files that exist whole or not at all, and their hash: the library's only writers.

A file is written next to its target, flushed to the disk and then renamed over it, so that a process killed
at any point leaves the old file or the new one.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class D3keError(ValueError):
    """An input or setting that the user can correct; the message names it."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path next to `path` to write to; when the block ends well, that file replaces `path`.

    What a killed process leaves is called `.<name>.<process>.partial`; the next writer of `path` removes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time is in the block of this path; others wait. The file stays, empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_bytes(path: Path, data: Any) -> Path:
    """`data`: bytes or any other buffer."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """UTF-8."""
    return write_bytes(path, text.encode())


def write_if_changed(path: Path, text: str) -> bool:
    """Leaves a file of the same content as it is, with its time; returns whether it was written."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    write_text(path, text)
    return True


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_abandoned(path: Path) -> None:
    """Partial files of `path` whose process is gone."""
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        process = partial.name.split(".")[-2]
        if process.isdecimal() and not _is_alive(int(process)):
            partial.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
