"""Reading a document as what its kind says it is, in the words of Kubernetes where it cannot be
(apimachinery's decoder). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.schema import structs
from kubelite.control.api.wire.status import bad_request
from kubelite.objects.facts import go_types, schema
from kubelite.objects.rules import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import StatusError

_JSON = {"s": ("string",), "b": ("bool",), "i": ("number",), "l": ("number",), "d": ("number",)}


def definition(res: Resource) -> str:
    """The definition of a built-in kind. Raises KeyError for a kind that the schema table does not
    have.
    """
    name = res.definition
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
        written = obj.get(key)
        if written and written != wanted:
            in_body = f"{obj.get('apiVersion') or res.gv}, Kind={obj.get('kind') or res.kind}"
            raise bad_request(
                f"the object provided is unrecognized (must be of type {res.kind}): "
                f"the body says {in_body}, the path says {res.gv}, Kind={res.kind}"
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


def strict_error(res: Resource, problems: list[str]) -> StatusError:
    """400 for fields that are not known or given twice."""
    return undecodable(res, "strict decoding error: " + ", ".join(problems))


def without_nulls(value: Any, kind: str = "") -> Any:
    """A copy without null fields: to Go's decoder they are fields that were not given. Where the
    ``kind`` of the schema table is given, a null in a list or a map is an empty item.
    """
    if kind and kind[0] in "[{":
        return _without_null_items(value, kind[1:])
    if isinstance(value, dict):
        types = schema.types_of(kind) if kind else {}
        return {
            key: without_nulls(inner, types.get(key, ""))
            for key, inner in value.items()
            if inner is not None
        }
    return [without_nulls(element) for element in value] if isinstance(value, list) else value


def _without_null_items(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [
            reading.empty_value(kind) if element is None else without_nulls(element, kind)
            for element in value
        ]
    if isinstance(value, dict):
        return {
            key: reading.empty_value(kind) if inner is None else without_nulls(inner, kind)
            for key, inner in value.items()
        }
    return value


def wrong_types(name: str, value: dict[str, Any], path: str) -> Iterator[str]:
    """What Go's decoder says of each value of the wrong type."""
    fields = schema.definition(name).fields
    for key, child in value.items():
        if key in fields:
            here = ".".join((path, *go_types.steps(name, key))).removeprefix(".")
            owner = f"Go struct field {name.rpartition('.')[2]}.{here}"
            kind = fields[key].type
            yield from _mistyped(kind, go_types.type_name(name, key, kind), child, owner, here)


def _mistyped(kind: str, go_name: str, value: Any, owner: str, path: str) -> Iterator[str]:
    json_kind = structs.json_kind(value)
    if kind[0] in "[{":
        if not isinstance(value, list if kind[0] == "[" else dict):
            yield _cannot(json_kind, owner, go_name)
            return
        inner = go_name.removeprefix("[]" if kind[0] == "[" else "map[string]")
        if inner == go_name:
            inner = go_types.unnamed(kind[1:])
        for element in value if isinstance(value, list) else value.values():
            yield from _mistyped(kind[1:], inner, element, owner, path)
    elif kind in _JSON:
        if json_kind not in _JSON[kind]:
            yield _cannot(json_kind, owner, go_name)
        elif kind in "il" and not _fits(kind, value):
            yield _cannot(f"number {value}", owner, go_name)
    elif "." in kind and kind not in structs.UNTYPED and schema.definition(kind).fields:
        if isinstance(value, dict):
            yield from wrong_types(kind, value, path)
        else:
            yield _cannot(json_kind, owner, go_name)
    elif kind == "y" and json_kind != "string":
        yield _cannot(json_kind, owner, go_name)
    else:
        yield from _not_a_text(kind, value, owner)


def _not_a_text(kind: str, value: Any, owner: str) -> Iterator[str]:
    """What is wrong with a quantity, a time or an int-or-string."""
    try:
        if kind == "intstr.IntOrString":
            yield from _no_int_or_string(value, owner)
        elif kind in ("meta.v1.Time", "meta.v1.MicroTime") and not isinstance(value, str):
            yield _cannot(structs.json_kind(value), owner, "string")
        elif kind in structs.TEXTS:
            structs.text(structs.TEXTS[kind][0], value)
    except (ValueError, msgspec.ValidationError) as error:
        yield str(error)


def _no_int_or_string(value: Any, owner: str) -> Iterator[str]:
    json_kind = structs.json_kind(value)
    if json_kind not in ("string", "number"):
        yield _cannot(json_kind, owner, "int32")
    elif json_kind == "number" and not _fits("i", value):
        yield _cannot(f"number {value}", owner, "int32")


def _cannot(json_kind: str, owner: str, go_name: str) -> str:
    return f"json: cannot unmarshal {json_kind} into {owner} of type {go_name}"


def _fits(kind: str, value: Any) -> bool:
    bits = 31 if kind == "i" else 63
    return isinstance(value, int) and -(2**bits) <= value < 2**bits
