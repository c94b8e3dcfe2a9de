"""Definitions of OpenAPI documents, from the schema table and from custom definitions. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.schema import structural
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
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [
                each.item for each in schema.definition(name).fields.values() if "." in each.item
            ]
    return sorted(found)


def definition(form: Form, name: str) -> Object:
    """One definition of the schema table."""
    found = schema.definition(name)
    told = form.describe(schema.public_name(name)) if form.describe else {}
    made: Object = {"description": told[""]} if told.get("") else {}
    if not found.fields:
        return {**made, **_alias(form, found)}
    made["type"] = "object"
    if required := sorted(each.name for each in found.fields.values() if each.required):
        made["required"] = required
    made["properties"] = {
        each.name: _field(form, each, told.get(each.name, "")) for each in _sorted(found)
    }
    if found.kind:
        made |= kind_of(*found.kind)
    return {**made, "x-kubernetes-map-type": "atomic"} if found.atomic else made


def _sorted(found: schema.Definition) -> list[schema.Field]:
    return sorted(found.fields.values(), key=lambda each: each.name)


def kind_of(group: str, version: str, kind: str) -> Object:
    """The extension that tells which kind a definition is."""
    return {"x-kubernetes-group-version-kind": [{"group": group, "kind": kind, "version": version}]}


def _alias(form: Form, found: schema.Definition) -> Object:
    if found.name == "intstr.IntOrString":
        return (
            {"type": "string", "format": "int-or-string"}
            if form.version == 2
            else _either("integer", "int-or-string")
        )
    if found.name == "resource.Quantity":
        return {"type": "string"} if form.version == 2 else _either("number", "")
    made = dict(_SCALARS[found.alias or "o"])
    return {**made, "format": _FORMATS[found.name]} if found.name in _FORMATS else made


def _either(kind: str, form: str) -> Object:
    made: Object = {"oneOf": [{"type": "string"}, {"type": kind}]}
    return {"format": form, **made} if form else made


def _field(form: Form, field: schema.Field, description: str) -> Object:
    made: Object = {"description": description} if description else {}
    made |= _type(form, field.type)
    for key, value in (
        ("list-type", field.list_type),
        ("list-map-keys", list(field.list_keys)),
        ("map-type", field.map_type),
        ("patch-merge-key", field.merge_key),
        ("patch-strategy", ",".join(field.strategies)),
    ):
        if value:
            made[f"x-kubernetes-{key}"] = value
    if "$ref" in made and form.version == 3 and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made


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
    if res.crd is None and (known := schema.name_of(res.group, res.version, res.kind)):
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
    has.
    """
    given = structural.schema_of(res)
    made = _plain(given) if form.version == 2 else dict(given)
    fields = {
        **(made.get("properties") or {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": form.ref(schema.public_name("meta.v1.ObjectMeta")),
    }
    return {
        **made,
        "type": "object",
        "properties": fields,
        **kind_of(res.group, res.version, res.kind),
    }


def _plain(given: Object) -> Object:
    """A structural schema without what version 2 cannot say; where anything may stand nothing is
    said of it.
    """
    made = {key: value for key, value in given.items() if key not in _UNSAID}
    if given.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if given.get(structural.PRESERVE) or given.get("nullable"):
        made.pop("type", None)
        return {
            key: value
            for key, value in made.items()
            if key not in ("properties", "items", "required")
        }
    if "properties" in made:
        made["properties"] = {key: _plain(value) for key, value in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _plain(made[key])
    return made
