"""Services by packets: pods, the host and a neighbour call addresses that the proxy serves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.node.network import announcements, names, netlink, nftables
from kubelite.node.network.families import FAMILIES, IPV6
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy import netfilter
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Endpoint, Frontend
from kubelite.testing.host import difference, network_snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.testing.uplink import NEIGHBOUR, UPLINK, make_host, make_neighbour

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

VIP = "10.96.0.10"
POOL = "192.0.2.77"
VIP6 = "fd00:10:96::10"
KEY, TABLE = "0a1b2c3d", "kubelite-test-services"
WEB = ("default", "web")
TIMEOUT = 2


class Backend:
    """A pod whose server answers each connection with its name and the caller's address."""

    def __init__(self, network: PodNetwork, name: str) -> None:
        self.name = name
        self.space = NetworkNamespace(loopback=False)
        lease = network.prepare(name, f"default/{name}", (), dual_stack=True)
        network.attach(lease, self.space.fd)
        self.address, self.ipv6 = lease.addresses
        with self.space.inside():
            both = {"family": socket.AF_INET6, "dualstack_ipv6": True}
            self._tcp = socket.create_server(("::", 8080), **both)
            self._udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._udp.bind(("::", 8080))
        for serve in (self._serve_tcp, self._serve_udp):
            threading.Thread(target=serve, daemon=True).start()

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, peer = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"{self.name} {peer[0].removeprefix('::ffff:')}".encode())

    def _serve_udp(self) -> None:
        while True:
            try:
                _, peer = self._udp.recvfrom(100)
                self._udp.sendto(f"{self.name} {peer[0]}".encode(), peer)
            except OSError:
                return

    def close(self) -> None:
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        self._udp.close()
        self.space.close()


def call(client: NetworkNamespace, address: str, port: int) -> tuple[str, str]:
    """The name of the backend that answers, and the address it saw. Raises OSError."""
    with client.inside(), socket.create_connection((address, port), TIMEOUT) as connection:
        name, _, peer = connection.recv(100).decode().partition(" ")
        return name, peer


def ask(client: NetworkNamespace, address: str, port: int, source_port: int = 0) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with client.inside(), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(TIMEOUT)
        sender.bind(("", source_port))
        sender.sendto(b"?", (address, port))
        return sender.recv(100).decode().partition(" ")[0]


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with make_host(NEIGHBOUR) as space:
        yield space


@pytest.fixture
def outside(host: NetworkNamespace) -> Iterator[NetworkNamespace]:
    with make_neighbour() as space:
        yield space


@pytest.fixture
def network(host: NetworkNamespace, tmp_path: Path) -> Iterator[PodNetwork]:
    network = PodNetwork(str(tmp_path), KEY, str(tmp_path / "lock"))
    yield network
    network.remove_all()


@pytest.fixture
def backends(network: PodNetwork) -> Iterator[list[Backend]]:
    backends = [Backend(network, name) for name in ("a", "b", "c")]
    yield backends
    for backend in backends:
        backend.close()


@pytest.fixture
def proxy(host: NetworkNamespace) -> Iterator[ServiceProxy]:
    proxy = ServiceProxy(TABLE, nftables.run)
    proxy.apply({}, [])
    yield proxy
    proxy.stop()


def outside_route(outside: NetworkNamespace) -> None:
    """The neighbour sends packets for the pool to the host, as a router would."""
    with outside.inside():
        subprocess.run(["ip", "route", "add", POOL, "via", UPLINK], check=True)


def hardware_address(interface: str) -> str:
    """In the caller's network namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as any_socket:
        any_socket.bind((interface, 0))
        return any_socket.getsockname()[4].hex(":")


def endpoints(*backends: Backend) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(backend.address, 8080) for backend in backends)


def serve(proxy: ServiceProxy, backends: list[Backend], *frontends: Frontend) -> None:
    proxy.apply({WEB: frontends}, [backend.address for backend in backends])


def test_connections_to_a_cluster_ip_are_spread_and_keep_their_source(host, proxy, backends):
    serve(proxy, backends, Frontend(VIP, "tcp", 80, endpoints(*backends)))
    client = backends[0]
    answers = [call(client.space, VIP, 80) for _ in range(60)]
    assert set(Counter(name for name, _ in answers)) == {"a", "b", "c"}
    assert {peer for name, peer in answers if name != "a"} == {client.address}
    assert call(host, VIP, 80)[0] in ("a", "b", "c")


def test_a_pod_reaches_itself_through_its_service(proxy, backends):
    only = backends[0]
    serve(proxy, backends, Frontend(VIP, "tcp", 80, endpoints(only)))
    assert call(only.space, VIP, 80)[0] == "a"


def test_a_node_port_is_served_to_outside_host_and_pods(host, outside, proxy, backends):
    serve(proxy, backends, Frontend("", "tcp", 30080, endpoints(backends[1]), masquerade=True))
    assert call(outside, UPLINK, 30080)[0] == "b"
    assert call(host, UPLINK, 30080)[0] == "b"
    assert call(host, "127.0.0.1", 30080)[0] == "b"
    assert call(backends[0].space, UPLINK, 30080)[0] == "b"


def test_a_local_policy_shows_the_caller_its_address(outside, proxy, backends):
    frontend = Frontend("", "tcp", 30080, endpoints(backends[1]))
    serve(proxy, backends, frontend)
    assert call(outside, UPLINK, 30080) == ("b", NEIGHBOUR)


def test_policy_local_is_for_callers_from_outside(host, outside, proxy, backends):
    local, elsewhere = endpoints(backends[1]), endpoints(backends[2])
    frontend = Frontend("", "tcp", 30080, local, inside=elsewhere)
    serve(proxy, backends, frontend, frontend._replace(address=POOL, port=80))
    outside_route(outside)
    assert call(outside, UPLINK, 30080) == ("b", NEIGHBOUR)
    assert call(outside, POOL, 80) == ("b", NEIGHBOUR)
    for client in (host, backends[0].space):
        assert call(client, UPLINK, 30080)[0] == "c"
        assert call(client, POOL, 80)[0] == "c"
    serve(proxy, backends, frontend._replace(endpoints=(), drop_if_empty=True))
    assert call(backends[0].space, UPLINK, 30080)[0] == "c"
    with pytest.raises(TimeoutError):
        call(outside, UPLINK, 30080)


def test_clients_inside_stick_to_their_endpoint_too(proxy, backends):
    inside = endpoints(*backends)
    serve(proxy, backends, Frontend(POOL, "tcp", 80, (), affinity_seconds=100, inside=inside))
    assert len({call(backends[0].space, POOL, 80)[0] for _ in range(12)}) == 1


def test_an_address_of_a_pool_is_answered_for(host, outside, proxy, backends):
    frontend = Frontend(POOL, "tcp", 80, endpoints(backends[1]), masquerade=True, is_announced=True)
    serve(proxy, backends, frontend)
    with host.inside():
        before = network_snapshot()
        announcements.announce(KEY, [POOL])
        announcements.announce(KEY, [POOL, "192.0.2.78"])
        announcements.announce(KEY, [POOL])
    for client in (outside, host, backends[0].space):
        assert call(client, POOL, 80)[0] == "b"
    with host.inside(), socket.create_server(("", 81)):
        for client in (outside, host, backends[0].space):
            with pytest.raises(ConnectionRefusedError):
                call(client, POOL, 81)
    with host.inside():
        announcements.announce(KEY, [])
        assert difference(before, network_snapshot()) == []
    with outside.inside():
        subprocess.run(["ip", "neigh", "flush", "to", POOL], check=True)
    with pytest.raises(OSError, match=r"No route|timed out"):
        call(outside, POOL, 80)


def test_neighbours_are_told_who_has_an_address_of_a_pool_now(host, outside):
    with outside.inside():
        other = "lladdr 02:00:00:00:00:01 nud stale dev eth0"
        subprocess.run(["ip", "neigh", "add", POOL, *other.split()], check=True)
    with host.inside():
        announcements.announce(KEY, [POOL])
        own = hardware_address("up0")
        announcements.announce(KEY, [])
    with outside.inside():
        known = subprocess.run(
            ["ip", "neigh", "show", POOL], check=True, capture_output=True, text=True
        )
    assert own in known.stdout


def test_a_service_without_endpoints_refuses_at_once_or_stays_silent(host, proxy, backends):
    serve(proxy, backends, Frontend(VIP, "tcp", 80, ()))
    with pytest.raises(ConnectionRefusedError):
        call(backends[0].space, VIP, 80)
    with pytest.raises(ConnectionRefusedError):
        call(host, VIP, 80)
    serve(proxy, backends, Frontend(VIP, "tcp", 80, (), drop_if_empty=True))
    with pytest.raises(TimeoutError):
        call(backends[0].space, VIP, 80)


def test_a_client_with_affinity_stays_with_its_endpoint_while_that_is_there(proxy, backends):
    def frontend(*chosen: Backend) -> Frontend:
        return Frontend(VIP, "tcp", 80, endpoints(*chosen), affinity_seconds=100)

    serve(proxy, backends, frontend(*backends))
    client = backends[0].space
    (first,) = {call(client, VIP, 80)[0] for _ in range(12)}
    rest = [backend for backend in backends if backend.name != first]
    serve(proxy, backends, frontend(*rest))
    (second,) = {call(client, VIP, 80)[0] for _ in range(12)}
    assert second != first
    serve(proxy, backends, frontend(*backends))
    assert {call(client, VIP, 80)[0] for _ in range(12)} == {second}


def test_affinity_ends_after_its_time(proxy, backends):
    serve(proxy, backends, Frontend(VIP, "tcp", 80, endpoints(*backends), affinity_seconds=1))
    client = backends[0].space
    seen = set()
    for _ in range(30):
        seen.add(call(client, VIP, 80)[0])
        if len(seen) > 1:
            return
        threading.Event().wait(1.2)
    raise AssertionError(f"always {seen}")


def test_source_ranges_keep_others_out(outside, host, proxy, backends):
    frontend = Frontend(UPLINK, "tcp", 80, endpoints(backends[0]), masquerade=True)
    serve(proxy, backends, frontend._replace(source_ranges=("203.0.113.0/24",)))
    with pytest.raises(TimeoutError):
        call(outside, UPLINK, 80)
    serve(proxy, backends, frontend._replace(source_ranges=("192.0.2.0/24", "203.0.113.0/24")))
    assert call(outside, UPLINK, 80)[0] == "a"


def test_udp_reaches_an_endpoint_and_tells_which_ones_are_gone(proxy, backends):
    frontend = Frontend(VIP, "udp", 53, endpoints(backends[0]))
    serve(proxy, backends, frontend)
    assert ask(backends[1].space, VIP, 53) == "a"
    gone = proxy.apply({WEB: [frontend._replace(endpoints=endpoints(backends[2]))]}, [])
    assert gone == set(endpoints(backends[0]))


def test_udp_clients_that_go_on_sending_reach_the_new_endpoint(proxy, backends):
    frontend = Frontend(VIP, "udp", 53, endpoints(backends[0]))
    serve(proxy, backends, frontend)
    client = backends[1].space
    assert ask(client, VIP, 53, source_port=5000) == "a"
    gone = proxy.apply({WEB: [frontend._replace(endpoints=endpoints(backends[2]))]}, [])
    assert ask(client, VIP, 53, source_port=5000) == "a", "the kernel still tracks the old flow"
    assert netfilter.forget_udp(gone) == 1
    assert ask(client, VIP, 53, source_port=5000) == "c"
    assert netfilter.forget_udp(set()) == 0


def test_who_removes_a_table_is_noticed(host, proxy):
    watch = netlink.watch_tables()
    assert watch.removed() == set()
    nftables.run("add table ip other\ndelete table ip other\n")
    nftables.run("flush ruleset\n")
    assert watch.removed() == {TABLE, "other"}
    watch.close()


def test_a_table_that_somebody_removed_comes_back(host, proxy, backends):
    frontend = Frontend(VIP, "tcp", 80, endpoints(backends[1]), affinity_seconds=7)
    serve(proxy, backends, frontend)
    nftables.run("flush ruleset\n")
    proxy.rebuild()
    assert call(backends[0].space, VIP, 80)[0] == "b"
    nftables.run("flush ruleset\n")
    serve(proxy, backends, frontend._replace(endpoints=endpoints(backends[2])))
    assert call(backends[0].space, VIP, 80)[0] == "c"


def test_pods_of_two_clusters_call_their_own_services(host, backends, tmp_path):
    """Both give out the same addresses, and know nothing of each other."""
    (tmp_path / "other").mkdir()
    other = PodNetwork(str(tmp_path / "other"), "0a1b2cff", str(tmp_path / "lock-of-other"))
    theirs = [Backend(other, name) for name in ("x", "y")]
    proxies = {}
    for network, own in (("0a1b2c3d", backends), ("0a1b2cff", theirs)):
        bridge = names.bridge(network)
        for family in FAMILIES:
            table = f"kubelite-{network}-services"
            proxy = proxies[network, family] = ServiceProxy(table, nftables.run, family, bridge)
            address, vip = ("ipv6", VIP6) if family is IPV6 else ("address", VIP)
            served = tuple(Endpoint(getattr(pod, address), 8080) for pod in own[1:])
            proxy.apply({WEB: [Frontend(vip, "tcp", 80, served)]}, [])
    for vip in (VIP, VIP6):
        assert {call(backends[0].space, vip, 80)[0] for _ in range(30)} == {"b", "c"}
        assert call(theirs[0].space, vip, 80)[0] == "y"
    for proxy in proxies.values():
        proxy.stop()
    for backend in theirs:
        backend.close()
    other.remove_all()


def test_services_that_go_leave_no_element(proxy, backends):
    frontends = [
        Frontend(VIP, "tcp", 80, endpoints(*backends), affinity_seconds=5),
        Frontend("", "tcp", 30080, endpoints(*backends), masquerade=True),
        Frontend(UPLINK, "tcp", 81, endpoints(backends[0]), source_ranges=("10.0.0.0/8",)),
        Frontend(POOL, "tcp", 81, (), inside=endpoints(backends[0]), is_announced=True),
        Frontend(VIP, "udp", 80, ()),
    ]
    serve(proxy, backends, *frontends)
    assert elements() >= {"services", "endpoints", "node-ports", "allowed", "hairpin", "unserved"}
    assert elements() >= {"inner-services", "announced", "node-hidden"}
    proxy.apply({WEB: ()}, ())
    assert elements() == set()


def elements() -> set[str]:
    """The names of the maps and sets of the table that hold anything."""
    listing = json.loads(nftables.run(f"list table ip {TABLE}\n"))["nftables"]
    collections = [entry.get("map") or entry.get("set") or {} for entry in listing]
    return {each["name"] for each in collections if each.get("elem")}
