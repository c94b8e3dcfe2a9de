"""Messages of rtnetlink(7) that make ways to other nodes, as values.

Formats and numbers are those of ``linux/rtnetlink.h``, ``linux/if_link.h`` and
``linux/neighbour.h``; addresses are integers in host byte order, as everywhere in this room.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from kubelite.node.network import ipam
from kubelite.node.network.between.ways import VXLAN_PORT, Tunnel
from kubelite.node.network.netlink import ATTRIBUTE, NESTED
from kubelite.objects.facts import pod_ranges
from kubelite.objects.facts.pod_ranges import IPV6_PREFIX, IPV6_UPPER, PREFIX

_NEW_LINK, _NEW_ADDRESS = 16, 20
_NEW_ROUTE, _DELETE_ROUTE, _NEW_NEIGHBOUR, _DELETE_NEIGHBOUR = 24, 25, 28, 29
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400
_LINK, _ADDRESS = struct.Struct("=BBHiII"), struct.Struct("=BBBBi")
_ROUTE, _NEIGHBOUR = struct.Struct("=BBBBBBBBI"), struct.Struct("=BBHiHBB")
_UP = 1
_LINK_ADDRESS, _LINK_NAME, _LINK_MTU, _LINK_INFO, _LINK_FAMILIES = 1, 3, 4, 18, 26
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_ID, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT = 1, 4, 7, 15
_ADDRESS_GENERATION, _NO_ADDRESS = 8, 1
_LOCAL, _NO_DETECTION = 2, 0x02
_DESTINATION, _OUTPUT, _GATEWAY = 1, 4, 5
_MAIN_TABLE, _UNIVERSE, _NOWHERE, _UNICAST, _ON_LINK = 254, 0, 255, 1, 4
ROUTE_PROTOCOL = 107
"""Marks the routes as ours in ``ip route``; numbers above 100 are free (rtnetlink.h)."""
_NEIGHBOUR_ADDRESS, _NEIGHBOUR_LINK_ADDRESS = 1, 2
_PERMANENT, _NO_ARP, _SELF = 0x80, 0x40, 0x02
_BRIDGE = 7
"""AF_BRIDGE, the family of forwarding entries."""
_LINK_LOCAL_UPPER = bytes.fromhex("fe8000000000000000000000")


class Message(NamedTuple):
    """A request without its header."""

    kind: int
    flags: int
    body: bytes


# -- the VXLAN interface ---


def new_vxlan(name: str, tunnel: Tunnel) -> Message:
    """A VXLAN interface that learns nothing from packets, so that whoever can send some changes no
    way.
    """
    data = _attribute(_VXLAN_ID, struct.pack("=I", tunnel.vni))
    data += _attribute(_VXLAN_LOCAL, _ipv4(ipam.number(tunnel.local)))
    data += _attribute(_VXLAN_LEARNING, b"\0")
    data += _attribute(_VXLAN_PORT, struct.pack("!H", VXLAN_PORT))
    info = _attribute(_INFO_KIND, b"vxlan\0") + _attribute(_INFO_DATA | NESTED, data)
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0)
    body += _attribute(_LINK_NAME, name.encode() + b"\0")
    body += _attribute(_LINK_MTU, struct.pack("=I", tunnel.mtu))
    body += _attribute(_LINK_ADDRESS, _hardware(ipam.number(tunnel.address)))
    body += _attribute(_LINK_INFO | NESTED, info)
    return Message(_NEW_LINK, _CREATE | _EXCLUSIVE, body)


def vxlan_settings(index: int, address: int, *, has_ipv6: bool) -> list[Message]:
    """Brings the interface up with its addresses, and no others: link-local ones have to be refused
    while it is down.
    """
    mode = _attribute(_ADDRESS_GENERATION, bytes([_NO_ADDRESS]))
    families = _attribute(_LINK_FAMILIES | NESTED, _attribute(socket.AF_INET6 | NESTED, mode))
    quiet = _LINK.pack(socket.AF_UNSPEC, 0, 0, index, 0, 0) + families
    ready = _LINK.pack(socket.AF_UNSPEC, 0, 0, index, _UP, _UP)
    addresses = (_ipv4(address), _ipv6(address)) if has_ipv6 else (_ipv4(address),)
    return [
        *([Message(_NEW_LINK, 0, quiet)] if has_ipv6 else ()),
        Message(_NEW_LINK, 0, ready),
        *(_new_address(index, own) for own in addresses),
    ]


def _new_address(index: int, address: bytes) -> Message:
    """The only one of its network; nobody else is asked whether it has it."""
    body = _ADDRESS.pack(_family(address), 8 * len(address), _NO_DETECTION, 0, index)
    return Message(_NEW_ADDRESS, _CREATE | _REPLACE, body + _attribute(_LOCAL, address))


# -- ways to the pods of a node ---


def through_vxlan(index: int, network: int, node: int) -> list[Message]:
    """Leads the IPv4 packets for a range through the VXLAN interface to the node: frames for the
    link-layer address of its end, that of the gateway of its pods, go to it.
    """
    gateway = ipam.gateway(network)
    entry = _NEIGHBOUR.pack(_BRIDGE, 0, 0, index, _PERMANENT | _NO_ARP, _SELF, 0)
    entry += _attribute(_NEIGHBOUR_LINK_ADDRESS, _hardware(gateway))
    entry += _attribute(_NEIGHBOUR_ADDRESS, _ipv4(node))
    return [
        Message(_NEW_NEIGHBOUR, _CREATE | _REPLACE, entry),
        _neighbour(index, _ipv4(gateway), gateway),
        _new_route(index, _ipv4(network), _ipv4(gateway), _ON_LINK),
    ]


def through_vxlan_ipv6(index: int, network: int) -> list[Message]:
    """The same for IPv6, when IPv4 has its way. The next hop is a link-local address, as usual: of
    another the kernel would ask which route leads there.
    """
    gateway = ipam.gateway(network)
    next_hop = _LINK_LOCAL_UPPER + _ipv4(gateway)
    return [
        _neighbour(index, next_hop, gateway),
        _new_route(index, _ipv6(network), next_hop),
    ]


def direct(index: int, network: int, node: int) -> Message:
    """Leads the IPv4 packets for a range by an interface to the node, a neighbour there."""
    return _new_route(index, _ipv4(network), _ipv4(node))


def direct_ipv6(index: int, network: int, link_local: str) -> Message:
    """The same for IPv6, to the node's address on that link."""
    return _new_route(index, _ipv6(network), socket.inet_pton(socket.AF_INET6, link_local))


def removals(network: int, vxlan: int) -> list[Message]:
    """What removes every way to a range, each of which may be missing; ``vxlan`` is the index of
    that interface, 0 where there is none.
    """
    routes = [
        Message(_DELETE_ROUTE, 0, _route(target, _NOWHERE, 0, 0))
        for target in (_ipv4(network), _ipv6(network))
    ]
    if not vxlan:
        return routes  # its entries have gone with it
    gateway = ipam.gateway(network)
    entry = _NEIGHBOUR.pack(_BRIDGE, 0, 0, vxlan, 0, _SELF, 0)
    entry += _attribute(_NEIGHBOUR_LINK_ADDRESS, _hardware(gateway))
    neighbours = (_ipv4(gateway), _LINK_LOCAL_UPPER + _ipv4(gateway))
    entries = [entry, *(_neighbour_body(vxlan, address) for address in neighbours)]
    return routes + [Message(_DELETE_NEIGHBOUR, 0, body) for body in entries]


# -- parts ---


def _new_route(index: int, network: bytes, gateway: bytes, flags: int = 0) -> Message:
    body = _route(network, _UNIVERSE, _UNICAST, flags) + _attribute(_GATEWAY, gateway)
    body += _attribute(_OUTPUT, struct.pack("=I", index))
    return Message(_NEW_ROUTE, _CREATE | _REPLACE, body)


def _route(network: bytes, scope: int, kind: int, flags: int) -> bytes:
    family = _family(network)
    length = PREFIX if family == socket.AF_INET else IPV6_PREFIX
    head = _ROUTE.pack(family, length, 0, 0, _MAIN_TABLE, ROUTE_PROTOCOL, scope, kind, flags)
    return head + _attribute(_DESTINATION, network)


def _neighbour(index: int, address: bytes, gateway: int) -> Message:
    hardware = _attribute(_NEIGHBOUR_LINK_ADDRESS, _hardware(gateway))
    return Message(_NEW_NEIGHBOUR, _CREATE | _REPLACE, _neighbour_body(index, address) + hardware)


def _neighbour_body(index: int, address: bytes) -> bytes:
    head = _NEIGHBOUR.pack(_family(address), 0, 0, index, _PERMANENT, 0, 0)
    return head + _attribute(_NEIGHBOUR_ADDRESS, address)


def _family(address: bytes) -> int:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6


def _ipv4(address: int) -> bytes:
    return address.to_bytes(4, "big")


def _ipv6(address: int) -> bytes:
    return IPV6_UPPER + _ipv4(address)


def _hardware(address: int) -> bytes:
    return pod_ranges.LINK_LAYER_UPPER + _ipv4(address)


def _attribute(kind: int, content: bytes) -> bytes:
    length = ATTRIBUTE.size + len(content)
    return ATTRIBUTE.pack(length, kind) + content + bytes(-length % 4)
