"""A host and its neighbour on one network, in network namespaces. Their addresses are those for
documentation; with ``upper`` they have IPv6 addresses too (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelite.core import native
from kubelite.node.network import ipam
from kubelite.testing.host import difference, network_snapshot
from kubelite.testing.netns import NetworkNamespace

UPLINK, NEIGHBOUR = "192.0.2.1", "192.0.2.9"
UPPER = bytes.fromhex("20010db80000000000000000")
"""Of IPv6 addresses outside; the rest is that of the IPv4 address."""
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDING6 = Path("/proc/sys/net/ipv6/conf/all/forwarding")


def outer(address: str, upper: bytes = UPPER) -> str:
    """The IPv6 address outside that goes with an IPv4 address."""
    return socket.inet_ntop(socket.AF_INET6, upper + socket.inet_aton(address))


def add_uplink(*gateways: str, address: str = UPLINK, upper: bytes = b"") -> None:
    """Gives this namespace an uplink, with default routes to the gateways."""
    native.net_bridge("up0", ipam.number(address), 24, upper)
    for gateway in gateways:
        subprocess.run(["ip", "route", "add", "default", "via", gateway], check=True)


@contextmanager
def make_host(*gateways: str, upper: bytes = b"") -> Iterator[NetworkNamespace]:
    """A host with an uplink, which is as it was at the end; it forwards nothing by itself."""
    with NetworkNamespace() as space, space.inside():
        for switch in (FORWARDING, FORWARDING6):
            switch.write_text("0")  # a new namespace may have what the machine has
        add_uplink(*gateways, upper=upper)
        before = network_snapshot()
        yield space
        # The kernel takes its time over interfaces of namespaces that are gone.
        deadline = time.monotonic() + 10
        while difference(before, network_snapshot()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert difference(before, network_snapshot()) == []


@contextmanager
def make_neighbour(
    address: str = NEIGHBOUR, gateway: str = UPLINK, upper: bytes = b""
) -> Iterator[NetworkNamespace]:
    """Another machine on the uplink of this namespace; what it sends further goes by the host."""
    with NetworkNamespace() as space:
        ends = (ipam.number(address), 24, ipam.number(gateway))
        native.net_attach(space.fd, "up0", "up0-1", "eth0", *ends, upper)
        yield space
        native.net_delete("up0-1")
