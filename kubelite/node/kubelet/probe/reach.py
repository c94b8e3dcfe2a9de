"""Connections into a pod, made by the node inside the pod's network namespace: the image needs no
tools for it.

A socket belongs to the namespace that its thread was in when it was made, so a thread goes there
for that one call only. Names are looked up outside, as the kubelet does. Texts of failures are
those that the kubelet shows.
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


class Unreached(Exception):
    """What was asked did not answer, and how."""


class Deadline:
    """``seconds`` from now; infinity is no limit."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, None without limit. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if left != float("inf") else None


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Within, the calling thread is in the network namespace of process ``pid``. Raises OSError."""
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
    """A TCP connection from inside the namespace of ``pid``. Raises Unreached, TimeoutError,
    OSError for a namespace that is gone."""
    try:
        found = lookup.addresses(host, port, deadline.left())
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise Unreached(f"dial tcp: lookup {host}: no such host") from error
    refused = ""
    for family, kind, protocol, _, address in found:
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
            refused = (
                refused or f"dial tcp {place(str(address[0]), port)}: connect: {reason(error)}"
            )
    raise Unreached(refused)


def place(host: str, port: int) -> str:
    """Host and port as one word."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason(error: OSError) -> str:
    """What the kernel said, without capitals."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
