"""Built-in types as msgspec structs, made from the schema table when first needed. Pure.

A document read into a struct and written out again is what a Kubernetes server makes of it: fields
come out in the servers' order; unknown ones are dropped; what is empty is left out unless a server
writes it so; quantities and times take their canonical form; map keys are sorted (Go's decoder and
encoder do all of this). One pass in C replaces a walk over the document in Python.
"""

from __future__ import annotations

import base64
import binascii
import keyword
import re
from datetime import UTC
from functools import cache
from typing import Annotated, Any

import msgspec

from kubelite.lib.text_cache import remember_short, remember_short_calls
from kubelite.objects.facts import quantity, schema, times

_SCALARS: dict[str, tuple[Any, Any]] = {
    "s": (str, ""),
    "b": (bool, False),
    "d": (float, 0.0),
    "i": (Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)], 0),
    "l": (Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)], 0),
}
UNTYPED = (
    "runtime.RawExtension",
    "meta.v1.FieldsV1",
    "apiextensions.v1.JSON",
    "apiextensions.v1.JSONSchemaProps",
)
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[A-Za-z]+$")
_NO_SUFFIX = "unable to parse quantity's suffix"
_NO_QUANTITY = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_TO_THE_MICROSECOND = re.compile(r"\.\d{6}(Z|[+-])")


class Amount(str):
    """A quantity in its canonical text: ``500m`` for 0.5."""

    __slots__ = ()


class Moment(str):
    """A time to the second, UTC: ``2026-01-31T12:00:00Z``."""

    __slots__ = ()


class Instant(str):
    """A time to the microsecond, UTC: ``2026-01-31T12:00:00.000000Z``."""

    __slots__ = ()


class Base64(str):
    """Bytes, as JSON carries them."""

    __slots__ = ()


TEXTS: dict[str, tuple[Any, Any]] = {
    "y": (Base64, ""),
    "resource.Quantity": (Amount, Amount("0")),
    "meta.v1.Time": (Moment, None),
    "meta.v1.MicroTime": (Instant, None),
}


@cache
def struct(name: str, strict: bool = False) -> type[msgspec.Struct]:
    """The struct of a definition. A strict one refuses unknown fields."""
    definition = schema.definition(name)
    fields = [
        (attribute(field.name), *_typed(field, strict)) for field in definition.fields.values()
    ]
    return msgspec.defstruct(
        name.rpartition(".")[2],
        fields,
        rename={attribute(name_of_field): name_of_field for name_of_field in definition.fields},
        kw_only=True,
        omit_defaults=True,
        forbid_unknown_fields=strict,
    )


def attribute(field: str) -> str:
    """The attribute of a struct that holds a field: its own name, unless Python cannot say it
    (``from``, ``$ref``).
    """
    plain = re.sub(r"\W", "_", field)
    return plain + "_" if keyword.iskeyword(plain) else plain


def _typed(field: schema.Field, strict: bool) -> tuple[Any, Any]:
    kind, zero = _type(field.type, strict)
    if field.type[0] in "[{":
        if field.written:
            return kind | None, msgspec.field(default_factory=lambda: None)
        return kind, msgspec.field(default_factory=list if field.type[0] == "[" else dict)
    if field.pointer and field.written:
        return kind | None, msgspec.field(default_factory=lambda: None)
    if field.pointer or (zero is None and not field.written):
        return kind | None, None
    if field.written:
        optional = kind | None if zero is None else kind
        return optional, msgspec.field(
            default_factory=zero if isinstance(zero, type) else lambda: zero
        )
    return kind, zero


def _type(kind: str, strict: bool) -> tuple[Any, Any]:
    """A type and its zero; the zero of a struct is its class, called."""
    if kind[0] == "[":
        return list[_type(kind[1:], strict)[0]], None  # type: ignore[misc]
    if kind[0] == "{":
        return dict[str, _type(kind[1:], strict)[0]], None  # type: ignore[misc]
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind in TEXTS:
        return TEXTS[kind]
    if kind == "intstr.IntOrString":
        return _SCALARS["i"][0] | str, 0
    if kind in ("o", "*") or kind in UNTYPED or not schema.definition(kind).fields:
        return Any, None
    inner = struct(kind, strict)
    return inner, inner


def read(name: str, obj: Any, *, strict: bool = False) -> Any:
    """A document as a struct. Raises msgspec.ValidationError for wrong types and, when strict, for
    unknown fields.
    """
    return msgspec.convert(obj, struct(name, strict), dec_hook=text)


def write(value: Any) -> Any:
    """A struct as a document, in the servers' order."""
    return msgspec.to_builtins(value, enc_hook=str, order="deterministic")


def drop_empty_lists(name: str, value: Any) -> None:
    """Turns lists that are written though they are empty into null, in place: so a server has them
    back from its store.
    """
    for field, kind, is_written in _lists(name):
        inside = getattr(value, field)
        if is_written and inside is not None and not inside:
            setattr(value, field, None)
        elif inside and kind:
            for element in _each(inside):
                drop_empty_lists(kind, element)


def _each(value: Any) -> Any:
    if isinstance(value, list):
        return value
    return value.values() if isinstance(value, dict) else (value,)


@cache
def _lists(name: str) -> tuple[tuple[str, str, bool], ...]:
    """The attributes of a definition that are such lists, or have some inside: with the definition
    of their parts, "" where they are no structs.
    """
    return tuple(
        (attribute(field.name), kind if deep else "", written)
        for field in schema.definition(name).fields.values()
        for kind in (field.item if _has_fields(field.item) else "",)
        for written in (field.written and field.type[0] in "[{",)
        for deep in (
            bool(kind) and field.type.count("[") + field.type.count("{") < 2 and _has_lists(kind),
        )
        if written or deep
    )


@cache
def _has_lists(name: str, above: frozenset[str] = frozenset()) -> bool:
    """Whether a definition has written lists, itself or inside."""
    return any(
        (field.written and field.type[0] in "[{")
        or (
            field.item not in above | {name}
            and _has_fields(field.item)
            and _has_lists(field.item, above | {name})
        )
        for field in schema.definition(name).fields.values()
    )


def _has_fields(kind: str) -> bool:
    return "." in kind and kind not in UNTYPED and bool(schema.definition(kind).fields)


def new(name: str, /, **values: Any) -> Any:
    """A struct of a definition with some of its fields set."""
    return struct(name)(**values)


def normal(group_version: str, obj: dict[str, Any]) -> dict[str, Any]:
    """A document with what a server always writes in that version, in the servers' order; ``obj``
    itself where the schema table does not have its kind.
    """
    group, _, version = group_version.rpartition("/")
    name = schema.name_of(group, version, obj["kind"])
    normalized: dict[str, Any] = write(read(name, obj)) if name else obj
    return normalized


def encoded(value: Any) -> bytes:
    """A struct as compact JSON."""
    return msgspec.json.encode(value, enc_hook=str, order="deterministic")


@cache
def empty(name: str) -> dict[str, Any]:
    """What is there in a document of a type to which nothing was said: the structs that are always
    written.
    """
    document: dict[str, Any] = write(struct(name)())
    return document


def text(kind: type, value: Any) -> Any:
    """A value as one of the text types above. Raises ValueError."""
    if kind is Amount:
        return amount(value)
    if not isinstance(value, str):
        raise ValueError(f"json: cannot unmarshal {json_kind(value)} into Go value of type string")  # noqa: TRY004  msgspec shows ValueErrors
    if kind is Base64:
        return _base64(value)
    if kind is Moment:
        return Moment(moment(value))
    if not _TO_THE_MICROSECOND.search(value):
        raise ValueError(_unreadable_time(value, (*_TO_SECONDS, _MICROSECONDS, _ZONE)))
    return Instant(moment(value, "microseconds"))


def amount(value: Any) -> Amount:
    """A quantity, a text or a number, in canonical form. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(_NO_QUANTITY)  # noqa: TRY004
    return _amount(str(value).strip())


@remember_short(4096)
def _amount(text: str) -> Amount:
    try:
        return Amount(quantity.canonical(text))
    except quantity.QuantityError:
        raise ValueError(_NO_SUFFIX if _PLAIN_NUMBER.match(text) else _NO_QUANTITY) from None


@remember_short_calls(4096)
def moment(text: str, precision: str = "seconds") -> str:
    """An RFC 3339 time in UTC, to the second or the microsecond. Raises ValueError."""
    parsed = times.read(text)
    if parsed is None:
        raise ValueError(_unreadable_time(text, (*_TO_SECONDS, _ZONE)))
    return parsed.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


# The pieces of a time as Go names them, each with what it reads.
_TO_SECONDS = (
    ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"),
    ("15", r"\d\d"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"),
)  # fmt: skip
_MICROSECONDS = (".000000", r"\.\d{6}")
_ZONE = ("Z07:00", r"Z|[+-]\d\d:\d\d")


def _unreadable_time(text: str, pieces: tuple[tuple[str, str], ...]) -> str:
    """Where Go stops reading a time."""
    rest, layout = text, "".join(name for name, _ in pieces)
    for name, expression in pieces:
        match = re.match(expression, rest)
        if match is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def _base64(text: str) -> Base64:
    """Base64 as Go's decoder reads it: line breaks anywhere are ignored, and not stored."""
    text = text.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        good = len(re.match(r"[A-Za-z0-9+/]*", text)[0])  # type: ignore[index]
        raise ValueError(
            f"illegal base64 data at input byte {good - good % 4 if good == len(text) else good}"
        ) from None
    return Base64(text)


def json_kind(value: Any) -> str:
    """How Go's decoder calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    names: dict[type, str] = {
        str: "string",
        int: "number",
        float: "number",
        list: "array",
        dict: "object",
    }
    return names.get(type(value), "null")
