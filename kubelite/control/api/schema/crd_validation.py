"""Whether a CustomResourceDefinition can be served: names, versions, structural schemas. Pure.

Rules are apiextensions' for v1: every schema is structural, exactly one version is stored, and what
CEL would decide is refused where no library can evaluate it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import (
    crd_cel_rules,
    jsonpath,
    patterns,
    structural_schema,
    validation,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

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
    structural_schema.PRESERVE,
)
_APPROVAL = "api-approved.kubernetes.io"
_META_FIELDS = ("name", "generateName")


# What a schema may say at its root where the status is a subresource.
_ROOT_FIELDS = frozenset(
    (
        "description",
        "type",
        "format",
        "title",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "multipleOf",
        "required",
        "items",
        "properties",
        "externalDocs",
        "example",
        structural_schema.PRESERVE,
        "x-kubernetes-validations",
    )
)
_COLUMN_FORMATS = (
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
)
_RECOGNIZED = frozenset(
    "bsonobjectid byte cidr creditcard date datetime duration email hexcolor hostname ipv4 ipv6 "
    "isbn isbn10 isbn13 k8slongname k8sshortname mac password quantity rgbcolor ssn uri uuid uuid3 "
    "uuid4 uuid5".split()
)
"""Formats of texts, without their hyphens."""
_SELECTABLE_TYPES = ("boolean", "integer", "string")
_MAX_SELECTABLE = 8
_UNAPPROVED = "unapproved"
# Fields of versions that Kubernetes moves to the top where every version has the same, and where
# its causes then find them.
_MOVED = {
    "schema": "spec.validation",
    "subresources": "spec.subresources",
    "additionalPrinterColumns": "spec.additionalPrinterColumns",
    "selectableFields": "spec.selectableFields",
}


def check_crd(crd: Object) -> list[Cause]:
    """Everything that is wrong with a definition."""
    spec = crd.get("spec") or {}
    problems = [*_names(crd, spec)]
    versions = spec.get("versions") or []
    shared = {
        field
        for field in _MOVED
        if versions and _is_same(version.get(field) for version in versions)
    }
    for index, version in enumerate(versions):
        paths = {
            field: _MOVED[field] if field in shared else f"spec.versions[{index}].{field}"
            for field in _MOVED
        }
        skipped = shared if index else set()
        problems += _version(version, f"spec.versions[{index}]", paths, skipped)
    if spec.get("preserveUnknownFields"):
        why = "must be false: other values are not supported by v1"
        problems.append(causes.invalid("spec.preserveUnknownFields", True, why))
    return [*problems, *_versions(versions)]


def _is_same(values: Iterator[Any]) -> bool:
    first = next(values)
    return all(value == first for value in values)


def check_name(crd: Object) -> Iterator[Cause]:
    """The name of a new definition, which says what it defines."""
    spec = crd.get("spec") or {}
    expected = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    name = (crd.get("metadata") or {}).get("name", "")
    if name != expected:
        yield causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def check_stored_versions(crd: Object) -> Iterator[Cause]:
    """The versions that objects were ever stored in: each is one of the definition's."""
    path = "status.storedVersions"
    names_of = {version.get("name") for version in (crd.get("spec") or {}).get("versions") or ()}
    stored = (crd.get("status") or {}).get("storedVersions") or []
    if not stored:
        yield causes.invalid(path, None, "must have at least one stored version")
    for index, version in enumerate(stored):
        if version not in names_of:
            yield causes.invalid(f"{path}[{index}]", version, "must appear in spec.versions")


def _names(crd: Object, spec: Object) -> Iterator[Cause]:
    given, group = spec.get("names") or {}, spec.get("group", "")
    if not group:
        yield causes.required("spec.group")
    elif problems := names.subdomain(group):
        for problem in problems:
            yield causes.invalid("spec.group", group, problem)
    elif "." not in group:
        yield causes.invalid("spec.group", group, "should be a domain with at least one dot")
    yield from _approval(crd, group)
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
    for key in ("shortNames", "categories"):
        for index, text in enumerate(given.get(key) or ()):
            for why in names.label_1035(text):
                yield causes.invalid(f"spec.names.{key}[{index}]", text, why)
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        why = "kind and listKind may not be the same"
        yield causes.invalid("spec.names.listKind", given["listKind"], why)
    if not spec.get("scope"):
        yield causes.required("spec.scope")
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        yield causes.unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))


def _approval(crd: Object, group: str) -> Iterator[Cause]:
    """Groups of Kubernetes' own need a word from its reviewers."""
    if not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    approval, path = annotations.get(_APPROVAL, ""), f"metadata.annotations[{_APPROVAL}]"
    if not approval:
        why = f'protected groups must have approval annotation "{_APPROVAL}"'
        yield causes.required(path, why)
    elif not approval.startswith((_UNAPPROVED, "http://", "https://")):
        why = "protected groups must have approval annotation with either a URL or a reason"
        yield causes.invalid(path, approval, why)


def _kind(text: str) -> list[str]:
    problems = names.label_1035(text.lower())
    return [f"may have mixed case, but should otherwise match: {problem}" for problem in problems]


def _versions(versions: list[Object]) -> Iterator[Cause]:
    version_names = [version.get("name", "") for version in versions]
    if len(set(version_names)) < len(version_names):
        yield causes.invalid("spec.versions", version_names, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield causes.invalid("spec.versions", version_names, why)
    for why in names.label_1035(version_names[0]) if version_names else ():
        yield causes.invalid("spec.version", version_names[0], why)


def _version(
    version: Object, path: str, paths: dict[str, str], skipped: set[str]
) -> Iterator[Cause]:
    """One version. ``paths`` says where its parts are found, ``skipped`` which parts were looked at
    in the version before.
    """
    for why in names.label_1035(version.get("name", "")):
        yield causes.invalid(f"{path}.name", version.get("name", ""), why)
    warning = version.get("deprecationWarning")
    if warning is not None and not version.get("deprecated"):
        why = "can only be set for deprecated versions"
        yield causes.invalid(f"{path}.deprecationWarning", warning, why)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    subresources = version.get("subresources") or {}
    if schema is None:
        yield causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    elif "schema" not in skipped:
        where = f"{paths['schema']}.openAPIV3Schema"
        yield from _root(schema, where)
        unfit = set(schema) - _ROOT_FIELDS
        if subresources.get("status") is not None and unfit:
            why = "these fields are not allowed at the root if the status subresource is enabled"
            yield causes.invalid(where, ", ".join(sorted(unfit)), why)
    scale = subresources.get("scale")
    if scale is not None and "subresources" not in skipped:
        yield from _scale(scale, f"{paths['subresources']}.scale")
    if "additionalPrinterColumns" not in skipped:
        for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column(column, f"{paths['additionalPrinterColumns']}[{index}]")
    if "selectableFields" not in skipped:
        yield from _selectable(
            version.get("selectableFields") or [], schema, paths["selectableFields"]
        )


def _selectable(fields: list[Object], schema: Object | None, path: str) -> Iterator[Cause]:
    """Fields for field selectors: simple paths to texts, numbers and truth values."""
    if not fields:
        return
    if schema is None:
        yield causes.invalid(path, "", "may only be set when a structural schema is defined")
        return
    if len(fields) > _MAX_SELECTABLE:
        yield causes.too_many(path, len(fields), _MAX_SELECTABLE)
    paths_taken: set[str] = set()
    for index, field in enumerate(fields):
        where, text = f"{path}[{index}].jsonPath", field.get("jsonPath", "")
        if not text:
            yield causes.required(where)
            continue
        if text in paths_taken:
            yield causes.duplicate(where, text)
        paths_taken.add(text)
        if text.startswith(".metadata."):
            why = "must not point to fields in metadata"
            yield causes.invalid(where, text, why)
        elif _type_at(schema, text) not in _SELECTABLE_TYPES:
            why = (
                "must point to a field of type string, boolean or integer. Enum string fields and "
                "strings with formats are allowed."
            )
            yield causes.invalid(where, text, why)


def _type_at(schema: Object, text: str) -> str:
    """The type of the field that a path like ``.spec.color`` leads to; "" where it leads
    nowhere.
    """
    here: Any = schema
    if not text.startswith("."):
        return ""
    for step in text[1:].split("."):
        here = (here.get("properties") or {}).get(step)
        if not isinstance(here, dict):
            return ""
    return str(here.get("type", ""))


def _scale(scale: Object, path: str) -> Iterator[Cause]:
    for key, home in (
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
        ("labelSelectorPath", ".status."),
    ):
        given = scale.get(key, "")
        homes = (home, ".spec.") if key == "labelSelectorPath" else (home,)
        if not given and key != "labelSelectorPath":
            yield causes.required(f"{path}.{key}")
        elif given and not given.startswith(homes):
            yield causes.invalid(f"{path}.{key}", given, f"should be a json path under {home[:-1]}")


def _column(column: Object, path: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield causes.required(f"{path}.name")
    kind, form = column.get("type", ""), column.get("format", "")
    if not kind:
        yield causes.required(f"{path}.type", f"must be one of {','.join(COLUMN_TYPES)}")
    elif kind not in COLUMN_TYPES:
        why = f"must be one of {','.join(COLUMN_TYPES)}"
        yield causes.invalid(f"{path}.type", kind, why)
    if form and form not in _COLUMN_FORMATS:
        why = f"must be one of {','.join(_COLUMN_FORMATS)}"
        yield causes.invalid(f"{path}.format", form, why)
    yield from _path(column.get("jsonPath", ""), f"{path}.JSONPath")


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
    if schema.get("additionalProperties") not in (None, False):
        yield causes.forbidden(f"{path}.additionalProperties", "must not be used at the root")
    yield from crd_cel_rules.check(schema, path)


def unrecognized_formats(crd: Object) -> Iterator[str]:
    """The formats in the schemas of a definition that say nothing to a Kubernetes server; to it a
    format stands alone, so ``int32`` is among them (apiextensions, ``GetUnrecognizedFormats``).
    """
    for version in (crd.get("spec") or {}).get("versions") or ():
        yield from _unrecognized((version.get("schema") or {}).get("openAPIV3Schema") or {})


def _unrecognized(schema: Object) -> Iterator[str]:
    form = schema.get("format")
    if form and form.replace("-", "") not in _RECOGNIZED:
        yield form
    for key in ("items", "not", "additionalProperties"):
        if isinstance(below := schema.get(key), dict):
            yield from _unrecognized(below)
    for key in ("allOf", "anyOf", "oneOf"):
        for below in schema.get(key) or ():
            yield from _unrecognized(below)
    for below in (schema.get("properties") or {}).values():
        yield from _unrecognized(below)


def _structural(schema: Object, path: str, top: bool = False) -> Iterator[Cause]:
    """A node of a structural schema: it names its type, and says once what lies below."""
    free = schema.get("x-kubernetes-int-or-string") or schema.get(structural_schema.PRESERVE)
    if schema.get("type") and schema["type"] not in TYPES:
        yield causes.unsupported(f"{path}.type", schema["type"], TYPES)
    embedded = schema.get(structural_schema.EMBEDDED) and not schema.get(structural_schema.PRESERVE)
    if embedded and not schema.get("properties"):
        why = (
            f"must not be empty if {structural_schema.EMBEDDED} is true without "
            f"{structural_schema.PRESERVE}"
        )
        yield causes.required(f"{path}.properties", why)
    yield from _forbidden(schema, path)
    yield from _listed(schema, path)
    if wrong := list(_pattern(schema, path)):
        yield from wrong
    elif "default" in schema:
        yield from _default(schema, path, top)
    for junctor in _JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _inside_junctor(part, f"{path}.{junctor}[{index}]", bool(free))
    if isinstance(schema.get("not"), dict):
        yield from _inside_junctor(schema["not"], f"{path}.not", bool(free))
    if not schema.get("type") and not free and not top:
        yield causes.required(f"{path}.type", "must not be empty for specified object fields")
    for below, where in _below(schema, path):
        yield from _structural(below, where)


def _default(schema: Object, path: str, top: bool) -> Iterator[Cause]:
    """The default keeps to the schema; that of a whole object says which object it is."""
    given, where = schema["default"], f"{path}.default"
    if (top or schema.get(structural_schema.EMBEDDED)) and isinstance(given, dict):
        for field in ("apiVersion", "kind"):
            if not given.get(field):
                yield causes.required(f"{where}.{field}")
    yield from validation.check({**schema, "default": None}, given, where)


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
    yield from _unsupported(schema, path)


def _unsupported(schema: Object, path: str) -> Iterator[Cause]:
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
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be "
                "a required property",
            )


def _inside_junctor(schema: Object, path: str, free: bool) -> Iterator[Cause]:
    for key in _ONLY_OUTSIDE:
        if key == "type" and free:
            continue
        if schema.get(key):
            yield causes.forbidden(f"{path}.{key}", "must be empty to be structural")
    yield from _unsupported(schema, path)
    yield from _pattern(schema, path)
    for below, where in _below(schema, path):
        yield from _inside_junctor(below, where, free)
