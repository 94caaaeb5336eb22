"""The library as a house: rooms, sizes, public names, imports:  python scripts/house.py [--walk smoke]

A room is a folder. A name is public where it has no leading underscore, and used from outside where another
room, a script, a tool or a notebook imports it (re-exports are followed to the module that defines it).
--walk also carries a profile through to results.json and counts calls of `experiment` that cross files.
"""

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import _cli

LIBRARY = "d3ke_lib"
CLOSURE = (
    "import json, sys; from d3ke_lib.nets import FrameNet, losses; print(json.dumps(sorted(sys.modules)))"
)
Name = tuple[str, str]  # module, name


def module_of(path: Path) -> str:
    parts = path.relative_to(_cli.ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_of(path): path for path in sorted((_cli.ROOT / LIBRARY).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in PATHS.items()}
PLACES = {path.stem: path.parent.name for path in PATHS.values()}
PACKAGES = {name for name, path in PATHS.items() if path.name == "__init__.py"}


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--walk", metavar="PROFILE", help="also count calls on the way to results.json")
    parser.add_argument("--names", action="store_true", help="also list the public names by who uses them")
    given = parser.parse_args()
    show_sizes()
    show_names(given.names)
    show_closure()
    if given.walk:
        show_walk(given.walk)


# --- sizes ------------------------------------------------------------------------------------------------


def room_of(module: str) -> str:
    return module if module in PACKAGES else module.rpartition(".")[0]


def show_sizes() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in PATHS.items()}
    rooms: Counter[str] = Counter()
    for name, count in lines.items():
        rooms[room_of(name)] += count
    for room, count in rooms.items():
        print(f"{room:<30} {count:6} lines, {sum(room_of(name) == room for name in PATHS):3} files")
    longest = max(lines, key=lines.__getitem__)
    functions = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    widest = max(functions, key=functions.__getitem__)
    print(f"{LIBRARY}: {len(PATHS)} files, {sum(lines.values())} lines, {len(functions)} functions")
    print(f"longest file {longest} ({lines[longest]}), longest function {widest} ({functions[widest]})")


# --- names ------------------------------------------------------------------------------------------------


def defined_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of a module and whether they are a `definition` or a `constant`."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, "definition"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((e.id, "constant") for e in ast.walk(target) if isinstance(e, ast.Name))


KINDS = {(name, own): kind for name, tree in TREES.items() for own, kind in defined_in(tree)}


def faces() -> Iterator[tuple[Name, Name]]:
    """What packages show lazily, and what modules import from others: (module, name) → where it is from."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "submod_attrs":
                for part, names in ast.literal_eval(node.value).items():
                    yield from (((module, name), (f"{module}.{part}", name)) for name in names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY):
                for alias in node.names:
                    yield (module, alias.asname or alias.name), (node.module, alias.name)


FACES = dict(faces())


def resolve(module: str, name: str) -> Name | str | None:
    """The module that `module.name` is, or the (module, name) that defines it."""
    while (module, name) not in KINDS:
        if f"{module}.{name}" in PATHS:
            return f"{module}.{name}"
        if (module, name) not in FACES:
            return None
        module, name = FACES[module, name]
    return module, name


def used_by(tree: ast.AST) -> set[Name]:
    """The library's names that some code imports or reaches through a module it imports."""
    found: set[Name] = set()
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY):
            for alias in node.names:
                target = resolve(node.module, alias.name)
                if isinstance(target, str):
                    modules[alias.asname or alias.name] = target
                elif target:
                    found.add(target)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(LIBRARY):
                    modules[alias.asname or LIBRARY] = alias.name if alias.asname else LIBRARY
    chains = (chain_of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    for first, *rest in filter(None, chains):
        target: Name | str | None = modules.get(first)
        for name in rest:
            target = resolve(target, name) if isinstance(target, str) else None
            if isinstance(target, tuple):
                found.add(target)
    return found


def chain_of(node: ast.expr) -> list[str]:
    """a.b.c as ["a", "b", "c"]; empty where it begins with something else."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (before := chain_of(node.value)):
        return [*before, node.attr]
    return []


def users() -> dict[Name, set[str]]:
    """Public name → who uses it: modules of the library, and files elsewhere, by `folder/name`."""
    sources: dict[str, ast.AST] = dict(TREES)
    for folder in ("scripts", "tools", "tests"):
        for path in (_cli.ROOT / folder).rglob("*.py"):
            sources[f"{folder}/{path.name}"] = ast.parse(path.read_text(encoding="utf-8"))
    for path in (_cli.ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        sources[f"notebooks/{path.name}"] = ast.parse(code)
    found: dict[Name, set[str]] = {name: set() for name in KINDS if not name[1].startswith("_")}
    for user, tree in sources.items():
        for name in used_by(tree) & found.keys():
            if name[0] != user:
                found[name].add(user)
    return found


def use_of(name: Name, by: set[str]) -> str:
    inside = {user for user in by if user.startswith(LIBRARY)}
    outside = {user.partition("/")[0] for user in by - inside}
    if any(room_of(user) != room_of(name[0]) for user in inside):
        return "another room"
    if outside - {"tests"}:
        return "a script, tool or notebook"
    if inside:
        return "its own room"
    return "tests only" if outside else "its own module"


def show_names(listed: bool) -> None:
    uses = {name: use_of(name, by) for name, by in users().items()}
    outside = ("another room", "a script, tool or notebook")
    print(f"public names: {len(uses)}, of them functions and classes:", end=" ")
    print(sum(KINDS[name] == "definition" for name in uses))
    print(f"used from another room, script, tool or notebook: {sum(use in outside for use in uses.values())}")
    for use in (*outside, "its own room", "tests only", "its own module"):
        kinds = Counter(KINDS[name] for name, found in uses.items() if found == use)
        print(
            f"  by {use:<28} {kinds['definition']:4} functions and classes, {kinds['constant']:4} constants"
        )
        for name in sorted(uses) if listed else ():
            if uses[name] == use:
                print(f"      {'.'.join(name)}")


# --- imports and calls --------------------------------------------------------------------------------------


def show_closure() -> None:
    """What importing FrameNet and losses loads of the library."""
    run = subprocess.run(
        [sys.executable, "-c", CLOSURE], capture_output=True, text=True, check=True, cwd=_cli.ROOT
    )
    loaded = [PATHS[name] for name in json.loads(run.stdout) if name in PATHS and name not in PACKAGES]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in loaded)
    print(f"FrameNet and losses load {len(loaded)} files, {lines} lines")


def show_walk(profile: str) -> None:
    """Calls of functions of `experiment` by another of its files until results.json is there."""
    from d3ke_lib.experiment import pipeline  # torch: for those who walk

    calls: Counter[tuple[str, str]] = Counter()
    room = str(_cli.ROOT / LIBRARY / "experiment")

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        caller = frame.f_back
        if event != "call" or caller is None or "<" in frame.f_code.co_name:
            return
        files = caller.f_code.co_filename, frame.f_code.co_filename
        if files[0] != files[1] and all(file.startswith(room) for file in files):
            names = caller.f_code.co_name, frame.f_code.co_name
            calls[tuple(f"{Path(file).stem}.{name}" for file, name in zip(files, names))] += 1

    sys.setprofile(watch)
    try:
        path = pipeline.evaluate(profile)
    finally:
        sys.setprofile(None)
    print(f"walk of {profile} → {path.name}: {len(calls)} calls between files, {sum(calls.values())} times")
    rooms = Counter(PLACES[caller.partition(".")[0]] for caller, _ in calls)
    print("  by the room of the caller:", ", ".join(f"{room} {count}" for room, count in rooms.most_common()))
    for (caller, called), count in sorted(calls.items()):
        print(f"  {count:6} {caller} → {called}")


if __name__ == "__main__":
    sys.exit(main())
