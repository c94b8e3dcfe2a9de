"""Custom objects and their structural schemas: pruning, defaults, and the object as it is stored.
Pure.

A schema is the ``openAPIV3Schema`` of one version of a CustomResourceDefinition. Rules are
apiextensions' (``structural`` schemas): fields that the schema does not name are dropped unless
``x-kubernetes-preserve-unknown-fields`` keeps them; defaults fill what is missing, and null where
null is not allowed.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.schema import decoding, structs, unknown_fields
from kubelite.control.api.wire.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.control.api.wire.resource import Resource

Schema = dict[str, Any]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
_TOP = ("kind", "apiVersion", "metadata")
_META = "meta.v1.ObjectMeta"


def schema_of(res: Resource) -> Schema:
    """The schema of a custom resource; an empty one that keeps everything where the definition
    gives none.
    """
    schema: Schema | None = ((res.crd or {}).get("schema") or {}).get("openAPIV3Schema")
    return {PRESERVE: True} if schema is None else schema


def conform(
    res: Resource, obj: Any, validation: str = "Ignore", duplicates: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """A custom object, pruned and with its defaults, and the warnings that ``Warn`` asks for.
    Raises StatusError 400.
    """
    schema = schema_of(res)
    ordered = order(decoding.typed(res, obj))
    unknown = [] if validation == "Ignore" else _unknown_metadata(obj.get("metadata") or {})
    body = {key: value for key, value in ordered.items() if key not in _TOP}
    body = prune(schema, body, "", unknown)
    fill(schema, body)
    problems = [f'unknown field "{path}"' for path in unknown] + [
        f'duplicate field "{path}"' for path in duplicates
    ]
    if problems and validation == "Strict":
        raise decoding.strict_error(res, problems)
    top = {key: ordered[key] for key in _TOP if key in ordered}
    return {**top, **body}, problems if validation == "Warn" else []


def _unknown_metadata(metadata: Any) -> list[str]:
    try:
        structs.read(_META, metadata, strict=True)
    except msgspec.ValidationError:
        unknown = unknown_fields.fields(_META, metadata)
        return [unknown_fields.shown(("metadata", *steps)) for steps in unknown]
    return []


def unknown_without_schema(obj: dict[str, Any]) -> list[str]:
    """What is said of an object of a version that its definition does not have."""
    return [f'unknown field "{key}"' for key in obj if key not in _TOP]


def served(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """A stored object as the version that is asked for has it: a copy, pruned and with its
    defaults.
    """
    schema = schema_of(res)
    body = prune(schema, {key: value for key, value in obj.items() if key not in _TOP}, "", [])
    fill(schema, body)
    return {**{key: obj[key] for key in _TOP if key in obj}, **body}


def order(obj: dict[str, Any]) -> dict[str, Any]:
    """Kind, apiVersion and metadata first, metadata in the servers' order. Raises StatusError 400
    for wrong metadata.
    """
    metadata = obj.get("metadata") or {}
    try:
        meta = structs.write(structs.read(_META, metadata))
    except msgspec.ValidationError:
        meta = structs.write(_read_again(obj, metadata))
    rest = {key: value for key, value in obj.items() if key not in _TOP}
    return {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "metadata": meta,
        **rest,
    }


def _read_again(obj: dict[str, Any], metadata: Any) -> Any:
    cleaned = decoding.without_nulls(metadata, _META)
    try:
        return structs.read(_META, cleaned)
    except msgspec.ValidationError as error:
        mistakes = (
            decoding.wrong_types(_META, cleaned, "metadata")
            if isinstance(cleaned, dict)
            else iter(())
        )
        raise bad_request(f"{obj.get('kind')}: {next(mistakes, str(error))}") from None


def children(schema: Schema, value: Any) -> Iterator[tuple[Any, Schema, str]]:
    """Each part of a value that the schema describes: key or index, its schema, and how a path goes
    on.
    """
    if isinstance(value, dict):
        properties, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        for key in value:
            below = properties.get(key, rest)
            if isinstance(below, dict):
                yield key, below, f".{key}"
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index in range(len(value)):
            yield index, schema["items"], f"[{index}]"


def prune(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    """A copy without the fields that the schema does not name; their paths are appended to
    ``unknown``.
    """
    kept: Any
    if isinstance(value, dict):
        kept = _kept(schema, value, path, unknown)
    elif isinstance(value, list):
        kept = list(value)
    else:
        return value
    for key, below, step in children(schema, kept):
        kept[key] = prune(below, kept[key], (path + step).lstrip("."), unknown)
    return kept


def _kept(schema: Schema, value: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    if schema.get(PRESERVE) or schema.get("additionalProperties") not in (None, False):
        return dict(value)
    embedded = _TOP if schema.get(EMBEDDED) else ()
    kept = {}
    for key, inner in value.items():
        if key in properties or key in embedded:
            kept[key] = inner
        else:
            unknown.append(f"{path}.{key}" if path else key)
    return kept


def fill(schema: Schema, value: Any) -> None:
    """Fills defaults in place, from the outside in, so that a default may itself be filled."""
    if isinstance(value, dict):
        for key, below in (schema.get("properties") or {}).items():
            missing = key not in value or (value[key] is None and not below.get("nullable"))
            if "default" in below and missing:
                value[key] = copy.deepcopy(below["default"])
            elif missing and key in value:
                del value[key]
    for key, below, _ in children(schema, value):
        fill(below, value[key])
