"""Network namespaces for tests: "the host" of a test is the namespace that kubelite was started
in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.core import native
from kubelite.core.plan import Namespace
from kubelite.node.network.cni.loopback import bring_up


class NetworkNamespace:
    """A namespace with nothing but a loopback interface. It lives as long as this object is open or
    a process is in it."""

    def __init__(self, *, loopback: bool = True) -> None:
        home = _current()
        try:
            native.unshare(Namespace.NET)
            try:
                self.fd = _current()
            finally:
                native.setns(home, Namespace.NET)
        finally:
            os.close(home)
        if loopback:
            bring_up(self.fd)

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
