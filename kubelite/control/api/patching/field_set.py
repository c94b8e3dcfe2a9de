"""Sets of fields, in the form that ``fieldsV1`` has on the wire: nested maps of path elements.
Pure.

An element is ``f:NAME``, ``k:{KEYS}`` for an item of a keyed list, or ``v:VALUE`` for a member of a
set. An element stands for itself when below it is nothing or ``.``; otherwise it only leads to
others. Keys are kept sorted. Nothing is changed in place.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.schema.ownership_shape import (
    LEAF,
    encoded,
    is_builtin,
    item,
    key_of,
    parts,
    require_keys,
)
from kubelite.lib.text_cache import remember_short_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.schema.ownership_shape import Shape

Fields = dict[str, Any]
SELF = "."
_NOTHING: Any = object()
_ALONE: Fields = {}


def union(left: Fields, right: Fields) -> Fields:
    """What is in either."""
    fields = dict(left)
    for key, below in right.items():
        fields[key] = below if key not in left else _both(left[key], below)
    return fields if len(fields) == len(left) else dict(sorted(fields.items()))


def _both(left: Fields, right: Fields) -> Fields:
    if left == right:
        return left
    joined = union(left, right)
    if (not left or not right) and SELF not in joined:
        joined = {SELF: {}, **joined}
    return joined


def difference(left: Fields, right: Fields) -> Fields:
    """What is in the left and not in the right."""
    kept = left
    for key, below in right.items():
        if key in left and key != SELF:
            rest = _without(left[key], below)
            if rest is not left[key]:
                kept = dict(kept) if kept is left else kept
                if rest is None:
                    del kept[key]
                else:
                    kept[key] = rest
    return kept


def _without(left: Fields, right: Fields) -> Fields | None:
    """One element less another at the same place; None when nothing is left of it."""
    member = _member(left) and not _member(right)
    rest = difference(left, right)
    if member == _member(left) and rest is left:
        return left
    rest = {key: below for key, below in rest.items() if key != SELF}
    if rest:
        return {SELF: {}, **rest} if member else rest
    return {} if member else None


def intersection(left: Fields, right: Fields) -> Fields:
    """What is in both."""
    common: Fields = {}
    for key, below in right.items():
        if key not in left or key == SELF:
            continue
        member = _member(left[key]) and _member(below)
        rest = intersection(left[key], below)
        if rest:
            common[key] = {SELF: {}, **rest} if member else rest
        elif member:
            common[key] = {}
    return common


def _member(fields: Fields) -> bool:
    return not fields or SELF in fields


def applied(shape: Shape, value: Any) -> Fields:
    """The fields that an applied document speaks of; structs are not fields of their own. Raises
    ValueError.
    """
    fields: Fields = {}
    for member in value if shape.kind == "keyed" else ():
        require_keys(shape, member)
    for element, below, part in _parts(shape, value):
        if element in fields:
            raise ValueError(f"duplicate entries for key {printed(element)}")
        inside = applied(below, part) if _has_parts(below, part) else {}
        own = element[0] == "k" or shape.kind == "map" or part in (None, {})
        if inside or own or below.kind not in ("set", "keyed"):
            fields[element] = {SELF: {}, **inside} if inside and own else inside
    return fields


def whole(shape: Shape, value: Any) -> Fields:
    """Every field of a value that was not there before, each part a field of its own."""
    if shape.kind == "keyed":
        below, members = item(shape), {key_of(shape, member): member for member in value}
        return {element: _member_with_parts(below, members[element]) for element in sorted(members)}
    if shape.kind == "set":
        return {element: _ALONE for element, _, _ in _parts(shape, value)}
    return {
        element: _ALONE if below is LEAF else _member_with_parts(below, value[key])
        for key, element, below in parts(shape, value)
    }


def _member_with_parts(shape: Shape, value: Any) -> Fields:
    """What stands below an element that is a field of its own: nothing, or itself and its parts."""
    if not _has_parts(shape, value):
        return _ALONE
    if is_builtin(shape) and (known := _member_with_leaves(shape, tuple(value))) is not None:
        return known
    return {SELF: _ALONE, **whole(shape, value)}


# Most structs in a list, such as environment variables, have nothing but leaves.
@remember_short_calls(4096)
def _member_with_leaves(shape: Shape, keys: tuple[str, ...]) -> Fields | None:
    """An element with such fields of a struct of the schema table; None unless all are leaves."""
    fields = parts(shape, keys)
    if any(below is not LEAF for _, _, below in fields):
        return None
    return {SELF: _ALONE, **{element: _ALONE for _, element, _ in fields}}


def _has_parts(shape: Shape, value: Any) -> bool:
    return (
        bool(value)
        and shape.kind != "leaf"
        and isinstance(value, dict if shape.kind in ("struct", "map") else list)
    )


def _parts(shape: Shape, value: Any) -> Iterator[tuple[str, Shape, Any]]:
    """The parts of a value in the order of their elements."""
    if shape.kind in ("struct", "map"):
        for key, element, below in parts(shape, value):
            yield element, below, value[key]
    elif shape.kind == "keyed":
        below = item(shape)
        yield from sorted(
            ((key_of(shape, member), below, member) for member in value), key=_element
        )
    else:
        yield from sorted(
            (("v:" + encoded(member), LEAF, member) for member in value), key=_element
        )


_element = itemgetter(0)


class Difference(NamedTuple):
    """What a write set (added or changed) and what it took away."""

    changed: Fields
    removed: Fields


def compare(shape: Shape, old: Any, new: Any) -> Difference:
    """The fields in which two documents of one shape differ."""
    if not old:
        return Difference(whole(shape, new), {})
    changed: Fields = {}
    removed: Fields = {}
    pairs = _named_pairs if shape.kind in ("struct", "map") else _item_pairs
    for element, below, was, value in pairs(shape, old, new):
        _compare_part(element, below, was, value, changed, removed)
    return Difference(changed, removed)


def _named_pairs(shape: Shape, old: Any, new: Any) -> Iterator[tuple[str, Shape, Any, Any]]:
    differing = [
        key
        for key in old.keys() | new.keys()
        if (value := new.get(key, _NOTHING)) is not (was := old.get(key, _NOTHING)) and was != value
    ]
    # Sorted here too, so that the same fields are known again.
    for key, element, below in parts(shape, sorted(differing)):
        yield element, below, old.get(key, _NOTHING), new.get(key, _NOTHING)


def _item_pairs(shape: Shape, old: Any, new: Any) -> Iterator[tuple[str, Shape, Any, Any]]:
    before = {element: (below, part) for element, below, part in _parts(shape, old)}
    now = {element: (below, part) for element, below, part in _parts(shape, new)}
    for element in sorted({*before, *now}):
        below = (now.get(element) or before[element])[0]
        absent = (below, _NOTHING)
        yield element, below, before.get(element, absent)[1], now.get(element, absent)[1]


def _compare_part(
    element: str, below: Shape, was: Any, value: Any, changed: Fields, removed: Fields
) -> None:
    if was is value or was == value:
        return
    if was is _NOTHING:
        changed[element] = _member_with_parts(below, value)
    elif value is _NOTHING:
        removed[element] = _member_with_parts(below, was)
    elif _comparable(below, was := _empty(below) if was is None else was, value):
        inside = compare(below, was, value)
        if inside.changed:
            changed[element] = inside.changed
        if inside.removed:
            removed[element] = inside.removed
    else:
        changed[element] = {}


def _comparable(shape: Shape, was: Any, value: Any) -> bool:
    """Whether two values have parts to compare; two that are empty are one leaf each."""
    kind = dict if shape.kind in ("struct", "map") else list
    return (
        shape.kind != "leaf"
        and isinstance(was, kind)
        and isinstance(value, kind)
        and bool(was or value)
    )


def _empty(shape: Shape) -> Any:
    """What a null stands for where parts are expected: Go writes a list that nobody gave as
    null.
    """
    return {} if shape.kind in ("struct", "map") else []


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """The members as Kubernetes prints them: ``.spec.containers[name="web"].image``."""
    for element, below in fields.items():
        if element == SELF:
            continue
        here = prefix + printed(element)
        if _member(below):
            yield here
        yield from paths(below, here)


def printed(element: str) -> str:
    """One path element as Kubernetes prints it."""
    if element[:2] == "f:":
        return "." + element[2:]
    value = msgspec.json.decode(element[2:])
    if element[:2] == "k:":
        return "[" + ",".join(f"{key}={encoded(part)}" for key, part in value.items()) + "]"
    return f"[={encoded(value)}]"
