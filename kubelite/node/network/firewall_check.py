"""The ways that packets of pods take through this machine, and which firewalls block them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.network import bridge, ipam, names, nftables
from kubelite.node.network.foreign_rules import Obstacle, Packet, Ruleset, foreign_tables

_ELSEWHERE = "198.51.100.1"
"""An address that no machine has (RFC 5737)."""


class Blocked(NamedTuple):
    """A way on which a chain of others drops packets."""

    way: str
    obstacle: Obstacle


def blocked(key: str) -> list[Blocked]:
    """The ways of the home's pods that somebody's rules block; each chain is named once a way.

    Raises NetworkError.
    """
    tables = foreign_tables(nftables.run("list tables"))
    ruleset = Ruleset(nftables.run(f"list table {table}") for table in tables)
    with open("/proc/thread-self/net/route", encoding="ascii") as file:
        routes = ipam.parse_routes(file.read())
    subnet = ipam.choose_subnet(key, routes, names.bridge(key))
    uplinks = [route.interface for route in routes if route.mask == 0] or (
        bridge.outward_interfaces()
    )
    result: dict[tuple[str, str, str], Blocked] = {}
    for way, hook, packet in _ways(names.bridge(key), subnet, uplinks[:1]):
        for obstacle in ruleset.obstacles(hook, packet):
            result.setdefault((way, obstacle.table, obstacle.chain), Blocked(way, obstacle))
    return list(result.values())


def _ways(home: str, subnet: int, uplinks: list[str]) -> Iterator[tuple[str, str, Packet]]:
    """A title, a hook, and a packet there, for each direction of each way."""
    host, one, other = (ipam.text(subnet | number) for number in (1, 2, 3))
    yield "from pod to pod", "forward", Packet(home, home, one, other)
    yield "from pods to this machine", "input", Packet(home, "", one, host)
    yield "from this machine to pods", "output", Packet("", home, host, one)
    for uplink in uplinks:
        out = "from pods to other machines"
        yield out, "forward", Packet(home, uplink, one, _ELSEWHERE)
        yield out, "forward", Packet(uplink, home, _ELSEWHERE, one, state="established")
        into = "from other machines to host ports and Services"
        yield into, "forward", Packet(uplink, home, _ELSEWHERE, one)
