"""The addresses that load balancers are given, as a flag names them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadPool(ValueError):
    """A pool that cannot be read; the message is one sentence."""


class AddressPool(NamedTuple):
    """Ranges of addresses, both ends included."""

    ranges: tuple[tuple[Address, Address], ...] = ()

    def __contains__(self, text: object) -> bool:
        """Whether an address belongs to the pool."""
        try:
            address = ipaddress.ip_address(str(text))
        except ValueError:
            return False
        return any(
            first.version == address.version and int(first) <= int(address) <= int(last)
            for first, last in self.ranges
        )

    def first_free(self, family: str, taken: Collection[str]) -> str:
        """The lowest free address of ``IPv4`` or ``IPv6``, in the order of the ranges; "" for
        none.
        """
        return next((text for text in self._addresses(family) if text not in taken), "")

    def _addresses(self, family: str) -> Iterator[str]:
        for first, last in self.ranges:
            if f"IPv{first.version}" == family:
                for number in range(int(first), int(last) + 1):
                    yield str(type(first)(number))


def parse(text: str) -> AddressPool:
    """A pool of networks, ranges and single addresses: ``192.0.2.0/28,198.51.100.7-198.51.100.9``.

    A network's own address and its broadcast address are left out. Raises BadPool.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    return AddressPool(tuple(map(_range, words)))


def _range(word: str) -> tuple[Address, Address]:
    try:
        if "/" in word:
            return _ends(ipaddress.ip_network(word))
        low, _, high = word.partition("-")
        first, last = ipaddress.ip_address(low.strip()), ipaddress.ip_address((high or low).strip())
    except ValueError as error:
        raise BadPool(f'"{word}" is no network, range or address: {error}') from None
    if first.version != last.version or int(first) > int(last):
        raise BadPool(f'"{word}" is no range: its first address must not be behind its last')
    return first, last


def _ends(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[Address, Address]:
    if network.num_addresses <= 2:
        return network[0], network[-1]
    return network[1], network[-2]
