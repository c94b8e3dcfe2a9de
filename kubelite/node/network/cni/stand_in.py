"""A network namespace in place of one that has gone, for plug-ins that look for what to undo there.

The reference plug-ins bridge and ptp find the rules of ``ipMasq`` by the addresses of the pod's
interface, and leave them behind where there is none. Other runtimes keep the namespace by a mount;
a pod of ours has no such mount, and its namespace goes when pause is killed.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubelite.core import native
from kubelite.core.plan import Namespace
from kubelite.node.network import ipam
from kubelite.node.network.names import POD_INTERFACE

_SIOCSIFADDR = 0x8916


def is_needed(plugin: Mapping[str, Any]) -> bool:
    """Whether the plug-in would leave something behind without a namespace."""
    return plugin.get("ipMasq") is True


@contextmanager
def namespace(result: Mapping[str, Any]) -> Iterator[str]:
    """The path of a network namespace whose pod interface has the addresses of ``result``. Raises
    NativeError, OSError.
    """
    fd = _create([entry["address"] for entry in result.get("ips") or ()])
    try:
        yield f"/proc/{os.getpid()}/fd/{fd}"
    finally:
        os.close(fd)


def _create(addresses: list[str]) -> int:
    home = _current()
    try:
        native.unshare(Namespace.NET)
        try:
            for address in map(ipaddress.ip_interface, addresses):
                if address.version == 4:
                    prefix = address.network.prefixlen
                    native.net_bridge(POD_INTERFACE, ipam.number(str(address.ip)), prefix)
            for address in map(ipaddress.ip_interface, addresses):
                if address.version == 6:
                    _add_ipv6(address.packed, address.network.prefixlen)
            return _current()
        finally:
            native.setns(home, Namespace.NET)
    finally:
        os.close(home)


def _add_ipv6(address: bytes, prefix: int) -> None:
    """``struct in6_ifreq`` of linux/ipv6.h."""
    index = socket.if_nametoindex(POD_INTERFACE)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFADDR, struct.pack("=16sIi", address, prefix, index))


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
