"""Whether a process of the host uses a port: tried by binding a socket to it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from kubelite.node.network.errors import NetworkError, PortRefused, PortTaken
from kubelite.node.network.ports import HINT, HostPort

_KINDS = {
    "TCP": (socket.SOCK_STREAM, 0),
    "UDP": (socket.SOCK_DGRAM, 0),
    "SCTP": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


def refuse_bound(ports: Iterable[HostPort]) -> None:
    """Raises PortTaken for a port in use in this network namespace, PortRefused for a hostIP that
    this machine does not have.
    """
    for port in ports:
        try:
            probe = socket.socket(socket.AF_INET, *_KINDS[port.protocol])
        except OSError:
            continue  # a kernel whose processes cannot speak it: none has the port
        with probe:
            if port.protocol == "TCP":  # ignores connections in TIME_WAIT, but no listener
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((port.host_ip, port.host_port))
            except OSError as error:
                raise _failure(port, error) from None


def _failure(port: HostPort, error: OSError) -> NetworkError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"{port} is already taken by a process of this machine", hint=HINT)
    if error.errno == errno.EADDRNOTAVAIL:
        return PortRefused(
            f"{port}: this machine has no such address", hint="`ip address` shows those it has"
        )
    return NetworkError(f"{port} cannot be bound: {error.strerror}")
