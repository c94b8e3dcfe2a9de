"""The names that expressions of admission and of custom definitions can use, and their types. Pure.

After ``k8s.io/apiserver``, ``admission/plugin/cel/compile.go`` and ``cel/common/schemas.go``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object
from kubelite.objects.cel import checker
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
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
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
_OF_TABLE = {
    "s": STRING,
    "b": BOOL,
    "i": INT,
    "l": INT,
    "d": DOUBLE,
    "y": BYTES,
    "resource.Quantity": STRING,
    "meta.v1.Time": TIMESTAMP,
    "meta.v1.MicroTime": TIMESTAMP,
}
_SCALARS = {"string": STRING, "boolean": BOOL, "integer": INT, "number": DOUBLE}
_FORMATS = {
    "date": TIMESTAMP,
    "date-time": TIMESTAMP,
    "duration": DURATION,
    "byte": BYTES,
    "binary": BYTES,
}


def admission(
    *,
    has_params: bool,
    variables: dict[str, Type] | None = None,
    authorizer: bool = True,
    about: Type = DYN,
) -> dict[str, Type]:
    """What an expression about a write of an object of the type ``about`` can name; ``variables``
    of a policy only where it may.
    """
    typed = {"request": _REQUEST, "namespaceObject": _NAMESPACE}
    typed |= {"object": about, "oldObject": about}
    if has_params:
        typed["params"] = DYN
    if authorizer:
        typed["authorizer"] = _AUTHORIZER
    if variables is not None:
        typed["variables"] = object_of("kubernetes.variables", variables)
    return typed


def policies_variables(spec: Mapping[str, Any], about: Type = DYN) -> Iterator[dict[str, Type]]:
    """The variables that are known before each variable of a policy, and last all of them."""
    known: dict[str, Type] = {}
    yield known
    for variable in spec.get("variables") or ():
        name = variable.get("name", "")
        if IDENTIFIER.fullmatch(name):
            around = admission(has_params=has_params(spec), variables=known, about=about)
            known = known | {name: checker.type_of(variable.get("expression", ""), around)}
        yield known


def policy(
    spec: Mapping[str, Any], *, authorizer: bool = True, about: Type = DYN
) -> dict[str, Type]:
    """What the expressions of a policy can name."""
    *_, known = policies_variables(spec, about)
    return admission(
        has_params=has_params(spec), variables=known, authorizer=authorizer, about=about
    )


def has_params(spec: Mapping[str, Any]) -> bool:
    """Whether a policy has parameters."""
    return spec.get("paramKind") is not None


def custom_rule(
    described: Object, spelled: Callable[[str], str | None], *, optional: bool
) -> dict[str, Type]:
    """What a rule of a custom definition can name; ``spelled`` gives the name that a rule has for a
    property, and ``optional`` says that what was there before may be absent.
    """
    own = of_schema(described, spelled)
    return {"self": own, "oldSelf": optional_of(own) if optional else own}


def of_schema(described: Any, spelled: Callable[[str], str | None], name: str = "object") -> Type:
    """The type of the values of a structural schema; ``dyn`` where it leaves that open."""
    if not isinstance(described, dict) or described.get("x-kubernetes-int-or-string"):
        return DYN
    kind = described.get("type", "")
    if kind == "string":
        return _FORMATS.get(described.get("format", ""), STRING)
    if kind == "array":
        return list_of(of_schema(described.get("items"), spelled, f"{name}.@idx"))
    if kind != "object":
        return _SCALARS.get(kind, DYN)
    rest, properties = described.get("additionalProperties"), described.get("properties") or {}
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


@cache
def of_definition(name: str) -> Type:
    """The type of a definition of the schema table (``core.v1.Pod``), whose fields are looked up
    when they are named; ``dyn`` for one that is left open.
    """
    if name[:1] in ("[", "{"):
        inside = of_definition(name[1:])
        return list_of(inside) if name[0] == "[" else map_of(STRING, inside)
    if name in _OF_TABLE:
        return _OF_TABLE[name]
    known = schema.types_of(name) if "." in name else {}
    if not known:
        return DYN

    def field(named: str) -> Type | None:
        return of_definition(known[named]) if named in known else None

    return Type(name, (), field)
