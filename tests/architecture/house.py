"""The product's modules and their imports, read as text: nothing of the product is run."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "kubelite"


class Module(NamedTuple):
    """One module: its dotted name, docstring, and every module it imports, at the top or inside a
    function.
    """

    name: str
    path: Path
    docstring: str
    imports: frozenset[str]
    at_top: frozenset[str]

    @property
    def is_pure(self) -> bool:
        """Says of itself that it knows no clock, file, socket, process or randomness."""
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


def _walk(tree: ast.AST, *, inside_functions: bool) -> set[str]:
    found: set[str] = set()
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        found.update(_targets(node))
        if _is_type_checking(node):
            continue
        if not inside_functions and isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        ):
            continue
        todo.extend(ast.iter_child_nodes(node))
    return found


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
    everywhere, top = _walk(tree, inside_functions=True), _walk(tree, inside_functions=False)

    def known(targets: set[str]) -> frozenset[str]:
        ours = {t for t in targets if t in paths}
        foreign = {t for t in targets if not t.startswith(f"{PACKAGE}.") and t != PACKAGE}
        compiled = {t for t in targets if t.endswith("._native")}
        return frozenset(ours | foreign | compiled) - {name}

    return Module(name, path, ast.get_docstring(tree) or "", known(everywhere), known(top))


def room(name: str) -> str:
    """The outer room: ``kubelite.node.image.store`` lies in ``node``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def inner_room(name: str) -> str:
    """The inner room: ``kubelite.node.image.store`` lies in ``node.image``."""
    return ".".join(name.split(".")[1:3])
