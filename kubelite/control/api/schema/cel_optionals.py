"""Optional fields of CEL (``object.?spec.?replicas``, ``list[?0]``), which the library cannot read,
written as calls that it can, and macros that it does not know as ones that it knows. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import cel_macros
from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short
from kubelite.objects.cel.syntax import UnreadableExpression, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.objects.cel.syntax import Node

_FIELD = "optionalField"
# Optional steps, macros that are always rewritten, and loops over two names.
_REWRITTEN = re.compile(
    r"\.\?|\[\?|"
    + "|".join(cel_macros.MACROS)
    + r"|\b(all|exists|exists_one)\(\s*\w+\s*,\s*\w+\s*,"
)


@remember_short(256, LONGEST_EXPRESSION)
def as_calls(expression: str) -> str:
    """The expression with optional steps as calls and all macros known; itself where it has none
    of them, or cannot be read.
    """
    if not _REWRITTEN.search(expression):
        return expression
    try:
        return _written(cel_macros.expanded(parse(expression)))
    except UnreadableExpression:
        return expression


def field(holder: Any, key: Any) -> Any:
    """What an optional step finds: an optional value."""
    import cel

    if isinstance(holder, cel.OptionalValue):
        if not holder.has_value():
            return holder
        holder = holder.value()
    if isinstance(holder, list):
        is_there = isinstance(key, int) and 0 <= key < len(holder)
    else:
        is_there = isinstance(holder, dict) and key in holder
    return cel.OptionalValue.of(holder[key]) if is_there else cel.OptionalValue.none()


# What a rewritten expression calls; no client can.
FUNCTIONS: dict[str, Callable[..., Any]] = {_FIELD: field, **cel_macros.FUNCTIONS}


def _is_optional(node: Node | None) -> bool:
    """Whether a step comes behind an optional one, or is one."""
    if node is None:
        return False
    if node.kind == "select":
        return node.optional or _is_optional(node.target)
    if node.kind == "call" and node.name in ("_[_]", "_[?_]"):
        return node.name == "_[?_]" or _is_optional(node.parts[0])
    return False


def _written(node: Node) -> str:
    """A tree as text. Raises UnreadableExpression for optional items of lists and maps."""
    if node.optional and node.kind != "select":
        raise UnreadableExpression("optional items cannot be evaluated")
    parts = list(map(_written, node.parts))
    match node.kind:
        case "literal":
            return _literal(node)
        case "name":
            return node.name
        case "select":
            assert node.target is not None
            holder = _written(node.target)
            is_optional = _is_optional(node)
            return f"{_FIELD}({holder}, '{node.name}')" if is_optional else f"{holder}.{node.name}"
        case "list":
            return f"[{', '.join(parts)}]"
        case "map":
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        case "message":
            names = [str(key.value) for key in node.parts[::2]]
            given = zip(names, parts[1::2], strict=True)
            fields = ", ".join(f"{name}: {value}" for name, value in given)
            return f"{node.name}{{{fields}}}"
    return _call(node, parts)


def _call(node: Node, parts: list[str]) -> str:
    if node.name in ("_[_]", "_[?_]"):
        return f"{_FIELD}({', '.join(parts)})" if _is_optional(node) else f"{parts[0]}[{parts[1]}]"
    if node.name == "_?_:_":
        return f"({parts[0]} ? {parts[1]} : {parts[2]})"
    if node.name == "@in" or node.name[0] == "_":
        sign = "in" if node.name == "@in" else node.name.strip("_")
        return f"({parts[0]} {sign} {parts[1]})"
    if node.name in ("!_", "-_"):
        return f"{node.name[0]}({parts[0]})"
    before = "" if node.target is None else f"{_written(node.target)}."
    return f"{before}{node.name}({', '.join(parts)})"


def _literal(node: Node) -> str:
    if node.name in ("null", "bool"):
        return {None: "null", True: "true", False: "false"}[node.value]
    if node.name in ("int", "double"):
        return f"({node.value})" if node.value < 0 else str(node.value)
    return f"{node.value}u" if node.name == "uint" else str(node.value)
