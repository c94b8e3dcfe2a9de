"""Name lookups with a timeout, which the C library's resolver does not have.

A lookup that times out goes on in its own thread, and further lookups of the same name wait for
that one: a resolver that does not answer costs one thread per name, however often it is asked.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
_running: dict[tuple[str, int], _Lookup] = {}
_lock = threading.Lock()


class _Lookup:
    """One lookup; ``finished`` is set once ``addresses`` or ``error`` is."""

    def __init__(self, host: str, port: int) -> None:
        self.key = (host, port)
        self.finished = threading.Event()
        self.addresses: list[Any] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.addresses = socket.getaddrinfo(*self.key, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.error = error
        with _lock:
            _running.pop(self.key, None)
        self.finished.set()


def addresses(host: str, port: int, seconds: float | None) -> Sequence[Address]:
    """The TCP addresses of ``host``. Raises TimeoutError after ``seconds``, OSError and
    UnicodeError for a name that cannot be resolved.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    with _lock:
        lookup = _running.get((host, port))
        if lookup is None:
            lookup = _running[host, port] = _Lookup(host, port)
            threading.Thread(target=lookup.run, name=f"lookup of {host}", daemon=True).start()
    if not lookup.finished.wait(seconds):
        raise TimeoutError(f"lookup {host}: i/o timeout")
    if lookup.error is not None:
        raise lookup.error
    return lookup.addresses
