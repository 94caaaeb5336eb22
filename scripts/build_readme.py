"""Fill the README's marked blocks from the recorded run:  python scripts/build_readme.py [--record demo]

--record takes results.json and the shown figures of out/<profile>/ into data/results/ and figures/ first.
--check writes nothing and fails where the README is not what the recorded run says.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from d3ke_lib.experiment.report import claims as findings
from d3ke_lib.experiment.report import deviations, tables
from d3ke_lib.experiment.report.figures import CAPTIONS
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, out_root, read_json
from d3ke_lib.files import write_text

SHOWN = ("skeletons", "data", "paired", "groups", "cost")
BLOCK = "<!-- {name}:begin -->\n{text}<!-- {name}:end -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="PROFILE", help="take this profile's results and figures first")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    try:
        if given.record:
            record(out_root() / given.record, REPOSITORY)
        wrong = check(REPOSITORY) if given.check else fill(REPOSITORY)
    except (ValueError, OSError) as error:
        wrong = [str(error)]
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
    shutil.copy(source / "results.json", home / "data" / "results" / "demo.json")


def fill(home: Path) -> list[str]:
    write_text(home / "README.md", filled((home / "README.md").read_text(encoding="utf-8"), blocks(home)))
    return []


def check(home: Path) -> list[str]:
    """What is stale: blocks of the README, figures that are missing or not of the recorded run."""
    text, wanted = (home / "README.md").read_text(encoding="utf-8"), blocks(home)
    stale = [name for name in wanted if filled(text, {name: wanted[name]}) != text]
    wrong = [f"README.md: the block {name!r} is stale; run scripts/build_readme.py" for name in stale]
    recorded = home / "data" / "results" / "demo.json"
    return wrong + (_stale_figures(home / "figures", read_json(recorded)) if recorded.is_file() else [])


def _stale_figures(folder: Path, results: dict[str, Any]) -> list[str]:
    files = [folder / f"{name}.{ending}" for name in SHOWN for ending in ("png", "csv")]
    wrong = [
        f"{path} is missing; run scripts/build_readme.py --record demo"
        for path in files
        if not path.is_file()
    ]
    effect = results["comparisons"][0]["metrics"][findings.ANGLE]["mean"]
    if not wrong and abs(pd.read_csv(folder / "paired.csv").difference.mean() - effect) > 1e-4:
        wrong.append(f"{folder / 'paired.csv'}: expected a mean of {effect:.4f} as in data/results/demo.json")
    return wrong


def filled(text: str, contents: dict[str, str]) -> str:
    """`text` with each named block replaced. Raises D3keError for one that is not there once."""
    for name, content in contents.items():
        pattern = re.compile(rf"<!-- {name}:begin -->\n.*?<!-- {name}:end -->", re.S)
        if len(pattern.findall(text)) != 1:
            raise D3keError(f"README.md: expected one block {name!r}, found {len(pattern.findall(text))}")
        block = BLOCK.format(name=name, text=content + "\n" if content else "")
        text = pattern.sub(lambda _, block=block: block, text)
    return text


def blocks(home: Path) -> dict[str, str]:
    """The README's blocks from the recorded run; empty while none is recorded."""
    recorded, differences = home / "data" / "results" / "demo.json", {"deviations": deviations_block(home)}
    if not recorded.is_file():
        empty = dict.fromkeys(("answer", "picture", "claims", "cost", "results", "conclusion"), "")
        return empty | differences
    results = read_json(recorded)
    claims = findings.claims(results, read_json(home / "data" / "paper_results.json"))
    return {
        "answer": f"**Answer.** {findings.answer(results)}",
        "picture": figure("skeletons"),
        "claims": tables.markdown(tables.claims_table(claims)),
        "cost": cost(results),
        "results": results_block(results),
        "conclusion": "\n".join(f"- {sentence}" for sentence in findings.conclusion(results)),
        **differences,
    }


def deviations_block(home: Path) -> str:
    if not (home / "data" / "deviations.json").is_file():
        return ""
    return tables.markdown(tables.deviations_table(deviations.read(home)))


def figure(name: str) -> str:
    return f"![{CAPTIONS[name]}](figures/{name}.png)\n\n*{CAPTIONS[name]}* ([numbers](figures/{name}.csv))"


def cost(results: dict[str, Any]) -> str:
    """What the recorded run's training took, and on what."""
    runs = results["cost"]["training"].values()
    machines = {
        run["machine"]["gpu"] or f"{run['machine']['processor']}, {run['machine']['cores']} cores"
        for run in runs
    }
    minutes = sum(run["seconds"] for run in runs) / 60
    return (
        f"The recorded run (`{findings.command(results)}`) trained {len(runs)} networks in "
        f"{minutes:.0f} minutes on {' and '.join(sorted(machines))}; making data and judging come on top. "
        "`make reproduce` says at its start how long it will take on your machine."
    )


def results_block(results: dict[str, Any]) -> str:
    seeds = tables.seeds_table(results)
    parts = [
        f"Synthetic data: mean over {len(results['subjects'])} test subjects that no network has seen, with "
        "95 % intervals over subjects.",
        tables.markdown(tables.results_table(results)),
        "Differences, paired by subject (below 0: the first of the two is better):",
        tables.markdown(tables.comparisons_table(results)),
        *(["Run by run:", tables.markdown(seeds)] if seeds else []),
        *(figure(name) for name in ("paired", "groups", "cost", "data")),
        "Keep in mind:",
        "\n".join(f"- {sentence}" for sentence in findings.caveats(results)),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
