"""Looking up a name within a time: the C library's resolver knows no deadline of the caller's.

A lookup that is late goes on in a thread of its own, and whoever asks for the same meanwhile waits
for that one: a resolver that does not answer costs one thread for each name, however often it is
asked.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
_flying: dict[tuple[str, int], _Lookup] = {}
_lock = threading.Lock()


class _Lookup:
    """One question; ``over`` is set once ``found`` or ``error`` is."""

    def __init__(self, host: str, port: int) -> None:
        self.key = (host, port)
        self.over = threading.Event()
        self.found: list[Any] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.found = socket.getaddrinfo(*self.key, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.error = error
        with _lock:
            _flying.pop(self.key, None)
        self.over.set()


def addresses(host: str, port: int, seconds: float | None) -> Sequence[Address]:
    """Where ``host`` is, for TCP. Raises TimeoutError after ``seconds``, OSError and UnicodeError
    for a name that is none.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    with _lock:
        lookup = _flying.get((host, port))
        if lookup is None:
            lookup = _flying[host, port] = _Lookup(host, port)
            threading.Thread(target=lookup.run, name=f"lookup of {host}", daemon=True).start()
    if not lookup.over.wait(seconds):
        raise TimeoutError(f"lookup {host}: i/o timeout")
    if lookup.error is not None:
        raise lookup.error
    return lookup.found
