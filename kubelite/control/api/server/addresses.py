"""Where the servers of a store are reached: addresses of the Service ``kubernetes``. Pure.

As with kube-apiserver each server keeps its own address there, and takes those away whose servers
have not been heard of. Clocks need not agree: whoever looks has seen a Lease change, or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.lib.json import Object

NAMESPACE, NAME = "default", "kubernetes"
ANNOTATION = "kubelite.io/api-server-address"
"""On a server's identity Lease: where it listens, as ADDRESS PORT."""
GONE_SECONDS = 25.0
"""A Lease is renewed every 10 s; after two times that were missed its server is gone."""


FIELDS = ("subsets", "endpoints", "ports")
"""What of the two objects follows from the addresses."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class Observed(NamedTuple):
    """The state of a Lease, and the time on the observer's clock when it was seen first."""

    renewed: str
    since: float


def annotation(address: Address) -> str:
    """An address as :data:`ANNOTATION` has it."""
    return f"{address.host} {address.port}"


def address_of(lease: Mapping[str, Any]) -> Address | None:
    """Where the server of an identity Lease listens; None where it does not say."""
    text = (lease["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    host, _, port = text.partition(" ")
    return Address(host, int(port)) if host and port.isdecimal() else None


def observe(
    observed: Mapping[Address, Observed],
    leases: Sequence[Mapping[str, Any]],
    announced: Sequence[Address],
    now: float,
) -> dict[Address, Observed]:
    """What is known of each server, after a look at all Leases. One that was never seen before is
    believed to be alive if its address is ``announced``: it may also be what a dead one has left.
    """
    known = {}
    for lease in leases:
        address, renewed = address_of(lease), (lease.get("spec") or {}).get("renewTime", "")
        if address is None:
            continue
        before = observed.get(address)
        if before is None:
            known[address] = Observed(renewed, now if address in announced else now - GONE_SECONDS)
        else:
            known[address] = before if before.renewed == renewed else Observed(renewed, now)
    return known


def alive(own: set[Address], observed: Mapping[Address, Observed], now: float) -> list[Address]:
    """The addresses to announce. All have one port, as the Service does: that of the first."""
    others = {address for address, last in observed.items() if now - last.since < GONE_SECONDS}
    addresses = sorted(own | others)
    return [address for address in addresses if address.port == addresses[0].port]


def announced(endpoints: Mapping[str, Any]) -> list[Address]:
    """The addresses in an Endpoints object."""
    return [
        Address(address["ip"], port["port"])
        for subset in endpoints.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]


def endpoints_object(addresses: Sequence[Address]) -> Object:
    """A new Endpoints object."""
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    members = [{"ip": address.host} for address in addresses]
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "subsets": [{"addresses": members, "ports": _ports(addresses)}],
    }


def slice_object(addresses: Sequence[Address]) -> Object:
    """A new EndpointSlice."""
    labels = {"kubernetes.io/service-name": NAME}
    members = [
        {"addresses": [address.host], "conditions": {"ready": True}} for address in addresses
    ]
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv6" if ":" in addresses[0].host else "IPv4",
        "endpoints": members,
        "ports": _ports(addresses),
    }


def _ports(addresses: Sequence[Address]) -> list[Object]:
    return [{"name": "https", "port": addresses[0].port, "protocol": "TCP"}]
