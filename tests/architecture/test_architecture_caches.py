"""What is remembered of texts is bounded by their length too: a client chooses most of them, and
``functools.lru_cache`` counts answers only (``lib/text_cache``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.house import modules

ALLOWED = {
    "client.resources.of_kind": "its answers are the rows of a table",
    "control.api.schema.patterns._compiled": "re2 bounds the memory of each, its text included",
    "control.controllers.shared.meta.parse_time": "times that the API server has checked",
    "objects.facts.go_types": "names of the schema table",
    "objects.facts.schema": "names of the schema table",
    "objects.cel.environments.of_definition": "names of the schema table",
    "control.api.schema.structs": "names of the schema table",
    "control.api.schema.ownership_shape": "names of the schema table",
    "control.api.patching.strategic": "names of the schema table",
    "control.api.strategy.required": "names of the schema table",
    "objects.facts.protobuf.writer": "names of the schema table",
}
"""Functions, or all those of a module, with the reason why their texts are short."""
CACHES = ("lru_cache", "cache")


def cached_texts() -> Iterator[str]:
    """Every function that takes a text and is remembered by functools."""
    for name, module in modules().items():
        for node in ast.walk(ast.parse(module.path.read_text())):
            if not isinstance(node, ast.FunctionDef) or not any(
                map(_is_cache, node.decorator_list)
            ):
                continue
            if any(_is_text(a.annotation) for a in [*node.args.args, *node.args.kwonlyargs]):
                yield f"{name}.{node.name}".removeprefix("kubelite.")


def _is_cache(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in CACHES


def _is_text(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(
        isinstance(part, ast.Name) and part.id in ("str", "bytes") for part in ast.walk(annotation)
    )


def test_no_cache_keeps_texts_of_any_length() -> None:
    found = set(cached_texts())
    assert found
    allowed = {text for text in found if text in ALLOWED or text.rpartition(".")[0] in ALLOWED}
    assert found - allowed == set()


def test_no_allowance_is_left_over() -> None:
    found = set(cached_texts())
    used = found | {text.rpartition(".")[0] for text in found}
    assert set(ALLOWED) - used == set()
