"""The shape of a document as far as ownership of its fields goes: what is one leaf, and what has
parts. Pure.

- ``leaf``: a scalar, or a list or map that is owned as a whole (*atomic*); - ``struct``: fields by
  name, each of its own shape; ``map``: the same, all of one shape; - ``set``: a list of distinct
  scalars; ``keyed``: a list of objects told apart by some of their fields.

Built-in kinds take theirs from the schema table, custom ones from their structural schema
(structured-merge-diff's rules).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.schema import structural_schema
from kubelite.lib.text_cache import remember_short_calls
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubelite.control.api.wire.resource import Resource

Schema = dict[str, Any]


class Shape(NamedTuple):
    """A shape; ``source`` is where its parts come from: a definition's name, a type, or a
    structural schema.
    """

    kind: str
    source: Any = None
    keys: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()


LEAF = Shape("leaf")
_UNKNOWN = ("", LEAF)


def of(res: Resource) -> Shape:
    """The shape of a resource's objects."""
    if res.crd is not None:
        return Shape("struct", _Custom(structural_schema.schema_of(res), top=True))
    return Shape("struct", res.definition or "")


class _Custom(NamedTuple):
    """A structural schema, as the source of a shape; ``top`` is the object itself, whose metadata
    is not custom.
    """

    schema: Schema
    top: bool = False


def parts(shape: Shape, keys: Iterable[str]) -> Sequence[tuple[str, str, Shape]]:
    """For each of some fields of a struct or a map, in the order of their names: its name, its path
    element and its shape.
    """
    if isinstance(shape.source, _Custom):
        return [(key, "f:" + key, _custom_child(shape.source, key)) for key in sorted(keys)]
    if shape.kind == "struct":
        return _struct_parts(shape.source, tuple(keys))
    below = item(shape)
    return [(key, "f:" + key, below) for key in sorted(keys)]


# Documents of one kind mostly have the same fields.
@remember_short_calls(4096)
def _struct_parts(name: str, keys: tuple[str, ...]) -> tuple[tuple[str, str, Shape], ...]:
    known = _fields(name)
    return tuple((key, *(known.get(key) or ("f:" + key, LEAF))) for key in sorted(keys))


def is_builtin(shape: Shape) -> bool:
    """Whether this is a struct of the schema table."""
    return shape.kind == "struct" and isinstance(shape.source, str)


def child(shape: Shape, key: str) -> Shape:
    """The shape of a field of a struct or a map."""
    if isinstance(shape.source, _Custom):
        return _custom_child(shape.source, key)
    if shape.kind == "map":
        return _typed(shape.source, "", "", ())
    return _field(shape.source, key)


def item(shape: Shape) -> Shape:
    """The shape of an item of a keyed list."""
    if isinstance(shape.source, _Custom):
        return _custom(shape.source.schema)
    return _typed(shape.source, "", "", ())


def _field(name: str, key: str) -> Shape:
    return _fields(name).get(key, _UNKNOWN)[1]


@cache
def _fields(name: str) -> dict[str, tuple[str, Shape]]:
    """The path element and the shape of each field of a definition."""
    return {
        key: ("f:" + key, _typed(field.type, field.list_type, field.map_type, field.list_keys))
        for key, field in schema.definition(name).fields.items()
    }


@lru_cache(4096)
def _typed(kind: str, list_type: str, map_type: str, keys: tuple[str, ...]) -> Shape:
    if kind[0] == "[":
        if list_type == "map":
            return Shape(
                "keyed", kind[1:], keys, (("protocol", "TCP"),) if "protocol" in keys else ()
            )
        return Shape("set") if list_type == "set" else LEAF
    if kind[0] == "{":
        return LEAF if map_type == "atomic" else Shape("map", kind[1:])
    definition = schema.definition(kind) if "." in kind else None
    atomic = map_type == "atomic" or (
        definition is not None and definition.atomic and map_type != "granular"
    )
    if definition is None or atomic or not definition.fields:
        return LEAF
    return Shape("struct", kind)


def _custom_child(source: _Custom, key: str) -> Shape:
    if source.top and key == "metadata":
        return Shape("struct", "meta.v1.ObjectMeta")
    below = (source.schema.get("properties") or {}).get(
        key, source.schema.get("additionalProperties")
    )
    if isinstance(below, dict):
        return _custom(below)
    # Where nothing is described maps still have parts and lists have none.
    return Shape("map", _Custom({}))


def _custom(given: Schema) -> Shape:
    if given.get("type") == "array":
        kind = given.get("x-kubernetes-list-type", "atomic")
        if kind == "map":
            inside = given.get("items") or {}
            keys = tuple(sorted(given.get("x-kubernetes-list-map-keys") or ()))
            described = inside.get("properties") or {}
            defaults = tuple(
                (key, described[key]["default"])
                for key in keys
                if "default" in described.get(key, ())
            )
            return Shape("keyed", _Custom(inside), keys, defaults)
        return Shape("set") if kind == "set" else LEAF
    if given.get("type") not in (None, "object") or given.get("x-kubernetes-map-type") == "atomic":
        return LEAF
    return Shape("struct" if given.get("properties") else "map", _Custom(given))


def key_of(shape: Shape, element: Any) -> str:
    """The path element of an item in a keyed list: ``k:{"name":"web"}``; a key that says nothing is
    its default or null.
    """
    if not isinstance(element, dict):
        return "k:" + encoded(element)
    if len(shape.keys) == 1 and isinstance(name := element.get(shape.keys[0]), str) and name:
        return _named(shape.keys[0], name)
    defaults = dict(shape.defaults)
    return "k:" + encoded(
        {
            key: defaults.get(key) if (value := element.get(key)) in (None, "") else value
            for key in shape.keys
        }
    )


@remember_short_calls(4096)
def _named(key: str, name: str) -> str:
    """What most items are told apart by: one name, and the same names come again and again."""
    return "k:" + encoded({key: name})


def require_keys(shape: Shape, element: Any) -> None:
    """Raises ValueError for an item of a keyed list that lacks one of its keys."""
    if not isinstance(element, dict):
        raise ValueError("associative list with keys may not have non-map elements")  # noqa: TRY004  one error to catch
    for key in shape.keys:
        if element.get(key, dict(shape.defaults).get(key)) is None:
            message = (
                f'associative list with keys has an element that omits key field "{key}" '
                "(and doesn't have default value)"
            )
            raise ValueError(message)


def encoded(value: Any) -> str:
    """Compact JSON with sorted keys."""
    return msgspec.json.encode(value, order="sorted").decode()
