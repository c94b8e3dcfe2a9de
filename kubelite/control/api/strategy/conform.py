"""Making a document what its kind says it is: known fields only, right types, the servers' order.
Pure.

The struct of a kind does the work (:mod:`kubelite.control.api.schema.structs`); only a document
that it refuses is walked here, to say in Kubernetes' words what is wrong with it (apimachinery's
decoder, ``fieldValidation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.schema import json_schema_props, structs, unknown_fields
from kubelite.control.api.schema.decoding import (
    definition,
    strict_error,
    typed,
    undecodable,
    without_nulls,
    wrong_types,
)
from kubelite.control.api.wire import documents
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.control.api.wire.resource import Resource


def conform(
    res: Resource,
    obj: Any,
    validation: str = "Ignore",
    duplicates: Sequence[str] = (),
    old: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """A built-in object in order, with its defaults, and the warnings that ``Warn`` asks for.
    Raises StatusError 400.

    Unknown fields that ``old`` has too are kept.
    """
    name = definition(res)
    value, unknown_values = _read(res, name, typed(res, obj))
    kept = (
        unknown_fields.stored_before(unknown_values, unknown_fields.fields(name, old))
        if unknown_values and old
        else {}
    )
    unknown = [unknown_fields.shown(steps) for steps in unknown_values if steps not in kept]
    if res.kind == "CustomResourceDefinition":
        unknown += _schemas(res, value)
    problems = [f'unknown field "{path}"' for path in unknown] + [
        f'duplicate field "{path}"' for path in duplicates
    ]
    if problems and validation == "Strict":
        raise strict_error(res, problems)
    rules = rules_of(res)
    if rules.defaults is not None:
        rules.defaults(value)
    structs.drop_empty_lists(name, value)
    written: dict[str, Any] = structs.write(value)
    if rules.document_defaults is not None:
        rules.document_defaults(written)
    unknown_fields.put(kept, written)
    return written, problems if validation == "Warn" else []


def _schemas(res: Resource, value: Any) -> list[str]:
    """Puts the schemas of a definition in order, in place; the paths of what they cannot have.
    Raises StatusError 400.
    """
    unknown: list[str] = []
    for index, version in enumerate(value.spec.versions or ()):
        if version.schema is not None and version.schema.openAPIV3Schema is not None:
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            try:
                version.schema.openAPIV3Schema = json_schema_props.normal(
                    version.schema.openAPIV3Schema, path, unknown
                )
            except json_schema_props.WrongType as error:
                raise undecodable(res, str(error)) from None
    return unknown


def knows(res: Resource, obj: dict[str, Any]) -> bool:
    """Whether every field of an object is one of its kind's. Raises StatusError 400 for wrong
    types.
    """
    return not _read(res, definition(res), typed(res, obj))[1]


def order(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object in the servers' field order, after parts of it were added. Raises StatusError 400
    for wrong types.

    It may be in another version of the resource than the path it came by.
    """
    value, unknown = _any_version(res, obj)
    written: dict[str, Any] = structs.write(value)
    unknown_fields.put(unknown, written)
    return written


def stored(res: Resource, obj: dict[str, Any]) -> bytes:
    """:func:`order` as the store keeps it: JSON, without a revision of its own."""
    value, unknown = _any_version(res, obj)
    value.metadata.resourceVersion = ""
    if unknown:
        written = structs.write(value)
        unknown_fields.put(unknown, written)
        return documents.stored(written)
    return structs.encoded(value)


def _any_version(res: Resource, obj: dict[str, Any]) -> tuple[Any, unknown_fields.Found]:
    written = obj.get("apiVersion", res.gv)
    if written == res.gv:
        return _read(res, definition(res), obj)
    group, _, version = written.rpartition("/")
    return _read(res, schema.name_of(group, version, res.kind) or definition(res), obj)


def _read(res: Resource, name: str, obj: dict[str, Any]) -> tuple[Any, unknown_fields.Found]:
    """The struct, and the fields that it has no place for."""
    try:
        return structs.read(name, obj, strict=True), {}
    except msgspec.ValidationError:
        given = without_nulls(obj, name)
    try:
        return structs.read(name, given), unknown_fields.fields(name, obj)
    except msgspec.ValidationError as error:
        raise undecodable(res, next(wrong_types(name, given, ""), str(error))) from None
