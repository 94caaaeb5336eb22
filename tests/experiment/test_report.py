"""The report from a toy profile: whole, without network, everything linked is there."""

import importlib.util
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from d3ke_lib.experiment.report.claims import answer
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, read_json


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
    assert [page.name for page in pages] == ["04_frame.resnext50_32x4d.0.html", "index.html"]
    for page in pages:
        found = Addresses(page.read_text())
        for address in found.loaded + [link for link in found.linked if not link.startswith(("#", "http"))]:
            assert "//" not in address
            assert address.startswith("data:") or (index.parent / address).is_file(), address
    assert not [path for path in folder.iterdir() if path.name.startswith(".report")]


def test_the_first_page_answers_with_the_numbers_of_the_results(folder: Path) -> None:
    index = script("build_report").build(folder)
    said = " ".join("".join(Addresses(index.read_text()).said).split())
    results = read_json(folder / "results.json")
    assert " ".join(answer(results).split()) in said
    assert "synthetic data" in said
    assert "not reproducible here: the recordings need registration" in said
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
