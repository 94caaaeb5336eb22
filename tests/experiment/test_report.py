"""The report from a toy profile: whole, without network, everything linked is there."""

import importlib.util
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from d3ke_lib.experiment.report.findings import answer
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, read_json, write_json


def script(name: str):
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Addresses(HTMLParser):
    """What a page loads (src, link) and links to (a), and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded, self.linked, self.said = [], [], []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = [value for key, value in attrs if key in ("src", "href") and value]
        (self.linked if tag == "a" else self.loaded).extend(found)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells))


@pytest.fixture
def folder(toy_profile: Path, tmp_path: Path) -> Path:
    """The toy profile with two executed notebooks, one of them failed."""
    shutil.copytree(toy_profile, tmp_path / "toy", ignore=shutil.ignore_patterns("data", "frame", "temporal"))
    (tmp_path / "toy/notebooks").mkdir()
    output = nbformat.v4.new_output("stream", name="stdout", text="printed <b>\n")
    noise = nbformat.v4.new_output("stream", name="stderr", text="a warning\n")
    code = nbformat.v4.new_code_cell(
        "x = 1  # secret of the code", outputs=[output, noise], execution_count=1
    )
    book = notebook(nbformat.v4.new_markdown_cell("# 04 · Training\n\n*Prose*"), code)
    nbformat.write(book, tmp_path / "toy/notebooks/04_frame.resnext50_32x4d.0.ipynb")
    nbformat.write(book, tmp_path / "toy/notebooks/05_temporal.failed.ipynb")
    return tmp_path / "toy"


def test_the_report_is_one_folder_that_needs_no_network(folder: Path) -> None:
    index = script("build_report").build(folder)
    pages = sorted(index.parent.glob("*.html"))
    assert [page.name for page in pages] == [
        "04_frame.resnext50_32x4d.0.html",
        "claims.html",
        "deviations.html",
        "index.html",
        "reproducibility.html",
    ]
    summary = (index.parent / "reproducibility.html").read_text(encoding="utf-8")
    assert "<strong>What was difficult.</strong>" in summary
    assert "9.6°; 5.3°; 4.1°" in summary
    assert "scope:begin" not in summary
    for page in pages:
        found = Addresses(page.read_text())
        for address in found.loaded + [link for link in found.linked if not link.startswith(("#", "http"))]:
            assert "//" not in address
            assert address.startswith("data:") or (index.parent / address).is_file(), address
    assert not [path for path in folder.iterdir() if path.name.startswith(".report")]


def test_the_first_page_has_the_numbers_of_the_results(folder: Path) -> None:
    index = script("build_report").build(folder)
    said = " ".join("".join(Addresses(index.read_text()).said).split())
    results = read_json(folder / "results.json")
    assert all(" ".join(sentence.split()) in said for sentence in answer(results))
    assert "synthetic data" in said
    assert "not testable here: needs BMLmovi" in said
    best = results["settings"]["frame/resnext50_32x4d"]["summary"]["angle_mae_deg"]["mean"]
    assert f"{best:.2f}" in said
    assert "04 · Training (ResNeXt-50 0)" in said


def test_a_stage_shows_outputs_and_folds_code(folder: Path) -> None:
    page = script("build_report").build(folder).with_name("04_frame.resnext50_32x4d.0.html").read_text()
    assert "<details" in page
    assert "secret of the code" in page
    assert "printed &lt;b&gt;" in page
    assert "a warning" not in page
    assert "<script" not in page


def test_a_page_that_would_load_from_the_network_is_refused(folder: Path) -> None:
    data = {"text/html": '<img src="https://example.org/a.png">'}
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", data=data)])
    nbformat.write(notebook(cell), folder / "notebooks/06_evaluation.ipynb")
    with pytest.raises(D3keError, match=r"06_evaluation\.html: must open without network"):
        script("build_report").build(folder)
    assert not (folder / "report").exists()


def test_what_is_missing_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "notebooks")
    with pytest.raises(D3keError, match="notebooks: expected executed notebooks"):
        script("build_report").build(folder)
    (folder / "results.json").unlink()
    with pytest.raises(D3keError, match=r"results\.json does not exist"):
        script("build_report").build(folder)


def test_the_main_figure_stands_above_the_limits_and_the_page_is_marked(folder: Path) -> None:
    index = script("build_report").build(folder)
    for page in index.parent.glob("*.html"):
        marked = re.findall(r'<a href="([^"]+)" aria-current="page">', page.read_text())
        assert marked == [page.name]
    text = index.read_text()
    assert (
        text.index("figures/paired.png") < text.index("<h3>Limits</h3>") < text.index("Claims and verdicts")
    )
    assert re.search(r"<th>claim</th><th>verdict</th>", text)


def test_a_report_of_bmlmovi_does_not_say_synthetic(folder: Path) -> None:
    path = folder / "results.json"
    write_json(path, read_json(path) | {"synthetic": False})
    said = " ".join("".join(Addresses(script("build_report").build(folder).read_text()).said).split())
    assert "BMLmovi: recorded subjects" in said
    for word in ("synthetic", "rendered", "need registration", "embedded"):
        assert word not in said, word


def image_of(**about: str) -> nbformat.NotebookNode:
    data = {"image/png": "iVBORw0KGgo="}
    output = nbformat.v4.new_output("display_data", data=data, metadata={"image/png": about} if about else {})
    return nbformat.v4.new_code_cell("x", outputs=[output])


def test_every_image_is_described(folder: Path) -> None:
    prose = nbformat.v4.new_markdown_cell("# Walking\n\nThe *knee* bends. More of it.")
    book = notebook(prose, image_of(), image_of(alt="a knee"))
    nbformat.write(book, folder / "notebooks/06_evaluation.ipynb")
    page = script("build_report").build(folder).with_name("06_evaluation.html").read_text()
    assert re.findall(r'<img[^>]* alt="([^"]*)"|alt="([^"]*)"', page)
    assert 'alt="Walking: The knee bends"' in page
    assert 'alt="a knee"' in page


def test_links_of_notebooks_lead_to_pages_or_become_text(folder: Path) -> None:
    links = (
        "[training](04_frame.ipynb) and [`tree.py`](../d3ke_lib/body/tree.py), see [web](https://example.org)"
    )
    book = notebook(nbformat.v4.new_markdown_cell(f"# A title\n\n{links}"))
    nbformat.write(book, folder / "notebooks/06_evaluation.ipynb")
    page = script("build_report").build(folder).with_name("06_evaluation.html").read_text()
    assert '<a href="04_frame.resnext50_32x4d.0.html">training</a>' in page
    assert "tree.py</code>" in page
    assert "../d3ke_lib" not in page
    assert "https://example.org" in page


@pytest.mark.parametrize(
    ("html", "message"),
    [
        ('<a href="missing.html">x</a>', "expected missing.html in the report, found no such file"),
        ('<a href="index.html#nowhere">x</a>', "expected an element 'nowhere' in index.html, found none"),
        ('<img src="style.css">', "a text alternative for every image, 1 lack it"),
    ],
)
def test_dead_links_and_undescribed_images_are_refused(tmp_path: Path, html: str, message: str) -> None:
    (tmp_path / "index.html").write_text(f'<h2 id="here">x</h2><a href="#here">x</a>{html}')
    (tmp_path / "style.css").touch()
    with pytest.raises(D3keError, match=message):
        script("build_report").check_pages(tmp_path)


def test_a_recorded_notebook_has_no_dead_link() -> None:
    """Relative links in the notebooks themselves, as a reader of the repository follows them."""
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if not link.startswith("http")]
        assert not [link for link in links if not (path.parent / link).exists()], path.name
