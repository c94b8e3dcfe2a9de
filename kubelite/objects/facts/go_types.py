"""The Go structs behind the API's types: what messages of an API server name or print. Pure.

The generated ``go_table`` has a struct a line, its fields in Go's order:
``NAME[=JSON][*][~][:TYPE]``. JSON is the name in documents where it is not NAME in another case;
``*`` a pointer; ``~`` a struct whose fields lie in its parent; TYPE how Go prints the field's type,
where it has a name of its own. Everything else about a field is in ``schema``.

Validation in Kubernetes looks at *internal* structs, which have no JSON names: a message that shows
one prints Go's names, and every field. They are those of the table but for what :data:`_INTERNAL`
says.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"(\w+)(?:=([^*~:]+))?(\*?)(~?)(?::(.+))?")
_ZEROS = {"s": "", "b": False, "i": 0, "l": 0, "d": 0, "intstr.IntOrString": 0}
_SCALARS = {
    "s": "string",
    "b": "bool",
    "i": "int32",
    "l": "int64",
    "d": "float64",
    "y": "[]uint8",
    "o": "map",
    "*": "any",
}
# Fields that the internal struct has in another order, or in the struct of another field.
_INTERNAL = {
    "core.v1.PodSpec": (
        "Volumes InitContainers Containers EphemeralContainers RestartPolicy "
        "TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy NodeSelector "
        "ServiceAccountName AutomountServiceAccountToken NodeName SecurityContext "
        "ImagePullSecrets Hostname Subdomain SetHostnameAsFQDN Affinity SchedulerName Tolerations "
        "HostAliases PriorityClassName Priority PreemptionPolicy DNSConfig ReadinessGates "
        "RuntimeClassName Overhead EnableServiceLinks TopologySpreadConstraints OS "
        "SchedulingGates ResourceClaims Resources HostnameOverride SchedulingGroup"
    ),
    "core.v1.VolumeSource": (
        "HostPath EmptyDir GCEPersistentDisk AWSElasticBlockStore GitRepo Secret NFS ISCSI "
        "Glusterfs PersistentVolumeClaim RBD Quobyte FlexVolume Cinder CephFS Flocker DownwardAPI "
        "FC AzureFile ConfigMap VsphereVolume AzureDisk PhotonPersistentDisk Projected "
        "PortworxVolume ScaleIO StorageOS CSI Ephemeral Image"
    ),
    "core.v1.PersistentVolumeSource": (
        "GCEPersistentDisk AWSElasticBlockStore HostPath Glusterfs NFS RBD Quobyte ISCSI "
        "FlexVolume Cinder CephFS FC Flocker AzureFile VsphereVolume AzureDisk "
        "PhotonPersistentDisk PortworxVolume ScaleIO Local StorageOS CSI"
    ),
    "core.v1.PodSecurityContext": (
        "SELinuxOptions WindowsOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups "
        "SupplementalGroupsPolicy FSGroup FSGroupChangePolicy Sysctls SeccompProfile "
        "AppArmorProfile SELinuxChangePolicy"
    ),
}
_OF_THE_HOST = ("HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers")


class GoField(msgspec.Struct, frozen=True):
    """A field of a Go struct. ``type`` is empty where it has no name of its own."""

    name: str
    json: str
    pointer: bool
    embedded: bool
    type: str


@cache
def fields(definition: str) -> tuple[GoField, ...]:
    """A struct's fields by the short name of its definition; none for one that is not known."""
    known = {name.lower(): name for name in _types(definition)}
    matches = (_WORD.fullmatch(word) for word in _lines().get(definition, "").split())
    return tuple(
        GoField(
            match[1],
            match[2] or known.get(match[1].lower(), match[1]),
            bool(match[3]),
            bool(match[4]),
            match[5] or "",
        )
        for match in matches
        if match
    )


@cache
def _lines() -> dict[str, str]:
    from kubelite.objects.facts import go_table

    return {line.partition(" ")[0]: line.partition(" ")[2] for line in go_table.TABLE.splitlines()}


def _types(definition: str) -> dict[str, str]:
    """What lies in the structs of others has no definition of its own, but a message."""
    types = schema.types_of(definition)
    return types or {name: wire.type for name, wire in schema.order(definition).items()}


def steps(definition: str, json_name: str) -> tuple[str, ...]:
    """The names on the way to a field, as Go's decoder tells them: embedded structs included."""
    for field in fields(definition):
        if field.embedded:
            inner = _embedded(definition, field)
            if json_name in _types(inner) or steps(inner, json_name)[1:]:
                return (field.name, *steps(inner, json_name))
    return (json_name,)


def type_name(definition: str, json_name: str, kind: str) -> str:
    """How Go prints the type of a field whose type in the schema table is ``kind``."""
    for field in fields(definition):
        if field.embedded:
            inner = type_name(_embedded(definition, field), json_name, "")
            if inner:
                return inner
        elif field.json == json_name and field.type:
            return field.type
    return unnamed(kind)


def unnamed(kind: str) -> str:
    """How Go prints a type of the schema table that has no name of its own there."""
    if kind and kind[0] in "[{":
        return ("[]" if kind[0] == "[" else "map[string]") + unnamed(kind[1:])
    return _SCALARS.get(kind) or ".".join(kind.split(".")[-2:])


def internal(kind: str, value: Any) -> msgspec.Raw:
    """A value of the schema table's type ``kind`` as Go prints the internal struct of it."""
    return msgspec.Raw(_go_json(_internal(kind, value)))


def internal_field(document: dict[str, Any], path: str, value: Any) -> Any:
    """The same for the value of the field at ``path``, ``spec.template``, of a document; as it is
    where the document's kind is not known.
    """
    kind, pointer = schema.definition_of(document), True
    for name in path.split("."):
        field = next((field for field in fields(kind or "") if field.json == name), None)
        if kind is None or field is None:
            return value
        kind, pointer = schema.definition(kind).fields[name].type, field.pointer
    return value if kind is None or (pointer and value is None) else internal(kind, value)


def difference(kind: str, old: Any, new: Any) -> str:
    """A unified diff of two internal structs, a field a line."""
    import difflib  # only refusals need it

    differing = difflib.unified_diff(_lines_of(kind, old), _lines_of(kind, new), lineterm="")
    return "".join(f"{line}\n" for line in list(differing)[2:])


def _lines_of(kind: str, value: Any) -> list[str]:
    return msgspec.json.format(_go_json(_internal(kind, value)), indent=1).decode().splitlines()


def _go_json(value: Any) -> bytes:
    text = msgspec.json.encode(value)
    for character in b"<>&":
        text = text.replace(bytes([character]), b"\\u%04x" % character)
    return text


def _internal(kind: str, value: Any) -> Any:
    if kind[0] in "[{":
        if value is None:
            return None
        if kind[0] == "[":
            return [_internal(kind[1:], element) for element in value]
        return {key: _internal(kind[1:], value[key]) for key in sorted(value)}
    if kind in _ZEROS:
        return _ZEROS[kind] if value is None else value
    if kind.startswith("meta."):
        return value if isinstance(value, str) else dict(_with_json_names(kind, value or {}))
    if not fields(kind):
        return value
    return dict(_internal_fields(kind, value or {}))


def _internal_fields(kind: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    types = _types(kind)
    for field in _in_internal_order(kind):
        written = value.get(field.json)
        if field.json == "metadata":
            yield from _with_json_names("meta.v1.ObjectMeta", written or {})
        elif field.embedded:
            yield from _internal_fields(_embedded(kind, field), value)
        elif kind == "core.v1.PodSpec" and field.name == "SecurityContext":
            yield field.name, _pod_security(value)
        elif (field.pointer and written is None) or field.json not in types:
            yield field.name, None
        else:
            yield field.name, _internal(types[field.json], written)


def _with_json_names(kind: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What stands in a type that has no internal struct of its own, by its names in documents."""
    for name, field in schema.definition(kind).fields.items():
        if value.get(name):
            inner = field.item.startswith("meta.")
            yield name, _internal(field.type, value[name]) if inner else value[name]


def _pod_security(spec: dict[str, Any]) -> dict[str, Any] | None:
    """The internal security context holds what a document says beside it of the host."""
    host = {field.name: field for field in fields("core.v1.PodSpec") if field.name in _OF_THE_HOST}
    beside = {
        name: spec.get(host[name].json, None if host[name].pointer else False)
        for name in _OF_THE_HOST
    }
    context = spec.get("securityContext")
    if context is None and not any(beside.values()):
        return None
    return {**beside, **_internal("core.v1.PodSecurityContext", context or {})}


def _in_internal_order(kind: str) -> list[GoField]:
    if kind not in _INTERNAL:
        return list(fields(kind))
    by_name = {field.name: field for field in fields(kind)}
    return [by_name[name] for name in _INTERNAL[kind].split() if name in by_name]


def _embedded(definition: str, field: GoField) -> str:
    """The definition of an embedded struct, which lies in the package of its parent or in core."""
    home = definition.rpartition(".")[0]
    name = field.type.rpartition(".")[2]
    return f"{home}.{name}" if f"{home}.{name}" in _lines() else f"core.v1.{name}"
