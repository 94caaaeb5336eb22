"""What a run leaves on disk: JSON, tensors and checkpoints that exist whole or not at all, and its log.

Nothing is ever unpickled: tensors are safetensors, all else is JSON.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from d3ke_lib import settings
from d3ke_lib.files import D3keError, replacing, sha256, write_text
from d3ke_lib.nets.weights import digest
from d3ke_lib.settings import REPOSITORY

__all__ = ["REPOSITORY", "D3keError", "digest", "replacing", "sha256"]  # imported from here, too


def out_root() -> Path:
    """Where runs are written: the environment's D3KE_OUT, else `out/` in the repository."""
    return settings.read().out


def git_revision() -> str:
    """The commit that runs, `+changes` when tracked files differ from it; `unknown` outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


# --- JSON and tensors ---


def write_json(path: Path, value: Any) -> Path:
    """Sorted keys, so that equal contents are equal bytes. A NaN or infinity is an error, not `NaN`."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    return write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Raises D3keError naming the file when it is absent or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise D3keError(f"{path} does not exist") from None
    except json.JSONDecodeError as error:
        raise D3keError(f"{path} is not JSON: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None) -> Path:
    """One safetensors file; `about` (JSON) travels in its header, so both are written in the same instant."""
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"about": json.dumps(about or {}, sort_keys=True, allow_nan=False)}
    with replacing(path) as partial:
        save_file(dense, partial, metadata=header)
        partial.chmod(0o644)  # safetensors leaves it readable by nobody else
    return path


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON in their header. Raises D3keError naming an absent or damaged file."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _about(file)  # noqa: SIM118


def read_about(path: Path) -> dict[str, Any]:
    """Only the JSON of a file written by `write_tensors`; reads no tensor."""
    with _opened(path) as file:
        return _about(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise D3keError(f"{path} does not exist") from None
    except SafetensorError as error:
        raise D3keError(f"{path} is not a whole safetensors file ({error}): delete it") from None


def _about(file: Any) -> dict[str, Any]:
    return json.loads((file.metadata() or {}).get("about", "{}"))


# --- checkpoints ---


class Checkpoint(NamedTuple):
    """A run between two steps. `state` is JSON: configuration, step, seconds, log offset, fingerprint …"""

    model: dict[str, Tensor]
    optimizer: dict[str, Any]  # torch's state_dict
    average: dict[str, Tensor]  # moving average of the weights; empty when none is kept
    state: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> Path:
    """Weights, optimiser, average and state in ONE file: there is no instant at which they disagree."""
    slots = {
        f"optimizer.{index}.{key}": value
        for index, slot in checkpoint.optimizer["state"].items()
        for key, value in slot.items()
    }
    model = {f"model.{name}": value for name, value in checkpoint.model.items()}
    average = {f"average.{name}": value for name, value in checkpoint.average.items()}
    about = {"state": checkpoint.state, "param_groups": checkpoint.optimizer["param_groups"]}
    return write_tensors(path, {**model, **average, **slots}, about)


def read_checkpoint(path: Path) -> Checkpoint:
    tensors, about = read_tensors(path)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        index, key = name.split(".", 1)
        slots.setdefault(int(index), {})[key] = tensor
    optimizer = {"state": slots, "param_groups": about["param_groups"]}
    return Checkpoint(_under("model.", tensors), optimizer, _under("average.", tensors), about["state"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Puts a stored state back, every moment laid out in memory as its parameter (channels last stays so)."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, slot in state["state"].items():
        for key, value in slot.items():
            if value.shape == parameters[index].shape:
                slot[key] = torch.empty_like(parameters[index], dtype=value.dtype).copy_(value)
    optimizer.load_state_dict(state)


# --- run folders ---


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Holds `folder` for this process; D3keError when another holds it. A killed holder lets go at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise D3keError(f"another process is working in {folder}; wait for it or stop it") from None
        yield folder


def set_aside(folder: Path) -> Path:
    """Renames a folder to the first free of `.old`, `.old2`, …: what another configuration made is kept."""
    number = 1
    while (old := folder.with_name(f"{folder.name}.old{number if number > 1 else ''}")).exists():
        number += 1
    return folder.rename(old)


def adopt(folder: Path, home: Path, is_wanted: Callable[[Path], bool]) -> None:
    """Links the same folder of another profile than that in `home`, if there is one that is wanted.

    Nothing happens where `folder` exists. Links are hard links: nothing takes room twice, either profile can
    be removed, and as files are replaced, never changed, neither changes the other.
    """
    if folder.exists():
        return
    for other in sorted(home.parent.glob(f"*/{folder.relative_to(home)}")):
        if is_wanted(other):
            partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            shutil.copytree(other, partial, copy_function=_link, ignore=shutil.ignore_patterns(".*"))
            partial.rename(folder)
            return


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def open_log(path: Path, offset: int) -> TextIO:
    """Opens a JSON-lines log for appending after its first `offset` bytes; what was written past them goes.

    Raises D3keError when the log is shorter than that: the checkpoint then belongs to another log.
    """
    path.touch()
    if (size := path.stat().st_size) < offset:
        raise D3keError(
            f"{path} has {size} bytes, its checkpoint was written after {offset}: the log was changed"
        )
    os.truncate(path, offset)
    return path.open("a", encoding="utf-8")


def append(log: TextIO, record: Mapping[str, Any]) -> None:
    log.write(json.dumps(record, sort_keys=True, allow_nan=False) + "\n")
    log.flush()


def settle(log: TextIO) -> int:
    """Flushes the log to the disk; its length in bytes, which the next checkpoint stores."""
    log.flush()
    os.fsync(log.fileno())
    return os.fstat(log.fileno()).st_size


def read_log(path: Path) -> list[dict[str, Any]]:
    """The log's records; a last line without its end (killed while writing) is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
