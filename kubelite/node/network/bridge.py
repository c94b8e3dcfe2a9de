"""The bridge of a home, and what it asks of the host: a free subnet, forwarding.

Homes of one network namespace know each other only through the kernel. A subnet is claimed by the
route of the bridge that has it, and choosing one is guarded by a lock on the namespace itself, so
that nothing of it outlives the namespace. Whether forwarding was off before is kept in the bridge's
own ``tag``, a number that the kernel stores for whoever wants it (ip-sysctl); a bridge that goes
hands it on to another home's, and the last one turns forwarding off again.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.core import native
from kubelite.node.network import ipam, names

_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_WAS_OFF = "1"


def exists(name: str) -> bool:
    """Whether this network namespace has an interface of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def make(key: str) -> tuple[int, tuple[str, ...]]:
    """The home's bridge, made or completed: its subnet, and what could not be had. Raises
    NoAddress, NativeError.
    """
    name = names.bridge(key)
    with _namespace_lock():
        with open("/proc/thread-self/net/route", encoding="ascii") as file:
            subnet = ipam.choose_subnet(key, ipam.parse_routes(file.read()), name)
        native.net_bridge(name, ipam.gateway(subnet), ipam.PREFIX)
        _refuse_routers(name)
        return subnet, _forward(name)


def remove(key: str) -> bool:
    """Removes the home's bridge and undoes what was changed for it; False when there was none."""
    name = names.bridge(key)
    with _namespace_lock():
        if not exists(name):
            return False
        if _read(_setting(name, "tag")) == _WAS_OFF:
            _give_back(name)
        return native.net_delete(name)


def serve_loopback(key: str) -> None:
    """Lets packets from 127.0.0.1 leave through the bridge: a host port is reached from the host
    itself.

    Only once the firewall table is there, which keeps pods from using the same way in
    (CVE-2020-8558).
    """
    _write(_setting(names.bridge(key), "route_localnet"), "1")


@contextmanager
def _namespace_lock() -> Iterator[None]:
    """Exclusive among everything in this network namespace that wants a subnet."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _refuse_routers(name: str) -> None:
    """The host takes no router advertisements from pods (CVE-2020-13401)."""
    try:
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_ra", "0")
    except FileNotFoundError:
        pass  # a kernel without IPv6


def _forward(name: str) -> tuple[str, ...]:
    """Forwarding on; the tag first, so that a crash between the two is undone as well."""
    try:
        if _read(_FORWARD) == "0":
            _write(_setting(name, "tag"), _WAS_OFF)
            _write(_FORWARD, "1")
    except OSError as error:
        return (
            f"pods reach this machine and each other only: {_FORWARD} cannot be set ({error.strerror})",
        )
    return ()


def _give_back(name: str) -> None:
    others = [each for _, each in socket.if_nameindex() if each != name and names.is_bridge(each)]
    if others:
        _write(_setting(others[0], "tag"), _WAS_OFF)
    else:
        _write(_FORWARD, "0")


def _setting(interface: str, name: str) -> str:
    return f"/proc/sys/net/ipv4/conf/{interface}/{name}"


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)
