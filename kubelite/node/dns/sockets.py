"""The sockets of a name server: UDP and TCP on one port."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import NamedTuple

MAX_TCP_CONNECTIONS = 100
QUEUE_BYTES = 1 << 20
"""What may wait unread; the kernel gives less where net.core.rmem_max is less."""
_TRIES = 8


class Sockets(NamedTuple):
    """Both are bound to one address and port, and TCP listens."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def port(self) -> int:
        """The port of both."""
        return int(self.udp.getsockname()[1])

    def close(self) -> None:
        """Closes both."""
        self.udp.close()
        self.tcp.close()


def open_sockets(address: str, port: int) -> Sockets:
    """Binds both; port 0 has the kernel choose one that both may have. Raises OSError."""
    for _ in range(_TRIES):
        with contextlib.ExitStack() as undo:
            tcp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, port))
            udp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_BYTES)
            try:
                udp.bind(tcp.getsockname())
            except OSError as error:
                if port or error.errno != errno.EADDRINUSE:
                    raise
                continue  # another process has that port for UDP
            tcp.listen(MAX_TCP_CONNECTIONS)
            undo.pop_all()
            return Sockets(udp, tcp)
    raise OSError(errno.EADDRINUSE, f"no port of {address} is free for UDP and TCP")
