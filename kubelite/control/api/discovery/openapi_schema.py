"""Definitions of OpenAPI documents, from the schema table and from custom definitions. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.schema import structural_schema
from kubelite.lib.json import Object
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.wire.resource import Resource

# The descriptions of a definition by its public name: of itself under "", of its fields by name.
Descriptions = Callable[[str], dict[str, str]]
_PLACE = {2: "#/definitions/", 3: "#/components/schemas/"}
_SCALARS: dict[str, Object] = {
    "s": {"type": "string"},
    "b": {"type": "boolean"},
    "i": {"type": "integer", "format": "int32"},
    "l": {"type": "integer", "format": "int64"},
    "d": {"type": "number", "format": "double"},
    "y": {"type": "string", "format": "byte"},
    "o": {"type": "object"},
    "*": {},
}
_FORMATS = {"meta.v1.Time": "date-time", "meta.v1.MicroTime": "date-time"}
_UNSAID = (
    "$schema",
    "$ref",
    "id",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "nullable",
    "default",
    "example",
    "externalDocs",
)


class Form(NamedTuple):
    """Which version a document is of, and where its descriptions come from."""

    version: int
    describe: Descriptions | None = None

    def ref(self, name: str) -> Object:
        """A reference to a definition by its public name."""
        return {"$ref": _PLACE[self.version] + name}


def closure(names: Iterable[str]) -> list[str]:
    """The definitions and all that they refer to, by short name."""
    reached: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in reached:
            reached.add(name)
            queue += [
                field.item for field in schema.definition(name).fields.values() if "." in field.item
            ]
    return sorted(reached)


def definition(form: Form, name: str) -> Object:
    """One definition of the schema table."""
    kind_definition = schema.definition(name)
    descriptions = form.describe(schema.public_name(name)) if form.describe else {}
    document: Object = {"description": descriptions[""]} if descriptions.get("") else {}
    if not kind_definition.fields:
        return {**document, **_alias(form, kind_definition)}
    document["type"] = "object"
    if required := sorted(
        field.name for field in kind_definition.fields.values() if field.required
    ):
        document["required"] = required
    document["properties"] = {
        field.name: _field(form, field, descriptions.get(field.name, ""))
        for field in _sorted(kind_definition)
    }
    if kind_definition.kind:
        document |= kind_of(*kind_definition.kind)
    return {**document, "x-kubernetes-map-type": "atomic"} if kind_definition.atomic else document


def _sorted(kind: schema.Definition) -> list[schema.Field]:
    return sorted(kind.fields.values(), key=lambda field: field.name)


def kind_of(group: str, version: str, kind: str) -> Object:
    """The extension that tells which kind a definition is."""
    return {"x-kubernetes-group-version-kind": [{"group": group, "kind": kind, "version": version}]}


def _alias(form: Form, kind: schema.Definition) -> Object:
    if kind.name == "intstr.IntOrString":
        return (
            {"type": "string", "format": "int-or-string"}
            if form.version == 2
            else _either("integer", "int-or-string")
        )
    if kind.name == "resource.Quantity":
        return {"type": "string"} if form.version == 2 else _either("number", "")
    document = dict(_SCALARS[kind.alias or "o"])
    return {**document, "format": _FORMATS[kind.name]} if kind.name in _FORMATS else document


def _either(kind: str, form: str) -> Object:
    document: Object = {"oneOf": [{"type": "string"}, {"type": kind}]}
    return {"format": form, **document} if form else document


def _field(form: Form, field: schema.Field, description: str) -> Object:
    document: Object = {"description": description} if description else {}
    document |= _type(form, field.type)
    for key, value in (
        ("list-type", field.list_type),
        ("list-map-keys", list(field.list_keys)),
        ("map-type", field.map_type),
        ("patch-merge-key", field.merge_key),
        ("patch-strategy", ",".join(field.strategies)),
    ):
        if value:
            document[f"x-kubernetes-{key}"] = value
    if "$ref" in document and form.version == 3 and len(document) > 1:
        document["allOf"] = [{"$ref": document.pop("$ref")}]
    return document


def _type(form: Form, kind: str) -> Object:
    if kind[0] == "[":
        return {"type": "array", "items": _type(form, kind[1:])}
    if kind[0] == "{":
        return {"type": "object", "additionalProperties": _type(form, kind[1:])}
    return dict(_SCALARS[kind]) if kind in _SCALARS else form.ref(schema.public_name(kind))


def name_of(res: Resource) -> str:
    """The public name of a resource's definition; a custom group is turned round:
    ``io.example.v1.Widget``.
    """
    if known := res.definition:
        return schema.public_name(known)
    return ".".join([*reversed(res.group.split(".")), res.version, res.kind])


def list_of(form: Form, res: Resource, item: str) -> Object:
    """The definition of a list."""
    fields: Object = {
        "apiVersion": {"type": "string"},
        "items": {"type": "array", "items": form.ref(item)},
        "kind": {"type": "string"},
        "metadata": form.ref(schema.public_name("meta.v1.ListMeta")),
    }
    return {
        "type": "object",
        "required": ["items"],
        "properties": fields,
        **kind_of(res.group, res.version, res.kind_of_list),
    }


def custom(form: Form, res: Resource) -> Object:
    """The definition of a custom kind: its structural schema with the fields that every object
    has. Where anything may stand nothing is listed: kubectl would refuse the rest.
    """
    given, kind = structural_schema.schema_of(res), kind_of(res.group, res.version, res.kind)
    if given.get(structural_schema.PRESERVE) and (form.version == 2 or "type" not in given):
        return {"type": "object", **kind}
    document = _plain(given) if form.version == 2 else dict(given)
    fields = {**(document.get("properties") or {}), **_fields_of_all(form)}
    return {**document, "type": "object", "properties": fields, **kind}


def _fields_of_all(form: Form) -> Object:
    """The fields that objects of every kind have, described as those of a ConfigMap are."""
    described = form.describe(schema.public_name("core.v1.ConfigMap")) if form.describe else {}
    types = {"apiVersion": "s", "kind": "s", "metadata": "meta.v1.ObjectMeta"}
    return {
        name: {
            **({"description": described[name]} if name in described else {}),
            **_type(form, kind),
        }
        for name, kind in types.items()
    }


def _plain(given: Object) -> Object:
    """A structural schema without what version 2 cannot say; where anything may stand nothing is
    said of it.
    """
    document = {key: value for key, value in given.items() if key not in _UNSAID}
    if given.get("x-kubernetes-int-or-string"):
        document.pop("type", None)
    if given.get(structural_schema.PRESERVE) or given.get("nullable"):
        document.pop("type", None)
        return {
            key: value
            for key, value in document.items()
            if key not in ("properties", "items", "required")
        }
    if "properties" in document:
        document["properties"] = {
            key: _plain(value) for key, value in document["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(document.get(key), dict):
            document[key] = _plain(document[key])
    return document
