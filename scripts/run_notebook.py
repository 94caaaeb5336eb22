"""Run one notebook with papermill, with manners: known parameters only, whole outputs only.

    python scripts/run_notebook.py notebooks/04_frame.ipynb out/demo/notebooks/04.ipynb profile=demo seed=0

The output appears under its name only when every cell has run; a failed run is kept beside it as
`.failed.ipynb`. Progress bars of the kernel are shown on this terminal.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import papermill
from papermill.exceptions import PapermillExecutionError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("parameters", nargs="*", metavar="name=value")
    arguments = parser.parse_args()
    try:
        parameters = checked(arguments.source, dict(p.split("=", 1) for p in arguments.parameters))
        with terminal():
            execute(arguments.source, arguments.target.resolve(), parameters)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PapermillExecutionError as error:
        print(
            f"error: {arguments.source}, cell {error.exec_count}: {error.ename}: {error.evalue}",
            file=sys.stderr,
        )
        return 1
    return 0


def checked(source: Path, given: dict[str, str]) -> dict[str, object]:
    """The given parameters, typed as the notebook's own are. Raises ValueError listing the known ones."""
    known = papermill.inspect_notebook(str(source))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{source}: unknown parameter {unknown}; it has {sorted(known)}")
    return {name: literal(value, known[name]["default"]) for name, value in given.items()}


def literal(value: str, default: str) -> object:
    """Text stays text where the notebook's default is quoted; otherwise it is read as a number or flag."""
    if default.startswith(("'", '"')):
        return value
    return json.loads(value)


def execute(source: Path, target: Path, parameters: dict[str, object]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_suffix(".failed.ipynb")
    shown = " ".join(f"{k}={v}" for k, v in parameters.items())
    print(f"→ {source.name} {shown}", file=sys.stderr, flush=True)
    papermill.execute_notebook(
        str(source),
        str(beside),
        parameters,
        cwd=str(source.parent),
        kernel_name="python3",
        progress_bar=False,
    )
    os.replace(beside, target)


class terminal:  # noqa: N801  (reads as a statement)
    """A named pipe whose contents go to stderr; the kernel finds it in D3KE_TERMINAL."""

    def __enter__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        pipe = os.path.join(self.folder.name, "terminal")
        os.mkfifo(pipe)
        self.fd = os.open(pipe, os.O_RDWR)
        os.environ["D3KE_TERMINAL"] = pipe
        if not sys.stderr.isatty():
            os.environ.setdefault("TQDM_MININTERVAL", "60")
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        while chunk := os.read(self.fd, 4096):
            text = chunk.decode(errors="replace")
            sys.stderr.write(text if sys.stderr.isatty() else text.replace("\r", "\n"))
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        os.environ.pop("D3KE_TERMINAL", None)
        self.folder.cleanup()


if __name__ == "__main__":
    sys.exit(main())
