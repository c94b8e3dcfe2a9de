"""The names that expressions of admission and of custom definitions can use, and their types. Pure.

After ``k8s.io/apiserver``, ``admission/plugin/cel/compile.go`` and ``cel/common/schemas.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object
from kubelite.objects.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    object_of,
    optional_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_KIND = object_of(
    "kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING)
)
_RESOURCE = object_of(
    "kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING)
)
_USER = object_of(
    "kubernetes.UserInfo",
    {
        "username": STRING,
        "uid": STRING,
        "groups": list_of(STRING),
        "extra": map_of(STRING, list_of(STRING)),
    },
)
_REQUEST = object_of(
    "kubernetes.AdmissionRequest",
    {
        **dict.fromkeys(("kind", "requestKind"), _KIND),
        **dict.fromkeys(("resource", "requestResource"), _RESOURCE),
        **dict.fromkeys(
            ("subResource", "requestSubResource", "name", "namespace", "operation"), STRING
        ),
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
_METADATA = object_of(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("labels", "annotations"), map_of(STRING, STRING)),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), INT),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
        "finalizers": list_of(STRING),
    },
)
_NAMESPACE = object_of(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": object_of("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": object_of("kubernetes.NamespaceStatus", {"phase": STRING}),
    },
)
_CHECK = Type("kubernetes.authorization.ResourceCheck")
_AUTHORIZER = Type("kubernetes.authorization.Authorizer", (), {"requestResource": _CHECK}.get)
_SCALARS = {"string": STRING, "boolean": BOOL, "integer": INT, "number": DOUBLE}
_FORMATS = {
    "date": TIMESTAMP,
    "date-time": TIMESTAMP,
    "duration": DURATION,
    "byte": BYTES,
    "binary": BYTES,
}


def admission(
    *, has_params: bool, variables: dict[str, Type] | None = None, authorizer: bool = True
) -> dict[str, Type]:
    """What an expression about a write can name; ``variables`` of a policy only where it may."""
    found = {"object": DYN, "oldObject": DYN, "request": _REQUEST, "namespaceObject": _NAMESPACE}
    if has_params:
        found["params"] = DYN
    if authorizer:
        found["authorizer"] = _AUTHORIZER
    if variables is not None:
        found["variables"] = object_of("kubernetes.variables", variables)
    return found


def custom_rule(
    schema: Object, spelled: Callable[[str], str | None], *, optional: bool
) -> dict[str, Type]:
    """What a rule of a custom definition can name; ``spelled`` gives the name that a rule has for a
    property, and ``optional`` says that what was there before may be absent.
    """
    own = of_schema(schema, spelled)
    return {"self": own, "oldSelf": optional_of(own) if optional else own}


def of_schema(schema: Any, spelled: Callable[[str], str | None], name: str = "object") -> Type:
    """The type of the values of a structural schema; ``dyn`` where it leaves that open."""
    if not isinstance(schema, dict) or schema.get("x-kubernetes-int-or-string"):
        return DYN
    kind = schema.get("type", "")
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), STRING)
    if kind == "array":
        return list_of(of_schema(schema.get("items"), spelled, f"{name}.@idx"))
    if kind != "object":
        return _SCALARS.get(kind, DYN)
    rest, properties = schema.get("additionalProperties"), schema.get("properties") or {}
    if rest is not None and rest is not False:
        return map_of(STRING, of_schema(rest, spelled, f"{name}.@elem"))
    if not properties:
        return DYN
    fields = {
        spelling: of_schema(below, spelled, f"{name}.{key}")
        for key, below in properties.items()
        if (spelling := spelled(key)) is not None
    }
    return object_of(name, fields)
