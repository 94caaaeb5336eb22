"""The ledger of claims, data/claims.toml: what was said, how it is tested, and a verdict that code decides.

A claim refers to what was measured by a path into a recorded file, data/results/<file>:

    study.json > comparisons > first=mean pose & second=frame/resnext50_32x4d

A step is a key, or, in a list, values that its element has. Rules, with the claim's limit:

    lower, higher       the difference is below −limit (above limit): supported where its interval excludes 0
                        and its mean reaches the limit, contradicted where the interval excludes the limit
    at most, at least   a number, or an interval, all of which must be on one side
    equal               every number is within the limit of the expected one
    untestable          not testable here, for a reason

What is not recorded yet is undecided (not run); fewer runs than asked for are undecided as well.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from d3ke_lib.experiment.report.claims import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED
from d3ke_lib.experiment.report.tables import Table
from d3ke_lib.experiment.run.artifacts import read_json
from d3ke_lib.experiment.run.codec import check_types, from_values
from d3ke_lib.files import D3keError

FILE = "data/claims.toml"
_RULES = {
    "lower": "lower by {}",
    "higher": "higher by {}",
    "at most": "at most {}",
    "at least": "at least {}",
}


@dataclass(frozen=True)
class Entry:
    """A claim. runs: fewest that decide (0: no training involved); limit: margin or tolerance, in `unit`."""

    id: str
    claim: str
    source: str
    test: str
    data: str
    rule: Literal["lower", "higher", "at most", "at least", "equal", "untestable"]
    command: str = ""
    measured: str = ""  # the path
    metric: str = ""  # of a comparison with several
    limit: float = 0.0
    unit: str = ""
    expected: tuple[float, ...] = ()
    runs: int = 0
    reason: str = ""  # why it is untestable
    published: str = ""
    readme: bool = False  # whether README shows it

    def __post_init__(self) -> None:
        check_types(self)
        needed = ("reason",) if self.rule == "untestable" else ("measured", "command")
        if missing := [name for name in needed if not getattr(self, name)]:
            raise D3keError(f"claim {self.id}: rule {self.rule!r} needs {', '.join(missing)}")
        if self.rule == "equal" and not self.expected:
            raise D3keError(f"claim {self.id}: rule 'equal' needs expected")


@dataclass(frozen=True)
class _Ledger:
    claims: tuple[Entry, ...]


class Verdict(NamedTuple):
    """`measured` is text, empty where nothing was measured."""

    word: str
    measured: str = ""


_NOT_RUN = Verdict(f"{UNDECIDED} (not run)")


def read_ledger(home: Path) -> dict[str, Entry]:
    """The claims of data/claims.toml by id. Raises D3keError for unknown keys and rules, and an id twice."""
    path = home / FILE
    try:
        entries = from_values(_Ledger, tomllib.loads(path.read_text(encoding="utf-8"))).claims
    except ValueError as error:
        raise D3keError(f"{path.name}: {error}") from None
    names = [entry.id for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise D3keError(f"{path.name}: each id once, found twice: {', '.join(twice)}")
    return {entry.id: entry for entry in entries}


def find_claim(ledger: Mapping[str, Entry], name: str) -> Entry:
    """Raises D3keError for an unknown claim."""
    if name not in ledger:
        raise D3keError(f"unknown claim {name!r}; known: {', '.join(sorted(ledger))}")
    return ledger[name]


# --- what was measured ------------------------------------------------------------------------------------


def look_up(entry: Entry, home: Path) -> Any:
    """What the claim's path leads to; None where it is not recorded yet.

    That is: the file, a network (a key with /), a list's element or an estimate is missing, or it is null.
    Raises D3keError naming any other key that is not there.
    """
    name, *steps = entry.measured.split(" > ")
    path = home / "data" / "results" / name
    found = read_json(path) if path.is_file() else None
    for step in steps:
        if found is None:
            return None
        found = _choose(found, step) if isinstance(found, list) else _enter(entry, found, step)
    return None if isinstance(found, dict) and found.get("verdict") == "missing" else found


def _choose(found: list[Any], step: str) -> Any:
    wanted = dict(pair.split("=", 1) for pair in step.split(" & "))
    return next((each for each in found if all(str(each.get(k)) == v for k, v in wanted.items())), None)


def _enter(entry: Entry, found: Mapping[str, Any], step: str) -> Any:
    if step not in found and "/" not in step:
        raise D3keError(f"claim {entry.id}: {entry.measured}: no {step!r}; known: {', '.join(sorted(found))}")
    return found.get(step)


# --- verdicts -----------------------------------------------------------------------------------------------


def decide(entry: Entry, home: Path) -> Verdict:
    """The verdict and what was measured. Raises D3keError as `look_up`."""
    if entry.rule == "untestable":
        return Verdict(f"{NOT_TESTABLE}: {entry.reason}")
    found = look_up(entry, home)
    if found is None:
        return _NOT_RUN
    if entry.rule in ("lower", "higher"):
        return _decide_difference(entry, found)
    if entry.rule == "equal":
        return _decide_equal(entry, [float(each) for each in (found if isinstance(found, list) else [found])])
    low, high = (found["low"], found["high"]) if isinstance(found, dict) else (found, found)
    inside, outside = high <= entry.limit, low > entry.limit
    if entry.rule == "at least":
        inside, outside = low >= entry.limit, high < entry.limit
    word = SUPPORTED if inside else CONTRADICTED if outside else UNDECIDED
    return Verdict(word, _say(found, entry.unit))


def _decide_difference(entry: Entry, found: Mapping[str, Any]) -> Verdict:
    effect = found["estimate"] if "estimate" in found else found["metrics"][entry.metric]
    text, (runs, count) = _say(effect, entry.unit, "+"), _runs_of(found, effect, entry.metric)
    sense = -1 if entry.rule == "higher" else 1
    low, high = sorted((sense * effect["low"], sense * effect["high"]))
    if count < entry.runs:
        seen = f"; {entry.rule} in {sum(sense * run < 0 for run in runs)} of {len(runs)} runs" if runs else ""
        return Verdict(UNDECIDED + seen, text)
    if high < 0 and sense * effect["mean"] <= -entry.limit:
        return Verdict(SUPPORTED, text)
    return Verdict(CONTRADICTED if low > -entry.limit else UNDECIDED, text)


def _runs_of(found: Mapping[str, Any], effect: Mapping[str, Any], metric: str) -> tuple[list[float], int]:
    """The difference in every run, and how many runs there are; recorded results keep one metric's."""
    runs = effect.get("differences", found.get("runs", ()))
    if not isinstance(runs, dict):
        return list(runs), len(runs)
    return list(runs.get(metric, ())), max(map(len, runs.values()), default=0)


def _decide_equal(entry: Entry, found: Sequence[int | float]) -> Verdict:
    same = len(found) == len(entry.expected) and all(
        abs(each - expected) <= entry.limit for each, expected in zip(found, entry.expected)
    )
    return Verdict(SUPPORTED if same else CONTRADICTED, ", ".join(f"{each:g}" for each in found))


def _say(found: Any, unit: str, plus: str = "") -> str:
    """A number, or mean [low, high], with its unit."""
    keys = ("mean", "low", "high")
    mean, *ends = (
        f"{value:{plus}.3g}"
        for value in ([found[key] for key in keys] if isinstance(found, dict) else [found])
    )
    text = f"{mean} [{', '.join(ends)}]" if ends else mean
    return f"{text}{unit if unit == '°' else ' ' * bool(unit) + unit}".replace("-", "−")


# --- tables -------------------------------------------------------------------------------------------------


def ledger_table(home: Path, short: bool = False) -> Table:
    """All claims; short: those that README shows, with fewer columns."""
    rows = []
    for entry in read_ledger(home).values():
        word, measured = decide(entry, home)
        cells = (entry.claim, word, measured, _criterion(entry))
        if not short:
            about = (entry.published, entry.source, entry.test, entry.data, entry.command)
            rows.append((entry.id, *cells, *about))
        elif entry.readme:
            rows.append(cells)
    header = ("claim", "verdict", "measured", "supported if")
    whole = ("id", *header, "published", "source", "test", "data", "command")
    return Table(header if short else whole, tuple(rows))


def _criterion(entry: Entry) -> str:
    if entry.rule == "untestable":
        return ""
    if entry.rule == "equal":
        return f"{', '.join(f'{each:g}' for each in entry.expected)} ± {entry.limit:g}"
    limit = _say(entry.limit, entry.unit)
    runs = f", {entry.runs} runs or more" if entry.runs else ""
    return _RULES[entry.rule].format(limit) + runs


def count_verdicts(home: Path) -> dict[str, int]:
    """How many claims have each verdict."""
    words = [decide(entry, home).word for entry in read_ledger(home).values()]
    kinds = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)
    return {kind: sum(word.startswith(kind) for word in words) for kind in kinds}
