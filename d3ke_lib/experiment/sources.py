"""A hash of what the library computes: its code without comments and docstrings.

A run made by other code is not the run that was asked for; one made before a comment was mended is.
"""

import ast
import hashlib
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
DECIDES_A_RUN = (
    "body",
    "data",
    "nets",
    "experiment/train.py",
    "experiment/windows.py",
    "experiment/schedule.py",
)


def code_hash(parts: tuple[str, ...] = DECIDES_A_RUN) -> str:
    """sha256 over modules of d3ke_lib (folders, files), blind to comments and docstrings."""
    found = hashlib.sha256()
    for path in sorted(module for part in parts for module in _modules(LIBRARY / part)):
        found.update(f"{path.relative_to(LIBRARY)}\n{_meaning(path.read_text())}\n".encode())
    return found.hexdigest()


def _modules(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.glob("*.py"))


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
