"""Sockets that outlive the process which reads them: whoever watches over a node opens those of its
name server and hands them over. What arrives while the node is started again waits in them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from kubelite.node.dns.sockets import Sockets

VARIABLE = "KUBELITE_NAME_SERVER"
"""Two descriptors in the environment of a node: UDP, a comma, TCP."""


def environment(sockets: Sockets) -> dict[str, str]:
    """What tells a child that inherits the sockets which they are."""
    return {VARIABLE: f"{sockets.udp.fileno()},{sockets.tcp.fileno()}"}


def inherited(environ: MutableMapping[str, str] = os.environ) -> Sockets | None:
    """The sockets that this process was handed, once; None where there are none."""
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    udp, tcp = (int(number) for number in text.split(","))
    os.set_inheritable(udp, False)
    os.set_inheritable(tcp, False)
    return Sockets(socket.socket(fileno=udp), socket.socket(fileno=tcp))
