"""The ways that packets of pods take through this machine, and which firewalls block them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubelite.node.network import bridge, ipam, names, nftables
from kubelite.node.network.between.ways import VXLAN_PORT
from kubelite.node.network.families import IPV4, IPV6, Family
from kubelite.node.network.foreign_rules import Obstacle, Packet, Ruleset, foreign_tables
from kubelite.objects.facts import pod_ranges

_ELSEWHERE = {IPV4: "198.51.100.1", IPV6: "2001:db8::1"}
"""Addresses that no machine has (RFC 5737, RFC 3849)."""
Ends = Sequence[tuple[str, str]]
"""This node's address and another's, for each that VXLAN leads to."""


class Blocked(NamedTuple):
    """A way on which a chain of others drops packets, of IPv6 where it says so."""

    way: str
    obstacle: Obstacle


def blocked(key: str, vxlan: Ends = ()) -> list[Blocked]:
    """The ways of the home's pods that somebody's rules block; each chain is named once a way.
    Those of IPv6 count while there is a pod with such an address. ``vxlan`` are the ends of the
    ways that lead through it.

    Raises NetworkError.
    """
    with open("/proc/thread-self/net/route", encoding="ascii") as file:
        routes = ipam.parse_routes(file.read())
    subnet = ipam.choose_subnet(key, routes, names.bridge(key))
    uplinks = [route.interface for route in routes if route.mask == 0] or (
        bridge.outward_interfaces()
    )
    result: dict[tuple[str, str, str], Blocked] = {}
    for family in (IPV4, IPV6) if nftables.has_table(names.table(key), IPV6.nft) else (IPV4,):
        tables = foreign_tables(nftables.run("list tables"), family)
        ruleset = Ruleset(nftables.run(f"list table {table}") for table in tables)
        for title, hook, packet in _ways(names.bridge(key), subnet, uplinks[:1], family):
            way = title if family is IPV4 else f"{title} by IPv6"
            for obstacle in ruleset.obstacles(hook, packet):
                result.setdefault((way, obstacle.table, obstacle.chain), Blocked(way, obstacle))
        for title, hook, packet in _vxlan_ways(key, subnet, uplinks[:1], vxlan, family):
            for obstacle in ruleset.obstacles(hook, packet):
                result.setdefault((title, obstacle.table, obstacle.chain), Blocked(title, obstacle))
    return list(result.values())


def _vxlan_ways(
    key: str, subnet: int, uplinks: list[str], ends: Ends, family: Family
) -> Iterator[tuple[str, str, Packet]]:
    """The same for packets within the VXLAN, and for those that carry them."""
    home, tunnel, title = names.bridge(key), names.tunnel(key), "between nodes by VXLAN"
    text = ipam.text if family is IPV4 else pod_ranges.ipv6
    own, other = text(subnet | 2), text(subnet ^ 0x100 | 2)
    if ends:
        yield title, "forward", Packet(home, tunnel, own, other)
        yield title, "forward", Packet(tunnel, home, other, own)
    for here, there in ends if family is IPV4 else ():
        for uplink in uplinks:
            yield title, "input", Packet(uplink, "", there, here, "udp", VXLAN_PORT)
            yield title, "output", Packet("", uplink, here, there, "udp", VXLAN_PORT)


def _ways(
    home: str, subnet: int, uplinks: list[str], family: Family
) -> Iterator[tuple[str, str, Packet]]:
    """A title, a hook, and a packet there, for each direction of each way."""
    text = ipam.text if family is IPV4 else pod_ranges.ipv6
    host, one, other = (text(subnet | number) for number in (1, 2, 3))
    elsewhere = _ELSEWHERE[family]
    yield "from pod to pod", "forward", Packet(home, home, one, other)
    yield "from pods to this machine", "input", Packet(home, "", one, host)
    yield "from this machine to pods", "output", Packet("", home, host, one)
    for uplink in uplinks:
        out = "from pods to other machines"
        yield out, "forward", Packet(home, uplink, one, elsewhere)
        yield out, "forward", Packet(uplink, home, elsewhere, one, state="established")
        into = "from other machines to host ports and Services"
        yield into, "forward", Packet(uplink, home, elsewhere, one)
