"""Messages in protobuf form by the tables of :mod:`kubelite.objects.facts.schema`: bytes in, a
document out. Pure.

A field that is newer than Kubernetes' table is an error, never dropped in silence; one that
Kubernetes has withdrawn is ignored, as the real server ignores what older clients still send. What
drivers say beyond their table is ignored, as protobuf means it.
:mod:`~kubelite.objects.facts.protobuf.writer` is the way back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_YEAR_ONE = -62135596800
_LISTS = (
    "meta.v1.Verbs",
    "authentication.v1.ExtraValue",
    "authorization.v1.ExtraValue",
    "certificates.v1.ExtraValue",
)
_SCHEMA_CHOICES = (
    "apiextensions.v1.JSONSchemaPropsOrArray",
    "apiextensions.v1.JSONSchemaPropsOrBool",
    "apiextensions.v1.JSONSchemaPropsOrStringArray",
)
Raw = int | bytes


class Malformed(Exception):
    """The bytes do not follow the format; the message says how."""


def fields(data: bytes) -> Iterator[tuple[int, Raw]]:
    """Number and value of every field of a message. Raises Malformed."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        size, position = (
            _varint(data, position)
            if wire == _BYTES
            else ({_EIGHT: 8, _FOUR: 4}.get(wire, end + 1), position)
        )
        if position + size > end:
            raise Malformed("a field ends beyond its message")
        yield tag >> 3, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise Malformed("a number has no end")


def message(name: str, data: bytes) -> dict[str, Any]:
    """The document of a message of this type. Raises Malformed, ValueError, OverflowError,
    RecursionError.
    """
    known = schema.message(name)
    decoded: dict[str, Any] = {}
    for number, raw in fields(data):
        if number in known:
            _put(decoded, known[number], raw)
        elif number > max(known, default=0) and not schema.is_of_drivers(
            name
        ):  # numbers are never given twice: a gap was a field
            raise Malformed(f"{name} has no field {number}")
    return decoded


def _put(decoded: dict[str, Any], wire: schema.Wire, raw: Raw) -> None:
    if wire.inline:
        decoded |= message(wire.type, as_bytes(raw))
    elif wire.type[0] == "[":
        kind = wire.type[1:]
        values = _packed(as_bytes(raw)) if kind in "bil" and not isinstance(raw, int) else [raw]
        decoded.setdefault(wire.name, []).extend(_value(kind, value) for value in values)
    elif wire.type[0] == "{":
        entry = dict(fields(as_bytes(raw)))
        value = _value(wire.type[1:], entry.get(2, b""))
        decoded.setdefault(wire.name, {})[as_string(entry.get(1, b""))] = value
    else:
        value = _value(wire.type, raw)
        # A scalar that is no pointer is always sent: its zero means that nothing was said.
        if value is not None and (wire.pointer or value or isinstance(value, dict)):
            decoded[wire.name] = value


def _packed(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _value(kind: str, raw: Raw) -> Any:
    if kind in _READERS:
        return _READERS[kind](raw)
    if kind in _LISTS:
        return [as_string(value) for _, value in fields(as_bytes(raw))]
    if kind in _SCHEMA_CHOICES:
        return _schema_choice(message(kind, as_bytes(raw)))
    return message(kind, as_bytes(raw))


def _schema_choice(choice: dict[str, Any]) -> Any:
    """A part of an OpenAPI schema that is a schema, a list or a boolean in JSON."""
    for name in ("jSONSchemas", "property"):
        if choice.get(name):
            return choice[name]
    return choice["schema"] if choice.get("schema") else bool(choice.get("allows"))


def as_bytes(raw: Raw) -> bytes:
    """The bytes of a field that holds some. Raises Malformed."""
    if isinstance(raw, int):
        raise Malformed("a number stands where a message is expected")
    return raw


def _int(raw: Raw) -> int:
    if not isinstance(raw, int):
        raise Malformed("bytes stand where a number is expected")
    raw &= (1 << 64) - 1
    return raw - (1 << 64) if raw >> 63 else raw


def as_string(raw: Raw) -> str:
    """The text of a field. Raises Malformed, ValueError."""
    return as_bytes(raw).decode()


def _double(raw: Raw) -> float:
    import struct

    if len(as_bytes(raw)) != 8:
        raise Malformed("a floating point number has eight bytes")
    number: float = struct.unpack("<d", as_bytes(raw))[0]
    return number


def _base64(raw: Raw) -> str:
    import base64

    return base64.b64encode(as_bytes(raw)).decode()


def _quantity(raw: Raw) -> str:
    return as_string(dict(fields(as_bytes(raw))).get(1, b"0"))


def _int_or_string(raw: Raw) -> int | str:
    parts = dict(fields(as_bytes(raw)))
    return as_string(parts.get(3, b"")) if parts.get(1) else _int(parts.get(2, 0))


def _json(raw: Raw) -> Any:
    data = as_bytes(dict(fields(as_bytes(raw))).get(1, b""))
    return msgspec.json.decode(data) if data else None


def _moment(raw: Raw, precision: str = "seconds") -> str | None:
    parts = dict(fields(as_bytes(raw)))
    seconds, nanos = _int(parts.get(1, 0)), _int(parts.get(2, 0))
    if not parts or seconds == _YEAR_ONE:
        return None
    when = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000, tzinfo=None)
    return when.isoformat(timespec=precision) + "Z"


def _instant(raw: Raw) -> str | None:
    return _moment(raw, "microseconds")


_READERS: dict[str, Callable[[Raw], Any]] = {
    "s": as_string,
    "b": lambda raw: _int(raw) != 0,
    "i": _int,
    "l": _int,
    "d": _double,
    "y": _base64,
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
    "runtime.RawExtension": _json,
    "apiextensions.v1.JSON": _json,
    "meta.v1.FieldsV1": _json,
    "meta.v1.Time": _moment,
    "meta.v1.MicroTime": _instant,
    "meta.v1.Duration": lambda raw: f"{_int(dict(fields(as_bytes(raw))).get(1, 0)) // 10**9}s",
}
