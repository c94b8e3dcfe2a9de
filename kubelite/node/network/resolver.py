"""A pod's hostname, /etc/hosts and /etc/resolv.conf. Pure.

Rules and layouts are the kubelet's, the limits of ``dnsConfig`` those of the Pod API; the lines
mean what resolv.conf(5) says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.network.errors import NameTooLong

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Pod, PodSpec

MAX_HOSTNAME, MAX_LABEL = 64, 63
MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_LENGTH = 3, 32, 2048
CLUSTER_DOMAIN = "cluster.local"
_LOCAL = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost", "ip6-localhost", "ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("fe00::0", "ip6-mcastprefix"),
    ("fe00::1", "ip6-allnodes"),
    ("fe00::2", "ip6-allrouters"),
)


class HostFiles(NamedTuple):
    """Texts of the host: /etc/hosts, /etc/resolv.conf, and the resolv.conf with the servers that
    systemd-resolved uses, empty without it. ``cluster`` is the cluster's name server and domain.
    """

    hosts: str
    resolv: str
    upstream: str
    hostname: str
    cluster: tuple[str, str] = ("", CLUSTER_DOMAIN)


class Names(NamedTuple):
    """``hostname`` is the kernel's; ``short`` and ``domain`` are for the pod's line in
    /etc/hosts.
    """

    hostname: str
    short: str
    domain: str


class EtcFiles(NamedTuple):
    """The texts of a pod's three files, and warnings about what was left out of them."""

    hosts: str
    resolv: str
    hostname: str
    warnings: tuple[str, ...]


class Resolv(NamedTuple):
    """The lines of a resolv.conf that all resolvers understand."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def etc_files(pod: Pod, addresses: Sequence[str], host: HostFiles) -> EtcFiles:
    """The files of a pod. ``addresses`` are the pod's, unused on the host's network. Raises
    NameTooLong.
    """
    names = pod_names(pod, host.hostname)
    resolv, warnings = resolv_conf(pod.spec, host, pod.metadata.namespace or "default")
    aliases = [(alias.ip, *alias.hostnames) for alias in pod.spec.host_aliases or ()]
    on_host = pod.spec.host_network
    hosts = (
        host_network_hosts(host.hosts, aliases) if on_host else pod_hosts(addresses, names, aliases)
    )
    return EtcFiles(hosts, resolv, names.hostname + "\n", warnings)


# -- hostname ---


def pod_names(pod: Pod, node: str) -> Names:
    """The names of a pod; ``node`` is the host's name, which a pod on the host's network has too.
    Raises NameTooLong.
    """
    spec = pod.spec
    if spec.host_network:
        return Names(node, node, "")
    if spec.hostname_override:
        return Names(spec.hostname_override, spec.hostname_override, "")
    short = spec.hostname or pod.metadata.name or ""
    if len(short) > MAX_LABEL:
        short = short[:MAX_LABEL].rstrip("-.")
    namespace = pod.metadata.namespace or "default"
    domain = f"{spec.subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}" if spec.subdomain else ""
    if not spec.set_hostname_as_fqdn or not domain:
        return Names(short, short, domain)
    full = f"{short}.{domain}"
    if len(full) > MAX_HOSTNAME:
        raise NameTooLong(
            f'setHostnameAsFQDN: "{full}" has {len(full)} characters, '
            f"the kernel allows {MAX_HOSTNAME}",
            hint="use a shorter hostname, subdomain or namespace",
        )
    return Names(full, short, domain)


# -- /etc/hosts ---


def pod_hosts(addresses: Iterable[str], names: Names, aliases: Iterable[tuple[str, ...]]) -> str:
    """The hosts file of a pod with addresses of its own. An alias is an address and its names."""
    full = (f"{names.short}.{names.domain}",) if names.domain else ()
    lines = [
        "# Kubernetes-managed hosts file.",
        *_lines(_LOCAL),
        *_lines([(address, *full, names.short) for address in addresses]),
    ]
    return "\n".join(lines) + "\n" + _aliases(aliases)


def host_network_hosts(text: str, aliases: Iterable[tuple[str, ...]]) -> str:
    """The host's own hosts file, followed by the pod's aliases."""
    ending = "" if text.endswith("\n") or not text else "\n"
    return f"# Kubernetes-managed hosts file (host network).\n{text}{ending}" + _aliases(aliases)


def _lines(entries: Iterable[tuple[str, ...]]) -> list[str]:
    return ["\t".join(entry) for entry in entries]


def _aliases(aliases: Iterable[tuple[str, ...]]) -> str:
    lines = _lines(aliases)
    return "\n".join(["", "# Entries added by HostAliases.", *lines]) + "\n" if lines else ""


# -- /etc/resolv.conf ---


def resolv_conf(
    spec: PodSpec, host: HostFiles, namespace: str = "default"
) -> tuple[str, tuple[str, ...]]:
    """The resolv.conf of a pod, and warnings about what was left out of it.

    Without a cluster's name server ClusterFirst is Default, as in the kubelet; ``dnsConfig`` is
    merged into either.
    """
    base, warnings = _base_config(spec, host, namespace)
    merged = merge(base, _own_config(spec)) if spec.dns_config else base
    fitting, left_out = _truncate(merged)
    return _text(fitting), (*warnings, *left_out)


def _base_config(spec: PodSpec, host: HostFiles, namespace: str) -> tuple[Resolv, tuple[str, ...]]:
    """What the pod's DNS policy means. The cluster's search domains come before the host's."""
    policy, on_host = spec.dns_policy or "ClusterFirst", bool(spec.host_network)
    if policy == "None":
        return Resolv(), ()
    server, domain = host.cluster
    wants_cluster = policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not on_host
    )
    if not server or not wants_cluster:
        return _host_resolv(host, on_host)
    searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
    own = parse(host.resolv).searches
    return Resolv((server,), (*searches, *(s for s in own if s != ".")), ("ndots:5",)), ()


def parse(text: str) -> Resolv:
    """The lines of a resolv.conf: name servers in order, the last search list, all options."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.split("\n"):
        word, *values = line.split("#")[0].split(";")[0].split() or [""]
        if word == "nameserver" and values:
            servers.append(values[0])
        elif word in ("search", "domain"):
            searches = tuple(values)
        elif word == "options":
            options += values
    return Resolv(tuple(servers), searches, tuple(options))


def merge(base: Resolv, own: Resolv) -> Resolv:
    """The pod's servers and searches behind the base's, each once; its options instead of the
    base's of that name.
    """
    names = {option.partition(":")[0]: option for option in (*base.options, *own.options)}
    return Resolv(
        tuple(dict.fromkeys((*base.servers, *own.servers))),
        tuple(dict.fromkeys((*base.searches, *own.searches))),
        tuple(names.values()),
    )


def _own_config(spec: PodSpec) -> Resolv:
    config = spec.dns_config
    if config is None:
        return Resolv()
    options = tuple(
        f"{option.name}:{option.value}" if option.value else option.name or ""
        for option in config.options or ()
    )
    return Resolv(tuple(config.nameservers or ()), tuple(config.searches or ()), options)


def _host_resolv(host: HostFiles, host_network: bool) -> tuple[Resolv, tuple[str, ...]]:
    """The servers of the host. Pods cannot reach those on its loopback: instead of a local stub
    resolver its upstream servers are used.
    """
    own = parse(host.resolv)
    if host_network or not any(map(is_loopback, own.servers)):
        return own, ()
    if host.upstream:
        return parse(host.upstream), ()
    reachable = tuple(server for server in own.servers if not is_loopback(server))
    if reachable:
        return own._replace(servers=reachable), ()
    warning = (
        f"the host's name server {own.servers[0]} cannot be reached from a pod: "
        "names resolve only with a dnsConfig"
    )
    return own._replace(servers=()), (warning,)


def is_loopback(server: str) -> bool:
    """Whether a name server is on the loopback interface."""
    return server.startswith("127.") or server.partition("%")[0] == "::1"


def _truncate(resolv: Resolv) -> tuple[Resolv, list[str]]:
    """At most three servers and 32 searches of 2048 characters together: the limits of the Pod API
    and of resolvers.
    """
    warnings = []
    servers, searches = resolv.servers[:MAX_SERVERS], resolv.searches[:MAX_SEARCHES]
    while searches and len(" ".join(searches)) > MAX_SEARCH_LENGTH:
        searches = searches[:-1]
    if servers != resolv.servers:
        warnings.append(
            f"resolv.conf: only the first {MAX_SERVERS} name servers are used: {' '.join(servers)}"
        )
    if searches != resolv.searches:
        warnings.append(f"resolv.conf: only the first {len(searches)} search domains are used")
    return resolv._replace(servers=servers, searches=searches), warnings


def _text(resolv: Resolv) -> str:
    lines = [f"nameserver {server}" for server in resolv.servers]
    if resolv.searches:
        lines.append(f"search {' '.join(resolv.searches)}")
    if resolv.options:
        lines.append(f"options {' '.join(resolv.options)}")
    return "".join(f"{line}\n" for line in lines)
