"""Messages of netlink: requests, and what the kernel tells of tables and interfaces that went.

Formats are those of ``linux/netlink.h``, ``linux/rtnetlink.h``, ``linux/netfilter/nf_tables.h`` and
``asm-generic/socket.h``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

HEADER, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
NETFILTER = 12
"""The netlink protocol of nftables and connection tracking."""
NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_SO_RCVBUFFORCE = 33
_REQUEST, _ACK, _ERROR = 0x1, 0x4, 2
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_REFUSED_HEADER, _REASON = 20, 1
"""``struct nlmsgerr`` with the header alone of what was refused, then NLMSGERR_ATTR_MSG."""
_BUFFER, _WATCH_BUFFER = 1 << 18, 1 << 22


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The types and contents of the messages in a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, data[offset + HEADER.size : offset + length]
        offset += length + 3 & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes that follow one another in ``data``, by type."""
    result, offset = {}, 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size:
            break
        result[kind & _TYPE_MASK] = data[offset + ATTRIBUTE.size : offset + length]
        offset += length + 3 & ~3
    return result


class RouteSocket:
    """Makes requests of rtnetlink, in the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def request(self, kind: int, flags: int, body: bytes) -> None:
        """Raises OSError with the kernel's own sentence, where it has one for the refusal."""
        head = HEADER.pack(HEADER.size + len(body), kind, flags | _REQUEST | _ACK, 1, 0)
        self._socket.send(head + body)
        (answer,) = (data for type, data in messages(self._socket.recv(_BUFFER)) if type == _ERROR)
        if number := -int(struct.unpack_from("=i", answer)[0]):
            own = attributes(answer[_REFUSED_HEADER:]).get(_REASON, b"")
            raise OSError(number, own.rstrip(b"\0").decode() or os.strerror(number))

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class RemovalWatch:
    """Tells which objects are removed in the network namespace it was opened in: those that
    messages of ``kind`` to a multicast ``group`` name behind a family header of ``header`` bytes.
    """

    def __init__(self, protocol: int, group: int, kind: int, header: int, name: int) -> None:
        self._kind, self._header, self._name = kind, header, name
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol
        )
        # One transaction can tell of every chain and rule that it removes.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WATCH_BUFFER)
        self._socket.bind((0, 1 << group - 1))

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def removed(self) -> set[str]:
        """The names of what was removed since the last call; ``*`` when messages were lost."""
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
            for kind, payload in messages(data):
                if kind == self._kind:
                    name = attributes(payload[self._header :]).get(self._name, b"")
                    names.add(name.rstrip(b"\0").decode("utf-8", "replace"))

    def close(self) -> None:
        """Stops watching."""
        self._socket.close()


def watch_tables() -> RemovalWatch:
    """Of nftables tables: NFNLGRP_NFTABLES, NFT_MSG_DELTABLE, ``struct nfgenmsg``,
    NFTA_TABLE_NAME.
    """
    return RemovalWatch(NETFILTER, 7, 10 << 8 | 2, 4, 1)


def watch_interfaces() -> RemovalWatch:
    """Of interfaces: RTNLGRP_LINK, RTM_DELLINK, ``struct ifinfomsg``, IFLA_IFNAME."""
    return RemovalWatch(socket.NETLINK_ROUTE, 1, 17, 16, 3)
