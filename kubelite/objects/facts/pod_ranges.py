"""The addresses of pods: each node, or state root without a cluster, has a /24 of 10.208.0.0/12,
which no common tool uses (Docker takes 172.17 and up, podman 10.88 and 10.89, Kubernetes
distributions 10.42, 10.96 and 10.244). A pod's IPv6 address ends in its IPv4 address: whoever has
one has the other. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

PREFIX, POOL_PREFIX = 24, 12
POOL = 10 << 24 | 208 << 16
"""The network address of all of them, in host byte order."""
COUNT = 1 << (PREFIX - POOL_PREFIX)
IPV6_UPPER = bytes.fromhex("fd6b7562656c697465000000")
"""The first 12 bytes of every pod's IPv6 address, of a unique local prefix (RFC 4193)."""
IPV6_PREFIX = 96 + PREFIX
"""Of the IPv6 range that a node has beside its /24."""
LINK_LAYER_UPPER = bytes.fromhex("026b")
"""The first bytes of a link-layer address that goes with an IPv4 address, as csrc/module/net.c
gives them to pods: locally administered (IEEE 802).
"""
WISH = "kubelite.io/pod-range"
"""Annotation of a Node: the range that suits it, since its machine has no other route there."""


LINK_LOCAL = "kubelite.io/link-local-address"
"""Annotation of a Node: its IPv6 address on the link of its internal address."""


def choose(node: str, wish: str, taken: Collection[str]) -> str:
    """The range of a node as ``10.208.7.0/24``: its wish if that is one of the pool and free, else
    a free one; "" where none is left. The search starts at a hash of the node's name.
    """
    if wish not in taken and is_range(wish):
        return wish
    start = zlib.crc32(node.encode())
    numbers = ((start + step) % COUNT for step in range(COUNT))
    ranges = (text(POOL | number << (32 - PREFIX)) for number in numbers)
    return next((pod_range for pod_range in ranges if pod_range not in taken), "")


def is_range(range: str) -> bool:
    """Whether a text is a range that a node can have, in the one way of writing it."""
    import ipaddress

    try:
        given = ipaddress.IPv4Network(range)
    except ValueError:
        return False
    pool = ipaddress.IPv4Network((POOL, POOL_PREFIX))
    return given.prefixlen == PREFIX and given.subnet_of(pool) and str(given) == range


def text(network: int) -> str:
    """The range with a network address."""
    import ipaddress  # whoever starts a local pod does without

    return f"{ipaddress.IPv4Address(network)}/{PREFIX}"


def ipv6(address: int) -> str:
    """The IPv6 address that goes with an IPv4 address in host byte order."""
    import ipaddress

    return str(ipaddress.IPv6Address(IPV6_UPPER + address.to_bytes(4, "big")))


def ipv6_range(range: str) -> str:
    """The IPv6 range that goes with a range, as the kernel lists it."""
    return f"{ipv6(network(range))}/{IPV6_PREFIX}"


def pool() -> str:
    """The range of all pods."""
    return f"{text(POOL).partition('/')[0]}/{POOL_PREFIX}"


def ipv6_pool() -> str:
    """The IPv6 range of all pods."""
    return f"{ipv6(POOL)}/{96 + POOL_PREFIX}"


def network(range: str) -> int:
    """The network address of a range. Raises ValueError."""
    import ipaddress

    return int(ipaddress.IPv4Network(range).network_address)
