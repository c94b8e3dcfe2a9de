"""Macros of CEL that the library does not know, as ones that it knows: loops over an index or a key
and its value (``map.all(k, v, ...)``, ``transformList``, ``transformMap``), and what is made of an
optional value (``optMap``). Pure.

A loop over two names becomes one over pairs: ``m.all(k, v, k != v)`` is
``entriesOf(m).all(pair0, pair0[0] != pair0[1])``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.objects.cel.syntax import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PREDICATES = {"all": "all", "exists": "exists", "existsOne": "exists_one"}
_PREDICATES["exists_one"] = "exists_one"
_OPTIONAL = ("optMap", "optFlatMap")
MACROS = ("existsOne", "transform", *_OPTIONAL)
"""Parts of the names of macros that are always rewritten."""
_LOOPS = (*_PREDICATES, "filter", "map", "transformList", "transformMap", "transformMapEntry")


def expanded(node: Node, known: Mapping[str, Node] | None = None, depth: int = 0) -> Node:
    """A tree without these macros. ``known`` says what stands for the names of loops outside."""
    known = known or {}
    if node.kind == "name":
        return known.get(node.name, node)
    target = None if node.target is None else expanded(node.target, known, depth)
    if target is not None and node.kind == "call" and _is_loop(node):
        return _loop(node, target, known, depth)
    parts = tuple(expanded(part, known, depth) for part in node.parts)
    return node._replace(target=target, parts=parts)


def _is_loop(node: Node) -> bool:
    named = node.name in _LOOPS or node.name in _OPTIONAL
    return named and len(node.parts) >= 2 and node.parts[0].kind == "name"


def _loop(node: Node, target: Node, known: Mapping[str, Node], depth: int) -> Node:
    name, first = node.name, node.parts[0].name
    if name in _OPTIONAL:
        body = expanded(node.parts[1], {**known, first: _member(target, "value")}, depth)
        optional = Node("name", node.at, "optional")
        there = body if name == "optFlatMap" else _member(optional, "of", body)
        parts = (_member(target, "hasValue"), there, _member(optional, "none"))
        return Node("call", node.at, "_?_:_", None, parts)
    is_double = name.startswith("transform") or (name in _PREDICATES and len(node.parts) == 3)
    if not is_double:
        inside = _without(known, first)
        bodies = [expanded(part, inside, depth) for part in node.parts[1:]]
        return _member(target, _PREDICATES.get(name, name), node.parts[0], *bodies)
    pair = Node("name", node.at, f"pair{depth}")
    both = {first: _item(pair, 0), node.parts[1].name: _item(pair, 1)}
    bodies = [expanded(part, {**known, **both}, depth + 1) for part in node.parts[2:]]
    entries = _function("entriesOf", target)
    if name in _PREDICATES:
        return _member(entries, _PREDICATES[name], pair, *bodies)
    if name == "transformMap":
        bodies[-1] = Node("list", node.at, parts=(_item(pair, 0), bodies[-1]))
    listed = _member(entries, "map", pair, *bodies)
    gathered = {"transformMap": "mapOfEntries", "transformMapEntry": "mapOfMaps"}
    return _function(gathered[name], listed) if name in gathered else listed


def _without(known: Mapping[str, Node], name: str) -> dict[str, Node]:
    return {key: node for key, node in known.items() if key != name}


def _function(name: str, *parts: Node) -> Node:
    return Node("call", parts[0].at, name, None, parts)


def _member(target: Node, name: str, *parts: Node) -> Node:
    return Node("call", target.at, name, target, parts)


def _item(pair: Node, index: int) -> Node:
    return Node("call", pair.at, "_[_]", None, (pair, Node("literal", pair.at, "int", value=index)))


def _entries(holder: Any) -> list[list[Any]]:
    pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
    return [[key, value] for key, value in pairs]


def _map_of_maps(maps: list[dict[Any, Any]]) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for part in maps:
        if repeated := merged.keys() & part.keys():
            raise ValueError(f"insert failed: key {repeated.pop()!r} already exists")
        merged |= part
    return merged


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "entriesOf": _entries,
    "mapOfEntries": dict,
    "mapOfMaps": _map_of_maps,
}
