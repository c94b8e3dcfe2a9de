"""Addresses and networks in fields of objects. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

_NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_LEADING_ZEROS = "must not have leading 0s"
_NO_NETWORK = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_VERSIONS = {4: "IPv4", 6: "IPv6"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def family(text: str) -> str:
    """IPv4, IPv6, or "" for what is no address."""
    try:
        return _VERSIONS[ipaddress.ip_address(text).version]
    except ValueError:
        return ""


_family_of = family


def check_address(text: str, path: str, family: str = "") -> list[Cause]:
    """An address, of one family where it is given."""
    parsed_family = _family_of(text)
    if not parsed_family:
        return [causes.invalid(path, text, _LEADING_ZEROS if _is_padded(text) else _NO_ADDRESS)]
    if ipaddress.ip_address(text).version == 6 and ipaddress.IPv6Address(text).ipv4_mapped:
        return [causes.invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
    if family and parsed_family != family:
        return [causes.invalid(path, text, f"must be an {family} address")]
    return []


def is_readable(text: str) -> bool:
    """Whether a text is an address, be it with zeros before its numbers."""
    return bool(_family_of(text)) or _is_padded(text)


def _is_padded(text: str) -> bool:
    """Whether an IPv4 address has numbers with zeros before them, ``010.1.1.1``."""
    parts = text.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts
    )


def check_usable(text: str, path: str) -> Iterator[Cause]:
    """An address that traffic can be sent to: not that of a loopback, a link, or nothing."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return
    if address.is_unspecified:
        yield causes.invalid(path, text, f"may not be unspecified ({address})")
    if address.is_loopback:
        why = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
        yield causes.invalid(path, text, why)
    if address.is_link_local:
        why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        yield causes.invalid(path, text, why)
    if address.is_multicast and _is_link_multicast(address):
        why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        yield causes.invalid(path, text, why)


def _is_link_multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    networks = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
    return any(address in network for network in networks)


def parsed_network(text: str) -> Network | None:
    """A network; None for a text that is none. Bits of a host are allowed."""
    if "/" not in text:
        return None
    length = text.partition("/")[2]
    if not length.isdigit() or (len(length) > 1 and length[0] == "0"):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def check_network(text: str, path: str) -> Iterator[Cause]:
    """A network in CIDR form."""
    if parsed_network(text) is None:
        yield causes.invalid(path, text, _NO_NETWORK)


def is_strictly_inside(inner: Network, outer: Network) -> bool:
    """Whether a network is a part of another, and not all of it."""
    return (
        inner.version == outer.version
        and inner.prefixlen > outer.prefixlen
        and inner.network_address in outer
    )
