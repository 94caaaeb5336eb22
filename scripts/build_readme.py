"""Fill README's and docs' marked blocks from recorded runs: python scripts/build_readme.py [--record demo]

--record takes results.json and the shown figures of out/<profile>/ into data/results/ and figures/ first.
--check writes nothing and fails where a block is not what the recorded runs say.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import _cli
import pandas as pd

from d3ke_lib.experiment.evaluation.references import MEAN_POSE
from d3ke_lib.experiment.report import claims, deviations, findings, limits, tables
from d3ke_lib.experiment.report.effects import ANGLE, name_data
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, out_root, read_json, write_json
from d3ke_lib.files import write_text

SHOWN = ("skeletons", "data", "paired")
CAPTIONS = "captions.json"
BLOCK = "<!-- {name}:begin -->\n{text}<!-- {name}:end -->"


@_cli.command()
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("--record", metavar="PROFILE", help="take this profile's results and figures first")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.record:
        record(out_root() / given.record, REPOSITORY)
    wrong = check(REPOSITORY) if given.check else fill(REPOSITORY)
    for each in wrong:
        print(f"error: {each}", file=sys.stderr)
    return 1 if wrong else 0


def record(source: Path, home: Path) -> None:
    """results.json as data/results/demo.json, the shown figures with their tables as figures/."""
    results = read_json(source / "results.json")
    if results["git"].endswith("+changes"):
        print("note: these results come from code with uncommitted changes", file=sys.stderr)
    for folder in ("data/results", "figures"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for name in SHOWN:
        for ending in ("png", "csv"):
            shutil.copy(source / "figures" / f"{name}.{ending}", home / "figures")
    captions = read_json(source / "figures" / CAPTIONS)["captions"]
    write_json(home / "figures" / CAPTIONS, {name: captions[name] for name in SHOWN})
    shutil.copy(source / "results.json", home / "data" / "results" / "demo.json")


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
    recorded = home / "data" / "results" / "demo.json"
    return wrong + (_stale_figures(home / "figures", read_json(recorded)) if recorded.is_file() else [])


def _stale_figures(folder: Path, results: dict[str, Any]) -> list[str]:
    files = [folder / f"{name}.{ending}" for name in SHOWN for ending in ("png", "csv")]
    wrong = [
        f"{path} is missing; run scripts/build_readme.py --record demo"
        for path in files
        if not path.is_file()
    ]
    effect = results["comparisons"][0]["metrics"][ANGLE]["mean"]
    if not wrong and abs(pd.read_csv(folder / "paired.csv").difference.mean() - effect) > 1e-4:
        wrong.append(f"{folder / 'paired.csv'}: expected a mean of {effect:.4f} as in data/results/demo.json")
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
    """Document → its blocks."""
    table = tables.markdown(tables.deviations_table(deviations.read(home)))
    return {"README.md": blocks(home), "docs/deviations.md": {"deviations": table}}


def blocks(home: Path) -> dict[str, str]:
    """The README's blocks from the recorded run; empty while none is recorded."""
    recorded = home / "data" / "results" / "demo.json"
    if not recorded.is_file():
        return dict.fromkeys(("answer", "picture", "claims", "cost", "results"), "")
    results = read_json(recorded)
    rates = home / "data" / "results" / "frame_rate.json"
    paper = read_json(home / "data" / "paper_results.json")
    rows = claims.list_claims(results, paper, read_json(rates) if rates.is_file() else None)
    return {
        "answer": answer(results),
        "picture": figure(home, "skeletons"),
        "claims": tables.markdown(tables.claims_table(rows)),
        "cost": cost(results),
        "results": results_block(home, results),
    }


def answer(results: dict[str, Any]) -> str:
    verdict, *sentences = findings.answer(results)
    return f"**Answer: {verdict.rstrip('.').lower()}.** {' '.join(sentences)}"


def figure(home: Path, name: str) -> str:
    caption = read_json(home / "figures" / CAPTIONS)[name]
    return f"![{caption}](figures/{name}.png)\n\n*{caption}* ([numbers](figures/{name}.csv))"


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


def results_block(home: Path, results: dict[str, Any]) -> str:
    parts = [
        f"{name_data(results).capitalize()}: mean over {len(results['subjects'])} unseen test subjects with "
        "95 % intervals over subjects and runs. Skill: 1 − MAE / MAE of the mean pose.",
        tables.markdown(tables.results_table(results)),
        "Differences, paired by subject (below 0: the first of the two has the smaller error):",
        tables.markdown(tables.comparisons_table(results, skip=MEAN_POSE)),
        figure(home, "paired"),
        figure(home, "data"),
        "What they say, and what limits it:",
        "\n".join(f"- {one}" for one in findings.conclusion(results)[1:] + limits.caveats(results)),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
