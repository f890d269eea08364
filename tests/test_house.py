"""The layout in numbers, which may get better but not worse. `python -m tests.test_house` prints them beside those of before.

Imports are counted as grimp finds them, which import-linter brings: wherever they stand, at a module's top, in a function, or
for type checkers alone. Lines and parameters are those of the five packages; `self` and `cls` are no parameters.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx as nx

ROOT = Path(__file__).parent.parent
PACKAGES = ("lmos_opt", "measurement", "runner", "lmos_edge", "lmos")
MOST_LINES = 400
MOST_PARAMETERS = 8
BEFORE = {
    "modules at runner's root": 49,
    "modules at lmos_opt's root": 43,
    "circles of files": 4,
    "imports in circles of folders": 135,
    "functions of more than 8 parameters": 14,
    "most parameters of a function": 16,
    "files above 400 lines": 3,
}
"""Of the layout in three packages."""
ALLOWED = {
    "modules at runner's root": 14,
    "modules at lmos_opt's root": 28,
    "circles of files": 0,
    "imports in circles of folders": 0,
    "functions of more than 8 parameters": 0,
    "most parameters of a function": MOST_PARAMETERS,
    "files above 400 lines": 0,
}


def files() -> list[Path]:
    """Every module of the five packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def import_graph() -> nx.DiGraph[str]:
    """Who imports whom, module by module."""
    found = grimp.build_graph(*PACKAGES, cache_dir=None)
    return nx.DiGraph((one, other) for one in found.modules for other in found.find_modules_directly_imported_by(one))


def circles(graph: nx.DiGraph[str]) -> list[list[str]]:
    """Modules that import each other, directly or by others; sorted."""
    return sorted(sorted(found) for found in nx.strongly_connected_components(graph) if len(found) > 1)


def imports_in_circles(graph: nx.DiGraph[str]) -> list[tuple[str, str]]:
    """Imports between two neighbours of a folder (modules or folders) that import each other, directly or by others."""
    folders = {".".join(module.split(".")[:n]) for module in graph for n in range(1, module.count(".") + 1)}
    found = []
    for folder in sorted(folders):
        def neighbour(module: str, folder: str = folder) -> str | None:
            inside = module.startswith(f"{folder}.")
            return module[len(folder) + 1 :].partition(".")[0] if inside else None

        pairs = [(edge, neighbour(edge[0]), neighbour(edge[1])) for edge in graph.edges]
        pairs = [(edge, a, b) for edge, a, b in pairs if a is not None and b is not None and a != b]
        together = {one: k for k, circle in enumerate(circles(nx.DiGraph((a, b) for _, a, b in pairs))) for one in circle}
        found += [edge for edge, a, b in pairs if a in together and together[a] == together.get(b)]
    return found


def parameters() -> Iterator[tuple[str, int]]:
    """Each function, and how many parameters it takes; the command line's own signatures have one for each option, and are not
    counted."""
    for path in files():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not module.startswith("lmos.cli"):
            yield from _parameters(ast.parse(path.read_text()), module)


def _parameters(node: ast.AST, name: str) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = [each.arg for each in (*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs)]
            yield f"{name}.{child.name}", len([each for each in taken if each not in {"self", "cls"}])
        inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _parameters(child, f"{name}.{child.name}" if inner else name)


def numbers() -> dict[str, int]:
    """What BEFORE counts, now."""
    graph = import_graph()
    taken = dict(parameters())
    return {
        "modules at runner's root": len(list((ROOT / "runner").glob("*.py"))),
        "modules at lmos_opt's root": len(list((ROOT / "lmos_opt").glob("*.py"))),
        "circles of files": len(circles(graph)),
        "imports in circles of folders": len(imports_in_circles(graph)),
        "functions of more than 8 parameters": len([n for n in taken.values() if n > MOST_PARAMETERS]),
        "most parameters of a function": max(taken.values()),
        "files above 400 lines": len([path for path in files() if len(path.read_text().splitlines()) > MOST_LINES]),
    }


def test_roots_hold_a_few_modules():
    for package in ("runner", "lmos_opt"):
        found = sorted(path.name for path in (ROOT / package).glob("*.py"))
        assert len(found) <= ALLOWED[f"modules at {package}'s root"], f"{package}/ holds {', '.join(found)}"


def test_no_files_import_each_other():
    assert circles(import_graph()) == []


def test_no_folders_import_each_other():
    assert imports_in_circles(import_graph()) == []


def test_no_file_is_long():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files()}
    assert {file: n for file, n in lines.items() if n > MOST_LINES} == {}


def test_no_function_takes_many_parameters():
    assert {name: n for name, n in parameters() if n > MOST_PARAMETERS} == {}


def test_circles_are_found():
    graph = nx.DiGraph([("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x"), ("a.z", "a.b.c"), ("a.b.c", "d")])
    assert circles(graph) == [["a.x", "a.y", "a.z"]]
    assert sorted(imports_in_circles(graph)) == [("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x")]
    graph = nx.DiGraph([("a.b.c", "a.d.e"), ("a.d.f", "a.b.g"), ("a.b.c", "a.h")])
    assert circles(graph) == []
    assert sorted(imports_in_circles(graph)) == [("a.b.c", "a.d.e"), ("a.d.f", "a.b.g")]


if __name__ == "__main__":
    for what, now in numbers().items():
        print(f"{what:40}{BEFORE[what]:>8}{now:>8}" + (f"   at most {ALLOWED[what]}" if what in ALLOWED else ""))
