"""Pods with IPv6 addresses beside those of IPv4, by packets."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.node.network import ipam, names, nftables
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.node.network.ports import HostPort
from kubelite.testing.host import difference, network_snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.kernel.test_network import TIMEOUT, held_leases, numbers
from tests.testing.uplink import (
    FORWARDING6,
    NEIGHBOUR,
    UPLINK,
    UPPER,
    make_host,
    make_neighbour,
    outer,
)

KEY = "0a1b2c3f"
FAR, GATEWAY_OF_FAR = "198.51.100.9", "198.51.100.1"
CONF = Path("/proc/sys/net/ipv6/conf")
OFF = CONF / "default/disable_ipv6"
WEB = HostPort(host_port=8080, container_port=80)


class Pod:
    """A network namespace that gets its place in a home's network."""

    def __init__(self, network: PodNetwork, uid: str, *ports: HostPort, dual: bool = True) -> None:
        self.space = NetworkNamespace(loopback=False)
        self.lease: Lease = network.prepare(uid, f"default/{uid}", ports, dual_stack=dual)
        network.attach(self.lease, self.space.fd)


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with make_host(upper=UPPER) as space:
        yield space


@pytest.fixture
def outside(host: NetworkNamespace) -> Iterator[NetworkNamespace]:
    with make_neighbour(upper=UPPER) as space:
        yield space


@pytest.fixture
def network(host: NetworkNamespace, tmp_path: Path) -> Iterator[PodNetwork]:
    network = PodNetwork(str(tmp_path), KEY, str(tmp_path / "lock"))
    yield network
    network.remove_all()


def reach(client: NetworkNamespace, server: NetworkNamespace, target: str, port: int = 80) -> str:
    """Who calls port 80 of ``server`` at ``target``, as it sees it. Raises OSError."""
    with server.inside():
        listener = socket.create_server(("::", 80), family=socket.AF_INET6)
    listener.settimeout(TIMEOUT)
    with listener, client.inside(), socket.create_connection((target, port), TIMEOUT):
        accepted, peer = listener.accept()
        accepted.close()
        return str(peer[0])


def test_pods_reach_each_other_the_host_and_other_machines(
    network: PodNetwork, host: NetworkNamespace, outside: NetworkNamespace
) -> None:
    a, b = Pod(network, "a"), Pod(network, "b", WEB)
    assert network.lease("b") == b.lease
    assert b.lease.ipv6.startswith("fd6b:")
    assert reach(a.space, b.space, b.lease.ipv6) == a.lease.ipv6
    assert reach(a.space, host, outer(UPLINK)) == a.lease.ipv6
    assert reach(host, a.space, a.lease.ipv6).startswith("fd6b:")
    assert reach(a.space, outside, outer(NEIGHBOUR)) == outer(UPLINK)
    assert reach(outside, b.space, outer(UPLINK), 8080) == outer(NEIGHBOUR)
    assert reach(b.space, b.space, outer(UPLINK), 8080).startswith("fd6b:")


def test_a_pod_without_it_runs_beside_and_before(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    before = Pod(network, "before", dual=False)
    with pytest.raises(OSError, match="unreachable"):
        reach(before.space, host, outer(UPLINK))
    dual, beside = Pod(network, "dual"), Pod(network, "beside", dual=False)
    assert (before.lease.ipv6, beside.lease.ipv6) == ("", "")
    assert reach(dual.space, host, outer(UPLINK)) == dual.lease.ipv6
    with before.space.inside():
        assert "eth0" not in Path("/proc/thread-self/net/if_inet6").read_text()


def test_a_machine_with_ipv6_turned_off_says_so(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    OFF.write_text("1")
    pod = Pod(network, "a")
    assert pod.lease.ipv6 == ""
    assert pod.lease.warnings == (
        "pods have IPv4 addresses only: this machine has IPv6 turned off",
    )
    OFF.write_text("0")


def test_the_host_still_follows_its_routers_and_is_as_it_was_afterwards(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    accepts = CONF / "up0/accept_ra"
    before = accepts.read_text()
    accepts.write_text("1")
    Pod(network, "a")
    assert (FORWARDING6.read_text(), accepts.read_text()) == ("1\n", "2\n")
    network.remove("a")
    assert (FORWARDING6.read_text(), accepts.read_text()) == ("0\n", "1\n")
    accepts.write_text(before)


@pytest.mark.parametrize("was_router", [False, True])
def test_neighbours_do_not_route_through_this_machine(
    network: PodNetwork, host: NetworkNamespace, outside: NetworkNamespace, was_router: bool
) -> None:
    """Unless it was a router before."""
    FORWARDING6.write_text(str(int(was_router)))
    gateway = ipam.number(GATEWAY_OF_FAR)
    native.net_bridge("up1", gateway, 24, UPPER)
    try:
        with NetworkNamespace() as far:
            native.net_attach(far.fd, "up1", "up1-1", "eth0", ipam.number(FAR), 24, gateway, UPPER)
            pod = Pod(network, "a")
            try:
                passed = bool(reach(outside, far, outer(FAR)))
            except OSError:
                passed = False
            assert passed == was_router
            assert reach(pod.space, far, outer(FAR)) == outer(GATEWAY_OF_FAR)
    finally:
        network.remove("a")
        native.net_delete("up1")
        FORWARDING6.write_text("0")


@pytest.mark.parametrize("defended", [True, False])
def test_no_pod_sends_from_the_address_of_another(
    network: PodNetwork, host: NetworkNamespace, defended: bool
) -> None:
    attacker, victim = Pod(network, "a"), Pod(network, "b")
    if not defended:
        nftables.run(f"flush chain ip6 {names.table(KEY)} martians\n")
    ours = (victim.lease.ipv6, attacker.lease.ipv6)
    with host.inside(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as arrived:
        arrived.bind(("::", 7777))
        arrived.settimeout(TIMEOUT)
        with attacker.space.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((names.POD_INTERFACE, 0))
            for source in ours:
                ends = (attacker.lease.address, attacker.lease.gateway)
                sender.send(datagram(ends, source, outer(UPLINK), 7777))
        received = set()
        while attacker.lease.ipv6 not in received:  # sent last
            received.add(arrived.recvfrom(100)[1][0])
    assert received == set(ours[defended:])


def datagram(ends: tuple[str, str], source: str, target: str, port: int) -> bytes:
    """An Ethernet frame with a UDP packet (RFC 8200, RFC 768); ``ends`` are IPv4 addresses, of
    which link-layer addresses are made.
    """
    data = b"by hand!"
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, end) for end in (source, target))
    length = 8 + len(data)
    pseudo = addresses + struct.pack("!II", length, socket.IPPROTO_UDP)
    udp = struct.pack("!HHHH", 40000, port, length, 0) + data
    words = struct.unpack(f"!{len(pseudo + udp) // 2}H", pseudo + udp)
    checksum = ~(sum(words) % 0xFFFF) & 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + udp[8:]
    head = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64) + addresses
    link = b"".join(b"\x02\x6b" + socket.inet_aton(end) for end in reversed(ends))
    return link + struct.pack("!H", 0x86DD) + head + udp


def test_killed_anywhere_on_the_way_up_or_down(network: PodNetwork, host: NetworkNamespace) -> None:
    nftables.run("list tables")
    before, points = network_snapshot(), 0
    for _ in numbers(lambda: Pod(network, "a", WEB) and None, 61):
        network.remove("a")
        assert difference(before, network_snapshot()) == []
        points += 1
    network.remove("a")
    Pod(network, "a", WEB)
    for _ in numbers(lambda: network.remove("a"), 31):
        network.remove("a")
        assert difference(before, network_snapshot()) == []
        assert held_leases(network) == []
        Pod(network, "a", WEB)
        points += 1
    assert points >= 5


def test_the_entries_of_a_pod_go_with_it(network: PodNetwork, host: NetworkNamespace) -> None:
    Pod(network, "a")
    pod = Pod(network, "b")
    show = ["ip", "-6", "neigh", "show", "dev", names.bridge(KEY)]
    before = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    network.remove("b")
    after = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert f"{pod.lease.ipv6} lladdr" in before and pod.lease.ipv6 not in after
