"""Which way leads to the pods of each other node. Pure.

On a link that both nodes have, packets go to the node as they are: a route by its address. Where a
router lies between, it knows nothing of pods, so packets travel in those of a VXLAN (RFC 7348) from
node to node.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from kubelite.node.network import ipam
from kubelite.node.network.ipam import Route

VXLAN_OVERHEAD = 50
"""Bytes of the outer IPv4, UDP and VXLAN headers and of the inner Ethernet header."""
VXLAN_PORT = 4789


class RoutingMode(enum.StrEnum):
    """How nodes may be reached: as suits each, or in one way only."""

    auto = "auto"
    direct = "direct"
    vxlan = "vxlan"


class Peer(NamedTuple):
    """Another node: its name, its IPv4 address, and its IPv6 link-local address on the link that
    has that one, "" where it tells none.
    """

    name: str
    address: str
    link_local: str = ""


class ClusterNodes(NamedTuple):
    """What the cluster says to a node: the range of its pods, its address between the nodes, the
    other nodes by the ranges of their pods, and the identifier of the VXLAN.
    """

    range: str = ""
    address: str = ""
    peers: Mapping[str, Peer] = {}
    vni: int = 0
    mode: RoutingMode = RoutingMode.auto


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The way to a node: by a link, or through the VXLAN where ``link`` is ""."""

    node: str
    address: str
    link: str = ""
    link_local: str = ""

    @property
    def kind(self) -> RoutingMode:
        """``direct`` or ``vxlan``."""
        return RoutingMode.direct if self.link else RoutingMode.vxlan


class Tunnel(msgspec.Struct, frozen=True, kw_only=True):
    """This node's end of the VXLAN: ``local`` is its address between the nodes, ``address`` the one
    that the interface has among pods.
    """

    vni: int
    local: str
    address: str
    mtu: int


def choose(nodes: ClusterNodes, routes: Iterable[Route]) -> tuple[dict[str, Way], list[str]]:
    """The way to each range, and a sentence for each node that no allowed way leads to."""
    ways, problems, known = {}, [], list(routes)
    for pod_range, peer in nodes.peers.items():
        route = ipam.route_to(ipam.number(peer.address), known)
        no_way = f"no way to the pods {pod_range} of node {peer.name} ({peer.address})"
        if route is None:
            problems.append(f"{no_way}: this machine has no route to it")
            continue
        link = _shared_link(route)
        if nodes.mode is RoutingMode.vxlan or (nodes.mode is RoutingMode.auto and not link):
            ways[pod_range] = Way(node=peer.name, address=peer.address)
        elif link:
            ways[pod_range] = Way(
                node=peer.name, address=peer.address, link=link, link_local=peer.link_local
            )
        else:
            forbidden = "it shares no link with this node, and routing mode direct forbids VXLAN"
            problems.append(f"{no_way}: {forbidden}")
    return ways, problems


def _shared_link(route: Route) -> str:
    """The interface on whose link what a route leads to lies; "" where a router is between. What a
    default route sends into an interface without a gateway may be anywhere.
    """
    return route.interface if route.mask and not route.gateway else ""


def outward(ways: Iterable[Way], routes: Iterable[Route]) -> set[str]:
    """The interfaces by which the packets of the VXLAN leave this machine."""
    known = list(routes)
    targets = (ipam.number(way.address) for way in ways if way.kind is RoutingMode.vxlan)
    found_routes = (ipam.route_to(target, known) for target in targets)
    return {route.interface for route in found_routes if route is not None}


def tunnel(nodes: ClusterNodes, mtus: Iterable[int]) -> Tunnel:
    """This node's end, over interfaces with these MTUs."""
    gateway = ipam.gateway(ipam.number(nodes.range.partition("/")[0]))
    mtu = min(mtus, default=1500) - VXLAN_OVERHEAD
    return Tunnel(vni=nodes.vni, local=nodes.address, address=ipam.text(gateway), mtu=mtu)
