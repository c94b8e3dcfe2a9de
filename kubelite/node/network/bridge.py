"""The bridge of a home, and the host settings it needs: a free subnet, forwarding.

Homes of one network namespace know of each other only through the kernel. A subnet is taken when a
bridge has a route to it; choosing one is serialised by a lock on the namespace itself, so nothing
of it outlives the namespace. Whether forwarding was off before is stored in the bridge's ``tag``, a
number without meaning to the kernel (ip-sysctl), with a bit for each family. A removed bridge
passes it on to that of another home, and removing the last one turns forwarding off again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.core import native
from kubelite.core.errors import NativeError
from kubelite.node.network import ipam, names
from kubelite.objects.facts.pod_ranges import IPV6_UPPER, PREFIX

_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_FORWARD6 = "/proc/sys/net/ipv6/conf/all/forwarding"
_IPV6_OFF = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
_NETFILTER = "/proc/sys/net/bridge"
_IPV4, _IPV6 = 1, 2
_WAS_OFF = {_IPV4: _FORWARD, _IPV6: _FORWARD6}
"""By the bits of a tag, what is to be turned off again."""
_SIOCGIFMTU, _SIOCSIFMTU = 0x8921, 0x8922
_LINK_SCOPE = "20"
"""As /proc/net/if_inet6 writes it (IPV6_ADDR_LINKLOCAL)."""
_IFREQ = "16si20x"
"""A name and an int in a struct ifreq, netdevice(7)."""
MAX_MTU = 65535
"""Of a veth and of a bridge; the loopback has more."""
_LOOK_SECONDS = 0.0002
_NO_UPLINK = (
    *("lo", "kl-", "lb-", "veth", "docker", "br-", "virbr", "podman", "cni", "cali", "flannel"),
    *("lxc", "lxdbr", "incusbr", "vnet", "tap"),
)
"""How interfaces of virtual machines and containers begin, of kubelite's and of other programs'."""


def exists(name: str) -> bool:
    """Whether this network namespace has an interface of that name."""
    return index(name) != 0


def index(name: str) -> int:
    """The index of an interface in this network namespace; 0 where there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def make(
    key: str,
    preferred: int | None = None,
    *,
    has_ipv6: bool = False,
    max_mtu: int = MAX_MTU,
) -> tuple[int, tuple[str, ...]]:
    """Makes or completes the home's bridge; returns its subnet, the ``preferred`` one where it is
    free, and warnings about settings that could not be made. Raises NoAddress, NativeError.
    """
    name = names.bridge(key)
    with _namespace_lock():
        subnet = choose(key, preferred)
        upper = IPV6_UPPER if has_ipv6 else b""
        native.net_bridge(name, ipam.gateway(subnet), PREFIX, upper)
        match_mtu(key, max_mtu)
        refuse_routers(name)
        warnings = _forward(name, _IPV4) + (_forward(name, _IPV6) if has_ipv6 else ())
        return subnet, warnings


def supports_ipv6() -> bool:
    """Whether new interfaces of this machine can have IPv6 addresses."""
    try:
        return _read(_IPV6_OFF) == "0"
    except FileNotFoundError:
        return False


def choose(key: str, preferred: int | None = None) -> int:
    """The subnet that the home's bridge has, or would get now. Raises NoAddress."""
    return ipam.choose_subnet(key, routes(), names.bridge(key), preferred)


def routes() -> list[ipam.Route]:
    """The IPv4 routes of this network namespace."""
    with open("/proc/thread-self/net/route", encoding="utf-8") as file:
        return ipam.parse_routes(file.read())


def match_mtu(key: str, limit: int = MAX_MTU) -> None:
    """Gives the home's bridge the MTU of the machine's way out, or ``limit`` where that is less;
    pods get that of the bridge. Raises OSError.

    With a larger one, connections through a tunnel open and then hang wherever ICMP is filtered.
    """
    outward = ipam.default_interface(routes())
    if outward is None and limit == MAX_MTU:
        return
    value = min(limit, mtu(outward) if outward is not None else MAX_MTU)
    request = struct.pack(_IFREQ, names.bridge(key).encode(), value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control, _SIOCSIFMTU, request)


def link_local_address(address: str) -> str:
    """The IPv6 link-local address of this machine on the link that an IPv4 address of it lies on;
    "" where there is none.
    """
    route = ipam.route_to(ipam.number(address), routes())
    try:
        with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
            lines = [line.split() for line in file]
    except FileNotFoundError:
        return ""  # a kernel without IPv6
    own = (
        digits
        for digits, _, _, scope, _, interface in lines
        if route is not None and interface == route.interface and scope == _LINK_SCOPE
    )
    return next((socket.inet_ntop(socket.AF_INET6, bytes.fromhex(text)) for text in own), "")


def mtu(interface: str) -> int:
    """The MTU of an interface. Raises OSError."""
    request = struct.pack(_IFREQ, os.fsencode(interface), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        return int(struct.unpack(_IFREQ, fcntl.ioctl(control, _SIOCGIFMTU, request))[1])


def remove(key: str) -> bool:
    """Removes the home's bridge and undoes what was changed for it; False when there was none."""
    name = names.bridge(key)
    with _namespace_lock():
        if not exists(name):
            return False
        if tag := _tag(name):
            _restore_forwarding(name, tag)
        return _delete(name)


def _delete(name: str) -> bool:
    """Deletes an interface; False when there was none. Returns once nobody sees it any more: the
    kernel then waits, for 30 to 50 ms, until no processor can still look at it, in a system call
    that nothing interrupts. Raises NativeError.
    """
    import threading  # for the last pod of a home only

    answers: list[bool | NativeError] = []

    def work() -> None:
        try:
            answers.append(native.net_delete(name))
        except NativeError as error:
            answers.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive() and exists(name):
        thread.join(_LOOK_SECONDS)
    for answer in answers:
        if isinstance(answer, NativeError):
            raise answer
        return answer
    return True


def restores_forwarding(key: str) -> tuple[bool, bool]:
    """Whether forwarding of IPv4 and of IPv6 is to be turned off again when the home's bridge
    goes.
    """
    tag = _tag(names.bridge(key))
    return bool(tag & _IPV4), bool(tag & _IPV6)


def restore_forwarding_later(key: str, ipv4: bool, ipv6: bool) -> None:
    """Says so of a bridge whose predecessor did."""
    if bits := ipv4 * _IPV4 | ipv6 * _IPV6:
        _add_tag(names.bridge(key), bits)


def uplinks(*, ipv6: bool = False) -> list[str]:
    """The interfaces between which this machine forwards only because kubelite has turned on
    forwarding; none where it was on before, since then somebody else decides about it.
    """
    bit = _IPV6 if ipv6 else _IPV4
    bridges = (name for _, name in socket.if_nameindex() if names.is_bridge(name))
    if not any(_tag(name) & bit for name in bridges):
        return []
    return outward_interfaces()


def outward_interfaces() -> list[str]:
    """The interfaces that lead out of this machine, as far as their names tell."""
    interfaces = [name for _, name in socket.if_nameindex()]
    return [name for name in interfaces if not name.startswith(_NO_UPLINK)]


def load_netfilter() -> str:
    """Loads br_netfilter, without which frames between the ports of a bridge pass by Services and
    network policies; returns a warning where that fails, else an empty string.

    The kernel loads the module for nobody by itself.
    """
    if os.path.isdir(_NETFILTER):
        return ""
    import subprocess  # a pod without a cluster does without it

    try:
        done = subprocess.run(["modprobe", "br_netfilter"], capture_output=True, text=True)
        reason = done.stderr.strip()
    except OSError as error:
        reason = f"modprobe: {error.strerror}"
    if os.path.isdir(_NETFILTER):
        return ""
    return f"pods of one node may evade Services and policies: br_netfilter is missing ({reason})"


def serve_loopback(key: str) -> None:
    """Lets packets from 127.0.0.1 leave through the bridge, for host ports called from the host.

    To be called once the firewall table exists, which drops such packets from pods
    (CVE-2020-8558).
    """
    _write(_setting(names.bridge(key), "route_localnet"), "1")


@contextmanager
def _namespace_lock() -> Iterator[None]:
    """Serialises the choice of subnets in this network namespace."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def refuse_routers(name: str) -> None:
    """The host takes no router advertisements from pods (CVE-2020-13401)."""
    try:
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_ra", "0")
    except FileNotFoundError:
        pass  # a kernel without IPv6


def _forward(name: str, bit: int) -> tuple[str, ...]:
    """Enables a family's forwarding; sets the tag first, so that a crash in between is undone as
    well.
    """
    path = _WAS_OFF[bit]
    try:
        if _read(path) == "0":
            _add_tag(name, bit)
            if bit == _IPV6:
                _change_routers("1", "2")
            _write(path, "1")
    except OSError as error:
        return (
            f"pods reach only this machine and each other: {path} cannot be set ({error.strerror})",
        )
    return ()


def _change_routers(old: str, new: str) -> None:
    """Of interfaces that lead out: while this machine forwards, 2 keeps what 1 means otherwise,
    that its own routes follow the routers' advertisements (ip-sysctl, ``accept_ra``).
    """
    for name in outward_interfaces():
        path = f"/proc/sys/net/ipv6/conf/{name}/accept_ra"
        try:
            if _read(path) == old:
                _write(path, new)
        except FileNotFoundError:
            pass  # the interface has no IPv6, or is gone


def _restore_forwarding(name: str, tag: int) -> None:
    others = [
        other for _, other in socket.if_nameindex() if other != name and names.is_bridge(other)
    ]
    if others:
        _add_tag(others[0], tag)
        return
    for bit, path in _WAS_OFF.items():
        if tag & bit:
            _write(path, "0")
    if tag & _IPV6:
        _change_routers("2", "1")


def _tag(name: str) -> int:
    return int(_read(_setting(name, "tag")))


def _add_tag(name: str, bits: int) -> None:
    _write(_setting(name, "tag"), str(_tag(name) | bits))


def _setting(interface: str, name: str) -> str:
    return f"/proc/sys/net/ipv4/conf/{interface}/{name}"


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(value)
