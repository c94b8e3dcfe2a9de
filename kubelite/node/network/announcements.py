"""Addresses of load balancers that this machine answers for in its local network.

Each is that of an interface of its own, whose name holds it: the kernel then answers ARP on every
interface of the machine, and what a killed agent has left is found by name.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Collection

from kubelite.core import native
from kubelite.node.network import bridge, ipam, names

_PREFIX = 32
_SIOCGIFADDR = 0x8915
_BROADCAST = b"\xff" * 6
_ETHERNET_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST = (1, 0x0800, 6, 4, 1)
"""Ethernet, IPv4, lengths of their addresses, request (RFC 826)."""


def announce(key: str, addresses: Collection[str]) -> None:
    """Answers for exactly these IPv4 addresses; neighbours are told of new ones. Raises
    NativeError, OSError.
    """
    wanted = {names.announcer(key, ipam.number(address)): address for address in addresses}
    present = [name for _, name in socket.if_nameindex() if names.is_announcer(name, key)]
    for name in present:
        if name not in wanted:
            native.net_delete(name)
    for name, address in wanted.items():
        if native.net_bridge(name, ipam.number(address), _PREFIX):
            _tell_neighbours(address)


def _tell_neighbours(address: str) -> None:
    """An ARP announcement (RFC 5227) on every interface that leads out: whoever had the address
    before is forgotten.
    """
    for name in filter(_has_address, bridge.outward_interfaces()):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            try:
                sender.bind((name, _ETHERNET_ARP))
                own = sender.getsockname()[4]
                if len(own) == len(_BROADCAST):
                    sender.send(_announcement(own, socket.inet_aton(address)))
            except OSError:
                pass  # it is down, or is none that knows ARP


def _has_address(name: str) -> bool:
    """Whether an interface has an IPv4 address; the ports of a bridge have none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCGIFADDR, struct.pack("40s", name.encode()))
        except OSError:
            return False
        return True


def _announcement(own: bytes, address: bytes) -> bytes:
    frame = _BROADCAST + own + _ETHERNET_ARP.to_bytes(2, "big")
    return frame + _ARP.pack(*_REQUEST, own, address, bytes(6), address)
