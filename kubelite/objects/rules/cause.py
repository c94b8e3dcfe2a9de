"""What is wrong with a field, in the words of Kubernetes. Pure.

Reasons and sentences are those of apimachinery's ``util/validation/field``, which clients compare
byte for byte. A path is a tuple, so that whoever has the text of a manifest finds line and column;
:func:`path_text` writes it for messages, at the edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from kubelite.lib.json import Object

Path = tuple[str | int, ...]
"""Steps from the document to a value: names of fields, indices of lists, a Key for a map."""

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
MISTYPED = "FieldValueTypeInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_FOUND = "FieldValueNotFound"

NIL = msgspec.Raw(b"null")
"""A list or a map that is not there, as messages show it."""
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"


class Key(str):
    """A key of a map, as a step of a path: messages show it in brackets, ``limits[cpu]``."""

    __slots__ = ()


class Cause(msgspec.Struct, frozen=True):
    """One thing that is wrong. ``message`` is a sentence without the path; ``value`` is what was
    found there, None where the message does not show it.
    """

    path: Path
    reason: str
    message: str
    value: Any = None

    def __str__(self) -> str:
        """The cause as messages of the API show it: ``spec.os: Required value``."""
        where = path_text(self.path)
        return f"{where}: {self.message}" if where else self.message


def path_text(path: Path) -> str:
    """A path as messages write it: ``spec.containers[0].resources.limits[cpu]``."""
    steps = (
        f"[{step}]" if isinstance(step, int | Key) else f".{step}"
        for step in path
        if step != "" or isinstance(step, Key)
    )
    return "".join(steps).removeprefix(".")


def value_text(value: Any) -> str:
    """A value as messages show it: as JSON."""
    return msgspec.json.encode(value, order="deterministic").decode()


def _shown(value: Any, kind: str) -> str:
    if not kind or value is None:
        return value_text(value)
    from kubelite.objects.facts import go_types  # only refusals need the table

    return value_text(go_types.internal(kind, value))


def copied(value: Any) -> Any:
    """A copy of plain values, to be changed."""
    return msgspec.to_builtins(value, enc_hook=str)


def required(path: Path, why: str = "") -> Cause:
    """Nothing is there and something must be."""
    return Cause(path, REQUIRED, "Required value" + (f": {why}" if why else ""))


def invalid(path: Path, value: Any, why: str, kind: str = "") -> Cause:
    """The value breaks a rule. ``kind``: its type in the schema table, where Kubernetes' validation
    has an internal struct of it.
    """
    return Cause(path, INVALID, f"Invalid value: {_shown(value, kind)}: {why}", value)


def mistyped(path: Path, value: Any, why: str) -> Cause:
    """The value has the wrong JSON type."""
    return Cause(path, MISTYPED, f"Invalid value: {value_text(value)}: {why}", value)


def not_supported(path: Path, value: Any, allowed: Iterable[str], kind: str = "") -> Cause:
    """The value is none of those that are known. ``kind`` as for :func:`invalid`."""
    listed = ", ".join(value_text(word) for word in allowed)
    message = f"Unsupported value: {_shown(value, kind)}: supported values: {listed}"
    return Cause(path, NOT_SUPPORTED, message, value)


def duplicate(path: Path, value: Any, kind: str = "") -> Cause:
    """The value is there twice. ``kind`` as for :func:`invalid`."""
    return Cause(path, DUPLICATE, f"Duplicate value: {_shown(value, kind)}", value)


def forbidden(path: Path, why: str) -> Cause:
    """The field may not be set, or may not change."""
    return Cause(path, FORBIDDEN, f"Forbidden: {why}")


def too_long(path: Path, limit: int) -> Cause:
    """A text of more than ``limit`` bytes."""
    return Cause(path, TOO_LONG, f"Too long: may not be more than {limit} bytes")


def too_many(path: Path, count: int, limit: int) -> Cause:
    """A list of more than ``limit`` items."""
    message = f"Too many: {count}: must have at most {limit} items"
    return Cause(path, TOO_MANY, message, count)


def not_found(path: Path, value: Any, why: str = "") -> Cause:
    """The value names something that is not there."""
    message = f"Not found: {value_text(value)}" + (f": {why}" if why else "")
    return Cause(path, NOT_FOUND, message, value)


# The next are asked of nearly every field and mostly find nothing: a generator would cost more than
# what they look at.
def each_invalid(path: Path, value: Any, clauses: Sequence[str]) -> Sequence[Cause]:
    """A cause for each clause that one of the functions of ``facts.names`` returns."""
    return [invalid(path, value, clause) for clause in clauses] if clauses else ()


def named(path: Path, value: str, clauses: Sequence[str]) -> Sequence[Cause]:
    """A name that must be there and keep the rule whose broken clauses are ``clauses``."""
    return each_invalid(path, value, clauses) if value else (required(path),)


def one_of(path: Path, value: Any, allowed: Collection[str]) -> Sequence[Cause]:
    """A word out of a list."""
    return () if value in allowed else (not_supported(path, value, allowed),)


def required_one_of(path: Path, value: Any, allowed: Collection[str]) -> Sequence[Cause]:
    """A word out of a list, which must be there."""
    return one_of(path, value, allowed) if value else (required(path),)


def not_negative(path: Path, number: int | None) -> Sequence[Cause]:
    """A number that may be absent or zero, never less."""
    return () if number is None or number >= 0 else (invalid(path, number, NOT_NEGATIVE),)


def required_fields(holder: Object, path: Path, *fields: str) -> Iterator[Cause]:
    """Fields that must be there and not empty."""
    for field in fields:
        if not holder.get(field):
            yield required((*path, field))


def forbidden_fields(
    holder: Object, path: Path, fields: Iterable[str], why: str
) -> Iterator[Cause]:
    """Fields that must not be set at all."""
    for field in fields:
        if field in holder:
            yield forbidden((*path, field), why)
