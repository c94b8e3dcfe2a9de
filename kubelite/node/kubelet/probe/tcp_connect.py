"""TCP connections into a pod, made by the node in the pod's network namespace, so that the image
needs no tools for it.

A socket belongs to the namespace that its thread was in at its creation, so the thread is there for
that one call only. Names are looked up outside, as in the kubelet, and error messages are the
kubelet's.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.core import native
from kubelite.core.plan import Namespace
from kubelite.node.kubelet.probe import lookup


class Unreachable(Exception):
    """The server could not be reached, or answered wrongly; the text says how."""


class Deadline:
    """``seconds`` from now; infinity is no limit."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, None without a limit. Raises TimeoutError when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds if seconds != float("inf") else None


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """The calling thread is in the network namespace of process ``pid`` within the block. Raises
    OSError.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            native.setns(there, Namespace.NET)
        finally:
            os.close(there)
        try:
            yield
        finally:
            native.setns(home, Namespace.NET)
    finally:
        os.close(home)


def dial(pid: int, host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection from inside the network namespace of ``pid``. Raises Unreachable,
    TimeoutError, OSError where the namespace is gone."""
    try:
        addresses = lookup.addresses(host, port, deadline.left())
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"dial tcp: lookup {host}: no such host") from error
    first_error = ""
    for family, kind, protocol, _, address in addresses:
        with inside(pid):
            sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left())
            sock.connect(address)
            return sock
        except TimeoutError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            where = host_port(str(address[0]), port)
            first_error = first_error or f"dial tcp {where}: connect: {reason(error)}"
    raise Unreachable(first_error)


def host_port(host: str, port: int) -> str:
    """Host and port joined, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason(error: OSError) -> str:
    """The text of an errno in lower case, as Go writes it."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
