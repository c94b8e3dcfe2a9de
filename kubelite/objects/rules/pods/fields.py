"""Rules about references to a pod's own fields and resources: of variables and of the files of a
downwardAPI volume. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity
from kubelite.objects.rules.cause import Cause, Path, each_invalid, invalid, not_supported, required
from kubelite.objects.rules.pods.paths import file_mode, inside_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VARIABLE_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_CONVERTIBLE = frozenset((*VARIABLE_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "status.phase"))
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_FIELDS = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", *(f"1{s}" for s in "kMGTPE"), *(f"1{s}i" for s in "KMGTPE"))
_DIVISORS = {
    "cpu": (("1m", "1"), "cpu"),
    "memory": (_BYTE_DIVISORS, "memory"),
    "ephemeral-storage": (_BYTE_DIVISORS, "local ephemeral storage"),
}


def object_field(reference: Object, allowed: Sequence[str], path: Path) -> Iterator[Cause]:
    """A ``fieldRef``; ``allowed`` are the fields that may be referred to as a whole."""
    field = reference.get("fieldPath", "")
    here = (*path, "fieldPath")
    version = reference.get("apiVersion", "")
    if not version:
        yield required((*path, "apiVersion"))
        return
    if not field:
        yield required(here)
        return
    base, subscript = _split(field)
    if subscript is not None and base in _SUBSCRIPTED:
        key = subscript.lower() if base == "metadata.annotations" else subscript
        yield from each_invalid(path, subscript, names.qualified(key))
    elif version != "v1":
        why = f"unsupported pod version: {version}"
        yield invalid(here, field, f"error converting fieldPath: {why}")
    elif base not in _CONVERTIBLE or (subscript is not None):
        why = f"error converting fieldPath: field label not supported: {field}"
        if subscript is not None and base in _CONVERTIBLE:
            why = f"error converting fieldPath: field label does not support subscript: {field}"
        yield invalid(here, field, why)
    elif field not in allowed:
        yield not_supported(here, field, allowed)


def _split(field: str) -> tuple[str, str | None]:
    """``metadata.labels['a']`` as ``metadata.labels`` and ``a``; None where there is no key."""
    base, bracket, rest = field.partition("['")
    if bracket and rest.endswith("']"):
        return base, rest[:-2]
    return field, None


def resource_field(reference: Object, path: Path, *, in_volume: bool) -> Iterator[Cause]:
    """A ``resourceFieldRef``; one of a volume names its container."""
    resource = reference.get("resource", "")
    if in_volume and not reference.get("containerName"):
        yield required((*path, "containerName"))
    elif not resource:
        yield required((*path, "resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE_FIELDS):
        yield not_supported((*path, "resource"), resource, RESOURCE_FIELDS)
    yield from _divisor(resource, str(reference.get("divisor", "0")), (*path, "divisor"))


def _divisor(resource: str, divisor: str, path: Path) -> Iterator[Cause]:
    if not quantity.parse(divisor).nano:
        return
    name = resource.partition(".")[2]
    allowed, title = _DIVISORS.get(name, ((), ""))
    if resource.startswith(_HUGE_FIELDS):
        allowed, title = _BYTE_DIVISORS, "hugepages"
    if allowed and quantity.canonical(divisor) not in allowed:
        listed = " and ".join(allowed) if title == "cpu" else ", ".join(allowed)
        why = f"only divisor's values {listed} are supported with the {title} resource"
        yield invalid(path, resource, why)


def downward_file(file: Object, path: Path) -> Iterator[Cause]:
    """A file of a downwardAPI volume. Causes name the volume, not the file."""
    if not file.get("path"):
        yield required((*path, "path"))
    yield from inside_volume(file.get("path", ""), (*path, "path"))
    field, resource = file.get("fieldRef"), file.get("resourceFieldRef")
    if field is not None:
        yield from object_field(field, VOLUME_FIELDS, (*path, "fieldRef"))
        if resource is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield invalid(path, "resource", why)
    elif resource is not None:
        yield from resource_field(resource, (*path, "resourceFieldRef"), in_volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from file_mode(file.get("mode"), (*path, "mode"))
