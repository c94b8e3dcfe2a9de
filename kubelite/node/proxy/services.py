"""From Services and EndpointSlices to the ports this node serves, and where each leads. Pure.

Which endpoints are used follows kube-proxy: ready ones; where none is ready, those that still serve
while they terminate. A ``Local`` traffic policy keeps to endpoints on this node. Topology hints
count only when every ready endpoint has them and at least one fits this node (KEP 2433, KEP 4444).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubelite.lib.json import Object
from kubelite.node.network.families import IPV4, Family
from kubelite.objects.facts.load_balancers import announced_addresses, virtual_addresses

DEFAULT_AFFINITY_SECONDS = 10800


class Node(NamedTuple):
    """What the choice of endpoints depends on: this node's name and zone ("" if it has none)."""

    name: str
    zone: str = ""


class Endpoint(NamedTuple):
    """One place that a connection can lead to."""

    address: str
    port: int


class Frontend(NamedTuple):
    """One address and port of a Service, and the endpoints behind it.

    ``address`` is empty for a node port, which is served on every address of the node.
    ``masquerade`` hides the client's address, so that answers of endpoints on other nodes return
    through this one. ``drop_if_empty`` tells what happens without endpoints: silence (the Service
    has endpoints elsewhere, and policy Local keeps to this node) or a refusal. ``inside`` are the
    endpoints for callers on this node, where they are others: policy Local is about those outside.
    An address that ``is_announced`` belongs to this Service alone: a connection to a port of it
    that the Service does not have is refused.
    """

    address: str
    protocol: str
    port: int
    endpoints: tuple[Endpoint, ...]
    affinity_seconds: int = 0
    masquerade: bool = False
    drop_if_empty: bool = False
    source_ranges: tuple[str, ...] = ()
    inside: tuple[Endpoint, ...] = ()
    is_announced: bool = False


def frontends(
    service: Object, slices: Sequence[Object], node: Node, family: Family = IPV4
) -> list[Frontend]:
    """Every address and port of a Service in one family, with its endpoints as seen from ``node``.

    ``slices`` are the Service's EndpointSlices; those of the other family do not count. Headless
    and ExternalName Services have none: DNS alone serves them.
    """
    spec = service["spec"]
    addresses = [address for address in spec.get("clusterIPs", ()) if address != "None"]
    if spec.get("type") == "ExternalName" or not family.of(addresses):
        return []
    return [
        frontend
        for port in spec.get("ports", ())
        for frontend in _frontends_of_port(service, port, slices, node, family)
    ]


class Health(NamedTuple):
    """The port on which load balancers ask for a Service, and its ready endpoints on this node."""

    port: int
    endpoints: int


def health_check(service: Object, slices: Sequence[Object], node: Node) -> Health | None:
    """What load balancers are told about a Service, or None.

    Only LoadBalancer Services with external policy Local have one. Endpoints count in the Service's
    first family: those of a Service of both are in both.
    """
    port = service["spec"].get("healthCheckNodePort")
    if not port:
        return None
    first = next(iter(service["spec"].get("ipFamilies") or ()), IPV4.name)
    on_node = {
        address
        for endpoint_slice in slices
        if endpoint_slice.get("addressType") == first
        for endpoint in endpoint_slice.get("endpoints") or ()
        if endpoint.get("nodeName") == node.name and _is_ready(endpoint)
        for address in endpoint["addresses"]
    }
    return Health(port, len(on_node))


def _frontends_of_port(
    service: Object, port: Object, slices: Sequence[Object], node: Node, family: Family
) -> list[Frontend]:
    spec = service["spec"]
    behind = list(candidates(slices, port.get("name", ""), family))
    everywhere = choose(behind, node)
    on_node = choose([candidate for candidate in behind if candidate.node == node.name], None)
    internal = on_node if spec.get("internalTrafficPolicy") == "Local" else everywhere
    local_only = spec.get("externalTrafficPolicy") == "Local"
    external = on_node if local_only else everywhere
    shared = Frontend(
        "",
        port.get("protocol", "TCP").lower(),
        port["port"],
        external,
        affinity_seconds=_affinity_seconds(spec),
        masquerade=not local_only,
        drop_if_empty=bool(everywhere),
        inside=everywhere if external != everywhere else (),
    )
    cluster = shared._replace(endpoints=internal, masquerade=False, inside=())
    result = [cluster._replace(address=address) for address in family.of(spec["clusterIPs"])]
    external_addresses = family.of(spec.get("externalIPs") or ())
    result += [shared._replace(address=address) for address in external_addresses]
    ranges = tuple(family.of(spec.get("loadBalancerSourceRanges") or ()))
    announced = announced_addresses(service, node.name)
    for address in family.of(virtual_addresses(service)):
        is_announced = address in announced
        result.append(
            shared._replace(address=address, source_ranges=ranges, is_announced=is_announced)
        )
    if port.get("nodePort"):
        result.append(shared._replace(port=port["nodePort"]))
    return result


class Candidate(NamedTuple):
    """An endpoint with everything that decides whether it is used."""

    endpoint: Endpoint
    node: str
    is_ready: bool
    is_draining: bool
    hinted_nodes: frozenset[str]
    hinted_zones: frozenset[str]


def choose(behind: Sequence[Candidate], near: Node | None) -> tuple[Endpoint, ...]:
    """The endpoints to use, each once, in a stable order; hints count where ``near`` is given."""
    ready = [candidate for candidate in behind if candidate.is_ready]
    draining = [candidate for candidate in behind if candidate.is_draining]
    used = (_near(ready, near) if near else ready) or draining
    return tuple(sorted({candidate.endpoint for candidate in used}))


def _near(ready: Sequence[Candidate], node: Node) -> Sequence[Candidate]:
    if all(candidate.hinted_nodes for candidate in ready):
        same_node = [candidate for candidate in ready if node.name in candidate.hinted_nodes]
        if same_node:
            return same_node
    if node.zone and all(candidate.hinted_zones for candidate in ready):
        return [candidate for candidate in ready if node.zone in candidate.hinted_zones] or ready
    return ready


def candidates(
    slices: Iterable[Object], port_name: str, family: Family = IPV4
) -> Iterable[Candidate]:
    """The endpoints of the Service port of that name, in slices of one family."""
    for endpoint_slice in slices:
        if endpoint_slice.get("addressType") != family.name:
            continue
        number = _port_number(endpoint_slice, port_name)
        if number is None:
            continue
        for endpoint in endpoint_slice.get("endpoints") or ():
            hints = endpoint.get("hints") or {}
            yield Candidate(
                Endpoint(family.of(endpoint["addresses"])[0], number),
                endpoint.get("nodeName", ""),
                _is_ready(endpoint),
                _is_draining(endpoint),
                frozenset(hint["name"] for hint in hints.get("forNodes") or ()),
                frozenset(hint["name"] for hint in hints.get("forZones") or ()),
            )


def _port_number(endpoint_slice: Object, name: str) -> int | None:
    for port in endpoint_slice.get("ports") or ():
        if port.get("name", "") == name:
            number: int | None = port.get("port")
            return number
    return None


def _is_ready(endpoint: Object) -> bool:
    """An absent condition counts as true (discovery.k8s.io/v1, EndpointConditions)."""
    return endpoint.get("conditions", {}).get("ready") is not False


def _is_draining(endpoint: Object) -> bool:
    conditions = endpoint.get("conditions", {})
    return bool(conditions.get("serving") and conditions.get("terminating"))


def _affinity_seconds(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds", DEFAULT_AFFINITY_SECONDS))
