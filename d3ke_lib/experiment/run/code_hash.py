"""A hash of the code behind a run: the modules it imports, without comments and docstrings.

A run made by other code is not the run that was asked for; one made before a comment was mended is. The
configuration's module is left out: its values are in a run's fingerprint themselves.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
TRAINING = "d3ke_lib.experiment.run.train"
CONFIGURATION = "d3ke_lib.experiment.run.config"


@cache
def code_hash(module: str = TRAINING) -> str:
    """sha256 over `module` and every module of this library that it imports, directly or not."""
    found = hashlib.sha256()
    for name in sorted(imported(module)):
        found.update(f"{name}\n{_meaning(path_of(name).read_text())}\n".encode())
    return found.hexdigest()


def imported(module: str) -> set[str]:
    """`module` and the modules of this library behind it, by their dotted names; not the configuration's."""
    found, waiting = set(), {module}
    while waiting:
        found |= waiting
        behind = {name for each in waiting for name in _imports(path_of(each).read_text())}
        waiting = behind - found - {CONFIGURATION}
    return found


def path_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _imports(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("d3ke_lib.") and path_of(name).is_file()}


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
