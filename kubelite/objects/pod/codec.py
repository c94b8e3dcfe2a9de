"""From the plain values of a manifest to typed objects, with every problem at once. Pure.

What may stand where is read from the types themselves, one type at a time and only those that a
manifest uses: that keeps the start of a command short. A value that is wrong is reported, left out,
and the rest goes on, so that one run shows all.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from msgspec import NODEFAULT, Struct

from kubelite.objects.facts import quantity
from kubelite.objects.rules.problem import (
    BAD_QUANTITY,
    INVALID,
    UNKNOWN_FIELD,
    WRONG_TYPE,
    Path,
    Problem,
    leaf,
)

T = TypeVar("T", bound=Struct)
_Reader = Callable[[Any, Path, list[Problem]], Any]

_WRONG: Any = object()
_NAMES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "list",
    dict: "mapping",
    type(None): "null",
}


def decode(cls: type[T], value: Any, path: Path = ()) -> tuple[T | None, list[Problem]]:
    """An object of the type, or None where the value is no mapping at all, and everything that is
    wrong with it.
    """
    problems: list[Problem] = []
    made = _struct(cls)(value, path, problems)
    return (None if made is _WRONG else cast(T, made)), problems


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
    for at, (attribute, name) in enumerate(
        zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
    ):
        fields[name] = _Field(attribute, _reader(annotations[attribute]))
        if defaults[at + offset] is NODEFAULT:
            required[attribute] = _zero(annotations[attribute])
    return _Table(fields, required)


def _reader(annotation: Any) -> _Reader:
    """How a value of an annotated type is read."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (first, *others) = [each for each in arguments if each is not type(None)]
        return _int_or_string if others else _reader(first)
    if origin is Annotated:
        meta = arguments[1]
        return (
            _bounded(meta.ge, meta.le)
            if meta.ge is not None
            else _quantity
            if meta.description == "quantity"
            else _string
        )
    if origin is tuple:
        return _list(_reader(arguments[0]), _zero(arguments[0]))
    if origin is dict:
        return _map(_anything if arguments[1] is Any else _reader(arguments[1]))
    if annotation is str:
        return _string
    return _boolean if annotation is bool else _struct(annotation)


def _zero(annotation: Any) -> Callable[[], Any]:
    """Makes what stands for a required value that is missing; validation says that it is."""
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


def _struct(cls: type[Struct]) -> _Reader:
    def read(value: Any, path: Path, problems: list[Problem]) -> Any:
        if not isinstance(value, dict):
            return _refused(value, "mapping", path, problems)
        fields, required = _table(cls)
        made: dict[str, Any] = {}
        for key, inner in value.items():
            field = fields.get(key)
            if field is None:
                problems.append(_unknown(cls, key, path))
            elif inner is not None:
                result = field.read(inner, (*path, key), problems)
                if result is not _WRONG:
                    made[field.attribute] = result
        for attribute, make in required.items():
            if attribute not in made:
                made[attribute] = make()
        return cls(**made)

    return read


def _list(item: _Reader, zero: Callable[[], Any]) -> _Reader:
    def read(value: Any, path: Path, problems: list[Problem]) -> Any:
        if not isinstance(value, list):
            return _refused(value, "list", path, problems)
        made = [item(inner, (*path, at), problems) for at, inner in enumerate(value)]
        # What is wrong keeps its seat: places of what follows are counted.
        return tuple(zero() if each is _WRONG else each for each in made)

    return read


def _map(item: _Reader) -> _Reader:
    def read(value: Any, path: Path, problems: list[Problem]) -> Any:
        if not isinstance(value, dict):
            return _refused(value, "mapping", path, problems)
        made = {key: item(inner, (*path, key), problems) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if inner is not _WRONG}

    return read


def _bounded(lowest: int, highest: int) -> _Reader:
    def read(value: Any, path: Path, problems: list[Problem]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return _refused(value, "integer", path, problems)
        if lowest <= value <= highest:
            return value
        said = f"{leaf(path)}: Invalid value: {value}: must be between {lowest} and {highest}"
        problems.append(Problem(path, said, INVALID))
        return _WRONG

    return read


def _anything(value: Any, _path: Path, _problems: list[Problem]) -> Any:
    return value


def _string(value: Any, path: Path, problems: list[Problem]) -> Any:
    return value if isinstance(value, str) else _refused(value, "string", path, problems)


def _boolean(value: Any, path: Path, problems: list[Problem]) -> Any:
    return value if isinstance(value, bool) else _refused(value, "boolean", path, problems)


def _int_or_string(value: Any, path: Path, problems: list[Problem]) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    return _refused(value, "integer or string", path, problems)


def _quantity(value: Any, path: Path, problems: list[Problem]) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _refused(value, "quantity", path, problems)
    text = value.strip() if isinstance(value, str) else str(value)
    try:
        return quantity.canonical(text)
    except quantity.QuantityError as error:
        problems.append(
            Problem(path, f"{leaf(path)}: {error}", BAD_QUANTITY, quantity.suggestion(text))
        )
        return _WRONG


def _refused(value: Any, expected: str, path: Path, problems: list[Problem]) -> Any:
    got = _NAMES.get(type(value), type(value).__name__)
    said = f"{leaf(path)}: expected {expected}, got {got}"
    problems.append(Problem(path, said, WRONG_TYPE, _type_hint(value, expected)))
    return _WRONG


def _type_hint(value: Any, expected: str) -> str:
    """What the writer probably meant."""
    if expected == "string" and isinstance(value, bool):
        return "YAML reads y, n, yes, no, on, off, true and false as booleans: put it in quotes"
    if expected == "string" and isinstance(value, int | float):
        return f'put it in quotes: "{value}"'
    if expected == "integer" and isinstance(value, str) and value.isdecimal():
        return f"leave the quotes out: {value}"
    if expected == "boolean" and value in ("true", "false", "yes", "no", "on", "off"):
        return f"leave the quotes out: {value}"
    if expected == "list" and isinstance(value, dict | str):
        return 'begin each item with "- "'
    if expected == "mapping" and isinstance(value, list):
        return 'there is only one of it: leave the "- " out'
    if value is None:
        return "the line is empty: delete it or give it a value"
    return ""


def _unknown(cls: type[Struct], key: str, path: Path) -> Problem:
    from difflib import get_close_matches

    said = f'unknown field "{key}"'
    known = {name.lower(): name for name in cls.__struct_encode_fields__}
    close = get_close_matches(key.lower(), known, n=1, cutoff=0.7)
    if close:
        meant = known[close[0]]
        hint = f'did you mean "{meant}"?'
        return Problem((*path, key), said, UNKNOWN_FIELD, hint, at_key=True, meant=(*path, meant))
    elsewhere = _elsewhere(cls, key)
    hint = f'"{key}" is a field of {elsewhere}: check the indentation' if elsewhere else ""
    return Problem((*path, key), said, UNKNOWN_FIELD, hint, at_key=True)


def _elsewhere(cls: type[Struct], key: str) -> str:
    from kubelite.objects.pod import pod

    homes = {
        pod.Pod: "the pod itself",
        pod.ObjectMeta: "metadata",
        pod.PodSpec: "spec",
        pod.Container: "a container",
        pod.SecurityContext: "a container's securityContext",
        pod.PodSecurityContext: "spec.securityContext",
        pod.ResourceRequirements: "resources",
    }
    found = [
        where
        for home, where in homes.items()
        if home is not cls and key in home.__struct_encode_fields__
    ]
    return " or ".join(found[:2])
