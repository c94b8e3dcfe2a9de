"""The product's modules and their imports, read as text: nothing of the product is run."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "kubelite"


class Module(NamedTuple):
    """One module, and the modules it imports by when they are imported.

    ``at_top`` runs with the module, ``in_functions`` when a function is called, ``for_types`` never
    (``if TYPE_CHECKING``).
    """

    name: str
    path: Path
    docstring: str
    at_top: frozenset[str]
    in_functions: frozenset[str]
    for_types: frozenset[str]

    @property
    def imports(self) -> frozenset[str]:
        """Every module that is imported when the program runs."""
        return self.at_top | self.in_functions

    @property
    def is_pure(self) -> bool:
        """Whether the docstring says that the module knows no clock, file, socket, process or
        randomness.
        """
        opening = self.docstring.split("\n\n")[0].replace("\n", " ")
        return any(
            sentence.strip().rstrip(".") in ("Pure", "Pure: shapes only")
            or sentence.strip().startswith("Pure;")
            for sentence in opening.replace(". ", ".\n").split("\n")
        )


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


class _Collector(ast.NodeVisitor):
    """Sorts imports by the part of the module they stand in."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {"top": set(), "functions": set(), "types": set()}
        self._part = "top"

    def visit(self, node: ast.AST) -> None:
        self.found[self._part].update(_targets(node))
        outer = self._part
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._part = "functions"
        if _is_type_checking(node):
            self._part = "types"
        self.generic_visit(node)
        self._part = outer


@functools.cache
def modules() -> dict[str, Module]:
    """Every module of the package by its dotted name."""
    paths = {
        _name(path): path
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
        if "_native" not in path.name
    }
    return {name: _read(name, path, paths) for name, path in paths.items()}


def _read(name: str, path: Path, paths: dict[str, Path]) -> Module:
    tree = ast.parse(path.read_text())
    collector = _Collector()
    collector.visit(tree)

    def known(targets: set[str]) -> frozenset[str]:
        ours = {t for t in targets if t in paths}
        foreign = {t for t in targets if not t.startswith(f"{PACKAGE}.") and t != PACKAGE}
        compiled = {t for t in targets if t.endswith("._native")}
        return frozenset(ours | foreign | compiled) - {name}

    parts = {part: known(targets) for part, targets in collector.found.items()}
    return Module(
        name,
        path,
        ast.get_docstring(tree) or "",
        parts["top"],
        parts["functions"],
        parts["types"],
    )


def room(name: str, depth: int = 1) -> str:
    """The room a module lies in: ``kubelite.node.image.store`` lies in ``node`` (depth 1) and in
    ``node.image`` (depth 2). A module on top of its room's folder has the folder's name only.
    """
    parts = name.split(".")[1:]
    package = parts if modules()[name].path.name == "__init__.py" else parts[:-1]
    return ".".join((package or parts)[:depth])


def cycles(imports: dict[str, set[str]]) -> list[str]:
    """The cycles of an import graph, each as ``a > b > a``; at most one for each module."""
    done: set[str] = set()
    found: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" > ".join((*path[path.index(name) :], name)))
            return
        if name in done:
            return
        for target in sorted(imports[name]):
            # A package's own __init__ is imported with every module of it.
            if not name.startswith(f"{target}."):
                visit(target, (*path, name))
        done.add(name)

    for name in imports:
        visit(name, ())
    return found
