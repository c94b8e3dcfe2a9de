"""The choice of a subnet for a home and of an address for a pod. Pure.

Subnets are those of :mod:`kubelite.objects.facts.pod_ranges`. The search starts at a hash of the
home's key, so that a home usually gets the same subnet again. Addresses are integers in host byte
order here.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from kubelite.node.network.errors import NoAddress
from kubelite.objects.facts.pod_ranges import COUNT, POOL, POOL_PREFIX, PREFIX

_GATEWAY, _FIRST, _LAST = 1, 2, 254


class Route(NamedTuple):
    """A destination that this machine has a route to; ``gateway`` is 0 on a link of its own."""

    interface: str
    address: int
    mask: int
    gateway: int = 0


def parse_routes(text: str) -> list[Route]:
    """The text of /proc/net/route (proc(5)): addresses are hexadecimal, in the machine's byte
    order.
    """
    routes = []
    for line in text.split("\n")[1:]:
        fields = line.split()
        if len(fields) >= 8:
            target, gateway, mask = (_swapped(fields[column]) for column in (1, 2, 7))
            routes.append(Route(fields[0], target, mask, gateway))
    return routes


def route_to(address: int, routes: Iterable[Route]) -> Route | None:
    """The route that packets to an address take: the first of the narrowest."""
    fitting = (route for route in routes if address & route.mask == route.address)
    return max(fitting, key=lambda route: route.mask, default=None)


def default_interface(routes: Iterable[Route]) -> str | None:
    """The interface of the default route that the kernel prefers: the first of them."""
    return next((route.interface for route in routes if not route.mask | route.address), None)


def _swapped(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), "little")


def choose_subnet(key: str, routes: Iterable[Route], own: str, preferred: int | None = None) -> int:
    """The network address of the home's subnet: the one that its bridge ``own`` has a route to, or
    else a free one, ``preferred`` before all others.

    Routes as wide as the whole pool, such as the default route or a company's 10.0.0.0/8, are
    ignored: every subnet overlaps with them, and the longer prefix wins. Raises NoAddress.
    """
    width = _mask(POOL_PREFIX)
    narrow = [route for route in routes if route.mask & ~width]
    for route in narrow:
        if route.interface == own and route.address & width == POOL:
            return subnet_of(route.address)
    start = int(key, 16)
    pool = (POOL | (start + step) % COUNT << (32 - PREFIX) for step in range(COUNT))
    for subnet in pool if preferred is None else (preferred, *pool):
        if not any(_overlaps(subnet, route) for route in narrow):
            return subnet
    raise NoAddress(
        "every /24 of 10.208.0.0/12 overlaps with a route of this machine: "
        "no subnet is left for pods",
        hint="`ip route` shows the routes; "
        "`kubelite system reset` frees the subnet of an unused root",
    )


def _overlaps(subnet: int, route: Route) -> bool:
    shared = route.mask & _mask(PREFIX)
    return subnet & shared == route.address & shared


def choose_address(subnet: int, uid: str, taken: Collection[int]) -> int:
    """A free address of the subnet for a pod. The search starts at a hash of the uid, so that the
    address of a removed pod is not reused at once. Raises NoAddress.
    """
    size = _LAST - _FIRST + 1
    start = zlib.crc32(uid.encode())
    for step in range(size):
        address = subnet | _FIRST + (start + step) % size
        if address not in taken:
            return address
    raise NoAddress(
        f"all {size} addresses of {text(subnet)}/{PREFIX} are in use by pods",
        hint="`kubelite pod ls -A` shows them; another root (--root) has a subnet of its own",
    )


def addresses(subnet: int) -> list[int]:
    """Every address of the subnet that a pod may get."""
    return [subnet | host for host in range(_FIRST, _LAST + 1)]


def gateway(subnet: int) -> int:
    """The bridge's own address."""
    return subnet | _GATEWAY


def subnet_of(address: int) -> int:
    """The subnet that an address lies in."""
    return address & _mask(PREFIX)


def _mask(bits: int) -> int:
    return 0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF


def text(address: int) -> str:
    """An address in dotted notation."""
    return ".".join(map(str, address.to_bytes(4, "big")))


def number(address: str) -> int:
    """The reverse of :func:`text`. Raises ValueError when it is not an IPv4 address."""
    parts = address.split(".")
    if len(parts) != 4 or not all(
        part.isascii() and part.isdigit() and int(part) < 256 for part in parts
    ):
        raise ValueError(f"not an IPv4 address: {address!r}")
    return int.from_bytes(bytes(map(int, parts)), "big")
