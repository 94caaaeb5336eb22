"""The report of a profile as one folder that opens without network:  python scripts/build_report.py demo

Reads out/<profile>/results.json, figures/ and notebooks/; writes out/<profile>/report/index.html, built
beside and renamed when it is whole.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from d3ke_lib.experiment.report import claims as findings
from d3ke_lib.experiment.report import deviations, tables
from d3ke_lib.experiment.report.method_names import SHORT
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, out_root, read_json

TEMPLATES = Path(__file__).parent / "report"
REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|video|source)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//""", re.I
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile")
    profile = parser.parse_args().profile
    try:
        print(build(out_root() / profile))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path) -> Path:
    """The report of the profile in `folder`; returns its index.html. Raises D3keError for what is missing."""
    results, captions = read_json(folder / "results.json"), read_json(folder / "figures" / "captions.json")
    beside = folder / f".report.{os.getpid()}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        stages = write_stages(folder / "notebooks", beside)
        figures = copy_figures(folder / "figures", captions["captions"], beside)
        write_index(results, figures, stages, beside)
        shutil.copy(folder / "results.json", beside)
        style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
        (beside / "style.css").write_text(
            style + HtmlFormatter().get_style_defs(".highlight"), encoding="utf-8"
        )
        refuse_remote(beside)
        shutil.rmtree(folder / "report", ignore_errors=True)
        os.replace(beside, folder / "report")
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder / "report" / "index.html"


def environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


# --- the first page ---------------------------------------------------------------------------------------


def write_index(
    results: dict[str, Any], figures: dict[str, dict[str, str]], stages: list[tuple[str, str]], target: Path
) -> None:
    parts = ("claims", "results", "look", "cost", "data", "deviations", "stages")
    text = (
        environment()
        .get_template("index.html")
        .render(
            title=findings.question(results),
            question=findings.question(results),
            answer=findings.answer(results),
            caveats=findings.caveats(results),
            smoke=findings.is_smoke(results),
            commit=results["git"][:10],
            results=results,
            tables=all_tables(results),
            figures=figures,
            stages=stages,
            pages=[(f"#{part}", part.replace("look", "a look")) for part in parts],
        )
    )
    (target / "index.html").write_text(text, encoding="utf-8")


def all_tables(results: dict[str, Any]) -> dict[str, str]:
    """HTML by name; empty where there is nothing to show."""
    claims = findings.claims(results, read_json(REPOSITORY / "data" / "paper_results.json"))
    found = {
        "claims": tables.claims_table(claims),
        "results": tables.results_table(results),
        "seeds": tables.seeds_table(results),
        "comparisons": tables.comparisons_table(results),
        "overfitting": tables.overfitting_table(results),
        "networks": tables.networks_table(results),
        "training": tables.training_table(results),
        "data": tables.data_table(results),
        "deviations": tables.deviations_table(deviations.read(REPOSITORY)),
    }
    return {name: tables.to_html(table) if table else "" for name, table in found.items()}


def copy_figures(source: Path, captions: dict[str, str], target: Path) -> dict[str, dict[str, str]]:
    """PNG and CSV of every figure into the report; name → addresses and caption."""
    (target / "figures").mkdir()
    found = {}
    for name, caption in captions.items():
        for ending in ("png", "csv"):
            shutil.copy(source / f"{name}.{ending}", target / "figures")
        image = f"figures/{name}.png"
        found[name] = {"image": image, "large": image, "table": f"figures/{name}.csv", "caption": caption}
    return found


# --- the stages -------------------------------------------------------------------------------------------


def write_stages(notebooks: Path, target: Path) -> list[tuple[str, str]]:
    """A page for each executed notebook; (address, title) in the order of their names."""
    sources = sorted(path for path in notebooks.glob("*.ipynb") if not path.name.endswith(".failed.ipynb"))
    if not sources:
        raise D3keError(f"{notebooks}: expected executed notebooks, found none")
    books = {f"{path.stem}.html": nbformat.read(path, as_version=4) for path in sources}
    listed = [(address, title_of(book, address)) for address, book in books.items()]
    pages = [("index.html", "report"), *((address, short_name(address)) for address in books)]
    for address, book in books.items():
        content = stage_exporter().from_notebook_node(book)[0]
        page = (
            environment()
            .get_template("page.html")
            .render(title=dict(listed)[address], pages=pages, content=content)
        )
        (target / address).write_text(page, encoding="utf-8")
    return listed


def short_name(address: str) -> str:
    """04_frame.resnext50_32x4d.0.html → 04 frame ResNeXt-50 0."""
    stage, *run = address.removesuffix(".html").split(".")
    return " ".join([stage.replace("_", " "), *(SHORT.get(part, part) for part in run)])


def title_of(book: nbformat.NotebookNode, address: str) -> str:
    """The first heading, and what the run was of, from the file's name: 04_frame.resnext50_32x4d.0."""
    heading = re.search(
        r"^# *(.+)$", "\n".join(c.source for c in book.cells if c.cell_type == "markdown"), re.M
    )
    run = short_name(address).removeprefix(short_name(address.partition(".")[0]))
    return (heading.group(1) if heading else address) + (f" ({run.strip()})" if run else "")


def stage_exporter() -> HTMLExporter:
    return HTMLExporter(
        template_name="stage",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )


def refuse_remote(folder: Path) -> None:
    """Raises D3keError for a page that would load something from the network."""
    for page in sorted(folder.glob("*.html")):
        found = REMOTE.search(page.read_text(encoding="utf-8"))
        if found:
            raise D3keError(f"{page.name}: must open without network, found {found.group(0)[:120]}")


if __name__ == "__main__":
    sys.exit(main())
