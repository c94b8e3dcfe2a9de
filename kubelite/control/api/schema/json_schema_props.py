"""The schemas inside a CustomResourceDefinition, made what their type says: it refers to itself,
which structs cannot. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.schema import structs
from kubelite.lib.json import Object
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "apiextensions.v1.JSONSchemaProps"


class WrongType(ValueError):
    """A part of the schema has a type that it cannot have; the message is that of Go's decoder."""


def normal(value: Any, path: str, unknown: list[str]) -> Object:
    """A schema with its known fields in order, less what is empty; paths of others go to
    ``unknown``. Raises WrongType.
    """
    given: Object = _expect(value, dict, path, "v1.JSONSchemaProps")
    fields = schema.definition(NAME).fields
    unknown += [f"{path}.{key}" for key in given if key not in fields]
    normalized: Object = {}
    for name, field in fields.items():
        if given.get(name) is not None:
            part = _part(field.type, given[name], f"{path}.{name}", unknown)
            if field.pointer or part not in (False, "", 0, [], {}):
                normalized[name] = part
    return normalized


def _expect(value: Any, kind: type, path: str, wanted: str) -> Any:
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        json_kind = structs.json_kind(value)
        raise WrongType(
            f"json: cannot unmarshal {json_kind} into Go struct field JSONSchemaProps.{path} "
            f"of type {wanted}"
        )
    return value


def _part(kind: str, value: Any, path: str, unknown: list[str]) -> Any:
    if value is None and kind in _ZEROS:
        value = _ZEROS[kind]
    if kind[0] == "[":
        listed = _expect(value, list, path, f"[]{kind[1:]}")
        return [
            _part(kind[1:], element, f"{path}[{index}]", unknown)
            for index, element in enumerate(listed)
        ]
    if kind[0] == "{":
        mapped = _expect(value, dict, path, f"map[string]{kind[1:]}")
        return {
            key: _part(kind[1:], mapped[key], f"{path}.{key}", unknown) for key in sorted(mapped)
        }
    if kind in _OTHERS:
        return _OTHERS[kind](value, path, unknown)
    if kind in _SCALARS:
        return _expect(value, *_SCALARS[kind][:1], path, _SCALARS[kind][1])
    try:
        return structs.write(structs.read(kind, _without_nulls(value)))
    except msgspec.ValidationError as error:
        raise WrongType(f"{path}: {error}") from None


def _without_nulls(value: Any) -> Any:
    """A struct without the fields that are given as null."""
    if not isinstance(value, dict):
        return value
    return {key: given for key, given in value.items() if given is not None}


def _or_bool(value: Any, path: str, unknown: list[str]) -> Any:
    return value if isinstance(value, bool) else normal(value, path, unknown)


def _or_array(value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, list):
        return [normal(element, f"{path}[{index}]", unknown) for index, element in enumerate(value)]
    return normal(value, path, unknown)


def _as_it_is(value: Any, path: str, unknown: list[str]) -> Any:
    return value


def _number(value: Any, path: str, unknown: list[str]) -> Any:
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool)
        else _expect(value, float, path, "float64")
    )


_SCALARS: dict[str, tuple[type, str]] = {
    "s": (str, "string"),
    "b": (bool, "bool"),
    "i": (int, "int32"),
    "l": (int, "int64"),
}
# What a null item of a list or a map stands for.
_ZEROS: dict[str, Any] = {"s": "", "b": False, "i": 0, "l": 0, NAME: {}}
_OTHERS: dict[str, Callable[[Any, str, list[str]], Any]] = {
    NAME: normal,
    "apiextensions.v1.JSONSchemaPropsOrBool": _or_bool,
    "apiextensions.v1.JSONSchemaPropsOrArray": _or_array,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _as_it_is,
    "apiextensions.v1.JSON": _as_it_is,
    "d": _number,
}
