"""Messages of netlink: requests, and what the kernel tells of tables, interfaces and routes.

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
_NEW_ROUTE, _DELETED_ROUTE, _MAIN_TABLE = 24, 25, 254
_LOST = 0
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


class _Watch:
    """Gets what the kernel tells a multicast ``group`` in the network namespace it was opened
    in.
    """

    def __init__(self, protocol: int, group: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol
        )
        # One transaction can tell of every chain and rule that it removes.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WATCH_BUFFER)
        self._socket.bind((0, 1 << group - 1))

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """Types and contents of those that have come; one of type 0 where some were lost."""
        while True:
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                yield _LOST, b""
                continue
            yield from messages(data)

    def close(self) -> None:
        """Stops watching."""
        self._socket.close()


class RemovalWatch(_Watch):
    """Tells which objects are removed: those that messages of ``kind`` name behind a family header
    of ``header`` bytes.
    """

    def __init__(self, protocol: int, group: int, kind: int, header: int, name: int) -> None:
        super().__init__(protocol, group)
        self._kind, self._header, self._name = kind, header, name

    def removed(self) -> set[str]:
        """The names of what was removed since the last call; ``*`` when messages were lost."""
        names: set[str] = set()
        for kind, payload in self._messages():
            if kind == _LOST:
                names.add("*")
            elif kind == self._kind:
                name = attributes(payload[self._header :]).get(self._name, b"")
                names.add(name.rstrip(b"\0").decode("utf-8", "replace"))
        return names


class RouteWatch(_Watch):
    """Tells whether IPv4 routes of the main table change, but for new ones of our own
    ``protocol``: RTNLGRP_IPV4_ROUTE, ``struct rtmsg``.
    """

    def __init__(self, protocol: int) -> None:
        super().__init__(socket.NETLINK_ROUTE, 7)
        self._protocol = protocol

    def has_changed(self) -> bool:
        """Since the last call."""
        concerns = [self._concerns(*message) for message in self._messages()]
        return True in concerns

    def _concerns(self, kind: int, payload: bytes) -> bool:
        if kind not in (_NEW_ROUTE, _DELETED_ROUTE):
            return kind == _LOST
        table, protocol = payload[4:6]
        return table == _MAIN_TABLE and (kind == _DELETED_ROUTE or protocol != self._protocol)


def watch_tables() -> RemovalWatch:
    """Of nftables tables: NFNLGRP_NFTABLES, NFT_MSG_DELTABLE, ``struct nfgenmsg``,
    NFTA_TABLE_NAME.
    """
    return RemovalWatch(NETFILTER, 7, 10 << 8 | 2, 4, 1)


def watch_interfaces() -> RemovalWatch:
    """Of interfaces: RTNLGRP_LINK, RTM_DELLINK, ``struct ifinfomsg``, IFLA_IFNAME."""
    return RemovalWatch(socket.NETLINK_ROUTE, 1, 17, 16, 3)
