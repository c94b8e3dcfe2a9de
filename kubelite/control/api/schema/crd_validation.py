"""Whether a CustomResourceDefinition can be served: names, versions, structural schemas. Pure.

Rules are apiextensions' for v1: every schema is structural, exactly one version is stored, and what
CEL would decide is refused where no library can evaluate it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import crd_cel_rules, jsonpath, patterns, structural, validation
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
TYPES = ("array", "boolean", "integer", "number", "object", "string")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_ONLY_OUTSIDE = (
    "type",
    "default",
    "title",
    "description",
    "nullable",
    "additionalProperties",
    structural.PRESERVE,
)
_APPROVAL = "api-approved.kubernetes.io"
_META_FIELDS = ("name", "generateName")


def check_crd(crd: Object) -> list[Cause]:
    """Everything that is wrong with a definition."""
    spec = crd.get("spec") or {}
    found = [*_names(crd, spec)]
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        found += _version(version, f"spec.versions[{index}]", spec)
    return [*found, *_versions(versions)]


def _names(crd: Object, spec: Object) -> Iterator[Cause]:
    given, group = spec.get("names") or {}, spec.get("group", "")
    if not group:
        yield causes.required("spec.group")
    elif "." not in group:
        yield causes.invalid("spec.group", group, "should be a domain with at least one dot")
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    if group.endswith((".k8s.io", ".kubernetes.io")) and not annotations.get(_APPROVAL):
        why = f'protected groups must have approval annotation "{_APPROVAL}"'
        yield causes.required(f"metadata.annotations[{_APPROVAL}]", why)
    for key, rule in (
        ("plural", names.label_1035),
        ("singular", names.label_1035),
        ("kind", _kind),
        ("listKind", _kind),
    ):
        if not given.get(key):
            yield causes.required(f"spec.names.{key}")
            continue
        for why in rule(given[key]):
            yield causes.invalid(f"spec.names.{key}", given[key], why)
    wanted = f"{given.get('plural', '')}.{group}"
    name = (crd.get("metadata") or {}).get("name", "")
    if name != wanted:
        yield causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not spec.get("scope"):
        yield causes.required("spec.scope")
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        yield causes.unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    strategy = (spec.get("conversion") or {}).get("strategy", "None")
    if strategy != "None":
        yield causes.unsupported("spec.conversion.strategy", strategy, ("None",))


def _kind(text: str) -> list[str]:
    return names.label_1035(text.lower())


def _versions(versions: list[Object]) -> Iterator[Cause]:
    if not versions:
        yield causes.required("spec.versions", "must have at least one version")
        return
    seen = [each.get("name", "") for each in versions]
    if len(set(seen)) < len(seen):
        yield causes.invalid("spec.versions", seen, "must contain unique version names")
    if sum(bool(each.get("storage")) for each in versions) != 1:
        yield causes.invalid(
            "spec.versions", seen, "must have exactly one version marked as storage version"
        )


def _version(version: Object, path: str, spec: Object) -> Iterator[Cause]:
    for why in names.label_1035(version.get("name", "")):
        yield causes.invalid(f"{path}.name", version.get("name", ""), why)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    else:
        yield from _root(schema, f"{path}.schema.openAPIV3Schema")
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        yield from _scale(scale, f"{path}.subresources.scale")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")
    for index, field in enumerate(version.get("selectableFields") or ()):
        yield from _path(field.get("jsonPath", ""), f"{path}.selectableFields[{index}].jsonPath")


def _scale(scale: Object, path: str) -> Iterator[Cause]:
    for key, home in (
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
        ("labelSelectorPath", ".status."),
    ):
        given = scale.get(key, "")
        if not given and key != "labelSelectorPath":
            yield causes.required(f"{path}.{key}")
        elif (
            given
            and not given.startswith(home)
            and not (key == "labelSelectorPath" and given.startswith(".spec."))
        ):
            yield causes.invalid(f"{path}.{key}", given, f"should be a json path under {home[:-1]}")


def _column(column: Object, path: str) -> Iterator[Cause]:
    for key in ("name", "type"):
        if not column.get(key):
            yield causes.required(f"{path}.{key}")
    if column.get("type") and column["type"] not in COLUMN_TYPES:
        yield causes.unsupported(f"{path}.type", column["type"], COLUMN_TYPES)
    yield from _path(column.get("jsonPath", ""), f"{path}.jsonPath")


def _path(text: str, path: str) -> Iterator[Cause]:
    if not text:
        yield causes.required(path)
    elif not text.startswith("."):
        yield causes.invalid(path, text, "must be a simple json path starting with .")
    else:
        try:
            jsonpath.parse(text)
        except jsonpath.PathError as error:
            yield causes.invalid(path, text, str(error))


def _root(schema: Object, path: str) -> Iterator[Cause]:
    if schema.get("type") != "object":
        empty = not schema.get("type")
        yield (
            causes.required(f"{path}.type", "must not be empty at the root")
            if empty
            else causes.invalid(f"{path}.type", schema["type"], "must be object at the root")
        )
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    extra = sorted(set(metadata.get("properties") or ()) - set(_META_FIELDS))
    if extra:
        yield causes.forbidden(
            f"{path}.properties[metadata]",
            "must not specify anything other than name and generateName",
        )
    yield from _structural(schema, path, top=True)
    yield from crd_cel_rules.check(schema, path)


def _structural(schema: Object, path: str, top: bool = False) -> Iterator[Cause]:
    """A node of a structural schema: it names its type, and says once what lies below."""
    free = schema.get("x-kubernetes-int-or-string") or schema.get(structural.PRESERVE)
    if not schema.get("type") and not free and not top:
        yield causes.required(f"{path}.type", "must not be empty for specified object fields")
    elif schema.get("type") and schema["type"] not in TYPES:
        yield causes.unsupported(f"{path}.type", schema["type"], TYPES)
    yield from _forbidden(schema, path)
    yield from _listed(schema, path)
    if wrong := list(_pattern(schema, path)):
        yield from wrong
    elif "default" in schema:
        yield from validation.check(
            {**schema, "default": None}, schema["default"], f"{path}.default"
        )
    for junctor in _JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _inside_junctor(part, f"{path}.{junctor}[{index}]", bool(free))
    if isinstance(schema.get("not"), dict):
        yield from _inside_junctor(schema["not"], f"{path}.not", bool(free))
    for below, where in _below(schema, path):
        yield from _structural(below, where)


def _pattern(schema: Object, path: str) -> Iterator[Cause]:
    """A pattern that cannot be read."""
    if schema.get("pattern"):
        try:
            patterns.compiled(schema["pattern"])
        except ValueError as error:
            yield causes.invalid(f"{path}.pattern", schema["pattern"], str(error))


def _below(schema: Object, path: str) -> Iterator[tuple[Object, str]]:
    for name, below in (schema.get("properties") or {}).items():
        yield below, f"{path}.properties[{name}]"
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield schema[key], f"{path}.{key}"


def _forbidden(schema: Object, path: str) -> Iterator[Cause]:
    if schema.get("properties") and schema.get("additionalProperties") not in (None, False):
        yield causes.forbidden(
            f"{path}.additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        )
    if schema.get("additionalProperties") is False:
        yield causes.forbidden(
            f"{path}.additionalProperties", "additionalProperties cannot be set to false"
        )
    if schema.get("uniqueItems"):
        yield causes.forbidden(
            f"{path}.uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    if isinstance(schema.get("items"), list):
        yield causes.forbidden(f"{path}.items", "items must be a schema object and not an array")
    for key in (
        "$ref",
        "definitions",
        "dependencies",
        "patternProperties",
        "additionalItems",
        "id",
    ):
        if schema.get(key):
            yield causes.forbidden(f"{path}.{key}", f"{key} is not supported")


def _listed(schema: Object, path: str) -> Iterator[Cause]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if kind is not None and schema.get("type") != "array":
        yield causes.invalid(
            f"{path}.type",
            schema.get("type", ""),
            "must be array if x-kubernetes-list-type is specified",
        )
    if kind not in (None, "atomic", "set", "map"):
        yield causes.unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
    if kind == "map" and not keys:
        yield causes.required(
            f"{path}.x-kubernetes-list-map-keys",
            "must not be empty if x-kubernetes-list-type is map",
        )
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield causes.required(f"{path}.items", "must be specified")
    item = schema.get("items") if isinstance(schema.get("items"), dict) else {}
    for index, key in enumerate(keys):
        below = ((item or {}).get("properties") or {}).get(key)
        if below is None:
            yield causes.invalid(
                f"{path}.x-kubernetes-list-map-keys[{index}]",
                key,
                "entries must all be names of item properties",
            )
        elif key not in (item or {}).get("required", ()) and "default" not in below:
            yield causes.required(
                f"{path}.items.properties[{key}].default",
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            )


def _inside_junctor(schema: Object, path: str, free: bool) -> Iterator[Cause]:
    for key in _ONLY_OUTSIDE:
        if key == "type" and free:
            continue
        if schema.get(key):
            yield causes.forbidden(f"{path}.{key}", "must be empty to be structural")
    yield from _pattern(schema, path)
    for below, where in _below(schema, path):
        yield from _inside_junctor(below, where, free)
