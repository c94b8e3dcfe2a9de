"""A conversation with the kernel's connection tracking over netlink: connections to forget.

Formats are those of ``linux/netfilter/nfnetlink_conntrack.h``. libnftables has no call for it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator

from kubelite.node.network.families import IPV4, Family
from kubelite.node.network.netlink import (
    ATTRIBUTE,
    HEADER,
    NESTED,
    NETFILTER,
    attributes,
    messages,
)
from kubelite.node.proxy.services import Endpoint

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_CONNTRACK_GET, _CONNTRACK_DELETE = 1 << 8 | 1, 1 << 8 | 2
_TUPLE_ORIGINAL, _TUPLE_REPLY = 1, 2
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_PROTOCOL_NUMBER, _PROTOCOL_SOURCE_PORT = 1, 2
_NUMBERS = {"IPv4": (socket.AF_INET, 1), "IPv6": (socket.AF_INET6, 3)}
"""Of each family its own number, and that of a source address: CTA_IP_V4_SRC, CTA_IP_V6_SRC."""
_HEADER = struct.Struct("=BBH")
"""``struct nfgenmsg``."""
_BUFFER = 1 << 18


def forget_udp(endpoints: Collection[Endpoint], family: Family = IPV4) -> int:
    """Deletes the connection tracking of UDP flows that lead to ``endpoints``, all of one family;
    returns how many.

    Without this a client that goes on sending from the same port would reach an endpoint that is
    gone for as long as it sends. Raises OSError.
    """
    if not endpoints:
        return 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as netlink:
        netlink.send(_message(family, _CONNTRACK_GET, _DUMP, b""))
        stale = [
            flow[_TUPLE_ORIGINAL]
            for flow in _dump(netlink)
            if _is_udp_reply_from(family, flow.get(_TUPLE_REPLY, b""), endpoints)
        ]
        return sum(_delete(family, netlink, original) for original in stale)


def _is_udp_reply_from(family: Family, reply: bytes, endpoints: Collection[Endpoint]) -> bool:
    number, source = _NUMBERS[family.name]
    parts = attributes(reply)
    address = attributes(parts.get(_TUPLE_IP, b"")).get(source, b"")
    protocol = attributes(parts.get(_TUPLE_PROTOCOL, b""))
    port = protocol.get(_PROTOCOL_SOURCE_PORT, b"")
    if protocol.get(_PROTOCOL_NUMBER) != bytes([socket.IPPROTO_UDP]) or not address:
        return False
    return Endpoint(socket.inet_ntop(number, address), int.from_bytes(port, "big")) in endpoints


def _delete(family: Family, netlink: socket.socket, original: bytes) -> bool:
    header = ATTRIBUTE.pack(len(original) + ATTRIBUTE.size, _TUPLE_ORIGINAL | NESTED)
    netlink.send(_message(family, _CONNTRACK_DELETE, _ACK, header + original))
    for kind, payload in messages(netlink.recv(_BUFFER)):
        number = -struct.unpack_from("=i", payload)[0] if kind == _ERROR else 0
        if number == errno.ENOENT:
            return False  # it ended by itself
        if number:
            raise OSError(number, f"delete connection: {os.strerror(number)}")
    return True


def _dump(netlink: socket.socket) -> Iterator[dict[int, bytes]]:
    while True:
        for kind, payload in messages(netlink.recv(_BUFFER)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                raise OSError(number, f"list connections: {os.strerror(number)}")
            yield attributes(payload[_HEADER.size :])


def _message(family: Family, kind: int, flags: int, content: bytes) -> bytes:
    body = _HEADER.pack(_NUMBERS[family.name][0], 0, 0) + content
    return HEADER.pack(HEADER.size + len(body), kind, flags | _REQUEST, 1, 0) + body
