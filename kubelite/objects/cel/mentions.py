"""Which parts of its variables an expression reads, so that nothing else is made ready for it.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short
from kubelite.objects.cel.syntax import UnreadableExpression, parse

if TYPE_CHECKING:
    from kubelite.objects.cel.syntax import Node

Parts = dict[str, Any]
"""By name what is read below it: None is all of it, nothing that it is there."""
_ITEMS = "[]"
"""The name of what is read of each item of a list."""
_LOOPS = ("all", "exists", "exists_one", "existsOne", "map")
"""Loops whose result has nothing of an item but what is read of it."""


@remember_short(256, LONGEST_EXPRESSION)
def parts(expression: str) -> Parts | None:
    """The parts by the names of variables: ``object.spec.replicas > 1`` reads ``{"object":
    {"spec": {"replicas": None}}}``; None where the text cannot be read here.
    """
    read: Parts = {}
    try:
        _walk(parse(expression), read)
    except (UnreadableExpression, RecursionError):
        return None
    return read


def _walk(node: Node, read: Parts) -> None:
    if path := _path(node):
        _merge(read, _nested(path, None))
        return
    if node.kind == "call" and node.name == "has" and (path := _path(node.parts[0])):
        _merge(read, _nested(path, {}))
        return
    if node.kind == "call" and node.name in _LOOPS and len(node.parts) == 2:
        _walk_loop(node, read)
        return
    for part in (node.target, *node.parts):
        if part is not None:
            _walk(part, read)


def _walk_loop(node: Node, read: Parts) -> None:
    variable, body = node.parts
    inside: Parts = {}
    _walk(body, inside)
    of_item = inside.pop(variable.name, {})
    _merge(read, inside)
    if node.target is None:
        return
    if path := _path(node.target):
        _merge(read, _nested(path, {_ITEMS: of_item}))
    else:
        _walk(node.target, read)


def _path(node: Node | None) -> list[str]:
    """The names of ``object.spec.replicas``; none where it is no such path."""
    steps: list[str] = []
    while node is not None and node.kind == "select":
        steps.append(node.name.strip("`"))
        node = node.target
    return [node.name, *reversed(steps)] if node is not None and node.kind == "name" else []


def _nested(path: list[str], below: Parts | None) -> Parts:
    for name in reversed(path):
        below = {name: below}
    return below or {}


def _merge(read: Parts, more: Parts) -> None:
    for name, below in more.items():
        if name not in read:
            read[name] = below
        elif below is None:
            read[name] = None
        elif read[name] is not None:
            _merge(read[name], below)


def reduced(value: Any, parts: Parts | None) -> Any:
    """A value with these parts only."""
    if parts is None:
        return value
    if isinstance(value, dict) and _ITEMS not in parts:
        return {name: reduced(value[name], below) for name, below in parts.items() if name in value}
    if isinstance(value, list) and not parts:
        return []
    if isinstance(value, list) and _ITEMS in parts:
        return [reduced(item, parts[_ITEMS]) for item in value]
    return value
