"""Rules about rights: security contexts of pods and containers, profiles, options of Windows.
Documents in, causes out. Pure.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    one_of,
    required,
    too_long,
)
from kubelite.objects.rules.pods.paths import relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_MAX_PROFILE = 4095
_MAX_SPECIFICATION = 64 * 1024
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_RULE = f"must have at most {names.MAX_SUBDOMAIN} characters and match regex ^{_SYSCTL}$"
_IPC_SYSCTLS = ("kernel.sem", "kernel.shm_rmid_forced")
_IPC_PREFIXES = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def pod_security(context: Object, spec: Object, path: Path) -> Iterator[Cause]:
    """``spec.securityContext``, with the fields of the spec that it depends on."""
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        yield from _id(context.get(field), (*path, field))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from _id(group, (*path, "supplementalGroups", index))
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid((*path, "shareProcessNamespace"), True, why)
    yield from _sysctls(context.get("sysctls") or (), spec, (*path, "sysctls"))
    policies = {
        "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
        "supplementalGroupsPolicy": ("Merge", "Strict"),
        "seLinuxChangePolicy": ("MountOption", "Recursive"),
    }
    yield from _policy(context, "fsGroupChangePolicy", policies, path)
    yield from seccomp(context.get("seccompProfile"), (*path, "seccompProfile"))
    yield from _windows(context.get("windowsOptions"), (*path, "windowsOptions"))
    yield from app_armor(context.get("appArmorProfile"), (*path, "appArmorProfile"))
    yield from _policy(context, "supplementalGroupsPolicy", policies, path)
    yield from _policy(context, "seLinuxChangePolicy", policies, path)


def _policy(
    context: Object, field: str, policies: Mapping[str, tuple[str, ...]], path: Path
) -> Iterator[Cause]:
    if context.get(field) is not None:
        yield from one_of((*path, field), context[field], policies[field])


def _id(number: int | None, path: Path) -> Iterator[Cause]:
    if number is not None:
        yield from each_invalid(path, number, names.user_or_group_id(number))


@cache
def _sysctl_expression() -> re.Pattern[str]:
    return re.compile(_SYSCTL)


def _sysctls(sysctls: Sequence[Object], spec: Object, path: Path) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        here, name = (*path, index, "name"), sysctl.get("name", "")
        if not name:
            yield required(here)
        elif len(name) > names.MAX_SUBDOMAIN or not _sysctl_expression().fullmatch(name):
            yield invalid(here, name, _SYSCTL_RULE)
        elif name in taken:
            yield duplicate(here, name)
        yield from _shared_with_host(name, spec, here)
        taken.add(name)


def _shared_with_host(name: str, spec: Object, path: Path) -> Iterator[Cause]:
    """A sysctl of a namespace that the pod shares with the machine would change the machine."""
    dotted = name.replace("/", ".")
    if spec.get("hostNetwork") and dotted.startswith("net."):
        yield invalid(path, name, "may not be specified when 'hostNetwork' is true")
    elif spec.get("hostIPC") and (dotted in _IPC_SYSCTLS or dotted.startswith(_IPC_PREFIXES)):
        yield invalid(path, name, "may not be specified when 'hostIPC' is true")


def container_security(context: Object, host_users: bool, path: Path) -> Iterator[Cause]:
    """``securityContext`` of a container."""
    for field in ("runAsUser", "runAsGroup"):
        yield from _id(context.get(field), (*path, field))
    proc_mount = context.get("procMount")
    if proc_mount is not None:
        yield from one_of((*path, "procMount"), proc_mount, ("Default", "Unmasked"))
        if host_users and proc_mount == "Unmasked":
            why = "`hostUsers` must be false to use `Unmasked`"
            yield invalid((*path, "procMount"), proc_mount, why)
    yield from seccomp(context.get("seccompProfile"), (*path, "seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        yield from _escalation(context, path)
    yield from _windows(context.get("windowsOptions"), (*path, "windowsOptions"))
    yield from app_armor(context.get("appArmorProfile"), (*path, "appArmorProfile"))


def _escalation(context: Object, path: Path) -> Iterator[Cause]:
    if context.get("privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid(path, context, why, "core.v1.SecurityContext")
    for capability in (context.get("capabilities") or {}).get("add") or ():
        if capability == "CAP_SYS_ADMIN":
            why = (
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                "CAP_SYS_ADMIN"
            )
            yield invalid(path, context, why, "core.v1.SecurityContext")


def seccomp(profile: Object | None, path: Path) -> Iterator[Cause]:
    """A seccomp profile; a file is named exactly where it is a local one."""
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        yield required((*path, "type"), "type is required when seccompProfile is set")
    else:
        yield from one_of((*path, "type"), kind, PROFILE_TYPES)
    here = (*path, "localhostProfile")
    if kind == "Localhost":
        if local is None:
            yield required(here, "must be set when seccomp type is Localhost")
        else:
            yield from relative(local, here)
    elif local is not None:
        yield invalid(
            here,
            profile,
            "can only be set when seccomp type is Localhost",
            "core.v1.SeccompProfile",
        )


def app_armor(profile: Object | None, path: Path) -> Iterator[Cause]:
    """An AppArmor profile; a name is given exactly where it is a local one."""
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    here = (*path, "localhostProfile")
    if not kind:
        yield required((*path, "type"), "type is required when appArmorProfile is set")
    elif kind == "Localhost":
        yield from _local_app_armor(local, here)
    elif kind not in PROFILE_TYPES:
        yield not_supported((*path, "type"), kind, PROFILE_TYPES)
    elif local is not None:
        yield invalid(here, local, "can only be set when AppArmor type is Localhost")


def _local_app_armor(name: str | None, path: Path) -> Iterator[Cause]:
    if not name:
        yield required(path, "must be set when AppArmor type is Localhost")
    elif name != name.strip():
        yield invalid(path, name, "must not be padded with whitespace")
    if len(name or "") > _MAX_PROFILE:
        yield too_long(path, _MAX_PROFILE)


def _windows(options: Object | None, path: Path) -> Iterator[Cause]:
    if options is None:
        return
    name = options.get("gmsaCredentialSpecName")
    if name is not None:
        yield from each_invalid((*path, "gmsaCredentialSpecName"), name, names.subdomain(name))
    specification, here = options.get("gmsaCredentialSpec"), (*path, "gmsaCredentialSpec")
    if specification == "":
        yield invalid(here, "", "gmsaCredentialSpec cannot be an empty string")
    elif specification is not None and len(specification) > _MAX_SPECIFICATION:
        yield invalid(here, specification, "gmsaCredentialSpec size must be under 64 KiB")
    if options.get("runAsUserName") is not None:
        for clause in _windows_user(options["runAsUserName"]):
            here = (*path, "runAsUserName")
            yield invalid(here, options["runAsUserName"], f"runAsUserName{clause}")


def _windows_user(name: str) -> Iterator[str]:
    """What is wrong with ``DOMAIN\\USER``, as the end of a sentence."""
    if not name:
        yield " cannot be an empty string"
        return
    if re.search(r"[\x00-\x1f\x7f]", name):
        yield " cannot contain control characters"
        return
    if name.count("\\") > 1:
        yield " cannot contain more than one backslash"
        return
    domain, backslash, user = name.rpartition("\\")
    if len(domain) >= 256:
        yield "'s Domain length must be under 256 characters"
    if backslash and not _is_windows_domain(domain):
        yield "'s Domain doesn't match the NetBios nor the DNS format"
    if not user:
        yield "'s User cannot be empty"
    elif len(user) > 104:
        yield "'s User length must not be longer than 104 characters"
    if re.fullmatch(r"[. ]+", user):
        yield "'s User cannot contain only periods or spaces"
    if re.search(r'["/\\:;|=,+*?<>@\[\]]', user):
        yield """'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]"""


def _is_windows_domain(domain: str) -> bool:
    label = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    netbios = r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}'
    return bool(re.fullmatch(netbios, domain) or re.fullmatch(rf"{label}(?:\.{label})*", domain))


def host_processes(
    spec: Object, containers: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    """Containers of Windows that are processes of the machine: all of them or none."""
    options = (spec.get("securityContext") or {}).get("windowsOptions") or {}
    of_pod = options.get("hostProcess")
    count = 0
    for container, here in containers:
        options = (container.get("securityContext") or {}).get("windowsOptions") or {}
        own = options.get("hostProcess")
        if own is not None and of_pod is not None and own != of_pod:
            why = (
                "pod hostProcess value must be identical if both are specified, was "
                f"{str(of_pod).lower()}"
            )
            field = (*here, "securityContext", "windowsOptions", "hostProcess")
            yield invalid(field, own, why)
        count += bool(of_pod if own is None else own)
    if count and count != len(containers):
        why = (
            "If pod contains any hostProcess containers then all containers must be "
            "HostProcess containers"
        )
        yield invalid(path, "", why)
    if count and not spec.get("hostNetwork"):
        why = "hostNetwork must be true if pod contains any hostProcess containers"
        yield invalid((*path, "hostNetwork"), False, why)
