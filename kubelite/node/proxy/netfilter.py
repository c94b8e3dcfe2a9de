"""Two conversations with the kernel's netfilter over netlink: connections to forget, and tables
that somebody else removed.

Formats are those of ``linux/netlink.h``, ``asm-generic/socket.h``, ``linux/netfilter/nf_tables.h``
and ``linux/netfilter/nfnetlink_conntrack.h``. libnftables has a call for neither.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator

from kubelite.node.proxy.services import Endpoint

_NETLINK_NETFILTER = 12
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_CONNTRACK_GET, _CONNTRACK_DELETE = 1 << 8 | 1, 1 << 8 | 2
_NFTABLES_GROUP, _DELETE_TABLE = 7, 10 << 8 | 2
_TUPLE_ORIGINAL, _TUPLE_REPLY = 1, 2
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_IP_SOURCE, _PROTOCOL_NUMBER, _PROTOCOL_SOURCE_PORT = 1, 1, 2
_TABLE_NAME = 1
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_FAMILY = struct.pack("=BBH", socket.AF_INET, 0, 0)
_TYPE_MASK, _NESTED = 0x3FFF, 0x8000
_SO_RCVBUFFORCE = 33
_BUFFER, _WATCH_BUFFER = 1 << 18, 1 << 22


def forget_udp(endpoints: Collection[Endpoint]) -> int:
    """Deletes the connection tracking of UDP flows that lead to ``endpoints``; returns how many.

    Without this a client that goes on sending from the same port would reach an endpoint that is
    gone for as long as it sends. Raises OSError.
    """
    if not endpoints:
        return 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.send(_message(_CONNTRACK_GET, _DUMP, b""))
        stale = [
            attributes[_TUPLE_ORIGINAL]
            for attributes in _dump(netlink)
            if _is_udp_reply_from(attributes.get(_TUPLE_REPLY, b""), endpoints)
        ]
        return sum(_delete(netlink, original) for original in stale)


class TableWatch:
    """Tells when nftables tables are removed in the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
        )
        # One transaction can tell of every chain and rule that it removes.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WATCH_BUFFER)
        self._socket.bind((0, 1 << _NFTABLES_GROUP - 1))

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def removed(self) -> set[str]:
        """The names of the tables removed since the last call; ``*`` when messages were lost."""
        names: set[str] = set()
        while True:
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return names
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                names.add("*")
                continue
            for kind, payload in _messages(data):
                if kind == _DELETE_TABLE:
                    name = _attributes(payload[len(_FAMILY) :]).get(_TABLE_NAME, b"")
                    names.add(name.rstrip(b"\0").decode("utf-8", "replace"))

    def close(self) -> None:
        """Stops watching."""
        self._socket.close()


def _is_udp_reply_from(reply: bytes, endpoints: Collection[Endpoint]) -> bool:
    parts = _attributes(reply)
    address = _attributes(parts.get(_TUPLE_IP, b"")).get(_IP_SOURCE, b"")
    protocol = _attributes(parts.get(_TUPLE_PROTOCOL, b""))
    port = protocol.get(_PROTOCOL_SOURCE_PORT, b"")
    if protocol.get(_PROTOCOL_NUMBER) != bytes([socket.IPPROTO_UDP]) or len(address) != 4:
        return False
    return Endpoint(socket.inet_ntoa(address), int.from_bytes(port, "big")) in endpoints


def _delete(netlink: socket.socket, original: bytes) -> bool:
    header = _ATTRIBUTE.pack(len(original) + _ATTRIBUTE.size, _TUPLE_ORIGINAL | _NESTED)
    netlink.send(_message(_CONNTRACK_DELETE, _ACK, header + original))
    for kind, payload in _messages(netlink.recv(_BUFFER)):
        number = -struct.unpack_from("=i", payload)[0] if kind == _ERROR else 0
        if number == errno.ENOENT:
            return False  # it ended by itself
        if number:
            raise OSError(number, f"delete connection: {os.strerror(number)}")
    return True


def _dump(netlink: socket.socket) -> Iterator[dict[int, bytes]]:
    while True:
        for kind, payload in _messages(netlink.recv(_BUFFER)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                raise OSError(number, f"list connections: {os.strerror(number)}")
            yield _attributes(payload[len(_FAMILY) :])


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    body = _FAMILY + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 1, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += length + 3 & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += length + 3 & ~3
    return found
