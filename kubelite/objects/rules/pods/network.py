"""Rules about the network of a pod: names, resolver, the machine's namespaces. Documents in, causes
out. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    each_invalid,
    forbidden,
    invalid,
    required,
    too_long,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_TEXT = 2048
MAX_HOSTNAME = 64


def dns_config(config: Object | None, policy: str, path: Path) -> Iterator[Cause]:
    """``spec.dnsConfig``; the limits are those of the resolver in the C library."""
    if policy == "None" and config is None:
        yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if policy == "None" and not servers:
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required((*path, "nameservers"), why)
        return
    if len(servers) > MAX_NAMESERVERS:
        why = f"must not have more than {MAX_NAMESERVERS} nameservers"
        yield invalid((*path, "nameservers"), servers, why)
    for index, server in enumerate(servers):
        yield from each_invalid((*path, "nameservers", index), server, names.ip_address(server))
    yield from _searches(searches, (*path, "searches"))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required((*path, "options", index), "must not be empty")


def _searches(searches: Sequence[str], path: Path) -> Iterator[Cause]:
    if len(searches) > MAX_SEARCHES:
        yield invalid(path, searches, f"must not have more than {MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > MAX_SEARCH_TEXT:
        why = (
            f"must not have more than {MAX_SEARCH_TEXT} characters (including spaces) in the "
            "search list"
        )
        yield invalid(path, searches, why)
    for index, search in enumerate(searches):
        if search != ".":
            domain = search.removesuffix(".")
            clauses = names.subdomain_with_underscore(domain)
            yield from each_invalid((*path, index), domain, clauses)


def host_aliases(aliases: Sequence[Object], path: Path) -> Iterator[Cause]:
    """Lines of ``/etc/hosts``."""
    for index, alias in enumerate(aliases):
        address = alias.get("ip", "")
        yield from each_invalid((*path, index, "ip"), address, names.ip_address(address))
        for number, host in enumerate(alias.get("hostnames") or ()):
            here = (*path, index, "hostnames", number)
            yield from each_invalid(here, host, names.subdomain(host))


def host_ports(spec: Object, path: Path, *, in_pod: bool) -> Iterator[Cause]:
    """In the machine's network a port of the container is a port of the machine. A template may
    leave the second one out, a pod has it by default.
    """
    if not spec.get("hostNetwork"):
        return
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort", 0)
            if (in_pod or host_port) and host_port != port.get("containerPort", 0):
                here = (*path, "containers", index, "ports", number, "hostPort")
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(here, host_port, why)


def host_users(
    spec: Object, containers: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    """With users of its own a pod cannot be in namespaces of the machine."""
    if spec.get("hostUsers", True):
        return
    why = "when `hostUsers` is false"
    # Field names in capitals as Kubernetes writes them.
    for field, shown in (
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ):
        if spec.get(field):
            yield forbidden((*path, shown), why)
    for container, here in containers:
        if container.get("volumeDevices"):
            yield forbidden((*here, "volumeDevices"), why)


def hostname_override(spec: Object, path: Path) -> Iterator[Cause]:
    """``spec.hostnameOverride``, the name inside whatever the pod is called."""
    name = spec.get("hostnameOverride")
    here = (*path, "hostnameOverride")
    if name is None:
        return
    for field in ("setHostnameAsFQDN", "hostNetwork"):
        if spec.get(field):
            yield forbidden(here, f"may not be specified when {field} is true")
    if len(name) > MAX_HOSTNAME:
        yield too_long(here, MAX_HOSTNAME)
    yield from each_invalid(here, name, names.subdomain(name))
