"""How much asyncio holds for each TLS connection."""

from __future__ import annotations

from asyncio import sslproto

SIZE = 32 << 10


def make_small() -> None:
    """From now on each connection of this process has a buffer of :data:`SIZE` bytes. By default it
    is a quarter of a megabyte: of many idle watches, on both sides, that is most of what they cost.
    """
    sslproto.SSLProtocol.max_size = SIZE
