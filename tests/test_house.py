"""Limits that keep the library readable: short files and functions, small rooms, the field's words."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "d3ke_lib").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_no_file_over_300_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path.name: length for path, length in lengths.items() if length > 300} == {}


def test_no_function_over_40_lines() -> None:
    functions = (
        (f"{path.name}: {node.name}", node.end_lineno - node.lineno + 1)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    )
    assert {name: length for name, length in functions if length > 40} == {}


def test_no_room_over_20_files() -> None:
    rooms = Counter(path.parent for path in FILES)
    assert {room.name: count for room, count in rooms.items() if count > 20} == {}


def test_names_that_only_their_own_module_uses_are_private() -> None:
    """Public functions and classes that no other module, script, tool, notebook or test mentions."""
    texts = {path: path.read_text(encoding="utf-8") for path in FILES}
    for folder, pattern in (
        ("scripts", "*.py"),
        ("tools", "*.py"),
        ("tests", "*.py"),
        ("notebooks", "*.ipynb"),
    ):
        texts |= {path: path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob(pattern)}
    words = {path: set(re.findall(r"\w+", text)) for path, text in texts.items()}
    own = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any(node.name in found for other, found in words.items() if other != path)
    ]
    assert own == []


def test_the_fields_words() -> None:
    """Words that the field does not use for these things, in the library and the README."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*FILES, ROOT / "README.md"])
    counts = {word: len(re.findall(word, text)) for word in ("spoilt", "judge", "beside", "picture", "crew")}
    assert {word: count for word, count in counts.items() if count > 3} == {}


def test_modules_of_the_standard_library_are_imported_where_they_are_named() -> None:
    """What ruff's F821 would find; it is off because shapes of jaxtyping are names to it."""
    missing = []
    for path in [*FILES, *(ROOT / "scripts").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bound = {alias.asname or alias.name.partition(".")[0] for node in ast.walk(tree)
                 if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}  # fmt: skip
        bound |= {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        named = {node.value.id for node in ast.walk(tree)
                 if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}  # fmt: skip
        missing += [f"{path.name}: {name}" for name in (named & sys.stdlib_module_names) - bound]
    assert missing == []
