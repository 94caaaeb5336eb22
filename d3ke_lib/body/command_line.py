"""What this package's command lines share: one line per error and warning, exit codes."""

import functools
import sys
import warnings
from collections.abc import Callable

INCOMPLETE, ERROR, INTERRUPTED = 1, 2, 130


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Makes `main` end with an exit code: ValueError and OSError are told in one line on stderr.

    Other exceptions keep their traceback: they are faults of ours.
    """

    @functools.wraps(main)
    def guarded(*arguments: list[str]) -> int:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = _show
                return main(*arguments)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        except (ValueError, OSError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return ERROR

    return guarded


def _show(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
