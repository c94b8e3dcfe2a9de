"""The Pod Security Standards: what a pod of level ``baseline`` or ``restricted`` must not or must
say. Pure.

Checks, words and the versions in which checks came are those of
``k8s.io/pod-security-admission/policy``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LATEST = 36
LEVELS = ("privileged", "baseline", "restricted")
_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced": 0, "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.tcp_syncookies": 0, "net.ipv4.ping_group_range": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29, "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29, "net.ipv4.tcp_rmem": 32, "net.ipv4.tcp_wmem": 32,
}  # fmt: skip
_SELINUX_TYPES = {
    "": 0,
    "container_t": 0,
    "container_init_t": 0,
    "container_kvm_t": 0,
    "container_engine_t": 31,
}
_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "image",
)


def minor_of(version: str) -> int | None:
    """The minor number of ``v1.29``, or of ``latest``; None for what is no version."""
    match = re.fullmatch(r"v1\.(0|[1-9][0-9]{0,3})", version)
    return LATEST if version == "latest" else int(match[1]) if match else None


def violations(level: str, metadata: Object, spec: Object, version: str = "latest") -> list[str]:
    """What breaks a level as a version of Kubernetes has it, each as ``what (where)``."""
    minor = minor_of(version)
    minor = LATEST if minor is None else min(minor, LATEST)
    windows = minor >= 25 and (spec.get("os") or {}).get("name") == "windows"
    checks = (
        _BASELINE
        if level == "baseline"
        else (*_BASELINE, *_RESTRICTED)
        if level == "restricted"
        else ()
    )
    known = [check for check in checks if minor >= _SINCE.get(check, 0)]
    texts = [text for check in known if (text := check(metadata, spec, minor))]
    return [text for text in texts if not (windows and text.startswith(_LINUX_ONLY))]


_LINUX_ONLY = ("allowPrivilegeEscalation", "unrestricted capabilities", "seccompProfile")


def _containers(spec: Object) -> list[Object]:
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container for kind in kinds for container in spec.get(kind) or ()]


def _context(thing: Object) -> Object:
    context: Object = thing.get("securityContext") or {}
    return context


def _named(names: Iterable[str], verb: str = "") -> str:
    quoted = [f'"{name}"' for name in dict.fromkeys(names)]
    return f"container{'s' if len(quoted) > 1 else ''} {', '.join(quoted)}{verb}"


def _bad(spec: Object, wrong: Callable[[Object], bool]) -> list[str]:
    return [container["name"] for container in _containers(spec) if wrong(container)]


def _host_process(_: Object, spec: Object, __: int) -> str:
    def wrong(thing: Object) -> bool:
        return bool((_context(thing).get("windowsOptions") or {}).get("hostProcess"))

    names = _bad(spec, wrong)
    where = [_named(names)] if names else []
    where = ["pod", *where] if wrong(spec) else where
    return (
        f"hostProcess ({' and '.join(where)} must not set "
        "securityContext.windowsOptions.hostProcess=true)"
        if where
        else ""
    )


def _host_namespaces(_: Object, spec: Object, __: int) -> str:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return f"host namespaces ({', '.join(shared)})" if shared else ""


def _privileged(_: Object, spec: Object, __: int) -> str:
    names = _bad(spec, lambda container: bool(_context(container).get("privileged")))
    return (
        f"privileged ({_named(names)} must not set securityContext.privileged=true)"
        if names
        else ""
    )


def _added(container: Object) -> list[str]:
    return list((_context(container).get("capabilities") or {}).get("add") or ())


def _capabilities(_: Object, spec: Object, __: int) -> str:
    names = _bad(spec, lambda container: bool(set(_added(container)) - _CAPABILITIES))
    wrong = sorted(
        {cap for container in _containers(spec) for cap in _added(container)} - _CAPABILITIES
    )
    listed = ", ".join(f'"{cap}"' for cap in wrong)
    where = f"{_named(names)} must not include {listed} in securityContext.capabilities.add"
    return f"non-default capabilities ({where})" if wrong else ""


def _host_path(_: Object, spec: Object, __: int) -> str:
    names = [f'"{volume["name"]}"' for volume in spec.get("volumes") or () if "hostPath" in volume]
    return (
        f"hostPath volumes (volume{'s' if len(names) > 1 else ''} {', '.join(names)})"
        if names
        else ""
    )


def _host_ports(_: Object, spec: Object, __: int) -> str:
    used = {
        container["name"]: [
            port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")
        ]
        for container in _containers(spec)
    }
    names = [name for name, ports in used.items() if ports]
    ports = sorted({str(port) for port_list in used.values() for port in port_list})
    uses = "use" if len(names) > 1 else "uses"
    plural = "s" if len(ports) > 1 else ""
    return f"hostPort ({_named(names)} {uses} hostPort{plural} {', '.join(ports)})" if names else ""


def _app_armor(metadata: Object, spec: Object, _: int) -> str:
    prefix = "container.apparmor.security.beta.kubernetes.io/"
    wrong = [
        f'{key}="{value}"'
        for key, value in sorted((metadata.get("annotations") or {}).items())
        if key.startswith(prefix)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    ]
    unconfined = [
        holder
        for holder in (spec, *_containers(spec))
        if (_context(holder).get("appArmorProfile") or {}).get("type") == "Unconfined"
    ]
    wrongs = [*wrong, *(["type Unconfined"] if unconfined else [])]
    return (
        f"forbidden AppArmor profile{'s' if len(wrongs) > 1 else ''} ({', '.join(wrongs)})"
        if wrongs
        else ""
    )


def _selinux(_: Object, spec: Object, minor: int) -> str:
    wrong: list[str] = []
    for holder in (spec, *_containers(spec)):
        options = _context(holder).get("seLinuxOptions") or {}
        if minor < _SELINUX_TYPES.get(options.get("type", ""), LATEST + 1):
            wrong.append(f'type "{options["type"]}"')
        wrong += [f"{field} may not be set" for field in ("user", "role") if options.get(field)]
    return f"seLinuxOptions ({'; '.join(dict.fromkeys(wrong))})" if wrong else ""


def _proc_mount(_: Object, spec: Object, __: int) -> str:
    names = _bad(
        spec,
        lambda container: _context(container).get("procMount", "Default") not in ("", "Default"),
    )
    return (
        f'procMount ({_named(names)} must not set securityContext.procMount to "Unmasked")'
        if names
        else ""
    )


def _seccomp_kind(thing: Object) -> str | None:
    profile = _context(thing).get("seccompProfile")
    return None if profile is None else str(profile.get("type", ""))


def _seccomp(_: Object, spec: Object, __: int) -> str:
    names = _bad(spec, lambda container: _seccomp_kind(container) == "Unconfined")
    where = ["pod"] if _seccomp_kind(spec) == "Unconfined" else []
    where += [_named(names)] if names else []
    text = f'{" and ".join(where)} must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"seccompProfile ({text})" if where else ""


def _sysctls(_: Object, spec: Object, minor: int) -> str:
    wrong = [
        sysctl["name"]
        for sysctl in _context(spec).get("sysctls") or ()
        if minor < _SYSCTLS.get(sysctl["name"], LATEST + 1)
    ]
    return f"forbidden sysctls ({', '.join(wrong)})" if wrong else ""


def _hosts(container: Object) -> list[str]:
    """The hosts that the probes and hooks of a container turn to."""
    lifecycle = container.get("lifecycle") or {}
    handlers = [
        container.get(probe) or {} for probe in ("livenessProbe", "readinessProbe", "startupProbe")
    ]
    handlers += [lifecycle.get(hook) or {} for hook in ("postStart", "preStop")]
    return [
        host
        for handler in handlers
        for kind in ("httpGet", "tcpSocket")
        if (host := (handler.get(kind) or {}).get("host"))
    ]


def _probe_hosts(_: Object, spec: Object, __: int) -> str:
    names = sorted(_bad(spec, lambda container: bool(_hosts(container))))
    hosts = sorted({f'"{host}"' for container in _containers(spec) for host in _hosts(container)})
    use, plural = "use" if len(names) > 1 else "uses", "s" if len(hosts) > 1 else ""
    return (
        f"probe or lifecycle host ({_named(names)} {use} probe or lifecycle host{plural} "
        f"{', '.join(hosts)})"
        if names
        else ""
    )


_BASELINE = (
    _host_process, _host_namespaces, _privileged, _capabilities, _host_path, _host_ports,
    _app_armor, _selinux, _proc_mount, _seccomp, _sysctls, _probe_hosts,
)  # fmt: skip


def _volume_kinds(_: Object, spec: Object, __: int) -> str:
    wrong = {
        volume["name"]: kind
        for volume in spec.get("volumes") or ()
        for kind in volume
        if kind != "name" and kind not in _VOLUMES
    }
    names, kinds = [f'"{name}"' for name in wrong], sorted({f'"{kind}"' for kind in wrong.values()})
    plural, use = ("s", "use") if len(names) > 1 else ("", "uses")
    text = (
        f"volume{plural} {', '.join(names)} {use} restricted volume "
        f"type{'s' if len(kinds) > 1 else ''} {', '.join(kinds)}"
    )
    return f"restricted volume types ({text})" if wrong else ""


def _escalation(_: Object, spec: Object, __: int) -> str:
    names = _bad(
        spec, lambda container: _context(container).get("allowPrivilegeEscalation") is not False
    )
    where = f"{_named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({where})" if names else ""


def _dropped(_: Object, spec: Object, __: int) -> str:
    def keeps(container: Object) -> bool:
        return "ALL" not in ((_context(container).get("capabilities") or {}).get("drop") or ())

    clauses: list[str] = []
    if names := _bad(spec, keeps):
        clauses.append(f'{_named(names)} must set securityContext.capabilities.drop=["ALL"]')
    adds = _bad(spec, lambda container: bool(set(_added(container)) - {"NET_BIND_SERVICE"}))
    if adds:
        listed = ", ".join(
            sorted(
                {f'"{cap}"' for container in _containers(spec) for cap in _added(container)}
                - {'"NET_BIND_SERVICE"'}
            )
        )
        clauses.append(
            f"{_named(adds)} must not include {listed} in securityContext.capabilities.add"
        )
    return f"unrestricted capabilities ({'; '.join(clauses)})" if clauses else ""


def _non_root(_: Object, spec: Object, __: int) -> str:
    everywhere = _context(spec).get("runAsNonRoot")
    refusing = _bad(spec, lambda container: _context(container).get("runAsNonRoot") is False)
    where = [*(["pod"] if everywhere is False else []), *([_named(refusing)] if refusing else [])]
    if where:
        return (
            f"runAsNonRoot != true ({' and '.join(where)} must not set "
            "securityContext.runAsNonRoot=false)"
        )
    silent = _bad(spec, lambda container: _context(container).get("runAsNonRoot") is None)
    if everywhere or not silent:
        return ""
    return (
        f"runAsNonRoot != true (pod or {_named(silent)} must set securityContext.runAsNonRoot=true)"
    )


def _user_zero(_: Object, spec: Object, __: int) -> str:
    names = _bad(spec, lambda container: _context(container).get("runAsUser") == 0)
    where = ["pod"] if _context(spec).get("runAsUser") == 0 else []
    where += [_named(names)] if names else []
    return f"runAsUser=0 ({' and '.join(where)} must not set runAsUser=0)" if where else ""


def _seccomp_set(_: Object, spec: Object, __: int) -> str:
    silent = _bad(spec, lambda container: _seccomp_kind(container) is None)
    if _seccomp_kind(spec) in ("RuntimeDefault", "Localhost") or not silent:
        return ""
    kinds = '"RuntimeDefault" or "Localhost"'
    return (
        f"seccompProfile (pod or {_named(silent)} must set securityContext.seccompProfile.type to "
        f"{kinds})"
    )


_RESTRICTED = (_volume_kinds, _escalation, _dropped, _non_root, _user_zero, _seccomp_set)
_SINCE: dict[Callable[[Object, Object, int], str], int] = {
    _escalation: 8, _seccomp_set: 19, _dropped: 22, _user_zero: 23, _probe_hosts: 34,
}  # fmt: skip
