"""What a name in the cluster's domain means. Pure.

The schema is Kubernetes' "DNS-Based Service Discovery" specification, version 1.1.0; where that
leaves a choice, CoreDNS' kubernetes plug-in decides (``pods insecure``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from kubelite.lib.json import Object

VERSION = "1.1.0"
REVERSE_4, REVERSE_6 = "in-addr.arpa", "ip6.arpa"


class Record(NamedTuple):
    """One resource record. ``data`` is an address, a name, a text, or (port, target) for SRV."""

    name: str
    type: str
    data: str | tuple[int, str]


class Answer(NamedTuple):
    """What the cluster's domain says: whether the name exists, and the records of the asked type.

    A name that exists without such records is answered NOERROR and empty (RFC 2308), so that a
    resolver does not give up a search that another type would have ended.
    """

    exists: bool
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


class Directory(Protocol):
    """The cluster's objects, as an informer has them."""

    @property
    def changes(self) -> int:
        """How often any object has changed: while it stays, so do all answers."""

    def service(self, namespace: str, name: str) -> Object | None:
        """A Service, or None."""

    def slices(self, namespace: str, name: str) -> Sequence[Object]:
        """The EndpointSlices of a Service."""

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a Namespace."""

    def service_at(self, address: str) -> Object | None:
        """The Service with this cluster IP, or None."""

    def endpoints_at(self, address: str) -> Sequence[tuple[Object, Object]]:
        """EndpointSlices with the endpoint in them that has this address."""


NOT_THERE = Answer(exists=False)
NOTHING_OF_THAT_TYPE = Answer(exists=True)


def resolve(name: str, record_type: str, domain: str, directory: Directory) -> Answer | None:
    """The answer to a question about ``name``, or None for a name outside the cluster.

    ``name`` is in lower case without the final dot, as is ``domain``.
    """
    if name.endswith((f".{REVERSE_4}", f".{REVERSE_6}")):
        return _reverse(name, record_type, domain, directory)
    if name == domain:
        return NOTHING_OF_THAT_TYPE
    if not name.endswith(f".{domain}"):
        return None
    labels = name.removesuffix(f".{domain}").split(".")
    match labels:
        case ["dns-version"]:
            return _of_type(record_type, [Record(name, "TXT", VERSION)])
        case ["svc"] | ["pod"]:
            return NOTHING_OF_THAT_TYPE
        case [namespace, "svc" | "pod"]:
            return NOTHING_OF_THAT_TYPE if directory.has_namespace(namespace) else NOT_THERE
        case [dashed, namespace, "pod"]:
            return _pod(name, dashed, namespace, record_type, directory)
        case [*front, service, namespace, "svc"]:
            return _service(name, front, (namespace, service), record_type, domain, directory)
    return NOT_THERE


def _pod(name: str, dashed: str, namespace: str, record_type: str, directory: Directory) -> Answer:
    if not directory.has_namespace(namespace):
        return NOT_THERE
    address = dashed.replace("-", ".") if dashed.count("-") == 3 else dashed.replace("-", ":")
    kind = _address_type(address)
    return _of_type(record_type, [Record(name, kind, address)]) if kind else NOT_THERE


def _service(
    name: str,
    front: list[str],
    key: tuple[str, str],
    record_type: str,
    domain: str,
    directory: Directory,
) -> Answer:
    service = directory.service(*key)
    if service is None:
        return NOT_THERE
    base = f"{key[1]}.{key[0]}.svc.{domain}"
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        if front:
            return NOT_THERE
        return Answer(True, (Record(name, "CNAME", spec["externalName"].rstrip(".")),))
    hosts = _hosts(spec, base, lambda: directory.slices(*key))
    match front:
        case []:
            return _plain(name, record_type, hosts)
        case [hostname]:
            wanted = f"{hostname}.{base}"
            return _plain(name, record_type, [host for host in hosts if host.name == wanted], True)
        case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
            return _srv(name, record_type, hosts, port[1:], protocol[1:])
    return NOT_THERE


class Host(NamedTuple):
    """One target of a Service: its cluster IP, or an endpoint of a headless one."""

    name: str
    address: str
    ports: tuple[tuple[str, str, int], ...]


def _hosts(spec: Object, base: str, slices: Callable[[], Sequence[Object]]) -> list[Host]:
    addresses = [address for address in spec.get("clusterIPs", ()) if address != "None"]
    if addresses:
        ports = tuple(
            (port.get("name", ""), port.get("protocol", "TCP").lower(), port["port"])
            for port in spec.get("ports", ())
        )
        return [Host(base, address, ports) for address in addresses]
    return [host for endpoint_slice in slices() for host in _endpoint_hosts(endpoint_slice, base)]


def _endpoint_hosts(endpoint_slice: Object, base: str) -> Iterable[Host]:
    ports = tuple(
        (port.get("name", ""), port.get("protocol", "TCP").lower(), port["port"])
        for port in endpoint_slice.get("ports") or ()
        if port.get("port")
    )
    for endpoint in endpoint_slice.get("endpoints") or ():
        if endpoint.get("conditions", {}).get("ready") is False:
            continue
        for address in endpoint["addresses"]:
            yield Host(f"{endpoint_label(endpoint, address)}.{base}", address, ports)


def endpoint_label(endpoint: Object, address: str) -> str:
    """The first label of an endpoint's name: its hostname, else the address with dashes."""
    return str(endpoint.get("hostname") or address.replace(".", "-").replace(":", "-"))


def _plain(name: str, record_type: str, hosts: Sequence[Host], is_host: bool = False) -> Answer:
    if not hosts and is_host:
        return NOT_THERE
    records = [Record(name, _address_type(host.address), host.address) for host in hosts]
    return _of_type(record_type, records)


def _srv(
    name: str, record_type: str, hosts: Sequence[Host], port_name: str, protocol: str
) -> Answer:
    targets = [
        (host, number)
        for host in hosts
        for label, spoken, number in host.ports
        if (label, spoken) == (port_name, protocol)
    ]
    if not targets:
        return NOT_THERE
    if record_type != "SRV":
        return NOTHING_OF_THAT_TYPE
    records = dict.fromkeys(Record(name, "SRV", (number, host.name)) for host, number in targets)
    addresses = dict.fromkeys(
        Record(host.name, _address_type(host.address), host.address) for host, _ in targets
    )
    return Answer(True, tuple(records), tuple(addresses))


def _reverse(name: str, record_type: str, domain: str, directory: Directory) -> Answer | None:
    address = reversed_address(name)
    if address is None:
        return None
    targets = _reverse_targets(address, domain, directory)
    if not targets:
        return None
    return _of_type(record_type, [Record(name, "PTR", target) for target in targets])


def _reverse_targets(address: str, domain: str, directory: Directory) -> list[str]:
    service = directory.service_at(address)
    if service is not None:
        meta = service["metadata"]
        return [f"{meta['name']}.{meta['namespace']}.svc.{domain}"]
    targets = []
    for endpoint_slice, endpoint in directory.endpoints_at(address):
        meta = endpoint_slice["metadata"]
        service_name = meta.get("labels", {}).get("kubernetes.io/service-name", "")
        label = endpoint_label(endpoint, address)
        targets.append(f"{label}.{service_name}.{meta['namespace']}.svc.{domain}")
    return targets


def reversed_address(name: str) -> str | None:
    """The address that a name below ``in-addr.arpa`` or ``ip6.arpa`` stands for, or None."""
    if name.endswith(f".{REVERSE_4}"):
        parts = name.removesuffix(f".{REVERSE_4}").split(".")[::-1]
        text = ".".join(parts)
    else:
        digits = "".join(name.removesuffix(f".{REVERSE_6}").split(".")[::-1])
        text = ":".join(digits[start : start + 4] for start in range(0, len(digits), 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _address_type(address: str) -> str:
    try:
        return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    except ValueError:
        return ""


def _of_type(record_type: str, records: Sequence[Record]) -> Answer:
    return Answer(True, tuple(r for r in records if record_type in (r.type, "ANY")))
