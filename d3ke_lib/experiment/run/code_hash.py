"""The files behind a result, found by reading imports, and a hash of what they compute.

A file's sources are the modules of this library that it imports, directly or not, and the data files that
these name (`actions.toml`, `d3ke_body.osim`). Comments and docstrings are not hashed: a result is not
computed again because a comment was corrected. Two modules end the search: the configuration, whose values
are part of every fingerprint, and the pipeline, whose stages are hashed one by one.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from d3ke_lib.settings import REPOSITORY

_CONFIGURATION = "d3ke_lib.experiment.run.config"
PIPELINE = "d3ke_lib.experiment.pipeline"
_DATA_FOLDERS = ("data", "data/body", "data/results")
_DATA_SUFFIXES = {".json", ".toml", ".html", ".osim", ".csv"}


@cache
def code_hash(*modules: str, without: str | None = None) -> str:
    """SHA-256 over the sources of these modules of the library, given by their dotted names."""
    return hash_files(sources(*map(path_of, modules), without=without))


def sources(*starts: Path, without: str | None = None) -> list[Path]:
    """`starts` (modules, scripts, notebooks) and all that lies behind them, sorted.

    without: a module that the result does not depend on, such as one that only describes it.
    """
    found: set[Path] = set()
    waiting, ends = set(starts), {path_of(name) for name in (_CONFIGURATION, without) if name}
    while waiting:
        found |= waiting
        behind = {file for path in waiting for file in (*_imports(path), *_data_files(path))}
        waiting = behind - found - ends
    return sorted(found)


def hash_files(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        name = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path.name
        found.update(f"{name} {_meaning(path)}\n".encode())
    return found.hexdigest()


def path_of(module: str) -> Path:
    return REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")


# --- what a file imports ----------------------------------------------------------------------------------


@cache
def _imports(path: Path) -> frozenset[Path]:
    """The library's modules that a file imports itself."""
    if path == path_of(PIPELINE) or (tree := _tree(path)) is None:
        return frozenset()
    return frozenset(path_of(name) for name in _imported_names(tree) if path_of(name).is_file())


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names for name in _resolve(alias.name, "*"))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (name for alias in node.names for name in _resolve(node.module, alias.name))


def _resolve(module: str, name: str) -> Iterator[str]:
    """Modules behind `from module import name`: itself, its submodule, or where its face has `name` from."""
    yield module
    yield f"{module}.{name}"
    if module.partition(".")[0] == "d3ke_lib":
        yield from (f"{module}.{part}" for part, names in _face(module) if name == "*" or name in names)


@cache
def _face(package: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Submodule and the names that a package's `lazy_loader.attach` takes from it."""
    path = REPOSITORY.joinpath(*package.split("."), "__init__.py")
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)] if path.is_file() else []
    found = {}
    for call in calls:
        for literal in (*call.args, *(keyword.value for keyword in call.keywords)):
            if isinstance(literal, ast.Dict):
                found |= ast.literal_eval(literal)
            elif isinstance(literal, ast.List | ast.Set | ast.Tuple):
                found |= {part: [part] for part in ast.literal_eval(literal)}
    return tuple((part, frozenset(names)) for part, names in found.items())


@cache
def _data_files(path: Path) -> frozenset[Path]:
    """Data files that a module's code names: next to it or in data/."""
    if (tree := _tree(path)) is None:
        return frozenset()
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    names = {word for word in words if isinstance(word, str) and Path(word).suffix in _DATA_SUFFIXES}
    folders = (path.parent, *(REPOSITORY / folder for folder in _DATA_FOLDERS))
    return frozenset(folder / name for folder in folders for name in names if (folder / name).is_file())


# --- what a file says -------------------------------------------------------------------------------------


@cache
def _tree(path: Path) -> ast.Module | None:
    """The code of a module, script or notebook; None for a data file."""
    if path.suffix == ".py":
        return ast.parse(path.read_text(encoding="utf-8"))
    if path.suffix == ".ipynb":
        cells = (source for kind, source in _cells(path) if kind == "code")
        return ast.parse("\n".join(cells))
    return None


def _cells(notebook: Path) -> list[tuple[str, str]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]


@cache
def _meaning(path: Path) -> str:
    """What is hashed: code without comments and docstrings, a notebook's cells without outputs, or bytes."""
    if path.suffix == ".ipynb":
        return json.dumps(_cells(path))
    if path.suffix == ".py":
        return meaning(path.read_text(encoding="utf-8"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def meaning(source: str) -> str:
    """Code without comments and docstrings, as text."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
