"""SPDY/3.1 as kubectl uses it for exec, attach and port-forward: parses frames into events, and
encodes frames. Pure.

Only what those need: streams opened by the client, data, ends, pings. Flow control is ignored, as
the clients do. Header blocks are compressed with one zlib stream per
direction and the dictionary of the draft (draft-mbelshe-httpbis-spdy-00, section 2.6.10; SPDY/3.1
differs in flow control only).
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
MAX_HEADERS = 64 << 10
MAX_FRAME = 1 << 20
_VERSION = 3
_CONTROL = 0x80

_SINGLE = """
options head post put delete trace accept accept-charset accept-encoding accept-language
accept-ranges age allow authorization cache-control connection content-base content-encoding
content-language content-length content-location content-md5 content-range content-type date etag
expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since
last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status
""".split()
_WORDS = [
    *_SINGLE,
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
]
_CODES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
)
_PHRASES = (
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 U"
    "nauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Ser"
    "vice Unavailable"
)
_REST = (
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtm"
    "l+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8char"
    "set=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS)
    + (_CODES + _PHRASES + _REST).encode()
)


class SpdyError(Exception):
    """The peer violates SPDY/3."""


class Opened(NamedTuple):
    """The client has opened a stream and waits for :meth:`Session.reply`. ``ended``: it will
    send no data.
    """

    stream: int
    headers: dict[str, str]
    ended: bool


class Data(NamedTuple):
    """Bytes of a stream, and whether they were the last."""

    stream: int
    data: bytes
    ended: bool


class Reset(NamedTuple):
    """A stream was aborted."""

    stream: int


class Ping(NamedTuple):
    """To be answered with :meth:`Session.pong`."""

    number: int


class Goodbye(NamedTuple):
    """The client opens no more streams."""


Event = Opened | Data | Reset | Ping | Goodbye


class Session:
    """The server's side of one connection. Feed it what arrives; send what its methods return."""

    def __init__(self) -> None:
        self._held = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def receive(self, data: bytes) -> list[Event]:
        """The events in what has arrived so far. Raises SpdyError."""
        self._held += data
        events: list[Event] = []
        while len(self._held) >= 8:
            size = int.from_bytes(self._held[5:8], "big")
            if size > MAX_FRAME:
                raise SpdyError(f"a frame of {size} bytes")
            if len(self._held) < 8 + size:
                break
            head, payload, self._held = (
                self._held[:8],
                self._held[8 : 8 + size],
                self._held[8 + size :],
            )
            event = self._event(head, payload)
            if event is not None:
                events.append(event)
        return events

    def _event(self, head: bytes, payload: bytes) -> Event | None:
        if not head[0] & _CONTROL:
            return Data(int.from_bytes(head[:4], "big"), payload, bool(head[4] & FIN))
        version, kind = struct.unpack(">HH", head[:4])
        if version & 0x7FFF != _VERSION:
            raise SpdyError(f"version {version & 0x7FFF}")
        number = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF if len(payload) >= 4 else 0
        if kind == SYN_STREAM and len(payload) >= 10:
            return Opened(number, self._headers(payload[10:]), bool(head[4] & FIN))
        simple: dict[int, Event] = {
            RST_STREAM: Reset(number),
            PING: Ping(number),
            GOAWAY: Goodbye(),
        }
        return simple.get(kind)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MAX_HEADERS)
            if self._inflate.unconsumed_tail:
                raise SpdyError(f"a header block of more than {MAX_HEADERS} bytes")
            count, position = int.from_bytes(plain[:4], "big"), 4
            texts: list[str] = []
            for _ in range(min(count, 1000) * 2):
                size = int.from_bytes(plain[position : position + 4], "big")
                texts.append(plain[position + 4 : position + 4 + size].decode())
                position += 4 + size
        except (zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a broken header block: {error}") from error
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """Accepts a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(
            zlib.Z_SYNC_FLUSH
        )
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + block)

    def data(self, stream: int, data: bytes, *, end: bool = False) -> bytes:
        """Bytes of a stream, in frames of ordinary size; ``end`` says that they are the last."""
        pieces = [
            data[start : start + MAX_FRAME // 16] for start in range(0, len(data), MAX_FRAME // 16)
        ] or [b""]
        frames = [
            struct.pack(">IB", stream, FIN if end and number == len(pieces) - 1 else 0)
            + len(piece).to_bytes(3, "big")
            + piece
            for number, piece in enumerate(pieces)
        ]
        return b"".join(frames)

    def pong(self, number: int) -> bytes:
        """The answer to a ping."""
        return _control(PING, 0, struct.pack(">I", number))

    def goodbye(self) -> bytes:
        """No more streams are accepted."""
        return _control(GOAWAY, 0, struct.pack(">II", 0, 0))


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return (
        struct.pack(">HHB", 0x8000 | _VERSION, kind, flags)
        + len(payload).to_bytes(3, "big")
        + payload
    )
