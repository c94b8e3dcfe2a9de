"""Whether a value is what an OpenAPI schema says: every cause, in the words of apiextensions.
Pure.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import patterns
from kubelite.control.api.schema.structural_schema import EMBEDDED, children
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubelite.control.api.wire.status import Cause

Schema = dict[str, Any]
_INT_OR_STRING = "x-kubernetes-int-or-string"
_NAMES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def check(schema: Schema, value: Any, path: str = "") -> Iterator[Cause]:
    """What is wrong with a value, itself and below."""
    if value is None and schema.get("nullable"):
        return
    if wrong := _type(schema, value, path):
        yield wrong
        return
    if isinstance(schema.get("enum"), list) and not _is_in(schema["enum"], value):
        yield causes.unsupported(path, value, schema["enum"])
    checks: tuple[tuple[type, Callable[[Schema, Any, str], Iterator[Cause]]], ...]
    checks = ((str, _text), (dict, _object), (list, _list))
    for kind, rules in checks:
        if isinstance(value, kind):
            yield from rules(schema, value, path)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, path)
    yield from _combined(schema, value, path)
    for key, below, step in children(schema, value):
        yield from check(below, value[key], (path + step).lstrip("."))


_FEW = 64
"""Choices that are compared one by one."""


class _Same:
    """A list of a schema, told from others by being the same one: lists have no hash."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __hash__(self) -> int:
        return id(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.values is self.values


@lru_cache(16)
def _texts(listed: _Same) -> frozenset[str]:
    return frozenset(value for value in listed.values if isinstance(value, str))


def _is_in(listed: list[Any], value: Any) -> bool:
    if len(listed) <= _FEW or not isinstance(value, str):
        return value in listed
    return value in _texts(_Same(listed))


def _type(schema: Schema, value: Any, path: str) -> Cause | None:
    if schema.get(_INT_OR_STRING):
        if isinstance(value, int | str) and not isinstance(value, bool):
            return None
        return _not_of(path, value, "integer,string")
    wanted, json_kind = schema.get("type"), json_type(value)
    if not wanted or json_kind == wanted or (wanted == "number" and json_kind == "integer"):
        return None
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        return None
    return _not_of(path, value, wanted)


def json_type(value: Any) -> str:
    """The JSON type of a value, as schemas name it."""
    return _NAMES.get(type(value), "null")


def _not_of(path: str, value: Any, wanted: str) -> Cause:
    json_kind = json_type(value)
    return causes.mistyped(
        path, json_kind, f'{_named(path)} in body must be of type {wanted}: "{json_kind}"'
    )


def _named(path: str) -> str:
    return path or "<nil>"


def _should(path: str, value: Any, rule: str) -> Cause:
    return causes.invalid(path, value, f"{_named(path)} in body should {rule}")


def _text(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield causes.too_long(path, schema["maxLength"])
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield _should(path, value, f"be at least {schema['minLength']} chars long")
    if (pattern := schema.get("pattern")) and not patterns.compiled(pattern)(value):
        yield _should(path, value, f"match '{pattern}'")
    known = _FORMATS.get(schema.get("format", ""))
    if known and not _reads(known, value):
        wanted = schema["format"]
        yield causes.invalid(
            path, value, f'{_named(path)} in body must be of type {wanted}: "{value}"'
        )


def _reads(reader: Callable[[str], Any], value: str) -> bool:
    try:
        return reader(value) is not False
    except (ValueError, binascii.Error):
        return False


_FORMATS: dict[str, Callable[[str], Any]] = {
    "date-time": lambda text: datetime.fromisoformat(text).tzinfo is not None,
    "date": date.fromisoformat,
    "byte": lambda text: base64.b64decode(text, validate=True),
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda text: "/" in text and ipaddress.ip_network(text, strict=False),
    "uuid": lambda text: (
        re.fullmatch(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", text) is not None
    ),
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None,
    "hostname": lambda text: (
        re.fullmatch(r"(?i)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", text)
        is not None
    ),
    "uri": lambda text: re.match(r"(?i)[a-z][a-z0-9+.-]*:|/", text) is not None,
}


def _number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    if "maximum" in schema:
        exclusive = bool(schema.get("exclusiveMaximum"))
        if value > schema["maximum"] or (exclusive and value == schema["maximum"]):
            yield _should(
                path,
                value,
                f"be less than {'' if exclusive else 'or equal to '}{schema['maximum']}",
            )
    if "minimum" in schema:
        exclusive = bool(schema.get("exclusiveMinimum"))
        if value < schema["minimum"] or (exclusive and value == schema["minimum"]):
            yield _should(
                path,
                value,
                f"be greater than {'' if exclusive else 'or equal to '}{schema['minimum']}",
            )
    if schema.get("multipleOf") and value % schema["multipleOf"]:
        yield _should(path, value, f"be a multiple of {schema['multipleOf']}")
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits and not -(2**bits) <= value < 2**bits:
        yield _should(path, value, f"be of type {schema['format']}")


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Cause]:
    prefix = f"{path}." if path else ""
    for name in schema.get("required") or ():
        if name not in value:
            yield causes.required(prefix + name)
    if schema.get(EMBEDDED):
        yield from (
            causes.required(prefix + name, "must not be empty")
            for name in ("apiVersion", "kind")
            if not value.get(name)
        )
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        yield causes.too_many(path, len(value), schema["maxProperties"])
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        yield _should(path, len(value), f"have at least {schema['minProperties']} properties")


def _list(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield causes.too_many(path, len(value), schema["maxItems"])
    if "minItems" in schema and len(value) < schema["minItems"]:
        yield _should(path, len(value), f"have at least {schema['minItems']} items")
    kind = schema.get("x-kubernetes-list-type")
    if kind in ("set", "map"):
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        yield from _repeated(
            [_key(element, keys) if kind == "map" else element for element in value], path
        )


def _key(item: Any, keys: Sequence[str]) -> Any:
    return {key: item.get(key) for key in keys} if isinstance(item, dict) else item


def _repeated(items: list[Any], path: str) -> Iterator[Cause]:
    texts = set()
    for index, element in enumerate(items):
        text = causes.shown(element)
        if text in texts:
            yield causes.duplicate(f"{path}[{index}]", element)
        texts.add(text)


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    def fits(part: Schema) -> bool:
        return next(check(part, value, path), None) is None

    for part in schema.get("allOf") or ():
        yield from check(part, value, path)
    if (parts := schema.get("anyOf")) and not any(map(fits, parts)):
        yield causes.invalid(
            path, value, f"{_named(path)} in body must validate at least one schema (anyOf)"
        )
    if parts := schema.get("oneOf"):
        number = sum(map(fits, parts))
        if number != 1:
            outcome = "Found none valid" if not number else f"Found {number} valid alternatives"
            yield causes.invalid(
                path,
                value,
                f"{_named(path)} in body must validate one and only one schema (oneOf). {outcome}",
            )
    if (part := schema.get("not")) and fits(part):
        yield causes.invalid(
            path, value, f"{_named(path)} in body must not validate the schema (not)"
        )
