"""SPDY/3.1: the dictionary, frames in any pieces, and what is no SPDY."""

from __future__ import annotations

import os
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.lib.spdy import (
    DICTIONARY,
    MAX_FRAME,
    Data,
    Goodbye,
    Opened,
    Ping,
    Reset,
    Session,
    SpdyError,
)


def control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHB", 0x8003, kind, flags) + len(payload).to_bytes(3, "big") + payload


class Client:
    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def open(self, stream: int, headers: dict[str, str], *, end: bool = False) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name, value):
                block += struct.pack(">I", len(text)) + text.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, struct.pack(">IIBB", stream, 0, 0, 0) + packed, flags=int(end))


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    client, session = Client(), Session()
    sent = client.open(1, {"streamtype": "stdin", "Port": "80"}) + client.open(
        3, {"streamtype": "error"}, end=True
    )
    sent += (
        session.data(1, b"hello")
        + session.data(1, b"", end=True)
        + control(6, struct.pack(">I", 7))
    )
    sent += (
        control(3, struct.pack(">II", 3, 1))
        + control(7, struct.pack(">II", 0, 0))
        + control(4, b"\0\0\0\0")
    )
    events, position = [], 0
    for cut in [*cuts, len(sent)]:
        events += session.receive(sent[position : position + cut])
        position += cut
    assert events == [
        Opened(1, {"streamtype": "stdin", "port": "80"}, False),
        Opened(3, {"streamtype": "error"}, True),
        Data(1, b"hello", False),
        Data(1, b"", True),
        Ping(7),
        Reset(3),
        Goodbye(),
    ]


def test_long_data_goes_in_several_frames() -> None:
    data = os.urandom(300_000)
    events = [
        event
        for event in Session().receive(Session().data(5, data, end=True))
        if isinstance(event, Data)
    ]
    assert b"".join(event.data for event in events) == data
    assert [event.ended for event in events].count(True) == 1
    assert events[-1].ended


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">HHB", 0x8002, 1, 0) + b"\0\0\x0a" + b"\0" * 10,
        b"\0\0\0\1\0" + (MAX_FRAME + 1).to_bytes(3, "big"),
        control(1, b"\0" * 10 + b"no zlib at all"),
    ],
)
def test_what_is_no_spdy_is_refused(data: bytes) -> None:
    with pytest.raises(SpdyError):
        Session().receive(data)
