"""SCTP by hand, for kernels that translate and track it but have no sockets of it: an INIT is
answered by an INIT ACK (RFC 9260). A server knows its caller, a client who has answered.
"""

from __future__ import annotations

import random
import socket
import struct
import time

_HEADER, _CHUNK, _INIT = struct.Struct("!HHII"), struct.Struct("!BBH"), struct.Struct("!IIHHI")
_TYPE_INIT, _TYPE_INIT_ACK = 1, 2
_COOKIE = 7
_IP_PKTINFO = 8


def _crc_table() -> tuple[int, ...]:
    """CRC-32C, by bytes."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)


_CRC = _crc_table()


def _checked(packet: bytes) -> bytes:
    """The packet with its checksum, which is little-endian."""
    value = 0xFFFFFFFF
    for byte in packet:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return packet[:8] + struct.pack("<I", value ^ 0xFFFFFFFF) + packet[12:]


def _packet(
    source: int, target: int, tag: int, kind: int, own_tag: int, text: bytes = b""
) -> bytes:
    """One chunk; ``text`` travels as the state cookie of an INIT ACK."""
    body = _INIT.pack(own_tag, 65535, 1, 1, 1)
    if text:
        padding = bytes(-len(text) % 4)
        body += struct.pack("!HH", _COOKIE, 4 + len(text)) + text + padding
    chunk = _CHUNK.pack(kind, 0, _CHUNK.size + len(body)) + body
    return _checked(_HEADER.pack(source, target, tag, 0) + chunk)


def _raw(family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_SCTP)


def _payload(family: int, data: bytes) -> bytes:
    """What follows the header of IPv4; raw sockets of IPv6 do not show theirs (ipv6(7))."""
    return data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data


def _read(payload: bytes) -> tuple[int, int, int, int, int, bytes]:
    """Source and target port, verification tag, type of the chunk, its initiate tag, its cookie."""
    source, target, tag, _ = _HEADER.unpack_from(payload)
    kind, _, length = _CHUNK.unpack_from(payload, _HEADER.size)
    at = _HEADER.size + _CHUNK.size
    own_tag, *_ = _INIT.unpack_from(payload, at)
    cookie = b""
    if length > _CHUNK.size + _INIT.size:
        at += _INIT.size
        cookie = payload[at + 4 : at + struct.unpack_from("!H", payload, at + 2)[0]]
    return source, target, tag, kind, own_tag, cookie


class Server:
    """Answers every INIT to ``port`` in the caller's network namespace with ``name``."""

    def __init__(self, port: int, name: str, family: int = socket.AF_INET) -> None:
        self._socket, self._port, self._name = _raw(family), port, name
        self._family = family
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)

    def serve(self) -> None:
        """Until closed."""
        while True:
            try:
                data, control, _, address = self._socket.recvmsg(2048, 256)
                caller = address[0]
                source, target, _, kind, tag, _ = _read(_payload(self._family, data))
                if kind == _TYPE_INIT and target == self._port:
                    answer = _packet(
                        target, source, tag, _TYPE_INIT_ACK, 1, f"{self._name} {caller}".encode()
                    )
                    self._answer(answer, caller, data[16:20], control)
            except (OSError, struct.error):
                return

    def _answer(self, packet: bytes, caller: str, called: bytes, received: list) -> None:
        """From the address that was called: of several it is not always the nearest."""
        info = struct.pack("=i4s4x", 0, called)
        control = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
        if self._family == socket.AF_INET6:
            (info,) = (data for _, kind, data in received if kind == socket.IPV6_PKTINFO)
            control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info[:16] + bytes(4))]
        self._socket.sendmsg([packet], control, 0, (caller, 0))

    def close(self) -> None:
        self._socket.close()


def ask(address: str, port: int, timeout: float) -> str:
    """What the server at ``address`` says of itself and its caller. Raises TimeoutError."""
    source, tag = random.randrange(20000, 30000), random.randrange(1, 1 << 32)
    ends = time.monotonic() + timeout
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with _raw(family) as raw:
        raw.connect((address, 0))
        raw.send(_packet(source, port, 0, _TYPE_INIT, tag))
        while (left := ends - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                found = _read(_payload(family, raw.recv(2048)))
            except struct.error:
                continue
            if found[1] == source and found[2] == tag and found[3] == _TYPE_INIT_ACK:
                return found[5].decode()
    raise TimeoutError(f"no answer from {address}:{port}")
