"""What Make is told to run: what the stages themselves find out of date, and nothing else."""

import ast
import importlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grimp
import pytest
import toy

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.experiment import pipeline, plan
from d3ke_lib.experiment.resolved import Experiment
from d3ke_lib.experiment.run import artifacts, code_hash, config
from d3ke_lib.settings import REPOSITORY

LIBRARY = REPOSITORY / "d3ke_lib"
FILES = sorted(
    str(path.relative_to(LIBRARY))
    for path in LIBRARY.rglob("*")
    if path.suffix in {".py", ".json", ".toml", ".html"} and path.name != "__init__.py"
)
RUNS = ["04_frame.resnext50_32x4d.0", "04_frame.resnext101_32x8d.0"]
REFINED = [run.replace("04_frame", "05_temporal.transformer") for run in RUNS]
STAGES = {  # in order: the pages, and the module that computes what they show
    "02_data": (["02_data"], "data.synthetic.generate"),
    "04_frame": (RUNS, "experiment.run.train_frame"),
    "05_temporal": (REFINED, "experiment.run.train_temporal"),
    "06_evaluation": (["06_evaluation"], "experiment.evaluation.measure"),
    "07_figures": (["07_figures"], "experiment.report.figures"),
}
STOPS = {f"d3ke_lib.experiment.{name}" for name in ("run.config", "pipeline")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Smoke's stages carried out on toy records with toy networks, and pages newer than they."""
    out = tmp_path_factory.mktemp("out")
    experiment = Experiment(config.SMOKE, settings.read({"D3KE_OUT": str(out)}), default_skeleton())
    with pytest.MonkeyPatch.context() as patch:
        toy.shrink(patch)
        patch.setattr(synthetic, "make", lambda config, made, *_: toy.make_records(made))
        pipeline.figures(experiment)
    for page in plan.find_pages(experiment):
        path = experiment.folder / "notebooks" / f"{page}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return experiment


@pytest.fixture
def copy(finished: Experiment, tmp_path: Path) -> Experiment:
    """The same, to be damaged."""
    shutil.copytree(finished.folder, tmp_path / finished.folder.name)
    return finished._replace(settings=replace(finished.settings, out=tmp_path))


def plan_pages(experiment: Experiment) -> set[str]:
    """Pages whose stamp `write` renews."""
    plan.write(experiment)
    stamps = {path: path.stat().st_mtime_ns for path in (experiment.folder / "stamps").iterdir()}
    time.sleep(0.01)
    plan.write(experiment)
    return {path.name for path, before in stamps.items() if path.stat().st_mtime_ns != before}


def test_nothing_is_planned_twice(finished: Experiment) -> None:
    assert plan_pages(finished) == set()
    runs, pages, stale = (finished.folder / "plan.mk").read_text().splitlines()
    assert runs == "RUNS := resnext50_32x4d.0 resnext101_32x8d.0"
    assert pages.split()[2:5] == ["01_body", "02_data", "03_backbones"]
    assert stale.startswith("STALE :=")


# --- every file of the library ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> dict[str, set[str]]:
    """File of the library → pages that an edit of it makes out of date, by grimp's graph of imports."""
    graph = grimp.build_graph("d3ke_lib", cache_dir=None)

    def behind(*modules: str) -> set[str]:
        found, waiting = set(), set(modules)
        while waiting:
            found |= waiting
            imported = [graph.find_modules_directly_imported_by(m) for m in waiting - STOPS]
            waiting = set().union(*imported) - found
        return found

    pages: dict[str, set[str]] = {}
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        modules = behind(*imports_of(code_of(path)))
        for page in STAGES[path.stem][0] if path.stem in STAGES else [path.stem]:
            pages[page] = modules - {"d3ke_lib.experiment.run.config"}
    builder = (REPOSITORY / "scripts" / "build_report.py").read_text()
    pages["report"] = behind(*imports_of(builder)) - {"d3ke_lib.experiment.run.config"}
    earlier: set[str] = set()
    for names, module in STAGES.values():
        earlier |= behind(f"d3ke_lib.{module}") - STOPS
        for name in names:
            pages[name] |= earlier
    return {file: {page for page, modules in pages.items() if modules & modules_of(file)} for file in FILES}


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def imports_of(source: str) -> Iterator[str]:
    """Modules behind a source's imports from this library, as Python finds them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("d3ke_lib"):
            module = importlib.import_module(node.module)
            if not hasattr(module, "__path__"):
                yield node.module
                continue
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found = getattr(module, alias.name, None) or importlib.import_module(submodule)
                yield found.__name__ if hasattr(found, "__file__") else found.__module__


def modules_of(file: str) -> set[str]:
    """A module itself; a data file: the modules that have its name in them."""
    if file.endswith(".py"):
        return {module_of(LIBRARY / file)}
    name = Path(file).name
    named = [path for path in LIBRARY.rglob("*.py") if f'"{name}"' in path.read_text()]
    assert named, f"no module names {file}"
    return set(map(module_of, named))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


@pytest.mark.parametrize("file", FILES)
def test_an_edit_reruns_what_imports_the_file_and_what_follows(
    file: str, finished: Experiment, expected: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {page: plan.hash_page(finished, start) for page, start in plan.find_pages(finished).items()}
    meaning, edited = code_hash._meaning, LIBRARY / file
    monkeypatch.setattr(code_hash, "_meaning", lambda path: "edited" if path == edited else meaning(path))
    code_hash.code_hash.cache_clear()
    try:
        after = {page: plan.hash_page(finished, start) for page, start in plan.find_pages(finished).items()}
        planned = {page for page in before if before[page] != after[page]} | set(plan.find_stale(finished))
    finally:
        code_hash.code_hash.cache_clear()
    assert planned == expected[file]


def test_faces_hold_no_code() -> None:
    """`__init__.py` is in no hash: it may only say where names are."""
    for path in LIBRARY.rglob("__init__.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
        assert calls <= {"lazy.attach", "lazy_loader.attach"}, path


# --- what stages have made --------------------------------------------------------------------------------


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


FOLLOWING = {
    "02_data": {"02_data", *RUNS, *REFINED, "06_evaluation", "07_figures"},
    "04_frame": {RUNS[0], REFINED[0], "06_evaluation", "07_figures"},
    "05_temporal": {REFINED[0], "06_evaluation", "07_figures"},
    "06_evaluation": {"06_evaluation", "07_figures"},
    "07_figures": {"07_figures"},
}


@pytest.mark.parametrize(
    ("damage", "file", "stage"),
    [
        (Path.unlink, "data/subject_002_PG1.arrow", "02_data"),
        (change, "data/subject_002_PG1.arrow", "02_data"),
        (truncate, "data/subject_002_PG1.arrow", "02_data"),
        (Path.unlink, "data/manifest.json", "02_data"),
        (truncate, "frame/resnext50_32x4d.0/model.safetensors", "04_frame"),
        (change, "frame/resnext50_32x4d.0/model.safetensors", "04_frame"),
        (Path.unlink, "frame/resnext50_32x4d.0/run.json", "04_frame"),
        (Path.unlink, "temporal/transformer.resnext50_32x4d.0/model.safetensors", "05_temporal"),
        (Path.unlink, "results.json", "06_evaluation"),
        (Path.unlink, "figures/coordinates.png", "07_figures"),
    ],
)
def test_what_is_damaged_is_made_again_with_what_follows(damage, file, stage, copy: Experiment) -> None:
    assert plan_pages(copy) == set()
    damage(copy.folder / file)
    assert plan_pages(copy) == FOLLOWING[stage]


def test_a_deleted_record_file_is_made_again_and_a_changed_one_is_refused(copy, monkeypatch) -> None:
    monkeypatch.setattr(synthetic, "make", lambda config, made, *_: toy.make_records(made))
    path = copy.data / "subject_002_PG1.arrow"
    content = path.read_bytes()
    path.unlink()
    pipeline.data(copy)
    assert path.read_bytes() == content
    change(path)
    with pytest.raises(ValueError, match=r"subject_002_PG1\.arrow: sha256: expected"):
        pipeline.data(copy)


def test_a_page_older_than_what_it_shows_is_planned(copy: Experiment) -> None:
    assert plan_pages(copy) == set()
    (copy.folder / RUNS[0].replace("04_frame.", "frame/") / "run.json").touch()
    assert plan_pages(copy) == {RUNS[0]}


def test_times_and_stray_files_plan_nothing(copy: Experiment) -> None:
    assert plan_pages(copy) == set()
    (copy.data / "opensim.log").touch()
    for path in LIBRARY.rglob("*.py"):
        path.touch()
    assert plan_pages(copy) == set()


def test_another_refiner_and_other_seeds_are_trained_and_evaluated(copy: Experiment) -> None:
    profile = replace(copy.profile, refiners=("tcn",))
    refined = {page.replace("transformer", "tcn") for page in REFINED}
    assert plan_pages(copy._replace(profile=profile)) == {*refined, "06_evaluation", "07_figures"}
    profile = replace(copy.profile, seeds=(0, 1))
    added = {page[:-1] + "1" for page in (*RUNS, *REFINED)}
    assert plan_pages(copy._replace(profile=profile)) == {*added, "06_evaluation", "07_figures"}


# --- what a user can set ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "words", "message"),
    [
        ({}, ["smok"], "unknown profile 'smok'; known: smoke, demo"),
        ({}, ["smoke", "gru"], "unknown temporal network 'gru'; known: transformer, tcn, lstm"),
        ({}, ["smoke", "", "vgg"], "unknown backbone 'vgg'; known: resnet50"),
        ({"D3KE_SEEDS": "0 x"}, ["smoke"], "SEEDS: expected whole numbers"),
        ({}, ["bmlmovi"], "say where the downloads are: RAW=folder"),
        ({"D3KE_RAW": "/nowhere"}, ["bmlmovi"], "/nowhere: expected the folder of the downloads"),
        (
            {"D3KE_RAW": str(LIBRARY)},
            ["bmlmovi"],
            "expected BMLmovi's downloads",
        ),
        ({"D3KE_OVERRIDES": "/nowhere.toml"}, ["smoke"], "/nowhere.toml: expected a TOML file"),
        ({"D3KE_OCCLUDERS": "/nowhere"}, ["bmlmovi"], "/nowhere: expected cut-outs"),
        ({"D3KE_BODY": "/nowhere.osim"}, ["bmlmovi"], "nowhere.osim"),
    ],
)
def test_wrong_values_end_in_one_line_before_anything_is_written(
    environment, words, message, tmp_path, monkeypatch, capsys
) -> None:
    for name in ("RAW", "SEEDS", "BODY", "OCCLUDERS", "OVERRIDES", "PARTIAL"):
        monkeypatch.delenv(f"D3KE_{name}", raising=False)
    for name, value in ({"D3KE_OUT": str(tmp_path)} | environment).items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ValueError, OSError), match=message) as raised:
        plan.main("check", *words)
    assert re.match(r"[^\n]+$", str(raised.value))
    assert list(tmp_path.iterdir()) == []


def test_overrides_replace_values_and_name_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    frame = '[frame]\nimages = 8\nweights = "none"'
    path.write_text(f'backbones = ["resnet50"]\n{frame}\n[data]\ntrain = [1, 5]\n')
    asked = settings.read({"D3KE_OVERRIDES": str(path)})
    found = config.profile("bmlmovi", asked)
    assert (found.name, found.backbones, found.frame.images) == ("bmlmovi.tiny", ("resnet50",), 8)
    assert found.frame.weights is None
    assert found.data == replace(config.BMLMOVI.data, train=(1, 5))
    assert found.temporal == config.BMLMOVI.temporal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[frame]\nbacth = 2", r"tiny\.toml: FrameConfig has no field bacth; known: backbone"),
        ('[frame]\nbatch = "2"', r"tiny\.toml: FrameConfig.batch: expected int, found '2'"),
        ("frame = 3", r"tiny\.toml: Profile.frame: expected FrameConfig, found 3"),
        ("[fraem]", r"tiny\.toml: Profile has no field fraem"),
        ("=", r"tiny\.toml: Invalid"),
    ],
)
def test_wrong_overrides_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(text)
    with pytest.raises(artifacts.D3keError, match=message):
        config.profile("bmlmovi", settings.read({"D3KE_OVERRIDES": str(tmp_path / "tiny.toml")}))
