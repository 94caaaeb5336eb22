"""The report of a profile as one folder that opens without network:  python scripts/build_report.py demo

Reads out/<profile>/results.json, figures/ and notebooks/; writes out/<profile>/report/index.html. The folder
is renamed when it is whole; a dead link, a missing description of an image or an address outside ends it.
"""

import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import _cli
import nbformat
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html_mistune
from pygments.formatters import HtmlFormatter

from d3ke_lib.experiment.report import (
    claims,
    deviations,
    findings,
    front,
    ledger,
    limits,
    plan_tables,
    tables,
)
from d3ke_lib.experiment.report.effects import is_smoke
from d3ke_lib.experiment.report.method_names import SHORT
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, out_root, read_json

TEMPLATES = Path(__file__).parent / "report"
PAGES = [
    ("deviations.html", "deviations from paper and code"),
    ("reproducibility.html", "reproducibility summary"),
    ("claims.html", "claims and verdicts"),
]
NO_ALT = "No description has been provided for this image"  # nbconvert's
REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|video|source)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//""", re.I
)


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("profile")
    profile = parser.parse_args().profile
    print(build(out_root() / profile))


def build(folder: Path) -> Path:
    """The report of the profile in `folder`; returns its index.html. Raises D3keError for what is missing."""
    results, shown = read_json(folder / "results.json"), read_json(folder / "figures" / "captions.json")
    partial = folder / f".report.{os.getpid()}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        stages = write_stages(folder / "notebooks", partial)
        figures = copy_figures(folder / "figures", shown, partial)
        write_index(results, figures, stages, partial)
        write_deviations(stages, partial)
        write_summary(stages, partial)
        write_claims(stages, partial)
        shutil.copy(folder / "results.json", partial)
        write_style(partial)
        check_pages(partial)
        shutil.rmtree(folder / "report", ignore_errors=True)
        os.replace(partial, folder / "report")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder / "report" / "index.html"


def write_style(target: Path) -> None:
    """style.css with the colours of code, of a dark set where the reader's system is dark."""
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark")
    )
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    whole = f"{style}\n{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    (target / "style.css").write_text(whole, encoding="utf-8")


def render(template: str, **values: Any) -> str:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


# --- the first page ---------------------------------------------------------------------------------------


def write_index(
    results: dict[str, Any], figures: dict[str, dict[str, Any]], stages: list[tuple[str, str]], target: Path
) -> None:
    parts = {"claims": "claims", "results": "results", "look": "predictions", "cost": "cost", "data": "data"}
    text = render(
        "index.html",
        title=findings.question(results),
        answer=findings.answer(results),
        caveats=limits.caveats(results),
        front=front.say_front(results),
        smoke=is_smoke(results),
        commit=results["git"][:10],
        results=results,
        command=claims.command(results),
        margin=claims.MARGIN_DEG,
        least_runs=claims.LEAST_RUNS,
        tables=all_tables(results),
        reruns=plan_tables.describe_reruns(results),
        figures=figures,
        stages=stages,
        current="index.html",
        pages=[("index.html", "report"), *((f"#{part}", name) for part, name in parts.items()), *PAGES],
    )
    (target / "index.html").write_text(text, encoding="utf-8")


def write_deviations(stages: list[tuple[str, str]], target: Path) -> None:
    """The page that compares paper, released code and this project."""
    table = tables.to_html(tables.deviations_table(deviations.read(REPOSITORY)))
    address, title = PAGES[0]
    text = render(
        "deviations.html", title=title.capitalize(), table=table, current=address, pages=pages_of(stages)
    )
    (target / address).write_text(text, encoding="utf-8")


def write_summary(stages: list[tuple[str, str]], target: Path) -> None:
    """docs/reproducibility.md as a page, without what it says of the recorded run."""
    text = (REPOSITORY / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    text = re.sub(r"<!-- scope:begin -->.*?<!-- scope:end -->", "", text, flags=re.S)
    write_document(text, PAGES[1], stages, target)


def write_claims(stages: list[tuple[str, str]], target: Path) -> None:
    """docs/claims.md as a page, its table from data/claims.toml and what is recorded now."""
    text = (REPOSITORY / "docs" / "claims.md").read_text(encoding="utf-8")
    table = tables.markdown(ledger.ledger_table(REPOSITORY))
    block = re.compile(r"<!-- ledger:begin -->.*?<!-- ledger:end -->", re.S)
    write_document(block.sub(lambda _: table, text), PAGES[2], stages, target)


def write_document(text: str, page: tuple[str, str], stages: list[tuple[str, str]], target: Path) -> None:
    """Markdown as a page of the report."""
    address, title = page
    content = replace_links(markdown2html_mistune(text), [])
    html = render("page.html", title=title, pages=pages_of(stages), current=address, content=content)
    (target / address).write_text(html, encoding="utf-8")


def pages_of(stages: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("index.html", "report"), *PAGES, *((address, short_name(address)) for address, _ in stages)]


def all_tables(results: dict[str, Any]) -> dict[str, str]:
    """HTML by name; empty where there is nothing to show."""
    recorded = REPOSITORY / "data" / "results" / "frame_rate.json"
    rates = read_json(recorded) if recorded.is_file() else None
    rows = claims.list_claims(results, read_json(REPOSITORY / "data" / "paper_results.json"), rates)
    found = {
        "claims": tables.claims_table(rows),
        "results": tables.results_table(results),
        "seeds": tables.seeds_table(results),
        "hypotheses": tables.hypotheses_table(results),
        "cells": plan_tables.cells_table(results),
        "conditions": tables.conditions_table(results),
        "turned": tables.conditions_table(results, "turned_percent"),
        "details": tables.details_table(results),
        "published": tables.published_table(read_json(REPOSITORY / "data" / "published.json")),
        "comparisons": tables.comparisons_table(results),
        "overfitting": tables.overfitting_table(results),
        "networks": tables.networks_table(results),
        "training": tables.training_table(results),
        "data": tables.data_table(results),
    }
    return {name: tables.to_html(table) if table else "" for name, table in found.items()}


def copy_figures(source: Path, shown: dict[str, Any], target: Path) -> dict[str, dict[str, Any]]:
    """PNG and CSV of every figure into the report; name → addresses, caption, least legible width."""
    (target / "figures").mkdir()
    found = {}
    for name, caption in shown["captions"].items():
        for ending in ("png", "csv"):
            shutil.copy(source / f"{name}.{ending}", target / "figures")
        addresses = {"image": f"figures/{name}.png", "table": f"figures/{name}.csv"}
        found[name] = {**addresses, "caption": caption, "width": shown["least_width_px"][name]}
    return found


# --- the stages -------------------------------------------------------------------------------------------


def write_stages(notebooks: Path, target: Path) -> list[tuple[str, str]]:
    """A page for each executed notebook; (address, title) in the order of their names."""
    sources = sorted(path for path in notebooks.glob("*.ipynb") if not path.name.endswith(".failed.ipynb"))
    if not sources:
        raise D3keError(f"{notebooks}: expected executed notebooks, found none")
    books = {f"{path.stem}.html": nbformat.read(path, as_version=4) for path in sources}
    listed = [(address, title_of(book, address)) for address, book in books.items()]
    for address, title in listed:
        book = books[address]
        describe_images(book, title)
        content = replace_links(stage_exporter().from_notebook_node(book)[0], list(books))
        text = render("page.html", title=title, pages=pages_of(listed), current=address, content=content)
        (target / address).write_text(text, encoding="utf-8")
    return listed


def describe_images(book: nbformat.NotebookNode, title: str) -> None:
    """Gives every image without a text alternative the heading and the first sentence above it."""
    heading = sentence = title
    for cell in book.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ *(.+)$", cell.source, re.M)
            heading = headings[-1] if headings else heading
            prose = re.sub(r"^#.*$|[*`_>|-]", "", cell.source, flags=re.M).strip()
            sentence = prose.split(". ")[0].strip() or sentence
        for output in cell.get("outputs", []):
            for kind in ("image/png", "image/jpeg"):
                if kind in output.get("data", {}):
                    about = output.setdefault("metadata", {}).setdefault(kind, {})
                    about.setdefault("alt", f"{heading}: {sentence}")


def replace_links(page: str, addresses: list[str]) -> str:
    """Links from notebook to notebook lead to the report's pages; those to the repository become text."""

    def replace(link: re.Match[str]) -> str:
        address, text = link.group(1), link.group(2)
        if re.match(r"(https?|mailto|data):|#", address):
            return link.group(0)
        stage = Path(address).stem
        known = [page for page in addresses if page.partition(".")[0] == stage]
        return f'<a href="{known[0]}">{text}</a>' if known and address.endswith(".ipynb") else text

    return re.sub(r"""<a\b[^>]*\bhref="([^"]*)"[^>]*>(.*?)</a>""", replace, page, flags=re.S)


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


# --- checks -----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page has: the addresses it loads and links to, its ids, images without a text alternative."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.undescribed = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.addresses += [found[key] for key in ("src", "href") if key in found]
        self.ids |= {found[key] for key in ("id", "name") if key in found}
        self.undescribed += tag == "img" and found.get("alt", "") in ("", NO_ALT)


def check_pages(folder: Path) -> None:
    """Raises D3keError for a remote resource, a dead link and an image without a text alternative."""
    pages = {path.name: Page(path) for path in sorted(folder.glob("*.html"))}
    for name, page in pages.items():
        remote = REMOTE.search((folder / name).read_text(encoding="utf-8"))
        if remote:
            raise D3keError(f"{name}: must open without network, found {remote.group(0)[:120]}")
        if page.undescribed:
            raise D3keError(
                f"{name}: expected a text alternative for every image, {page.undescribed} lack it"
            )
        for address in page.addresses:
            check_link(folder, name, address, pages)


def check_link(folder: Path, name: str, address: str, pages: dict[str, Page]) -> None:
    if re.match(r"(https?|mailto|data):", address):
        return
    file, _, part = unquote(address).partition("#")
    if not (folder / (file or name)).is_file():
        raise D3keError(f"{name}: expected {file} in the report, found no such file")
    target = pages.get(file or name)
    if part and target and part not in target.ids:
        raise D3keError(f"{name}: expected an element {part!r} in {file or name}, found none")


if __name__ == "__main__":
    sys.exit(main())
