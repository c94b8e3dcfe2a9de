"""The two families of addresses, as Kubernetes and nftables name them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Family(NamedTuple):
    """``name`` is that of ``ipFamilies`` and ``addressType``, ``nft`` that of a table and of a
    packet's header, ``type`` that of a set's elements. ``loopback`` are the addresses of a
    machine itself.
    """

    name: str
    nft: str
    type: str
    loopback: str

    def has(self, address: str) -> bool:
        """Whether an address, or a range of them, is of this family."""
        return (":" in address) is (self.name == "IPv6")

    def of(self, addresses: Iterable[str]) -> list[str]:
        """Those of this family, in the spelling that the kernel lists them in (RFC 5952)."""
        own = filter(self.has, addresses)
        return list(own) if self.name == "IPv4" else [_canonical(address) for address in own]


IPV4 = Family("IPv4", "ip", "ipv4_addr", "127.0.0.0/8")
IPV6 = Family("IPv6", "ip6", "ipv6_addr", "::1")
FAMILIES = (IPV4, IPV6)


def _canonical(address: str) -> str:
    import ipaddress  # whoever starts a local pod does without

    if "/" in address:
        return str(ipaddress.IPv6Network(address, strict=False))
    return str(ipaddress.IPv6Address(address))
