"""Interrupting one's own training as Ctrl-C does: between two steps, with a checkpoint."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_POLL_S = 0.1


@contextmanager
def interrupted_when(is_due: Callable[[], bool]) -> Iterator[None]:
    """Ends what is within by an interrupt once `is_due`, without an error; another interrupt passes through.

    For the main thread. An interrupt is heard even where the shell that started the process ignores it (`&`).
    """
    over, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_S):
            if is_due():
                over.set()
                os.kill(os.getpid(), signal.SIGINT)
                return

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            ended.set()
            watcher.join()  # the interrupt may come here, too
    except KeyboardInterrupt:
        if not over.is_set():
            raise
    finally:
        signal.signal(signal.SIGINT, usual)
