"""What the command lines share: the library of this checkout, one line per error, arguments, exit codes.

Exit codes: 0 done, 1 what was checked is not as it should be, 2 an error, 130 interrupted (Ctrl-C).
"""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results"
ERROR, INTERRUPTED = 2, 130

if str(ROOT) not in sys.path:  # `python scripts/…` runs this checkout's library, whatever is installed
    sys.path.insert(0, str(ROOT))


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser described by the first line of a script's docstring."""
    return argparse.ArgumentParser(description=doc.splitlines()[0].partition(":  ")[0])


def bench_parser(doc: str, default: Path, threads: int = 2) -> argparse.ArgumentParser:
    """The same with --threads and --to, the JSON file that is written."""
    made = parser(doc)
    made.add_argument("--threads", type=int, default=threads, help="of PyTorch (default: %(default)s)")
    made.add_argument("--to", type=Path, default=default, help="JSON file to write")
    return made


def command(
    *expected: type[Exception], interrupted: str = ""
) -> Callable[[Callable[[], int | None]], Callable[[], int]]:
    """Makes `main` return an exit code; errors of the `expected` types are told in one line on stderr.

    Always expected: ValueError, OSError. Other exceptions keep their traceback: they are faults of ours.
    interrupted: what is said of Ctrl-C where KeyboardInterrupt has no message.
    """

    def wrap(main: Callable[[], int | None]) -> Callable[[], int]:
        @functools.wraps(main)
        def guarded() -> int:
            try:
                return main() or 0
            except KeyboardInterrupt as stop:
                print(": ".join(filter(None, ("interrupted", str(stop) or interrupted))), file=sys.stderr)
                return INTERRUPTED
            except (ValueError, OSError, *expected) as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                return ERROR

        return guarded

    return wrap
