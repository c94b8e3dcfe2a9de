"""Names say what they hold: a container, a match, the names taken."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.house import Module, modules

EMPTY = {"asked", "at", "each", "found", "made", "said", "seen", "told"}
"""Words that only say how a value came to be there, or that it is one of several."""


def local_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every variable and parameter with its line. Fields of classes are no locals."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(tree, ast.ClassDef) and isinstance(child, ast.AnnAssign):
            continue
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id, child.lineno
        elif isinstance(child, ast.arg):
            yield child.arg, child.lineno
        elif isinstance(child, ast.ExceptHandler) and child.name:
            yield child.name, child.lineno
        yield from local_names(child)


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_names_say_what_they_hold(module: Module) -> None:
    names = local_names(ast.parse(module.path.read_text()))
    assert [f"line {line}: {name}" for name, line in names if name in EMPTY] == []


@pytest.mark.parametrize(
    "source",
    ["for each in a: pass", "[at for at in a]", "lambda found: 1", "def f(told): pass", "made = 1"],
)
def test_an_empty_name_is_noticed(source: str) -> None:
    assert EMPTY & {name for name, _ in local_names(ast.parse(source))}
