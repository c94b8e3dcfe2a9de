"""The loopback interface of a pod's network namespace: CNI plug-ins leave it down."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from kubelite.core import native
from kubelite.core.plan import Namespace

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_REQUEST = "16sH14x"


def bring_up(netns: int) -> None:
    """Brings up ``lo`` in the network namespace of the descriptor ``netns``. Raises OSError."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        native.setns(netns, Namespace.NET)
        try:
            any_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        finally:
            native.setns(home, Namespace.NET)
    finally:
        os.close(home)
    with any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_REQUEST, b"lo", 0))
        flags = struct.unpack(_REQUEST, answer)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_REQUEST, b"lo", flags))
