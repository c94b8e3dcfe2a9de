"""From the document of a pod to the typed Pod that the node works with. Pure.

The document has been read, completed and judged (``objects/rules``): its values have the right
types. What may stand where is read from the types themselves, one type at a time and only those
that a manifest uses: that keeps the start of a command short. Fields that a type does not have are
passed over, a required field that is missing is empty.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from msgspec import NODEFAULT, Struct

T = TypeVar("T", bound=Struct)
_Reader = Callable[[Any], Any]


def decode(cls: type[T], document: dict[str, Any]) -> T:
    """An object of the type."""
    return cast(T, _struct(cls)(document))


class _Field(NamedTuple):
    attribute: str
    read: _Reader


class _Table(NamedTuple):
    """The fields of a type by JSON name, and a value for each that an object cannot be without."""

    fields: dict[str, _Field]
    required: dict[str, Callable[[], Any]]


@cache
def _table(cls: type[Struct]) -> _Table:
    fields: dict[str, _Field] = {}
    required: dict[str, Callable[[], Any]] = {}
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations |= getattr(base, "__annotations__", {})
    defaults = (NODEFAULT,) * len(cls.__struct_fields__) + cls.__struct_defaults__
    offset = len(cls.__struct_defaults__)
    for index, (attribute, name) in enumerate(
        zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
    ):
        fields[name] = _Field(attribute, _reader(annotations[attribute]))
        if defaults[index + offset] is NODEFAULT:
            required[attribute] = _zero(annotations[attribute])
    return _Table(fields, required)


def _reader(annotation: Any) -> _Reader:
    """How a value of an annotated type is read."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (first, *others) = [argument for argument in arguments if argument is not type(None)]
        return _plain if others else _reader(first)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda value: tuple(map(item, value))
    if origin is dict and arguments[1] is not Any:
        inner = _reader(arguments[1])
        return lambda value: {key: inner(element) for key, element in value.items()}
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return _struct(annotation)
    return _plain


def _plain(value: Any) -> Any:
    return value


def _struct(cls: type[Struct]) -> _Reader:
    def read(document: Any) -> Any:
        fields, required = _table(cls)
        values: dict[str, Any] = {}
        for name, value in document.items():
            field = fields.get(name)
            if field is not None and value is not None:
                values[field.attribute] = field.read(value)
        for attribute, make in required.items():
            if attribute not in values:
                values[attribute] = make()
        return cls(**values)

    return read


def _zero(annotation: Any) -> Callable[[], Any]:
    """Makes what stands for a required value that is missing."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _zero(typing.get_args(annotation)[0])
    if origin in (types.UnionType, typing.Union):
        return str
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return lambda: annotation(
            **{name: make() for name, make in _table(annotation).required.items()}
        )
    return cast(Callable[[], Any], origin or annotation)
