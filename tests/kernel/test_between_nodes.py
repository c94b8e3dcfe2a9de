"""Packets between pods of different nodes, which are network namespaces here: two on one link, a
third behind a router that knows nothing of pods.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.node.network import bridge, names, nftables
from kubelite.node.network.between.ways import ClusterNodes, Peer, RoutingMode
from kubelite.node.network.firewall_check import blocked
from kubelite.node.network.overview import overview
from kubelite.node.network.pod import PodNetwork
from kubelite.objects.facts import pod_ranges
from kubelite.testing.host import difference, network_snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.kernel.test_network import TIMEOUT
from tests.kernel.test_network_ipv6 import Pod

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

LINKS = {"first": ("192.0.2.1", "192.0.2.254"), "second": ("192.0.2.2", "192.0.2.254")}
BEHIND = {"third": ("198.51.100.1", "198.51.100.254")}
ADDRESSES = {**LINKS, **BEHIND}
RANGES = {
    "first": "10.208.1.0/24",
    "second": "10.208.2.0/24",
    "third": "10.208.3.0/24",
}
VNI = 0x123456
PAIRS = [(a, b) for a in ADDRESSES for b in ADDRESSES if a != b]
FAMILIES = ("IPv4", "IPv6")


class Node:
    """A machine with an address on one of the links, and one pod."""

    def __init__(self, name: str, space: NetworkNamespace, directory: Path) -> None:
        self.name, self.space, self.address = name, space, ADDRESSES[name][0]
        self.key = f"0b{list(ADDRESSES).index(name):06x}"
        run = directory / name
        run.mkdir()
        self.network = PodNetwork(str(run), self.key, str(run / "lock"))
        self.mode = RoutingMode.auto
        self.pod: Pod

    def ip(self, *words: str) -> str:
        with self.space.inside():
            done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
        return done.stdout

    def join(self, nodes: Mapping[str, Node]) -> list[str]:
        """What the node agent does when the Node objects change."""
        peers = {
            RANGES[other.name]: Peer(other.name, other.address, other.link_local)
            for other in nodes.values()
            if other is not self
        }
        with self.space.inside():
            view = ClusterNodes(RANGES[self.name], self.address, peers, VNI, self.mode)
            return self.network.join(view)

    @property
    def link_local(self) -> str:
        with self.space.inside():
            return bridge.link_local_address(self.address)

    def start_pod(self) -> None:
        with self.space.inside():
            self.pod = Pod(self.network, self.name)

    def has_tunnel(self) -> bool:
        with self.space.inside():
            return bridge.exists(names.tunnel(self.key))


def _connect(node: Node, router: NetworkNamespace) -> None:
    """A port of the router's for the node; nodes of one link share a switch there."""
    port, (address, gateway) = f"to-{node.name}", ADDRESSES[node.name]
    switch = f"sw-{gateway.split('.')[0]}"
    with router.inside():
        if not bridge.exists(switch):
            native.net_bridge(switch, int(ipaddress.IPv4Address(gateway)), 24)
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        path = f"/proc/{os.getpid()}/fd/{node.space.fd}"
        for words in (
            ["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", path],
            ["link", "set", port, "master", switch, "up"],
        ):
            subprocess.run(["ip", *words], check=True)
    node.ip("address", "add", f"{address}/24", "dev", "eth0")
    node.ip("link", "set", "eth0", "up")
    node.ip("route", "add", "default", "via", gateway)


@pytest.fixture
def router() -> Iterator[NetworkNamespace]:
    with NetworkNamespace() as space:
        yield space


@pytest.fixture
def nodes(router: NetworkNamespace, tmp_path: Path) -> Iterator[dict[str, Node]]:
    """Nodes that know of each other, each with a pod; afterwards nothing is left in any."""
    with ExitStack() as stack:
        made = {
            name: Node(name, stack.enter_context(NetworkNamespace()), tmp_path)
            for name in ADDRESSES
        }
        before = {}
        for name, node in made.items():
            _connect(node, router)
            with node.space.inside():
                before[name] = network_snapshot()
        for node in made.values():
            assert node.join(made) == []
            node.start_pod()
        yield made
        for name, node in made.items():
            with node.space.inside():
                node.network.remove_all()
                assert difference(before[name], network_snapshot()) == []
                assert "kubelite" not in nftables.run("list tables")
            assert "10.208" not in node.ip("route") + node.ip("neigh")
            assert "fd6b" not in node.ip("-6", "route")
            assert not node.has_tunnel()


def reach(client: NetworkNamespace, server: NetworkNamespace, target: str) -> str:
    """Who calls ``server`` at ``target``, as it sees it. Raises OSError."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with server.inside():
        listener = socket.create_server(("", 80), family=family)
    listener.settimeout(TIMEOUT)
    with listener, client.inside(), socket.create_connection((target, 80), TIMEOUT):
        accepted, peer = listener.accept()
        accepted.close()
        return str(peer[0])


def address(node: Node, family: str) -> str:
    return node.pod.lease.address if family == "IPv4" else node.pod.lease.ipv6


def assert_pods_reach_each_other(nodes: Mapping[str, Node]) -> None:
    """From each pod to each, in both families; nobody's address is hidden."""
    for family in FAMILIES:
        for a, b in PAIRS:
            caller, server = nodes[a], nodes[b]
            peer = reach(caller.pod.space, server.pod.space, address(server, family))
            assert peer == address(caller, family)


def ways(node: Node) -> dict[str, str]:
    return {way.address: str(way.kind) for way in node.network.ways().ways.values()}


def test_pods_reach_each_other_on_a_link_and_behind_a_router(
    nodes: dict[str, Node], router: NetworkNamespace
) -> None:
    assert ways(nodes["first"]) == {"192.0.2.2": "direct", "198.51.100.1": "vxlan"}
    assert_pods_reach_each_other(nodes)
    for family in FAMILIES:
        with nodes["first"].space.inside():
            direct = (address(nodes["second"], family), 1500)
            tunneled = (address(nodes["third"], family), 1450)
        for target, size in (direct, tunneled):
            _assert_largest_packet(nodes, target, family, size)
    with router.inside():
        assert _counter("/proc/net/snmp", "Ip", "FragCreates") == 0


def _assert_largest_packet(nodes: Mapping[str, Node], target: str, family: str, size: int) -> None:
    """A packet of so many bytes arrives whole, one byte more is refused by the kernel."""
    (server,) = (node for node in nodes.values() if target in node.pod.lease.addresses)
    is_ipv4 = family == "IPv4"
    kind, level = (
        (socket.AF_INET, socket.IPPROTO_IP) if is_ipv4 else (socket.AF_INET6, socket.IPPROTO_IPV6)
    )
    discover, do = (10, 2) if is_ipv4 else (23, 2)  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: DO
    size = min(size, 1450)  # pods have one MTU for all their ways
    payload = size - (28 if is_ipv4 else 48)
    with server.pod.space.inside():
        receiver = socket.socket(kind, socket.SOCK_DGRAM)
        receiver.bind(("", 4000))
        receiver.settimeout(TIMEOUT)
    with nodes["first"].pod.space.inside():
        sender = socket.socket(kind, socket.SOCK_DGRAM)
        sender.setsockopt(level, discover, do)
    with receiver, sender:
        sender.sendto(bytes(payload), (target, 4000))
        assert len(receiver.recv(2000)) == payload
        with pytest.raises(OSError, match="Message too long"):
            sender.sendto(bytes(payload + 1), (target, 4000))


def _counter(path: str, group: str, name: str) -> int:
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    titles, values = (line for line in lines if line[0] == f"{group}:")
    return int(values[titles.index(name)])


def test_only_nodes_may_send_into_the_vxlan_and_hosts_get_answers(
    nodes: dict[str, Node], router: NetworkNamespace
) -> None:
    first, third = nodes["first"], nodes["third"]
    for family in FAMILIES:
        peer = reach(first.space, third.pod.space, address(third, family))
        gateway = "10.208.1.1" if family == "IPv4" else pod_ranges.ipv6(0x0AD00101)
        assert peer == gateway
    with third.pod.space.inside():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("", 4000))
    with receiver:
        frame = _vxlan_datagram(third, VNI)
        for space, is_node in ((router, False), (first.space, True)):
            receiver.settimeout(TIMEOUT if is_node else 0.3)
            with space.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(frame, (third.address, 4789))
            if is_node:
                assert receiver.recv(100) == b"hello"
            else:
                with pytest.raises(TimeoutError):
                    receiver.recv(100)


def _vxlan_datagram(target: Node, vni: int) -> bytes:
    """What a node sends for a UDP packet from the pod 10.208.1.9 (RFC 7348, 768, 791)."""
    payload = (4000).to_bytes(2, "big") * 2 + (8 + 5).to_bytes(2, "big") + bytes(2) + b"hello"
    pod = socket.inet_aton(target.pod.lease.address)
    header = bytes.fromhex("4500") + (20 + len(payload)).to_bytes(2, "big")
    header += bytes.fromhex("000000004011") + bytes(2) + socket.inet_aton("10.208.1.9") + pod
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    header = header[:10] + checksum.to_bytes(2, "big") + header[12:]
    ethernet = bytes.fromhex("026b0ad00301" + "026b0ad00101" + "0800")
    return b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0" + ethernet + header + payload


def test_ways_follow_nodes_that_move_leave_and_return(
    nodes: dict[str, Node], router: NetworkNamespace
) -> None:
    first, second, third = nodes.values()
    second.mode = third.mode = first.mode = RoutingMode.vxlan
    for node in nodes.values():
        assert node.join(nodes) == []
    assert set(ways(first).values()) == {"vxlan"}
    assert_pods_reach_each_other(nodes)
    # The third machine comes to the link of the others, under another address.
    _move(third, router, "192.0.2.3", "192.0.2.254")
    for node in nodes.values():
        node.mode = RoutingMode.auto
        assert node.join(nodes) == []
        assert not node.has_tunnel()
    assert ways(first) == {"192.0.2.2": "direct", "192.0.2.3": "direct"}
    assert _mtu(first, names.bridge(first.key)) == 1500
    assert_pods_reach_each_other(nodes)
    with first.space.inside():
        wide = Pod(first.network, "wide")  # it keeps the MTU of the link
    # It leaves: nothing of it stays. It returns behind the router.
    stay = {"first": first, "second": second}
    for node in stay.values():
        assert node.join(stay) == []
        assert "10.208.3" not in node.ip("route") + node.ip("neigh")
    _move(third, router, *ADDRESSES["third"])
    for node in nodes.values():
        assert node.join(nodes) == []
    assert _mtu(first, names.bridge(first.key)) == 1450
    assert_pods_reach_each_other(nodes)
    for target in third.pod.lease.addresses:
        _transfer(wide.space, third.pod.space, target, 300_000)


def _transfer(client: NetworkNamespace, server: NetworkNamespace, target: str, size: int) -> None:
    """So many bytes arrive, in both directions."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with server.inside():
        listener = socket.create_server(("", 80), family=family)
    listener.settimeout(TIMEOUT)
    with listener, client.inside(), socket.create_connection((target, 80), TIMEOUT) as caller:
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(TIMEOUT)
            for sender, receiver in ((caller, accepted), (accepted, caller)):
                thread = threading.Thread(target=sender.sendall, args=(bytes(size),))
                thread.start()
                received = 0
                while received < size:
                    received += len(receiver.recv(1 << 16))
                thread.join()


def _move(node: Node, router: NetworkNamespace, address: str, gateway: str) -> None:
    """Plugs the machine into another link."""
    with router.inside():
        switch = ["master", f"sw-{gateway.split('.')[0]}"]
        subprocess.run(["ip", "link", "set", f"to-{node.name}", *switch], check=True)
    node.ip("-4", "address", "flush", "dev", "eth0")
    node.ip("address", "add", f"{address}/24", "dev", "eth0")
    node.ip("route", "add", "default", "via", gateway)
    node.address = address


def _mtu(node: Node, interface: str) -> int:
    with node.space.inside():
        return bridge.mtu(interface)


def test_an_interface_that_is_half_made_or_removed_is_made_anew(nodes: dict[str, Node]) -> None:
    first, third = nodes["first"], nodes["third"]
    tunnel, record = names.tunnel(first.key), Path(first.network._run) / "peers.json"
    whole = record.read_bytes()
    for damage in ("down", "removed", "unrecorded", "foreign"):
        if damage == "removed":
            first.ip("link", "del", tunnel)
        elif damage == "unrecorded":
            record.unlink()
        elif damage == "foreign":  # as a killed agent with other settings would leave it
            record.unlink()
            first.ip("link", "del", tunnel)
            first.ip("link", "add", tunnel, "type", "vxlan", "id", "7", "dstport", "4790")
        else:
            record.write_bytes(whole.replace(b'"mtu":1450', b'"mtu":1400'))
            first.ip("link", "set", tunnel, "down")
        assert first.join(nodes) == []
        for family in FAMILIES:
            for one, other in ((first, third), (third, first)):
                assert reach(one.pod.space, other.pod.space, address(other, family))


def test_an_agent_that_is_killed_at_any_moment_leaves_nothing_that_the_next_cannot_finish(
    nodes: dict[str, Node],
) -> None:
    first, stay = nodes["first"], {name: nodes[name] for name in ("first", "second")}
    changes = [("vxlan", nodes), ("auto", stay), ("auto", nodes)]
    for moment in range(24):
        mode, known = changes[moment % len(changes)]
        first.mode = RoutingMode(mode)
        pid = os.fork()
        if pid == 0:
            first.join(known)
            os._exit(0)
        time.sleep(moment // len(changes) / 1000)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert first.join(stay) == []
    assert not first.has_tunnel()
    assert "10.208.3" not in first.ip("route") + first.ip("neigh")
    first.mode = RoutingMode.auto
    assert first.join(nodes) == []
    assert_pods_reach_each_other(nodes)


def test_what_is_shown_and_a_firewall_that_blocks_the_vxlan(nodes: dict[str, Node]) -> None:
    first, third = nodes["first"], nodes["third"]
    with first.space.inside():
        shown = overview(first.network)
        tunnel = names.tunnel(first.key)
        assert [(n["name"], n["way"], n["interface"]) for n in shown["nodes"]] == [
            ("second", "direct", "eth0"),
            ("third", "vxlan", tunnel),
        ]
        assert (shown["mtu"], shown["vxlan"]["id"]) == (1450, VNI)
        assert shown["subnets"][0] == {"subnet": RANGES["first"], "gateway": "10.208.1.1"}
        (pod,) = shown["pods"]
        assert tuple(pod["addresses"]) == first.pod.lease.addresses
        ends = [(first.address, third.address)]
        assert blocked(first.key, ends) == []
        nftables.run(
            "create table inet wall\ncreate chain inet wall guard"
            " { type filter hook input priority 0; policy drop; }\n"
            "add rule inet wall guard udp dport != 4789 accept\n"
            "add rule inet wall guard meta l4proto tcp accept"
        )
        assert {found.way for found in blocked(first.key, ends)} == {"between nodes by VXLAN"}
        nftables.run(f"add rule inet wall guard ip saddr {third.address} accept")
        assert blocked(first.key, ends) == []
        nftables.run("delete table inet wall")


def test_a_node_that_no_allowed_way_leads_to_is_named(nodes: dict[str, Node]) -> None:
    first = nodes["first"]
    first.mode = RoutingMode.direct
    (problem,) = first.join(nodes)
    assert problem == (
        "no way to the pods 10.208.3.0/24 of node third (198.51.100.1): it shares no link with "
        "this node, and routing mode direct forbids VXLAN"
    )
    assert not first.has_tunnel()
    first.mode = RoutingMode.auto
    first.ip("link", "add", "other", "type", "vxlan", "id", str(VNI), "dstport", "4789")
    first.ip("link", "set", "other", "up")
    (problem,) = first.join(nodes)
    first.ip("link", "del", "other")
    assert problem.startswith(
        f"no way to nodes behind a router: {names.tunnel(first.key)} cannot be made: "
    )
    assert "already exists" in problem
    assert first.join(nodes) == []
    listed = json.loads(first.ip("-j", "-d", "link", "show", names.tunnel(first.key)))
    assert listed[0]["linkinfo"]["info_data"]["id"] == VNI


def test_without_the_table_that_keeps_others_out_there_is_no_vxlan(nodes: dict[str, Node]) -> None:
    first, third = nodes["first"], nodes["third"]
    table = names.tunnel_table(first.key)
    for was_there in (True, False):
        assert first.has_tunnel() is was_there
        with first.space.inside():
            nftables.run(
                f"add table inet {table}\ndelete table inet {table}\n"
                f"table inet {table} {{ set nodes {{ type ipv6_addr; }}; }}"
            )
        (problem,) = first.join(nodes)
        assert problem.startswith(
            "no way to nodes behind a router: nothing would keep others out of "
            f"{names.tunnel(first.key)}: "
        )
        assert not first.has_tunnel()
        assert "10.208.3" not in first.ip("route")
    with first.space.inside():
        nftables.run(f"delete table inet {table}")
    assert first.join(nodes) == []
    assert reach(first.pod.space, third.pod.space, address(third, "IPv4"))
