"""Rules that follow from the operating system of a pod. Documents in, causes out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    forbidden,
    forbidden_fields,
    not_supported,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPERATING_SYSTEMS = ("linux", "windows")
_NOT_ON_LINUX = "windows options cannot be set for a linux pod"
_NOT_ON_WINDOWS = "cannot be set for a windows pod"


def operating_system(
    spec: Object, containers: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    """``spec.os`` and the fields that the other system has."""
    if spec.get("os") is None:
        return
    name = spec["os"].get("name", "")
    if not name:
        yield required((*path, "os", "name"))
    elif name not in OPERATING_SYSTEMS:
        yield not_supported((*path, "os"), name, OPERATING_SYSTEMS)
    elif name == "linux":
        yield from _linux(spec, containers, path)
    else:
        yield from _windows(spec, containers, path)


def _linux(spec: Object, containers: Sequence[tuple[Object, Path]], path: Path) -> Iterator[Cause]:
    for holder, here in ((spec, path), *containers):
        if "windowsOptions" in (holder.get("securityContext") or {}):
            yield forbidden((*here, "securityContext", "windowsOptions"), _NOT_ON_LINUX)


def _windows(
    spec: Object, containers: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    yield from _windows_pod(spec, path)
    fields = (
        "appArmorProfile seLinuxOptions seccompProfile capabilities readOnlyRootFilesystem "
        "privileged allowPrivilegeEscalation procMount runAsUser runAsGroup"
    ).split()
    for container, here in containers:
        context = container.get("securityContext") or {}
        yield from forbidden_fields(context, (*here, "securityContext"), fields, _NOT_ON_WINDOWS)


def _windows_pod(spec: Object, path: Path) -> Iterator[Cause]:
    context, here = spec.get("securityContext") or {}, (*path, "securityContext")
    fields: tuple[str, ...] = ("appArmorProfile", "seLinuxOptions")
    yield from forbidden_fields(context, here, fields, _NOT_ON_WINDOWS)
    yield from forbidden_fields(spec, path, ("hostUsers",), _NOT_ON_WINDOWS)
    for field in ("hostPID", "hostIPC"):
        if spec.get(field):
            yield forbidden((*path, field), _NOT_ON_WINDOWS)
    fields = ("seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls")
    yield from forbidden_fields(context, here, fields, _NOT_ON_WINDOWS)
    yield from forbidden_fields(spec, path, ("shareProcessNamespace",), _NOT_ON_WINDOWS)
    fields = (
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    )
    yield from forbidden_fields(context, here, fields, _NOT_ON_WINDOWS)
