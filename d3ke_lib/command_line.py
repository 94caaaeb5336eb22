"""What all command lines share: one line per error and warning, exit codes.

Exit codes: 0 done, 1 done in part or not as it should be, 2 an error, 130 interrupted (Ctrl-C).
"""

import functools
import sys
import warnings
from collections.abc import Callable

INCOMPLETE, _ERROR, INTERRUPTED = 1, 2, 130


def command(
    *expected: type[Exception], interrupted: str = ""
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Makes `main` return an exit code; errors of the `expected` types are told in one line on stderr.

    Always expected: ValueError, OSError. Other exceptions keep their traceback: they are faults of ours.
    interrupted: what is said of Ctrl-C where KeyboardInterrupt has no message.
    """

    def wrap(main: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(main)
        def guarded(*arguments: object) -> int:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("default", UserWarning)
                    warnings.showwarning = _show
                    return main(*arguments) or 0
            except KeyboardInterrupt as stop:
                print(": ".join(filter(None, ("interrupted", str(stop) or interrupted))), file=sys.stderr)
                return INTERRUPTED
            except (ValueError, OSError, *expected) as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                return _ERROR

        return guarded

    return wrap


def _show(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
