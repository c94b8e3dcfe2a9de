"""Pods' networks in a real kernel: "the host" is a network namespace of the test's own, as are the
pods.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.core.errors import NativeError
from kubelite.lib.files import FileLock
from kubelite.node.network import bridge, firewall_rules, ipam, names, nftables
from kubelite.node.network.bandwidth import Bandwidth, burst
from kubelite.node.network.errors import FirewallRefused, NoFirewall, PortRefused, PortTaken
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.node.network.ports import HostPort
from kubelite.testing.host import difference, network_snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.testing.uplink import FORWARDING, NEIGHBOUR, UPLINK, make_host, make_neighbour

WEB = HostPort(host_port=8080, container_port=80)
TIMEOUT = 5

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)


class Pod:
    """A network namespace that gets its place in a home's network."""

    def __init__(self, network: PodNetwork, uid: str, *ports: HostPort) -> None:
        self.space = NetworkNamespace(loopback=False)
        self.lease: Lease = network.prepare(uid, f"default/{uid}", ports)
        network.attach(self.lease, self.space.fd)

    @property
    def address(self) -> str:
        return self.lease.address


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with make_host() as space:
        yield space


@pytest.fixture
def outside(host: NetworkNamespace) -> Iterator[NetworkNamespace]:
    with make_neighbour() as space:
        yield space


@pytest.fixture
def home(host: NetworkNamespace, tmp_path: Path) -> Iterator[Callable[[str], PodNetwork]]:
    """Makes homes by their key; what they still have at the end is removed."""
    made: list[PodNetwork] = []

    def make(key: str) -> PodNetwork:
        run = tmp_path / key
        run.mkdir(exist_ok=True)
        made.append(PodNetwork(str(run), key, str(run / "lock")))
        return made[-1]

    yield make
    for network in made:
        network.remove_all()
    assert list(tmp_path.glob("*/leases/*")) == list(tmp_path.glob("*/network.json")) == []


@pytest.fixture
def network(home: Callable[[str], PodNetwork]) -> PodNetwork:
    return home("0a1b2c3d")


def bridge_of(network: PodNetwork) -> str:
    return names.bridge(network.key)


def reach(
    client: NetworkNamespace,
    server: NetworkNamespace,
    port: int,
    target: tuple[str, int],
    source: str = "",
) -> str:
    """Who calls at ``target``, as a TCP server in ``server`` on ``port`` sees it. Raises OSError
    when nothing comes.
    """
    with server.inside():
        listener = socket.create_server(("", port))
    listener.settimeout(TIMEOUT)
    with listener, client.inside():
        origin = (source, 0) if source else None
        with socket.create_connection(target, TIMEOUT, origin) as sent, listener.accept()[0] as got:
            sent.sendall(b"ping")
            assert got.recv(4) == b"ping"
            got.sendall(b"pong")
            assert sent.recv(4) == b"pong"
            return str(got.getpeername()[0])


# -- addresses -------------------------------------------------------------------------------------


def test_pods_reach_each_other_the_host_and_are_reached(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    a, b = Pod(network, "a"), Pod(network, "b")
    assert a.lease.gateway == b.lease.gateway and a.address != b.address
    assert reach(a.space, b.space, 80, (b.address, 80)) == a.address
    assert reach(host, a.space, 80, (a.address, 80)) == a.lease.gateway
    assert reach(a.space, host, 80, (a.lease.gateway, 80)) == a.address
    assert reach(a.space, a.space, 80, ("127.0.0.1", 80)) == "127.0.0.1"


def test_a_pod_sees_one_interface_with_its_address(network: PodNetwork) -> None:
    pod = Pod(network, "a")
    with pod.space.inside():
        assert [name for _, name in socket.if_nameindex()] == ["lo", "eth0"]
        routes = ipam.parse_routes(Path("/proc/thread-self/net/route").read_text())
        six = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    assert [(r.interface, ipam.text(r.address)) for r in routes] == [("eth0", "0.0.0.0")]
    assert [line for line in six if "eth0" in line] == []


def test_pods_have_the_mtu_of_the_machines_way_out(network: PodNetwork) -> None:
    subprocess.run(["ip", "link", "set", "up0", "mtu", "1400"], check=True)
    subprocess.run(["ip", "route", "add", "default", "via", NEIGHBOUR], check=True)
    pod = Pod(network, "a")
    with pod.space.inside():
        shown = subprocess.run(["ip", "link", "show", "eth0"], capture_output=True, check=True)
    subprocess.run(["ip", "route", "del", "default"], check=True)
    assert b" mtu 1400 " in shown.stdout


def test_traffic_to_other_machines_leaves_under_the_hosts_address(
    network: PodNetwork, outside: NetworkNamespace
) -> None:
    pod = Pod(network, "a")
    assert reach(pod.space, outside, 80, (NEIGHBOUR, 80)) == UPLINK
    assert reach(outside, pod.space, 80, (pod.address, 80)) == NEIGHBOUR


def test_a_pod_keeps_its_address_when_it_is_prepared_again(network: PodNetwork) -> None:
    first = Pod(network, "a")
    again = Pod(network, "a")
    assert again.address == first.address
    assert reach(again.space, again.space, 80, (again.address, 80)) == again.address
    assert network.lease("a") == again.lease
    assert network.lease("b") is None


def test_two_homes_have_subnets_and_bridges_of_their_own(home: Callable[[str], PodNetwork]) -> None:
    one, two = Pod(home("00000001"), "a"), Pod(home("00000002"), "a")
    assert ipam.subnet_of(ipam.number(one.address)) != ipam.subnet_of(ipam.number(two.address))
    assert one.lease.bridge != two.lease.bridge
    assert reach(one.space, two.space, 80, (two.address, 80)) != ""


def test_two_homes_whose_keys_name_one_subnet_still_differ(
    home: Callable[[str], PodNetwork],
) -> None:
    keys = ("00000001", f"{1 + (1 << 12):08x}")
    assert len({ipam.choose_subnet(key, [], "") for key in keys}) == 1
    one, two = (Pod(home(key), "a") for key in keys)
    assert ipam.subnet_of(ipam.number(one.address)) != ipam.subnet_of(ipam.number(two.address))


# -- host ports ------------------------------------------------------------------------------------


def test_a_host_port_from_everywhere(
    network: PodNetwork, host: NetworkNamespace, outside: NetworkNamespace
) -> None:
    pod, other = Pod(network, "a", WEB), Pod(network, "b")
    assert reach(host, pod.space, 80, ("127.0.0.1", 8080)) == pod.lease.gateway
    assert reach(host, pod.space, 80, (UPLINK, 8080)) == UPLINK
    assert reach(other.space, pod.space, 80, (UPLINK, 8080)) == other.address
    assert reach(pod.space, pod.space, 80, (UPLINK, 8080)) == pod.lease.gateway
    assert reach(outside, pod.space, 80, (UPLINK, 8080)) == NEIGHBOUR


def test_a_host_port_of_one_address_answers_there_only(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    pod = Pod(network, "a", HostPort(host_port=8080, container_port=80, host_ip="127.0.0.1"))
    assert reach(host, pod.space, 80, ("127.0.0.1", 8080)) == pod.lease.gateway
    with pytest.raises(OSError):
        reach(host, pod.space, 80, (UPLINK, 8080))


def test_a_host_port_of_udp(network: PodNetwork, host: NetworkNamespace) -> None:
    pod = Pod(network, "a", HostPort(host_port=5353, container_port=53, protocol="UDP"))
    with pod.space.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("", 53))
    with server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.settimeout(TIMEOUT)
        client.settimeout(TIMEOUT)
        client.sendto(b"ping", ("127.0.0.1", 5353))
        data, peer = server.recvfrom(10)
        server.sendto(data, peer)
        assert client.recvfrom(10) == (b"ping", ("127.0.0.1", 5353))


@pytest.mark.parametrize("limited", ["ingress", "egress"])
def test_a_pod_uses_no_more_than_its_bandwidth(
    network: PodNetwork, host: NetworkNamespace, limited: str
) -> None:
    rate, size = 1_000_000, 1_500_000
    space = NetworkNamespace(loopback=False)
    lease = network.prepare("a", "default/a")
    network.attach(lease, space.fd, Bandwidth(**{limited: rate}))
    to_pod, to_host = (host, space, lease.address), (space, host, lease.gateway)
    ways = {"ingress": to_pod, "egress": to_host}
    slow, fast = ways.pop(limited), *ways.values()
    least = (size - 2 * burst(rate)) / rate
    assert seconds_for(size, *slow) > least > 2 * seconds_for(size, *fast)


def seconds_for(
    size: int, sender: NetworkNamespace, receiver: NetworkNamespace, address: str
) -> float:
    """How long so many bytes take from one namespace to another."""
    with receiver.inside():
        listener = socket.create_server(("", 80))
    began = time.monotonic()
    with sender.inside():
        out = socket.create_connection((address, 80), TIMEOUT)
    with listener, out, listener.accept()[0] as arriving:
        thread = threading.Thread(target=out.sendall, args=(bytes(size),))
        thread.start()
        left = size
        while left:
            left -= len(arriving.recv(1 << 16))
        thread.join()
    return time.monotonic() - began


def test_the_first_datagrams_of_a_new_pod_arrive(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    """Both ways: the interfaces and the bridge forward as soon as the pod is attached."""
    for _ in range(20):
        pod = Pod(network, "a")
        with pod.space.inside():
            inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with inside, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            for end in (inside, outside):
                end.bind(("", 5353))
                end.settimeout(TIMEOUT)
            for sender, receiver, address in (
                (outside, inside, pod.address),
                (inside, outside, pod.lease.gateway),
            ):
                sender.sendto(b"ping", (address, 5353))
                assert receiver.recv(10) == b"ping"
        network.remove("a")


@pytest.mark.parametrize("guarded", [True, False])
def test_a_pod_cannot_use_the_way_to_the_hosts_loopback(
    network: PodNetwork, host: NetworkNamespace, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """CVE-2020-8558: what listens on the host's loopback is not the pods'. Without the rules it
    would be.
    """
    if not guarded:
        monkeypatch.setattr(
            firewall_rules, "_TABLE", firewall_rules._TABLE.replace(" drop\n", " accept\n")
        )
    pod = Pod(network, "a", WEB)
    secret = socket.create_server(("127.0.0.1", 99))
    secret.settimeout(0.3)
    with secret, pod.space.inside(), socket.socket() as client:
        Path("/proc/sys/net/ipv4/conf/eth0/route_localnet").write_text("1")
        for words in (
            "rule add pref 0 to 127.0.0.1 lookup 7",
            "rule add pref 5 lookup local",
            "rule del pref 0 lookup local",
            f"route add 127.0.0.1/32 via {pod.lease.gateway} dev eth0 onlink table 7",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        client.bind((pod.address, 0))
        client.settimeout(0.3)
        if not guarded:
            client.connect(("127.0.0.1", 99))
            return
        with pytest.raises(OSError):
            client.connect(("127.0.0.1", 99))
        with pytest.raises(TimeoutError):
            secret.accept()


def hardware_address(address: str) -> bytes:
    """That of a pod with this address."""
    return b"\x02\x6b" + socket.inet_aton(address)


def arp_reply(sender: bytes, claimed: str, target: bytes, asker: str) -> bytes:
    """ "``claimed`` is at ``sender``", as a frame (RFC 826)."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
    body += sender + socket.inet_aton(claimed) + target + socket.inet_aton(asker)
    return target + sender + bytes.fromhex("0806") + body


def router_advertisement(sender: bytes) -> bytes:
    """A frame to all nodes in which fe80::1 offers itself as default router, and the prefix
    2001:db8:: (RFC 4861, 4.2).
    """
    prefix = struct.pack(
        "!BBBBIII16s",
        3,
        4,
        64,
        0xC0,
        3600,
        3600,
        0,
        socket.inet_pton(socket.AF_INET6, "2001:db8::"),
    )
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    source, target = (socket.inet_pton(socket.AF_INET6, text) for text in ("fe80::1", "ff02::1"))
    whole = source + target + struct.pack("!II", len(body), 58) + body
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + target
    return bytes.fromhex("333300000001") + sender + bytes.fromhex("86dd") + header + body


def test_no_pod_becomes_the_router_of_others(network: PodNetwork, host: NetworkNamespace) -> None:
    """CVE-2020-13401: router advertisements of a pod change nothing on the host or in other
    pods.
    """
    attacker, victim = Pod(network, "a"), Pod(network, "b")
    advertisement = router_advertisement(hardware_address(attacker.address))
    with victim.space.inside():
        arrived = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
        arrived.settimeout(TIMEOUT)
    with attacker.space.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        sender.send(advertisement)
    with arrived:  # among what the kernel says of its own accord
        while arrived.recv(2000) != advertisement:
            pass
    for space in (host, victim.space):
        with space.inside():
            routes = Path("/proc/thread-self/net/ipv6_route").read_text()
            addresses = Path("/proc/thread-self/net/if_inet6").read_text()
        assert "fe800000000000000000000000000001" not in routes
        assert "20010db8" not in routes + addresses


def udp_packet(source: str, target: str, port: int, payload: bytes) -> bytes:
    """An IPv4 packet (RFC 791, 768) without a UDP checksum."""
    udp = struct.pack("!HHHH", 9999, port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


def take_over(attacker: Pod, victim: Pod) -> None:
    """Claims the victim's address towards the host, and the victim's link-layer address as well."""
    own, stolen = hardware_address(attacker.address), hardware_address(victim.address)
    gateway = attacker.lease.gateway
    with attacker.space.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        for mac in (own, stolen):
            for target in (hardware_address(gateway), b"\xff" * 6):
                sender.send(arp_reply(mac, victim.address, target, gateway))


def defenceless(network: PodNetwork, *pods: Pod) -> None:
    """Ports and neighbours as bridges have them by default."""
    name = bridge_of(network)
    for pod in pods:
        settings = ["learning", "on", "locked", "off", "flood", "on"]
        subprocess.run(["bridge", "link", "set", "dev", pod.lease.interface, *settings], check=True)
        neighbour = ["ip", "neigh", "del", pod.address, "dev", name]
        subprocess.run(neighbour, check=True)


@pytest.mark.parametrize("defended", [True, False])
def test_no_pod_takes_over_the_address_of_another(
    network: PodNetwork, host: NetworkNamespace, defended: bool
) -> None:
    """By ARP replies and with the other's link-layer address, which NET_RAW, a default capability,
    permits.
    """
    attacker, victim = Pod(network, "a"), Pod(network, "b")
    if not defended:
        defenceless(network, attacker, victim)
        with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"who has it", (victim.address, 9))  # the host asks, and is answered
    deadline = time.monotonic() + TIMEOUT
    taken_over = False
    while not taken_over and time.monotonic() < deadline:
        take_over(attacker, victim)
        try:
            taken_over = reach(host, victim.space, 80, (victim.address, 80)) != victim.lease.gateway
        except OSError:
            taken_over = True
        if defended:
            break
    assert taken_over != defended


@pytest.mark.parametrize("defended", [True, False])
def test_no_pod_sends_from_the_address_of_another(
    network: PodNetwork, host: NetworkNamespace, defended: bool
) -> None:
    attacker, victim = Pod(network, "a"), Pod(network, "b")
    if not defended:
        nftables.run("flush chain ip kubelite-0a1b2c3d martians")
    payload = b"I am somebody else"
    gateway = attacker.lease.gateway
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as arrived:
        arrived.bind(("", 7777))
        arrived.settimeout(0.3)
        with attacker.space.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind(("eth0", 0))
            for source in (victim.address, attacker.address):
                packet = udp_packet(source, gateway, 7777, payload + source.encode())
                frame = hardware_address(gateway) + hardware_address(attacker.address)
                sender.send(frame + bytes.fromhex("0800") + packet)
        received = set()
        with contextlib.suppress(TimeoutError):
            while True:
                received.add(arrived.recvfrom(100)[1][0])
    assert received == {attacker.address} | (set() if defended else {victim.address})


@pytest.mark.parametrize("forwarded_before", [False, True])
def test_neighbours_do_not_route_through_this_machine(
    network: PodNetwork,
    host: NetworkNamespace,
    outside: NetworkNamespace,
    forwarded_before: bool,
) -> None:
    """Unless it was a router before."""
    FORWARDING.write_text(str(int(forwarded_before)))
    native.net_bridge("up1", ipam.number("198.51.100.1"), 24)
    try:
        with NetworkNamespace() as far:
            target = "198.51.100.9"
            numbers = (ipam.number(target), 24, ipam.number("198.51.100.1"))
            native.net_attach(far.fd, "up1", "up1-1", "eth0", *numbers)
            pod = Pod(network, "a")
            try:
                passed = bool(reach(outside, far, 80, (target, 80)))
            except OSError:
                passed = False
            assert passed == forwarded_before
            assert reach(pod.space, far, 80, (target, 80)) == "198.51.100.1"
            assert reach(pod.space, outside, 80, (NEIGHBOUR, 80)) == UPLINK
    finally:
        network.remove("a")
        native.net_delete("up1")
        FORWARDING.write_text("0")


def test_the_entries_of_a_pod_go_with_it(network: PodNetwork, host: NetworkNamespace) -> None:
    Pod(network, "a")
    pod = Pod(network, "b")
    show = ["ip", "neigh", "show", "dev", bridge_of(network)]
    before = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    network.remove("b")
    after = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert f"{pod.address} lladdr" in before and pod.address not in after


def test_a_port_that_another_pod_holds(network: PodNetwork) -> None:
    Pod(network, "a", WEB)
    held = held_leases(network)
    with pytest.raises(PortTaken, match="hostPort 8080/TCP is already taken by pod default/a"):
        network.prepare("b", "default/b", [HostPort(host_port=8080, container_port=81)])
    assert held_leases(network) == held


def test_a_port_that_a_pod_of_another_home_holds(home: Callable[[str], PodNetwork]) -> None:
    Pod(home("00000001"), "a", WEB)
    with pytest.raises(PortTaken, match="another kubelite"):
        home("00000002").prepare("b", "default/b", [WEB])
    assert not bridge.exists(names.bridge("00000002"))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_a_process_of_the_host_holds(
    network: PodNetwork, kind: socket.SocketKind
) -> None:
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    with socket.socket(socket.AF_INET6, kind) as taken:
        taken.bind(("::", 8080))
        if protocol == "TCP":
            taken.listen()
        with pytest.raises(PortTaken, match="process of this machine"):
            network.prepare(
                "a", "default/a", [HostPort(host_port=8080, container_port=80, protocol=protocol)]
            )
    assert not bridge.exists(names.bridge("0a1b2c3d"))


def test_a_host_ip_that_is_not_here(network: PodNetwork) -> None:
    with pytest.raises(PortRefused, match="no such address"):
        network.prepare(
            "a", "default/a", [HostPort(host_port=80, container_port=80, host_ip="198.51.100.7")]
        )
    assert not bridge.exists(names.bridge("0a1b2c3d"))


def test_a_port_is_free_again_when_its_pod_is_gone(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    Pod(network, "a", WEB)
    Pod(network, "b")
    network.remove("a")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 8080), TIMEOUT)
    pod = Pod(network, "c", WEB)
    assert reach(host, pod.space, 80, ("127.0.0.1", 8080)) == pod.lease.gateway


def test_ports_come_back_after_somebody_has_flushed_the_firewall(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    first = Pod(network, "a", WEB)
    nftables.run("flush ruleset")
    second = Pod(network, "b", HostPort(host_port=8081, container_port=80))
    for pod, port in ((first, 8080), (second, 8081)):
        assert reach(host, pod.space, 80, ("127.0.0.1", port)) == pod.lease.gateway
    nftables.run("flush ruleset")
    network.remove("b")
    assert reach(host, first.space, 80, ("127.0.0.1", 8080)) == first.lease.gateway


def test_changes_meet_the_namespace_of_whoever_makes_them(host: NetworkNamespace) -> None:
    """libnftables holds on to the namespace that it was opened in, and is kept open."""
    with NetworkNamespace() as other:
        for name in ("first", "second"):
            for space in (host, other):
                with space.inside():
                    nftables.run(f"add table ip {name}{space.fd}\n")
        in_children(1, lambda _: nftables.run("add table ip child\n") and None)
        with pytest.raises(FirewallRefused):
            nftables.run("add rule ip first nowhere accept\n")
        for space in (host, other):
            with space.inside():
                own = [f"{name}{space.fd}" for name in ("first", "second")]
                assert all(map(nftables.has_table, own))
                foreign = {host.fd, other.fd} - {space.fd}
                assert not any(nftables.has_table(f"first{fd}") for fd in foreign)
                assert nftables.has_table("child") is (space is host)
    nftables.run("flush ruleset\n")


def test_without_libnftables_pods_run_and_host_ports_are_refused(
    network: PodNetwork, host: NetworkNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_to_load(commands: str) -> tuple[bool, str]:
        raise NativeError("load", "libnftables.so.1", errno.ENOENT)

    monkeypatch.setattr(native, "nft_run", fail_to_load)
    pod = Pod(network, "a")
    assert "libnftables.so.1 is not installed" in " ".join(pod.lease.warnings)
    assert reach(host, pod.space, 80, (pod.address, 80)) == pod.lease.gateway
    with pytest.raises(NoFirewall) as refused:
        network.prepare("b", "default/b", [WEB])
    assert "apt-get install" in refused.value.hint
    network.remove("a")


# -- what is left ----------------------------------------------------------------------------------


def test_what_pods_share_goes_with_the_last(network: PodNetwork, host: NetworkNamespace) -> None:
    Pod(network, "a", WEB)
    Pod(network, "b")
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    network.remove("a")
    assert bridge.exists("kl-0a1b2c3d") and forwarding.read_text() == "1\n"
    network.remove("b")
    assert not bridge.exists("kl-0a1b2c3d") and forwarding.read_text() == "0\n"
    network.remove("b")


@pytest.mark.parametrize("before", ["0", "1"])
def test_the_last_home_puts_forwarding_back(home: Callable[[str], PodNetwork], before: str) -> None:
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    found = forwarding.read_text()
    forwarding.write_text(before)
    homes = [home(f"0000000{n}") for n in range(3)]
    try:
        for network in homes:
            network.prepare("a", "default/a")
        for network in homes:
            assert forwarding.read_text() == "1\n"
            network.remove("a")
        assert forwarding.read_text() == f"{before}\n"
    finally:
        forwarding.write_text(found)


def test_a_reboot_is_survived_by_the_files_only(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    Pod(network, "a")
    native.net_delete(names.bridge("0a1b2c3d"))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    pod = Pod(network, "a")
    assert reach(host, pod.space, 80, (pod.address, 80)) == pod.lease.gateway


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Runs ``work`` in a child that kills itself at its n-th call into C; False when it came to its
    end before.
    """
    child = os.fork()
    if child == 0:
        left = number

        def count(_frame: object, event: str, _arg: object) -> None:
            nonlocal left
            left -= event == "c_call"
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        work()
        sys.setprofile(None)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def numbers(work: Callable[[], None], stride: int) -> Iterator[int]:
    """Kills ``work`` at more and more of its calls, until it gets through."""
    at = 1
    while killed_at(at, work):
        yield at
        at += stride


def test_killed_anywhere_on_the_way_up_and_removed(network: PodNetwork) -> None:
    nftables.run("list tables")
    before, points = network_snapshot(), 0
    for _ in numbers(lambda: Pod(network, "a", WEB) and None, 29):
        network.remove("a")
        assert difference(before, network_snapshot()) == []
        assert held_leases(network) == []
        points += 1
    assert points >= 5


def test_killed_anywhere_on_the_way_up_and_tried_again(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    for _ in numbers(lambda: Pod(network, "a", WEB) and None, 41):
        pod = Pod(network, "a", WEB)
        assert reach(host, pod.space, 80, ("127.0.0.1", 8080)) == pod.lease.gateway
        network.remove("a")


def test_killed_anywhere_on_the_way_down_and_removed_again(network: PodNetwork) -> None:
    before, points = network_snapshot(), 0
    Pod(network, "a", WEB)
    for _ in numbers(lambda: network.remove("a"), 13):
        network.remove("a")
        assert difference(before, network_snapshot()) == []
        assert held_leases(network) == []
        Pod(network, "a", WEB)
        points += 1
    assert points >= 5


def held_leases(network: PodNetwork) -> list[str]:
    return sorted(each.file for each in network._leases.held())


def in_children(count: int, work: Callable[[int], None]) -> None:
    """Runs ``work`` with the numbers below ``count``, each in a process of its own."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                work(number)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children] == [0] * count


def test_two_hundred_pods_are_made_and_deleted_at_once(
    network: PodNetwork, host: NetworkNamespace
) -> None:
    before, writers = network_snapshot(), 10
    spaces = [NetworkNamespace(loopback=False) for _ in range(200)]

    def make(writer: int) -> None:
        for number in range(writer, len(spaces), writers):
            has_both = number % 2 == 0
            lease = network.prepare(f"p{number}", f"default/p{number}", dual_stack=has_both)
            network.attach(lease, spaces[number].fd)

    def delete(writer: int) -> None:
        for number in range(writer, len(spaces), writers):
            network.remove(f"p{number}")

    def replace(writer: int) -> None:
        delete(writer)
        make(writer)

    for work in (make, replace):
        in_children(writers, work)
        addresses = {network.lease(f"p{number}").address for number in range(len(spaces))}
        ports = {name for _, name in socket.if_nameindex() if name.startswith("kl-0a1b2c3d-")}
        assert ports == {names.port("0a1b2c3d", address) for address in addresses}
        assert len(ports) == len(held_leases(network)) == len(spaces)
        assert len(neighbours("-6")) == len(spaces) // 2
        assert len(neighbours("-4")) == len(spaces)
    in_children(writers, delete)
    assert held_leases(network) == []
    assert difference(before, network_snapshot()) == []
    for space in spaces:
        space.close()


def neighbours(family: str) -> list[str]:
    """What the host knows of its pods in the family ``-4`` or ``-6``."""
    show = ["ip", family, "neigh", "show", "dev", "kl-0a1b2c3d", "nud", "permanent"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_lock_is_free_when_a_call_has_come_back(network: PodNetwork, tmp_path: Path) -> None:
    network.prepare("a", "default/a")
    lock = tmp_path / "0a1b2c3d" / "lock"
    with FileLock(str(lock), timeout=0, may_create=lambda: False):
        pass
