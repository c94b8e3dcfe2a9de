"""Which addresses are meant for nobody but this machine and its link. Pure.

An address may hide such a one: mapped and compatible IPv4, 6to4, Teredo and NAT64 are unwrapped
first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOW_BITS = (1 << 32) - 1


def is_allowed(address: Address, *, loopback: bool = False) -> bool:
    """Whether one may connect to an address that somebody else chose; ``loopback``: to this machine
    too.
    """
    return all(
        (loopback or not form.is_loopback)
        and not form.is_link_local
        and not form.is_multicast
        and not form.is_unspecified
        and str(form) != "255.255.255.255"
        for form in _meanings(address)
    )


def is_allowed_host(host: str) -> bool:
    """Whether a text is an address that one may connect to."""
    try:
        return is_allowed(ipaddress.ip_address(host))
    except ValueError:
        return False


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
