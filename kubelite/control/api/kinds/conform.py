"""Making a document what its kind says it is: known fields only, right types, the servers' order.
Pure.

The struct of a kind does the work (``model``); only a document that it refuses is walked here, to
say in Kubernetes' words what is wrong with it (apimachinery's decoder, ``fieldValidation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds import defaults
from kubelite.control.api.schema import props, structs, unknown_fields
from kubelite.control.api.wire import documents
from kubelite.control.api.wire.status import bad_request
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import StatusError

_GO = {
    "s": "string",
    "b": "bool",
    "i": "int32",
    "l": "int64",
    "d": "float64",
    "y": "[]uint8",
    "o": "map",
    "*": "any",
}
_JSON = {"s": ("string",), "b": ("bool",), "i": ("number",), "l": ("number",), "d": ("number",)}


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
    value, found = _read(res, name, typed(res, obj))
    kept = (
        unknown_fields.stored_before(found, unknown_fields.fields(name, old))
        if found and old
        else {}
    )
    unknown = [unknown_fields.shown(steps) for steps in found if steps not in kept]
    if res.kind == "CustomResourceDefinition":
        unknown += _schemas(res, value)
    problems = [f'unknown field "{path}"' for path in unknown] + [
        f'duplicate field "{path}"' for path in duplicates
    ]
    if problems and validation == "Strict":
        raise strict_error(res, problems)
    defaults.fill(res.group, res.kind, value)
    written: dict[str, Any] = structs.write(value)
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
                version.schema.openAPIV3Schema = props.normal(
                    version.schema.openAPIV3Schema, path, unknown
                )
            except props.WrongType as error:
                raise undecodable(res, str(error)) from None
    return unknown


def knows(res: Resource, obj: dict[str, Any]) -> bool:
    """Whether every field of an object is one of its kind's. Raises StatusError 400 for wrong
    types.
    """
    return not _read(res, definition(res), typed(res, obj))[1]


def strict_error(res: Resource, problems: list[str]) -> StatusError:
    """400 for fields that are not known or given twice."""
    return undecodable(res, "strict decoding error: " + ", ".join(problems))


def order(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object in the servers' field order, after parts of it were added. Raises StatusError 400
    for wrong types.

    It may be in another version of the resource than the path it came by.
    """
    value, found = _any_version(res, obj)
    written: dict[str, Any] = structs.write(value)
    unknown_fields.put(found, written)
    return written


def stored(res: Resource, obj: dict[str, Any]) -> bytes:
    """:func:`order` as the store keeps it: JSON, without a revision of its own."""
    value, found = _any_version(res, obj)
    value.metadata.resourceVersion = ""
    if found:
        written = structs.write(value)
        unknown_fields.put(found, written)
        return documents.stored(written)
    return structs.encoded(value)


def _any_version(res: Resource, obj: dict[str, Any]) -> tuple[Any, unknown_fields.Found]:
    group, _, version = obj.get("apiVersion", res.gv).rpartition("/")
    return _read(res, schema.name_of(group, version, res.kind) or definition(res), obj)


def definition(res: Resource) -> str:
    """The definition of a built-in kind. Raises KeyError for a kind that the schema table does not
    have.
    """
    name = schema.name_of(res.group, res.version, res.kind)
    if name is None:
        raise KeyError(f"the schema table has no {res.gv} {res.kind}")
    return name


def typed(res: Resource, obj: Any) -> dict[str, Any]:
    """The object with its kind and apiVersion. Raises StatusError 400 where it says that it is
    something else.
    """
    if not isinstance(obj, dict):
        raise undecodable(
            res,
            f"json: cannot unmarshal {structs.json_kind(obj)} into Go value of type {go_type(res)}",
        )
    for key, wanted in (("apiVersion", res.gv), ("kind", res.kind)):
        said = obj.get(key)
        if said and said != wanted:
            told = f"{obj.get('apiVersion') or res.gv}, Kind={obj.get('kind') or res.kind}"
            raise bad_request(
                f"the object provided is unrecognized (must be of type {res.kind}): "
                f"the body says {told}, the path says {res.gv}, Kind={res.kind}"
            )
    return (
        obj
        if obj.get("kind") and obj.get("apiVersion")
        else {**obj, "kind": res.kind, "apiVersion": res.gv}
    )


def go_type(res: Resource) -> str:
    """How Go names the type of a resource: ``v1.Pod``."""
    return f"{res.version}.{res.kind}"


def undecodable(res: Resource, why: str) -> StatusError:
    """400 for a body that cannot become an object of the kind."""
    return bad_request(
        f'{res.kind} in version "{res.version}" cannot be handled as a {res.kind}: {why}'
    )


def _read(res: Resource, name: str, obj: dict[str, Any]) -> tuple[Any, unknown_fields.Found]:
    """The struct, and the fields that it has no place for."""
    try:
        return structs.read(name, obj, strict=True), {}
    except msgspec.ValidationError:
        given = without_nulls(obj)
    try:
        return structs.read(name, given), unknown_fields.fields(name, obj)
    except msgspec.ValidationError as error:
        raise undecodable(res, next(wrong_types(name, given, ""), str(error))) from None


def without_nulls(value: Any) -> Any:
    """A copy without null fields: to Go's decoder they are fields that were not given."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def wrong_types(name: str, value: dict[str, Any], path: str) -> Iterator[str]:
    """What Go's decoder says of each value of the wrong type."""
    fields = schema.definition(name).fields
    for key, child in value.items():
        if key in fields:
            here = f"{path}.{key}" if path else key
            yield from _mistyped(fields[key].type, child, f"{name.rpartition('.')[2]}.{here}", here)


def _mistyped(kind: str, value: Any, owner: str, path: str) -> Iterator[str]:
    found = structs.json_kind(value)
    if kind[0] in "[{":
        if not isinstance(value, list if kind[0] == "[" else dict):
            yield _cannot(found, owner, kind)
            return
        for each in value if isinstance(value, list) else value.values():
            yield from _mistyped(kind[1:], each, owner, path)
    elif kind in _JSON:
        if found not in _JSON[kind]:
            yield _cannot(found, owner, kind)
        elif kind in "il" and not _fits(kind, value):
            yield _cannot(f"number {value}", owner, kind)
    elif "." in kind and kind not in structs.UNTYPED and schema.definition(kind).fields:
        if isinstance(value, dict):
            yield from wrong_types(kind, value, path)
        else:
            yield _cannot(found, owner, kind)
    else:
        yield from _not_a_text(kind, value)


def _not_a_text(kind: str, value: Any) -> Iterator[str]:
    """What is wrong with a quantity, a time or an int-or-string."""
    try:
        if kind == "intstr.IntOrString":
            msgspec.convert(value, int | str)
        elif kind in structs.TEXTS:
            structs.text(structs.TEXTS[kind][0], value)
    except (ValueError, msgspec.ValidationError) as error:
        yield str(error)


def _cannot(found: str, owner: str, kind: str) -> str:
    return f"json: cannot unmarshal {found} into Go struct field {owner} of type {_go(kind)}"


def _go(kind: str) -> str:
    if kind[0] in "[{":
        return ("[]" if kind[0] == "[" else "map[string]") + _go(kind[1:])
    return _GO.get(kind) or ".".join(kind.split(".")[-2:])


def _fits(kind: str, value: Any) -> bool:
    bits = 31 if kind == "i" else 63
    return isinstance(value, int) and -(2**bits) <= value < 2**bits
