"""A document as its schema has it: fields that are known, values of the right types, everything
that is wrong at once. Documents in, documents and causes out. Pure.

What is wrong is left out, and the rest is kept with its places: an item of a list that cannot be
read becomes an empty one. The API server refuses such a document with the first of these causes.
"""

from __future__ import annotations

from typing import Any

from kubelite.objects.facts import quantity, schema
from kubelite.objects.rules.cause import MISTYPED, Cause, Key, Path, invalid

UNKNOWN_FIELD = "UnknownField"
WRONG_TYPE = MISTYPED
NOT_A_QUANTITY = "NotAQuantity"

_RANGES = {"i": 2**31, "l": 2**63}
_KINDS = {"s": "string", "y": "string", "b": "boolean", "i": "integer", "l": "integer"}
_TEXTS = ("meta.v1.Time", "meta.v1.MicroTime")
_WRONG: Any = object()


def read(definition: str, value: Any, path: Path = ()) -> tuple[Any, list[Cause]]:
    """What could be read of a document of a definition (``core.v1.Pod``), and what is wrong with
    the rest. What is no mapping is read as an empty one.
    """
    causes: list[Cause] = []
    document = _struct(definition, value, path, causes)
    return ({} if document is _WRONG else document), causes


def type_name(kind: str) -> str:
    """How messages call a type of the schema table."""
    if kind[0] in "[{":
        return "list" if kind[0] == "[" else "mapping"
    if kind == "intstr.IntOrString":
        return "integer or string"
    if kind == "resource.Quantity":
        return "quantity"
    if kind == "d":
        return "number"
    return _KINDS.get(kind) or ("string" if kind in _TEXTS else "mapping")


def value_name(value: Any) -> str:
    """How messages call the type of a value."""
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "list", dict: "mapping"}
    return names.get(type(value), "null")


def _struct(definition: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    if not isinstance(value, dict):
        return _wrong(definition, value, path, causes)
    types = schema.types_of(definition)
    document = {}
    for field, inner in value.items():
        here = (*path, field)
        if field not in types:
            causes.append(Cause(here, UNKNOWN_FIELD, f'unknown field "{field}"', inner))
        elif inner is not None:
            result = _value(types[field], inner, here, causes)
            if result is not _WRONG:
                document[field] = result
    return document


def _value(kind: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    if kind[0] == "[":
        return _list(kind[1:], value, path, causes)
    if kind[0] == "{":
        return _map(kind[1:], value, path, causes)
    if kind == "resource.Quantity":
        return _quantity(value, path, causes)
    if kind in ("o", "*"):
        return value
    if kind in _KINDS or kind == "d" or kind in _TEXTS or kind == "intstr.IntOrString":
        return _scalar(kind, value, path, causes)
    return _struct(kind, value, path, causes) if schema.types_of(kind) else value


def _list(kind: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    if not isinstance(value, list):
        return _wrong("[", value, path, causes)
    # Null is an empty item, as it is to the API server.
    items = [
        _WRONG if item is None else _value(kind, item, (*path, index), causes)
        for index, item in enumerate(value)
    ]
    return [empty_value(kind) if item is _WRONG else item for item in items]


def empty_value(kind: str) -> Any:
    """The zero of a type of the schema table."""
    if kind[0] in "[{":
        return [] if kind[0] == "[" else {}
    if kind in "ild":
        return 0
    if kind == "b":
        return False
    if kind == "resource.Quantity":
        return "0"
    if kind == "intstr.IntOrString":
        return 0
    return "" if kind in ("s", "y", *_TEXTS) else {}


def _map(kind: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    if not isinstance(value, dict):
        return _wrong("{", value, path, causes)
    items = {
        key: empty_value(kind) if item is None else _value(kind, item, (*path, Key(key)), causes)
        for key, item in value.items()
    }
    return {key: item for key, item in items.items() if item is not _WRONG}


def _scalar(kind: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    expected, given = type_name(kind), value_name(value)
    if kind == "intstr.IntOrString":
        fits = given in ("integer", "string")
    elif kind == "d":
        fits = given in ("integer", "number")
    else:
        fits = given == expected
    if not fits:
        return _wrong(kind, value, path, causes)
    if kind in _TEXTS and not _is_time(value):
        causes.append(invalid(path, value, "must be a time like 2026-01-31T12:00:00Z"))
        return _WRONG
    limit = _RANGES.get(kind)
    if limit is not None and not -limit <= value < limit:
        causes.append(invalid(path, value, f"must be between {-limit} and {limit - 1}"))
        return _WRONG
    return value


def _is_time(text: str) -> bool:
    from kubelite.objects.facts import times  # few pods that people write name one

    return times.read(text) is not None


def _quantity(value: Any, path: Path, causes: list[Cause]) -> Any:
    if value_name(value) not in ("string", "integer", "number"):
        return _wrong("resource.Quantity", value, path, causes)
    text = str(value).strip()
    try:
        return quantity.canonical(text)
    except quantity.QuantityError as error:
        causes.append(Cause(path, NOT_A_QUANTITY, str(error), text))
        return _WRONG


def _wrong(kind: str, value: Any, path: Path, causes: list[Cause]) -> Any:
    message = f"expected {type_name(kind)}, got {value_name(value)}"
    causes.append(Cause(path, WRONG_TYPE, message, value))
    return _WRONG
