"""What the environment says: every variable that the library reads is read here and nowhere else.

| variable         | `make` variable | meaning                                                              |
|------------------|-----------------|----------------------------------------------------------------------|
| `D3KE_OUT`       |                 | where runs are written; default: `out/` in the repository             |
| `D3KE_RAW`       | `RAW`           | folder of BMLmovi's downloads                                         |
| `D3KE_PEOPLE`    |                 | folder of the template of people; default: people in D3KE_OUT |
| `D3KE_BODY`      | `BODY`          | another `.osim` than our own                                          |
| `D3KE_OCCLUDERS` | `OCCLUDERS`     | cut-outs to occlude subjects with (`make occluders`)                  |
| `D3KE_BACKGROUNDS` | `BACKGROUNDS` | folder of photographs behind synthetic subjects               |
| `D3KE_PARTIAL`   | `PARTIAL`       | 1: accept records that lack what could not be made                    |
| `D3KE_SEEDS`     | `SEEDS`         | seeds of the training runs, instead of the profile's                  |
| `D3KE_OVERRIDES` | `OVERRIDES`     | TOML file of values that replace the profile's                        |
| `D3KE_TERMINAL`  |                 | named pipe to the terminal that shows progress bars (run_notebook.py) |

torchrun sets RANK, WORLD_SIZE and LOCAL_RANK, JupyterLab sets JPY_SESSION_NAME.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from d3ke_lib.files import D3keError

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Settings:
    """None and empty: the variable is not set, or empty."""

    out: Path
    people: Path
    raw: Path | None
    body: Path | None
    occluders: Path | None
    backgrounds: Path | None
    partial: bool
    seeds: tuple[int, ...]
    overrides: Path | None
    terminal: Path | None
    browser: bool  # whether JupyterLab shows what is printed
    rank: int  # among torchrun's processes
    processes: int
    local_rank: int  # among those on this machine


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises D3keError for a variable whose value cannot be right, whatever the profile."""

    def path(name: str) -> Path | None:
        return Path(environment[name]) if environment.get(name) else None

    def number(name: str, default: int) -> int:
        return int(environment.get(name) or default)

    out = path("D3KE_OUT") or REPOSITORY / "out"
    return Settings(
        out=out,
        people=path("D3KE_PEOPLE") or out / "people",
        raw=path("D3KE_RAW"),
        body=path("D3KE_BODY"),
        occluders=path("D3KE_OCCLUDERS"),
        backgrounds=path("D3KE_BACKGROUNDS"),
        partial=environment.get("D3KE_PARTIAL", "") not in ("", "0"),
        seeds=_parse_seeds(environment.get("D3KE_SEEDS", "")),
        overrides=path("D3KE_OVERRIDES"),
        terminal=path("D3KE_TERMINAL"),
        browser="JPY_SESSION_NAME" in environment,
        rank=number("RANK", 0),
        processes=number("WORLD_SIZE", 1),
        local_rank=number("LOCAL_RANK", 0),
    )


def _parse_seeds(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    found = tuple(int(word) for word in words if word.isdecimal())
    if text and (not found or len(set(found)) < len(words)):
        raise D3keError(f"SEEDS: expected whole numbers, each once, such as 0 1 2; found {text!r}")
    return found
