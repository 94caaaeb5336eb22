"""What the scripts share: the library of this checkout, parsers, and the library's `command`."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results"

if str(ROOT) not in sys.path:  # `python scripts/…` runs this checkout's library, whatever is installed
    sys.path.insert(0, str(ROOT))

from d3ke_lib.command_line import INTERRUPTED, command  # noqa: E402, F401 (imported from here)


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser described by the first line of a script's docstring."""
    return argparse.ArgumentParser(description=doc.splitlines()[0].partition(":  ")[0])


def bench_parser(doc: str, default: Path, threads: int = 2) -> argparse.ArgumentParser:
    """The same with --threads and --to, the JSON file that is written."""
    made = parser(doc)
    made.add_argument("--threads", type=int, default=threads, help="of PyTorch (default: %(default)s)")
    made.add_argument("--to", type=Path, default=default, help="JSON file to write")
    return made


def show_progress(stage: str, items: Iterable[Any], total: int | None = None) -> Iterable[Any]:
    """A progress bar, where there is a terminal."""
    from tqdm import tqdm  # most scripts show none

    yield from tqdm(items, desc=stage, total=total, disable=None)
