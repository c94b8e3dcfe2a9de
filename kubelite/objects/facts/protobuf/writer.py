"""Messages in protobuf form by the tables of :mod:`kubelite.objects.facts.schema`: documents in,
bytes out. Pure.

Only what is there is written: to a reader an absent field is its zero. Inlined structs are messages
of their own on the wire.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec

from kubelite.objects.facts import schema

_LISTS = (
    "meta.v1.Verbs",
    "authentication.v1.ExtraValue",
    "authorization.v1.ExtraValue",
    "certificates.v1.ExtraValue",
)
Write = Callable[[Any], bytes]


class _Field(NamedTuple):
    """How one field is written: its tag, and what makes bytes of a value."""

    name: str
    tag: bytes
    write: Write
    shape: str  # "" one value, "[" a list, "{" a map, "~" fields of the parent


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(tag: bytes, data: bytes) -> bytes:
    """A field of bytes behind its tag."""
    return tag + _varint(len(data)) + data


@cache
def _plan(name: str) -> tuple[_Field, ...]:
    """How a message is written, field by field in the order of their numbers."""
    wires = schema.message(name)
    return tuple(_field(number, wires[number]) for number in sorted(wires))


def _field(number: int, wire: schema.Wire) -> _Field:
    shape = "~" if wire.inline else wire.type[0] if wire.type[0] in "[{" else ""
    kind = wire.type.lstrip("[{")
    tag = _varint(number << 3 | (2 if shape == "{" else _wire_type(kind)))
    return _Field(wire.name, tag, _writer(kind, in_map=shape == "{"), shape)


def _wire_type(kind: str) -> int:
    return 0 if kind in "bil" else 1 if kind == "d" else 2


def message(name: str, obj: dict[str, Any]) -> bytes:
    """A document as a message of this type. Raises KeyError, TypeError, ValueError, AttributeError
    for one of another shape.
    """
    parts: list[bytes] = []
    for name_, tag, write, shape in _plan(name):
        if shape == "~":
            if inner := write(obj):
                parts.append(tag + inner)
            continue
        value = obj.get(name_)
        if value is None:
            continue
        if shape == "[":
            parts += [tag + write(item) for item in value]
        elif shape == "{":
            parts += [block(tag, block(b"\x0a", key.encode()) + write(value[key])) for key in value]
        else:
            parts.append(tag + write(value))
    return b"".join(parts)


@cache
def _writer(kind: str, *, in_map: bool = False) -> Write:
    """What writes a value behind its tag; in a map the tag of the value comes with it."""
    write = _SCALARS.get(kind) or _delimited(kind)
    if not in_map:
        return write
    tag = _varint(2 << 3 | _wire_type(kind))
    return lambda value: tag + write(value)


def _delimited(kind: str) -> Write:
    inner = _SPECIAL.get(kind)
    if inner is None and kind in _LISTS:
        inner = _strings
    if inner is None:
        return lambda value: _sized(message(kind, value))
    return lambda value: _sized(inner(value))


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _strings(values: list[str]) -> bytes:
    return b"".join(block(b"\x0a", value.encode()) for value in values)


def _quantity(value: Any) -> bytes:
    return block(b"\x0a", str(value).encode())


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + block(b"\x1a", value.encode())
    return b"\x08\x00\x10" + _varint(value) + b"\x1a\x00"


def _json(value: Any) -> bytes:
    return block(b"\x0a", msgspec.json.encode(value))


def _moment(text: str) -> bytes:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    return b"\x08" + _varint(seconds) + b"\x10" + _varint(moment.microsecond * 1000)


def _duration(text: str) -> bytes:
    units = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
    number = text.rstrip("nuµmsh")
    unit = units.get(text[len(number) :], 3600 * 10**9)
    return b"\x08" + _varint(int(float(number) * unit))


def _schema_or_list(value: Any) -> bytes:
    name = "apiextensions.v1.JSONSchemaProps"
    if isinstance(value, list):
        return b"".join(block(b"\x12", message(name, item)) for item in value)
    return block(b"\x0a", message(name, value))


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08" + _varint(value)
    return b"\x08\x01" + block(b"\x12", message("apiextensions.v1.JSONSchemaProps", value))


def _schema_or_names(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(block(b"\x12", name.encode()) for name in value)
    return block(b"\x0a", message("apiextensions.v1.JSONSchemaProps", value))


_SCALARS: dict[str, Write] = {
    "s": lambda value: _sized(value.encode()),
    "b": lambda value: b"\x01" if value else b"\x00",
    "i": _varint,
    "l": _varint,
    "d": lambda value: struct.pack("<d", value),
    "y": lambda value: _sized(base64.b64decode(value)),
}
_SPECIAL: dict[str, Write] = {
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
    "runtime.RawExtension": _json,
    "apiextensions.v1.JSON": _json,
    "meta.v1.FieldsV1": _json,
    "meta.v1.Time": _moment,
    "meta.v1.MicroTime": _moment,
    "meta.v1.Duration": _duration,
    "apiextensions.v1.JSONSchemaPropsOrArray": _schema_or_list,
    "apiextensions.v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _schema_or_names,
}
