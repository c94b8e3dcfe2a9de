"""Laying an applied document over a live one, and taking away what its manager no longer wants.
Pure.

The rules are those of structured-merge-diff: a leaf is replaced, parts are merged one by one, items
of lists keep their places as far as both documents agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema.ownership_shape import child, encoded, item, key_of

if TYPE_CHECKING:
    from kubelite.control.api.patching.field_set import Fields
    from kubelite.control.api.schema.ownership_shape import Shape


def merge(shape: Shape, live: Any, given: Any) -> Any:
    """The live value with the given one laid over it."""
    if shape.kind in ("struct", "map") and isinstance(live, dict) and isinstance(given, dict):
        return {
            **live,
            **{key: merge(child(shape, key), live.get(key), value) for key, value in given.items()},
        }
    if shape.kind in ("set", "keyed") and isinstance(live, list) and isinstance(given, list):
        return _merge_lists(shape, live, given)
    return given


def element(shape: Shape, value: Any) -> str:
    """What tells an item of a list from the others."""
    return key_of(shape, value) if shape.kind == "keyed" else "v:" + encoded(value)


def _merge_lists(shape: Shape, live: list[Any], given: list[Any]) -> list[Any]:
    """The given items in their order; those that only the live list has stay before what they stood
    before.
    """
    ours = {element(shape, value): value for value in given}
    theirs = {element(shape, value): value for value in live}
    places = {name: place for place, name in enumerate(theirs)}
    order, merged, passed, placed = list(theirs), [], 0, set()

    def pass_by(end: int) -> None:
        nonlocal passed
        while passed < end:
            if order[passed] not in ours:
                merged.append(theirs[order[passed]])
            passed += 1

    def settled(position: int) -> int:
        """Where the first item stands, from ``position`` on, that is given and not placed yet."""
        while position < len(order) and (order[position] not in ours or order[position] in placed):
            position += 1
        return position

    first = 0
    for name, value in ours.items():
        first = settled(first)
        pass_by(max(first, places.get(name, 0)))
        merged.append(_merged_item(shape, theirs.get(name), value))
        placed.add(name)
    pass_by(len(order))
    return merged


def _merged_item(shape: Shape, live: Any, given: Any) -> Any:
    return given if live is None or shape.kind == "set" else merge(item(shape), live, given)


def prune(shape: Shape, value: Any, dropped: Fields, owned: Fields) -> Any:
    """The value without what was ``dropped``, as far as nobody ``owned`` it or a part of it."""
    if shape.kind in ("struct", "map") and isinstance(value, dict):
        return _prune_map(shape, value, dropped, owned)
    if shape.kind in ("set", "keyed") and isinstance(value, list):
        return _prune_list(shape, value, dropped, owned)
    return value


def _prune_map(
    shape: Shape, value: dict[str, Any], dropped: Fields, owned: Fields
) -> dict[str, Any]:
    kept = dict(value)
    for name, below in dropped.items():
        key = name[2:]
        if name == "." or key not in value:
            continue
        if name not in owned:
            del kept[key]
        elif below:
            kept[key] = prune(child(shape, key), value[key], below, owned[name])
    return kept


def _prune_list(shape: Shape, value: list[Any], dropped: Fields, owned: Fields) -> list[Any]:
    kept = []
    for inner in value:
        name = element(shape, inner)
        if name in dropped and name not in owned:
            continue
        if shape.kind == "keyed" and dropped.get(name):
            inner = prune(item(shape), inner, dropped[name], owned[name])
        kept.append(inner)
    return kept
