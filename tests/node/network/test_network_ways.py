"""The choice of the way to another node, from the routes of a machine."""

from __future__ import annotations

import pytest

from kubelite.node.network.between import ways
from kubelite.node.network.between.ways import ClusterNodes, Peer, RoutingMode, Tunnel, Way
from kubelite.node.network.ipam import parse_routes

ROUTES = parse_routes(
    """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 FE0200C0 0003 0 0 0 00000000 0 0 0
eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
eth0 C80200C0 FE0200C0 0003 0 0 0 F8FFFFFF 0 0 0
eth1 006433C6 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""
)
POINT_TO_POINT = parse_routes(
    """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0
"""
)
RANGE = "10.208.7.0/24"


@pytest.mark.parametrize(
    ("address", "mode", "link"),
    [
        ("192.0.2.9", RoutingMode.auto, "eth0"),
        ("198.51.100.9", RoutingMode.auto, "eth1"),
        ("198.51.100.9", RoutingMode.direct, "eth1"),
        ("203.0.113.9", RoutingMode.auto, ""),
        ("192.0.2.201", RoutingMode.auto, ""),  # a narrower route leads to a router
        ("192.0.2.9", RoutingMode.vxlan, ""),
    ],
)
def test_a_neighbour_is_reached_by_the_link_another_node_by_vxlan(
    address: str, mode: RoutingMode, link: str
) -> None:
    nodes = ClusterNodes(
        "10.208.1.0/24", "192.0.2.1", {RANGE: Peer("far", address, "fe80::9")}, 7, mode
    )
    link_local = "fe80::9" if link else ""
    way = Way(node="far", address=address, link=link, link_local=link_local)
    assert ways.choose(nodes, ROUTES) == ({RANGE: way}, [])


def test_what_leaves_without_a_gateway_by_the_default_route_may_be_anywhere() -> None:
    nodes = ClusterNodes("10.208.1.0/24", "192.0.2.1", {RANGE: Peer("far", "192.0.2.9")})
    chosen, _ = ways.choose(nodes, POINT_TO_POINT)
    assert chosen[RANGE].kind is RoutingMode.vxlan


def test_the_vxlan_fits_into_the_smallest_of_the_links_that_it_uses() -> None:
    peers = {RANGE: Peer("far", "203.0.113.9"), "10.208.8.0/24": Peer("far", "198.51.100.9")}
    nodes = ClusterNodes("10.208.1.0/24", "192.0.2.1", peers, 7)
    chosen, _ = ways.choose(nodes, ROUTES)
    assert ways.outward(chosen.values(), ROUTES) == {"eth0"}
    expected = Tunnel(vni=7, local="192.0.2.1", address="10.208.1.1", mtu=1370)
    assert ways.tunnel(nodes, [9000, 1420]) == expected


def test_without_any_route_to_a_node_there_is_no_way() -> None:
    nodes = ClusterNodes("10.208.1.0/24", "192.0.2.1", {RANGE: Peer("far", "203.0.113.9")})
    assert ways.choose(nodes, ROUTES[1:]) == (
        {},
        [f"no way to the pods {RANGE} of node far (203.0.113.9): this machine has no route to it"],
    )
