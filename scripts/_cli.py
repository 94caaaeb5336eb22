"""What the scripts share: the library of this checkout, parsers, and the library's `command`."""

import argparse
import sys
from pathlib import Path

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
