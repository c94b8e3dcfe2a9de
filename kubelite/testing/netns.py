"""Network namespaces for tests: "the host" of a test is the namespace that kubelite was started
in.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.core import native
from kubelite.core.plan import Namespace

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class NetworkNamespace:
    """A namespace with nothing but a loopback interface. It lives as long as this object is open or
    a process is in it."""

    def __init__(self, *, loopback: bool = True) -> None:
        home = _current()
        try:
            native.unshare(Namespace.NET)
            try:
                self.fd = _current()
                if loopback:
                    _loopback_up()
            finally:
                native.setns(home, Namespace.NET)
        finally:
            os.close(home)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within, the calling thread is in the namespace, and so is every process and socket that
        it makes there.
        """
        home = _current()
        try:
            self.enter()
            try:
                yield
            finally:
                native.setns(home, Namespace.NET)
        finally:
            os.close(home)

    def enter(self) -> None:
        """Moves the calling thread into the namespace, for good."""
        native.setns(self.fd, Namespace.NET)

    def close(self) -> None:
        """Lets go of the namespace."""
        os.close(self.fd)

    def __enter__(self) -> NetworkNamespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
