"""Strategic merge patch: a merge patch that knows which lists are maps in disguise. Pure.

The schema says of each field how it is patched: ``merge`` with a merge key (lists of objects),
``merge`` without one (sets of texts), ``replace`` (all else), and ``retainKeys``. Directives in the
patch (apimachinery ``util/strategicpatch``):

- ``$patch: replace|delete|merge`` in a map or in an item of a list;
- ``$setElementOrder/FIELD``: the order in which the items shall stand;
- ``$deleteFromPrimitiveList/FIELD``: members to take out of a set;
- ``$retainKeys``: keys of a map that may stay.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Any, NamedTuple

from kubelite.control.api.schema.ownership_shape import encoded
from kubelite.lib.json import Object
from kubelite.objects.facts import schema

_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"
_PATCH = "$patch"
_RETAIN = "$retainKeys"
_NOWHERE: Any = object()
_GONE: Any = object()


class BadPatch(ValueError):
    """The patch cannot be understood; the message says why."""


class _Way(NamedTuple):
    """How one field is patched: the definition inside, and for lists whether and by which key they
    are merged.
    """

    inside: str
    merges: bool
    key: str
    whole: bool


_UNKNOWN = _Way("", False, "", False)


def _way(name: str, field: str) -> _Way:
    """``name`` is a definition, or ``{TYPE`` for a map whose values are of a type. Fields are a
    client's choice and not remembered.
    """
    if name[:1] == "{":
        return _Way(name[1:].lstrip("["), False, "", False)
    return _ways(name).get(field, _UNKNOWN) if name else _UNKNOWN


@cache
def _ways(definition: str) -> dict[str, _Way]:
    """How the fields of a definition are patched."""
    return {name: _declared(field) for name, field in schema.definition(definition).fields.items()}


def _declared(field: schema.Field) -> _Way:
    listed = field.type[0] == "["
    return _Way(
        field.type[1:] if listed else field.type,
        listed and "merge" in field.strategies,
        field.merge_key,
        "replace" in field.strategies,
    )


def patch(name: str, original: Object, given: Object) -> Object:
    """The patched document of a definition. Raises BadPatch."""
    directive = given.get(_PATCH)
    if directive is not None:
        if directive == "replace":
            replaced: Object = _plain(given)
            return replaced
        if directive == "delete":
            return {}
        if directive != "merge":
            raise BadPatch(f"Unknown patch type found: {directive}")
    patched = _retained(original, given)
    for key in _fields(given):
        _patch_field(name, key, patched, given)
    return patched


def _retained(original: Object, given: Object) -> Object:
    keep = given.get(_RETAIN)
    if keep is None:
        return dict(original)
    if not isinstance(keep, list):
        raise BadPatch(f"{_RETAIN} must be a list")
    stray = [
        key
        for key, value in given.items()
        if not _directive(key) and value is not None and key not in keep
    ]
    if stray:
        raise BadPatch(
            f"{_RETAIN} directive doesn't match: {stray[0]} is in the patch and not in the list"
        )
    return {key: value for key, value in original.items() if key in keep}


def _fields(given: Object) -> list[str]:
    """The fields that a patch speaks of, in itself or through a directive, each once."""
    names: dict[str, None] = {}
    for key in given:
        if key.startswith(_ORDER):
            names[key.removeprefix(_ORDER)] = None
        elif key.startswith(_DELETE):
            names[key.removeprefix(_DELETE)] = None
        elif key not in (_PATCH, _RETAIN):
            names[key] = None
    return list(names)


def _patch_field(name: str, key: str, patched: Object, given: Object) -> None:
    """Patches one field of ``patched`` in place."""
    way, value = _way(name, key), given.get(key, _NOWHERE)
    if value is None:
        patched.pop(key, None)
        return
    present = patched.get(key)
    order, unwanted = given.get(_ORDER + key), given.get(_DELETE + key)
    if (
        way.merges
        and (isinstance(value, list) or value is _NOWHERE)
        and isinstance(present, list | None)
    ):
        # A field that only directives speak of stays away where it is not there.
        if value is _NOWHERE and present is None:
            return
        patched[key] = _patch_list(
            way, present or [], [] if value is _NOWHERE else value, order, unwanted or []
        )
    elif value is _NOWHERE:
        return
    elif (
        isinstance(value, dict)
        and isinstance(present, dict)
        and not (way.whole and _PATCH not in value)
    ):
        patched[key] = patch(way.inside, present, value)
    elif isinstance(value, dict) and _PATCH in value and present is None:
        return
    else:
        patched[key] = _plain(value)


def _patch_list(
    way: _Way, present: list[Any], given: list[Any], order: Any, unwanted: list[Any]
) -> list[Any]:
    if order is not None and not isinstance(order, list):
        raise BadPatch("$setElementOrder must be a list")
    if way.key and any(_says(element, "replace") for element in given):
        return [
            _plain(element)
            for element in given
            if not _says(element, "replace") and not _says(element, "delete")
        ]
    if way.key:
        merged = _merge_items(way, present, given)
    else:
        gone = set(map(encoded, unwanted))
        merged = list(
            {
                name: element
                for element in [*present, *given]
                if (name := encoded(element)) not in gone
            }.values()
        )
    return _ordered(way.key, merged, present, given if order is None else order)


def _says(item: Any, directive: str) -> bool:
    return isinstance(item, dict) and item.get(_PATCH) == directive


def _merge_items(way: _Way, present: list[Any], given: list[Any]) -> list[Any]:
    merged: list[Any] = list(present)
    places: dict[str, list[int]] = {}
    for index, element in enumerate(present):
        if isinstance(element, dict):
            places.setdefault(encoded(element.get(way.key)), []).append(index)
    for element in given:
        key = encoded(_key_of(way.key, element))
        if _says(element, "delete"):
            for index in places.pop(key, ()):
                merged[index] = _GONE
        elif key in places:
            index = places[key][0]
            merged[index] = patch(way.inside, merged[index], element)
        else:
            places[key] = [len(merged)]
            merged.append(
                _plain({name: value for name, value in element.items() if name != _PATCH})
            )
    return [element for element in merged if element is not _GONE]


def _key_of(key: str, item: Any) -> Any:
    if not isinstance(item, dict):
        raise BadPatch(f"an item of a list with merge key {key} must be an object")
    if key not in item:
        raise BadPatch(f"{item} does not contain declared merge key: {key}")
    return item[key]


def _ordered(key: str, merged: list[Any], present: list[Any], order: list[Any]) -> list[Any]:
    """The items that the patch speaks of, in its order, and between them the server's own.

    Of two such items the one that stood first on the server goes first; one that is new goes before
    those of the server.
    """

    def places(items: list[Any]) -> dict[str, int]:
        first_places: dict[str, int] = {}
        for index, element in enumerate(items):
            first_places.setdefault(_identity(key, element), index)
        return first_places

    wanted, stood = places(order), places(present)
    named = [(_identity(key, element), element) for element in merged]
    ours = deque(
        sorted((pair for pair in named if pair[0] in wanted), key=lambda pair: wanted[pair[0]])
    )
    theirs = deque(pair for pair in named if pair[0] not in wanted)
    ordered: list[Any] = []
    while ours and theirs:
        left, right = theirs[0][0], ours[0][0]
        first = left in stood and right in stood and stood[left] < stood[right]
        ordered.append((theirs if first else ours).popleft()[1])
    return ordered + [element for _, element in (*theirs, *ours)]


def _identity(key: str, item: Any) -> str:
    return encoded(item.get(key) if key and isinstance(item, dict) else item)


def _directive(key: str) -> bool:
    return key in (_PATCH, _RETAIN) or key.startswith((_ORDER, _DELETE))


def _plain(value: Any) -> Any:
    """A value of a patch where nothing was before: without nulls, and without directives.

    A map inside that has a ``$patch`` is left out with all that it says; ``$retainKeys`` stays, an
    unknown field that clients are warned of.
    """
    if isinstance(value, dict):
        return {
            key: _plain(inner)
            for key, inner in value.items()
            if inner is not None
            and (key == _RETAIN or not _directive(key))
            and not (isinstance(inner, dict) and _PATCH in inner)
        }
    if isinstance(value, list):
        return [
            _plain(element)
            for element in value
            if not _says(element, "delete") and not _says(element, "replace")
        ]
    return value
