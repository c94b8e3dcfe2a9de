"""May the server connect there? The one answer for proxies, kubelets and everything else whose
address somebody else chose.

The server stands where its callers do not: what listens on its loopback interface or answers on
link-local addresses (cloud metadata) is not meant for them. An address may hide such a one: mapped
and compatible IPv4, 6to4, Teredo and NAT64 are unwrapped first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from kubelite.control.api.wire.status import bad_request, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOW_BITS = (1 << 32) - 1


def is_allowed(address: Address, *, loopback: bool = False) -> bool:
    """Whether the server may connect to an address; ``loopback``: to this machine too."""
    return all(
        (loopback or not form.is_loopback)
        and not form.is_link_local
        and not form.is_multicast
        and not form.is_unspecified
        and str(form) != "255.255.255.255"
        for form in _meanings(address)
    )


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses that it stands for."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    for hidden in (address.ipv4_mapped, address.sixtofour):
        if hidden is not None:
            yield hidden
    if address.teredo is not None:
        yield from address.teredo
    is_compatible = address in _COMPATIBLE and int(address) > 1  # :: and ::1 mean themselves
    if is_compatible or any(address in network for network in _NAT64):
        yield ipaddress.IPv4Address(int(address) & _LOW_BITS)


def is_allowed_host(host: str) -> bool:
    """Whether a text is an address that the server may connect to."""
    try:
        return is_allowed(ipaddress.ip_address(host))
    except ValueError:
        return False


def check_address(host: str) -> None:
    """Whether a pod's or an endpoint's address may be connected to. Raises StatusError 400."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise bad_request(f"address not allowed: {host!r} is not an IP address") from error
    if not is_allowed(address):
        raise bad_request("address not allowed")


async def resolve(host: str, *, loopback: bool) -> str:
    """The address of a host, checked: connect to this, not to the name, which may mean something
    else a moment later. Raises StatusError 400, 503.
    """
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise unavailable(f"cannot resolve {host}: {error}") from error
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    allowed = [address for address in addresses if is_allowed(address, loopback=loopback)]
    if not allowed:
        raise bad_request(f"address not allowed: {host}")
    return str(allowed[0])
