"""Progress bars that reach the terminal, also from inside a notebook's kernel.

A kernel's stderr ends in the notebook. `scripts/run_notebook.py` names a pipe in `D3KE_TERMINAL`
that it copies to its own stderr; without it the bar goes to stderr as usual.
"""

import os
import sys
from collections.abc import Iterable

from tqdm import tqdm


def bar(iterable: Iterable | None = None, **options: object) -> tqdm:
    """A tqdm bar on the terminal; the options are tqdm's."""
    pipe = os.environ.get("D3KE_TERMINAL")
    file = open(pipe, "w", buffering=1) if pipe else sys.stderr  # noqa: SIM115  (lives as long as the bar)
    options.setdefault("dynamic_ncols", not pipe)
    if pipe:
        options.setdefault("ncols", 100)
    return tqdm(iterable, file=file, **options)
