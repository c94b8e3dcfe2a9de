"""As much of gRPC over HTTP/2 as one call of the health service takes: frames and header blocks as
bytes and back. Pure.

Formats are those of RFC 9113 (frames), RFC 7541 (header blocks) and grpc.health.v1. We announce a
header table of size 0, so a server has nothing of its own to refer to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
ACK, END_STREAM, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 0x20
FRAME_MOST = 1 << 14
HEAD = 9
_TABLE_SIZE, _ENABLE_PUSH = 1, 2
_STATUS = range(8, 15)
_STATUS_CODES = ("200", "204", "206", "304", "400", "404", "500")
_STATIC = 61
SERVING = 1
SERVINGS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
CODES = (
    "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted "
    "FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated"
).split()
UNIMPLEMENTED, UNKNOWN, DEADLINE_EXCEEDED = 12, 2, 4


class Malformed(Exception):
    """Not HTTP/2, or not gRPC."""


class Frame(NamedTuple):
    """One frame."""

    type: int
    flags: int
    stream: int
    body: bytes


def frame(type: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame, ready to be sent."""
    return len(body).to_bytes(3, "big") + bytes((type, flags)) + stream.to_bytes(4, "big") + body


def take(data: bytearray) -> Frame | None:
    """Takes the first frame off the front; None while it is not complete. Raises Malformed for one
    that is too long.
    """
    if len(data) < HEAD:
        return None
    size = int.from_bytes(data[:3], "big")
    if size > FRAME_MOST:
        raise Malformed("frame too large")
    if len(data) < HEAD + size:
        return None
    found = Frame(
        data[3],
        data[4],
        int.from_bytes(data[5:9], "big") & 0x7FFFFFFF,
        bytes(data[HEAD : HEAD + size]),
    )
    del data[: HEAD + size]
    return found


def content(found: Frame) -> bytes:
    """The body of HEADERS or DATA without padding and priority. Raises Malformed."""
    body = found.body
    if found.flags & PADDED:
        if not body or body[0] >= len(body):
            raise Malformed("padding longer than its frame")
        body = body[1 : len(body) - body[0]]
    return body[5:] if found.type == HEADERS and found.flags & PRIORITY else body


# -- the call -----------------------------------------------------------------------------------------------------------


def call(authority: str, service: str, agent: str) -> bytes:
    """Everything that a client has to say to ask ``service`` how it is."""
    settings = b"".join(id.to_bytes(2, "big") + bytes(4) for id in (_TABLE_SIZE, _ENABLE_PUSH))
    headers = (
        (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"), (":authority", authority),
        ("content-type", "application/grpc"), ("user-agent", agent), ("te", "trailers"),
    )  # fmt: skip
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return b"".join(
        (
            PREFACE,
            frame(SETTINGS, 0, 0, settings),
            frame(HEADERS, END_HEADERS, 1, block),
            frame(DATA, END_STREAM, 1, body),
        )
    )


def _text(text: str) -> bytes:
    data = text.encode()
    return _integer(len(data), 7) + data


def _integer(value: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    return bytes((value,)) if value < most else bytes((most,)) + _varint(value - most)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def serving(body: bytes) -> int:
    """The status in the answer's message. Raises Malformed."""
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise Malformed("an answer that is no single message")
    status, at, data = 0, 0, body[5:]
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            value, at = _read_varint(data, at)
            status = value if key >> 3 == 1 else status
        elif key & 7 == 2:
            size, at = _read_varint(data, at)
            at += size
        else:
            at += {1: 8, 5: 4}.get(key & 7, len(data))
    return status


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    raise Malformed("a number without an end")


# -- header blocks ------------------------------------------------------------------------------------------------------


def headers(block: bytes) -> dict[str, str]:
    """What a header block says; names from the static table other than :status are left out. Raises
    Malformed.
    """
    found, at = {}, 0
    while at < len(block):
        first = block[at]
        if first & 0x80:
            index, at = _read_integer(block, at, 7)
            if not 0 < index <= _STATIC:
                raise Malformed("a header of a table that is empty")
            if index in _STATUS:
                found[":status"] = _STATUS_CODES[index - _STATUS.start]
        elif first & 0xE0 == 0x20:
            _, at = _read_integer(block, at, 5)
        else:
            index, at = _read_integer(block, at, 6 if first & 0x40 else 4)
            name, at = (
                _read_text(block, at) if index == 0 else (":status" if index in _STATUS else "", at)
            )
            value, at = _read_text(block, at)
            found[name] = value
    found.pop("", None)
    return found


def _read_integer(data: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = data[at] & most
    if value < most:
        return value, at + 1
    more, at = _read_varint(data, at + 1)
    return most + more, at


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    if at >= len(data):
        raise Malformed("a header block that ends too early")
    packed = data[at] & 0x80
    size, at = _read_integer(data, at, 7)
    if at + size > len(data):
        raise Malformed("a header block that ends too early")
    raw = data[at : at + size]
    return (_unpack(raw) if packed else raw).decode("utf-8", "replace"), at + size


# The code of RFC 7541, appendix B, is canonical: the lengths of its 257 words say all. Runs as
# "length*count".
_LENGTHS = (
    "13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13 6 7*22 8 7 8 13 19 "
    "13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2 22*3 23 22 23*5 24 23 24*2 22 23 24 "
    "23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 "
    "19 22 23 22 25 26*3 27*2 26 24 25 19 21 26 27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 "
    "26 27 26*2 27*5 28 27*5 26 30"
)


def _words() -> dict[tuple[int, int], int]:
    """Symbol by (length, word)."""
    lengths = [
        int(size)
        for size, _, times in (run.partition("*") for run in _LENGTHS.split())
        for _ in range(int(times or 1))
    ]
    found, word, before = {}, 0, 0
    for size, symbol in sorted((size, symbol) for symbol, size in enumerate(lengths)):
        word <<= size - before
        found[size, word] = symbol
        word, before = word + 1, size
    return found


_WORDS = _words()


def _unpack(data: bytes) -> bytes:
    return bytes(_symbols(data))


def _symbols(data: bytes) -> Iterator[int]:
    word = size = 0
    for byte in data:
        for bit in range(7, -1, -1):
            word, size = word << 1 | byte >> bit & 1, size + 1
            symbol = _WORDS.get((size, word))
            if symbol is not None:
                if symbol == 256:
                    raise Malformed("an end within a text")
                yield symbol
                word = size = 0
    if size > 7 or word != (1 << size) - 1:
        raise Malformed("a text that ends within a letter")
