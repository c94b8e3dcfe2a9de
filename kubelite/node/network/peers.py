"""Routes to the pods of other nodes, by rtnetlink(7), and the record of them.

Each leads to a node's own address, which has to lie in a network of this machine. Only routes that
are on record are ever removed; the record names one before the kernel has it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping

import msgspec

from kubelite.lib.files import RecordError, read_record, write_record
from kubelite.objects.facts import pod_ranges

_NEW, _DELETE, _ERROR = 24, 25, 2
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_MAIN_TABLE, _UNIVERSE, _UNICAST = 254, 0, 1
_DESTINATION, _GATEWAY = 1, 5
_PROTOCOL = 107
"""Marks the routes as ours in ``ip route``; numbers above 100 are free (rtnetlink.h)."""
_ROUTE = struct.Struct("=BBBBBBBBI")
_BUFFER = 1 << 16


class PeersRecord(msgspec.Struct, kw_only=True):
    """The range that the cluster has assigned to this node, and of each other node's range the
    address of the node.
    """

    version: int = 1
    range: str = ""
    peers: dict[str, str] = {}


class Peers:
    """The routes of the home with run directory ``run``. Changing them requires the home's lock."""

    def __init__(self, run: str) -> None:
        self._path = f"{run}/peers.json"

    def recorded(self) -> PeersRecord:
        """What is on record; nothing where this machine is in no cluster."""
        try:
            return read_record(self._path, PeersRecord)
        except (FileNotFoundError, RecordError):
            return PeersRecord()

    def apply(self, range: str, peers: Mapping[str, str]) -> list[str]:
        """Makes exactly these routes; a sentence for each that the kernel refuses. Raises
        OSError.
        """
        before = self.recorded()
        both = {**before.peers, **peers}
        write_record(self._path, PeersRecord(range=range, peers=both), durable=False)
        for gone in before.peers.keys() - peers.keys():
            _change(_DELETE, 0, gone, before.peers[gone])
        problems = []
        for peer, gateway in peers.items():
            number = _change(_NEW, _CREATE | _REPLACE, peer, gateway)
            if number:
                reason = os.strerror(number)
                problems.append(f"no route to the pods {peer} of the node at {gateway}: {reason}")
        record = PeersRecord(range=range, peers=dict(peers))
        if record == PeersRecord():
            os.unlink(self._path)
        else:
            write_record(self._path, record, durable=False)
        return problems


def _change(kind: int, flags: int, range: str, gateway: str) -> int:
    """Adds or deletes a route; 0 or the kernel's errno. One that is gone is deleted."""
    from kubelite.node.network.netlink import HEADER, messages

    destination = pod_ranges.network(range).to_bytes(4, "big")
    body = _ROUTE.pack(
        socket.AF_INET,
        pod_ranges.PREFIX,
        0,
        0,
        _MAIN_TABLE,
        _PROTOCOL,
        _UNIVERSE,
        _UNICAST,
        0,
    )
    body += _attribute(_DESTINATION, destination) + _attribute(_GATEWAY, socket.inet_aton(gateway))
    head = HEADER.pack(HEADER.size + len(body), kind, flags | _REQUEST | _ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(head + body)
        (answer,) = (data for type, data in messages(netlink.recv(_BUFFER)) if type == _ERROR)
    number = -int(struct.unpack_from("=i", answer)[0])
    return 0 if kind == _DELETE and number == errno.ESRCH else number


def _attribute(kind: int, content: bytes) -> bytes:
    from kubelite.node.network.netlink import ATTRIBUTE

    return ATTRIBUTE.pack(ATTRIBUTE.size + len(content), kind) + content
