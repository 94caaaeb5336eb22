"""Fill README's and docs' marked blocks from recorded runs: python scripts/build_readme.py [--record study]

--record takes results.json and the shown figures of out/<profile>/ into data/results/ and figures/ first.
The study is shown where it is recorded, else the demo. --check writes nothing and fails where a block is not
what the recorded runs say.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import _cli
import pandas as pd

from d3ke_lib.experiment.evaluation.recorded import write_reduced
from d3ke_lib.experiment.report import claims, deviations, figures, findings, front, ledger, limits, tables
from d3ke_lib.experiment.report.effects import ANGLE, count_runs, name_data
from d3ke_lib.experiment.report.method_names import is_reference, settings_of
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, out_root, read_json, write_json
from d3ke_lib.files import write_text

RECORDED = ("study", "demo")  # profiles that may be recorded, what is shown first
SHOWN = ("front", "skeletons", "data", "paired", "yaw")
CAPTIONS = "captions.json"
BLOCK = "<!-- {name}:begin -->\n{text}<!-- {name}:end -->"
_BLOCKS = {
    "README.md": ("answer", "front", "picture", "cost", "results", "claims"),
    "docs/results.md": ("hypotheses", "settings", "paired", "comparisons", "conclusion", "limits"),
    "docs/metrics.md": ("conditions", "turned", "yaw", "details", "data"),
    "docs/claims.md": ("ledger",),
    "docs/reproducibility.md": ("scope", "published"),
}


@_cli.command()
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("--record", choices=RECORDED, help="take this profile's results and figures first")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.record:
        record(out_root() / given.record, REPOSITORY)
    wrong = check(REPOSITORY) if given.check else fill(REPOSITORY)
    for each in wrong:
        print(f"error: {each}", file=sys.stderr)
    return 1 if wrong else 0


# --- recorded runs ------------------------------------------------------------------------------------------


def record(source: Path, home: Path) -> None:
    """results.json in its short form as data/results/<profile>.json; the shown figures with their tables."""
    results = read_json(source / "results.json")
    if results["git"].endswith("+changes"):
        print("note: these results come from code with uncommitted changes", file=sys.stderr)
    figures.draw(source)
    captions = read_json(source / "figures" / CAPTIONS)["captions"]
    for name in (name for name in SHOWN if name in captions):
        for ending in ("png", "csv"):
            target = home / "figures" / f"{name}.{ending}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / "figures" / target.name, target)
    write_json(home / "figures" / CAPTIONS, {name: captions[name] for name in SHOWN if name in captions})
    profile = results["profile"]["name"]
    name = profile if profile in RECORDED else RECORDED[-1]
    write_reduced(home / "data" / "results" / f"{name}.json", results)


def find_recorded(home: Path) -> Path | None:
    """The recorded results that are shown."""
    paths = (home / "data" / "results" / f"{name}.json" for name in RECORDED)
    return next((path for path in paths if path.is_file()), None)


# --- documents ----------------------------------------------------------------------------------------------


def fill(home: Path) -> list[str]:
    for name, contents in documents(home).items():
        write_text(home / name, filled(name, (home / name).read_text(encoding="utf-8"), contents))
    return []


def check(home: Path) -> list[str]:
    """What is stale: blocks of the documents, figures that are missing or not of the recorded run."""
    wrong = []
    for name, contents in documents(home).items():
        text = (home / name).read_text(encoding="utf-8")
        stale = [block for block in contents if filled(name, text, {block: contents[block]}) != text]
        wrong += [f"{name}: the block {block!r} is stale; run scripts/build_readme.py" for block in stale]
    recorded = find_recorded(home)
    return wrong + (_stale_figures(home / "figures", recorded) if recorded else [])


def _stale_figures(folder: Path, recorded: Path) -> list[str]:
    results, captions = read_json(recorded), read_json(folder / CAPTIONS)
    files = [folder / f"{name}.{ending}" for name in captions for ending in ("png", "csv")]
    again = f"run scripts/build_readme.py --record {recorded.stem}"
    wrong = [f"{path} is missing; {again}" for path in files if not path.is_file()]
    effect = results["comparisons"][0]["metrics"][ANGLE]["mean"]
    table = pd.read_csv(folder / "paired.csv") if not wrong else None
    if table is not None and len(table) and abs(table.difference.mean() - effect) > 1e-4:
        wrong.append(f"{folder / 'paired.csv'}: expected a mean of {effect:.4f} as in {recorded.name}")
    return wrong


def filled(name: str, text: str, contents: dict[str, str]) -> str:
    """`text` with each named block replaced. Raises D3keError for one that is not there once."""
    for block, content in contents.items():
        pattern = re.compile(rf"<!-- {block}:begin -->\n.*?<!-- {block}:end -->", re.S)
        if len(pattern.findall(text)) != 1:
            raise D3keError(f"{name}: expected one block {block!r}, found {len(pattern.findall(text))}")
        new = BLOCK.format(name=block, text=content + "\n" if content else "")
        text = pattern.sub(lambda _, new=new: new, text)
    return text


def documents(home: Path) -> dict[str, dict[str, str]]:
    """Document → its blocks, those of results empty while none are recorded."""
    found = find_recorded(home)
    every = blocks(home, read_json(found)) if found else {}
    chosen = {name: {block: every.get(block, "") for block in names} for name, names in _BLOCKS.items()}
    table = tables.markdown(tables.deviations_table(deviations.read(home)))
    found = {**chosen, "docs/deviations.md": {"deviations": table}}
    if (home / ledger.FILE).is_file():
        found["README.md"]["claims"] = claims_block(home)
        found["docs/claims.md"] = {"ledger": tables.markdown(ledger.ledger_table(home))}
    return found


def claims_block(home: Path) -> str:
    """The claims that README shows, and how many of all have which verdict."""
    counts = ledger.count_verdicts(home)
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    rest = f"Of all {sum(counts.values())} claims: {said}."
    return f"{tables.markdown(ledger.ledger_table(home, short=True))}\n\n{rest}"


def blocks(home: Path, results: dict[str, Any]) -> dict[str, str]:
    """Every block that results decide."""
    found = {
        "conditions": tables.conditions_table(results),
        "turned": tables.conditions_table(results, "turned_percent"),
        "details": tables.details_table(results),
        "comparisons": tables.comparisons_table(results, of_networks=True),
        "hypotheses": tables.hypotheses_table(results),
        "settings": tables.results_table(results),
        "published": tables.published_table(read_json(home / "data" / "published.json")),
    }
    return {
        **{name: tables.markdown(table) if table else "Not recorded yet." for name, table in found.items()},
        "answer": answer(results),
        "front": figure(home, "front") + f"\n\n{front.say_front(results)}",
        "picture": figure(home, "skeletons"),
        **{name: figure(home, name, "../") for name in ("data", "paired", "yaw")},
        "cost": cost(results),
        "results": results_block(results),
        "conclusion": "\n".join(f"- {one}" for one in findings.conclusion(results)[1:]),
        "limits": "\n".join(f"- {one}" for one in limits.caveats(results)),
        "scope": scope(results),
    }


def answer(results: dict[str, Any]) -> str:
    verdict, *sentences = findings.answer(results)
    return f"**Answer: {verdict[0].lower()}{verdict[1:]}** {' '.join(sentences)}"


def figure(home: Path, name: str, up: str = "") -> str:
    """The image with its caption; a line that says so where the recorded run has none. up: to the root."""
    captions = read_json(home / "figures" / CAPTIONS)
    if name not in captions:
        return f"*The figure `{name}` is not recorded yet.*"
    path = f"{up}figures/{name}"
    return f"![{captions[name]}]({path}.png)\n\n*{captions[name]}* ([numbers]({path}.csv))"


def cost(results: dict[str, Any]) -> str:
    """What the recorded run's training took, on what, and the size of its weights."""
    runs, networks = results["cost"]["training"], results["cost"]["networks"]
    machines = {
        run["machine"]["gpu"] or f"{run['machine']['processor']}, {run['machine']['cores']} cores"
        for run in runs.values()
    }
    minutes = sum(run["seconds"] for run in runs.values()) / 60
    gigabytes = sum(4 * networks[name.rpartition(".")[0]]["parameters"] for name in runs) / 1e9
    return (
        f"The recorded run (`{claims.command(results)}`) trained {len(runs)} networks in {minutes:.0f} "
        f"minutes on {' and '.join(sorted(machines))} ({gigabytes:.1f} GB of weights); data and evaluation "
        "take additional time. `make reproduce` says at its start how long it will take on your machine."
    )


def results_block(results: dict[str, Any]) -> str:
    """References and the networks that the answer speaks of, trained or not."""
    moving = len(results.get("moving", {}).get("coordinates", ()))
    shown = [name for name in settings_of(results) if is_reference(name)]
    shown += [option.setting for option in front.list_options(results)]
    said = (
        f"{name_data(results).capitalize()}: mean over {len(results['subjects'])} unseen test subjects with "
        "95 % intervals over subjects and runs. Skill: 1 − MAE / MAE of the mean pose."
    )
    if moving:
        said += f" {moving} of the 69 coordinates move (standard deviation in training > 5°)."
    return f"{said}\n\n{tables.markdown(tables.results_table(results, shown))}"


def scope(results: dict[str, Any]) -> str:
    """What was run: networks, runs, subjects, machine, and what is missing."""
    trained = [name for name in settings_of(results) if not is_reference(name)]
    runs, machine = sum(count_runs(results, name) for name in trained), results["machine"]
    study = results.get("study")
    plan = f" The plan is of commit {study['plan']['commit'][:10]}." if study else ""
    cells = study["cells"] if study else ()
    absent = ", ".join(f"{cell['name']} ({cell['state']})" for cell in cells if cell["state"] != "finished")
    missing = f" Cells of the plan that are not finished: {absent}." if absent else ""
    return (
        f"**Results.** `{claims.command(results)}`: {len(trained)} settings, {runs} runs, "
        f"{len(results['subjects'])} test subjects, evaluated on {machine['gpu'] or machine['processor']} "
        f"({machine['cores']} cores) at commit {results['git'][:10]}.{plan}{missing} "
        + " ".join(findings.answer(results)[1:3])
    )


if __name__ == "__main__":
    sys.exit(main())
