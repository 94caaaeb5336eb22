"""Run one notebook with papermill:  python scripts/run_notebook.py SOURCE TARGET profile=demo seed=0

Parameters are the notebook's own. The output appears under its name only when every cell has run; a failed
run is kept next to it as `.failed.ipynb`. Progress bars of the kernel are shown on this terminal. Ctrl-C
interrupts the cell that runs, so that it can end in order, and exits with 130; a second one kills the kernel.
In D3KE_STAGES, make lists the notebooks of its call: "stage 4 of 11", and the time that is left.
"""

import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _cli
import papermill
import stage_times
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError

CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@_cli.command()
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("parameters", nargs="*", metavar="name=value")
    given = parser.parse_args()
    parameters = typed(given.source, dict(pair.split("=", 1) for pair in given.parameters))
    shown = " ".join([given.source.name, *(f"{name}={value}" for name, value in parameters.items())])
    print(f"→ {stage_times.position(given.target)}{shown}", file=sys.stderr, flush=True)
    try:
        with forwarded_bars():
            execute(given.source, given.target.resolve(), parameters)
    except PapermillExecutionError as error:
        if Kernel.interrupted:
            unfinished_path(given.target).unlink(missing_ok=True)
            print(f"interrupted: {shown}; the same command resumes it", file=sys.stderr)
            return _cli.INTERRUPTED
        where = f"{given.source}, cell {error.exec_count}"
        print(f"error: {where}: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    return 0


def typed(source: Path, given: dict[str, str]) -> dict[str, Any]:
    """The given parameters, typed as the notebook's own are. Raises ValueError listing the known ones."""
    known = papermill.inspect_notebook(str(source))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{source}: unknown parameter {unknown}; it has {sorted(known)}")
    return {name: parse(value, known[name]["default"]) for name, value in given.items()}


def parse(value: str, default: str) -> Any:
    """Text stays text where the notebook's default is quoted; otherwise it is read as a number or flag."""
    return value if default.startswith(("'", '"')) else json.loads(value)


class Kernel(AsyncKernelManager):
    """A kernel behind sockets in a folder of this user's (TCP would be readable by others on the machine).

    The kernel is in a process group of its own: the terminal's Ctrl-C reaches only us, who hand it on.
    """

    interrupted = False

    def __init__(self, **options: Any) -> None:
        # Sockets in a folder of this kernel's own: the default name is shared by all kernels of a folder.
        self.sockets = tempfile.TemporaryDirectory(prefix="d3ke-")
        super().__init__(transport="ipc", ip=os.path.join(self.sockets.name, "kernel"), **options)

    async def _async_post_start_kernel(self, **options: Any) -> None:
        await super()._async_post_start_kernel(**options)
        signal.signal(signal.SIGINT, self._on_interrupt)

    async def _async_interrupt_kernel(self) -> None:
        """Before a shutdown there is nothing left to interrupt; the kernel would complain of it."""

    def _on_interrupt(self, *_: Any) -> None:
        if Kernel.interrupted:
            raise KeyboardInterrupt
        Kernel.interrupted = True
        os.kill(self.provisioner.pid, signal.SIGINT)

    @staticmethod
    def stop_before_next_cell(**_: Any) -> None:
        """For an interrupt between two cells, which the kernel ignores."""
        if Kernel.interrupted:
            raise KeyboardInterrupt


def execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Raises PapermillExecutionError for the cell that failed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_path(target)
    papermill.execute_notebook(
        str(source),
        str(unfinished),
        parameters,
        cwd=str(source.parent),
        kernel_name="python3",
        kernel_manager_class=Kernel,
        on_cell_start=Kernel.stop_before_next_cell,
        progress_bar=False,
        start_timeout=600,  # s; a busy machine takes more than the default minute
    )
    os.replace(unfinished, target)


def unfinished_path(target: Path) -> Path:
    return target.with_suffix(".failed.ipynb")


@contextmanager
def forwarded_bars() -> Iterator[None]:
    """Shows on stderr what the kernel writes into the named pipe D3KE_TERMINAL."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = os.path.join(folder, "terminal")
        os.mkfifo(pipe)
        opened = os.open(pipe, os.O_RDWR)
        os.environ["D3KE_TERMINAL"] = pipe
        if not sys.stderr.isatty():
            os.environ.setdefault("TQDM_MININTERVAL", "60")
        threading.Thread(target=copy_bars, args=(opened,), daemon=True).start()
        try:
            yield
        finally:
            del os.environ["D3KE_TERMINAL"]


def copy_bars(opened: int) -> None:
    """Without a terminal: whole lines, without control characters."""
    kept = ""
    while chunk := os.read(opened, 4096):
        text = chunk.decode(errors="replace")
        if not sys.stderr.isatty():
            *lines, kept = re.split(r"[\r\n]+", CONTROL.sub("", kept + text))
            text = "".join(f"{line}\n" for line in lines if line)
        sys.stderr.write(text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
