"""NetworkPolicies by packets: what arrives is what a plain reading of the policies lets through."""

from __future__ import annotations

import ipaddress
import itertools
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.core import native
from kubelite.node.network import bridge, ipam, names, nftables
from kubelite.node.network.families import FAMILIES, IPV4, Family
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy import policy_rules, service_rules
from kubelite.node.proxy.policies import (
    EGRESS,
    INGRESS,
    Isolation,
    Peers,
    PodFacts,
    Ports,
    isolation,
    pod_facts,
)
from kubelite.testing.netns import NetworkNamespace
from tests.kernel import test_network_ipv6

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

TABLE = "kubelite-test-policies"
KEY = "0a1b2c3e"
NAMESPACES = {"shop": {"team": "a"}, "bank": {"team": "b"}}
PORTS = (80, 81, 8080)
ROUNDS = itertools.count()
"""Numbers of rounds of packets: a late one of an earlier round counts for nothing."""
PODS = {
    ("shop", "web"): ({"app": "web", "tier": "front"}, 80),
    ("shop", "db"): ({"app": "db"}, 81),
    ("bank", "web"): ({"app": "web"}, 81),
    ("bank", "till"): ({}, 8080),
}
"""Labels of each pod, and the number of its port that is named "main"."""


class Pod:
    """A pod with a UDP socket on each port, from which it also sends. ``address`` is that of the
    family in question.
    """

    def __init__(self, network: PodNetwork, key: tuple[str, str], family: Family) -> None:
        self.labels, self.main = PODS[key]
        self.key = key
        self.space = NetworkNamespace(loopback=False)
        self.family = family
        self.lease = network.prepare("-".join(key), "/".join(key), dual_stack=True)
        network.attach(self.lease, self.space.fd)
        (self.address,) = family.of(self.lease.addresses)
        self.sockets = {}
        kind = socket.AF_INET if family is IPV4 else socket.AF_INET6
        with self.space.inside():
            for port in PORTS:
                self.sockets[port] = socket.socket(kind, socket.SOCK_DGRAM)
                self.sockets[port].bind(("", port))
            self.sender = socket.socket(kind, socket.SOCK_DGRAM)

    def document(self) -> dict:
        ports = [{"name": "main", "containerPort": self.main, "protocol": "UDP"}]
        return {
            "metadata": {"namespace": self.key[0], "name": self.key[1], "labels": self.labels},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
            "status": {"podIPs": [{"ip": address} for address in self.lease.addresses]},
        }


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def pods(request, tmp_path_factory) -> Iterator[list[Pod]]:
    with NetworkNamespace() as space, space.inside():
        native.net_bridge("up0", ipam.number("192.0.2.1"), 24)
        run = tmp_path_factory.mktemp("run")
        network = PodNetwork(str(run), KEY, str(Path(run) / "lock"))
        pods = [Pod(network, key, request.param) for key in PODS]
        assert bridge.load_netfilter() == ""
        nftables.run(policy_rules.table(TABLE, request.param))
        yield pods
        nftables.run(service_rules.without_table(TABLE, request.param))
        network.remove_all()


def arrived(pods: Sequence[Pod], wanted: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Every (sender, receiver, port) of all flows whose packet arrives. Those that are ``wanted``
    have seconds for it, the others what a packet needs on a machine with nothing else to do.
    """
    number = next(ROUNDS)
    for sender in pods:
        for receiver in pods:
            for port in PORTS:
                packet = f"{sender.address} {number}".encode()
                sender.sender.sendto(packet, (receiver.address, port))
    flows: set[tuple[str, str, int]] = set()
    waiting = {s: (pod, port) for pod in pods for port, s in pod.sockets.items()}
    deadline = time.monotonic() + 5
    while True:
        patience = 0.03 if flows >= wanted else deadline - time.monotonic()
        ready = select.select(list(waiting), [], [], max(patience, 0))[0]
        if not ready:
            return flows
        for receiving in ready:
            pod, port = waiting[receiving]
            source, _, sent = receiving.recv(100).decode().partition(" ")
            if sent == str(number):
                flows.add((source, pod.address, port))


# -- the plain reading ----------------------------------------------------------------------------


def allowed(pods: Sequence[PodFacts], ingress: Isolation, egress: Isolation):
    """The flows that both ends let through."""
    return {
        (sender.address, receiver.address, port)
        for sender in pods
        for receiver in pods
        for port in PORTS
        if allows(egress, sender, receiver.address, receiver, Ports("udp", port, port))
        and allows(ingress, receiver, sender.address, receiver, Ports("udp", port, port))
    }


def allows(isolated: Isolation, subject: PodFacts, peer: str, receiver: PodFacts, port: Ports):
    keys = isolated.by_address.get(subject.address)
    if keys is None or peer == subject.address:
        return True
    return any(
        has_peer(rule.peers, peer) and has_port(rule.ports, port, receiver)
        for key in keys
        for rule in isolated.policies[key].rules
    )


def has_peer(peers: Peers, address: str) -> bool:
    if peers.everybody or address in peers.addresses:
        return True
    number = ipaddress.ip_address(address)
    return any(
        number in ipaddress.ip_network(block)
        and not any(number in ipaddress.ip_network(each) for each in exceptions)
        for block, exceptions in peers.blocks
    )


def has_port(ports: Sequence[Ports], port: Ports, receiver: PodFacts) -> bool:
    named = {(name, protocol): number for name, protocol, number in receiver.ports}
    return not ports or any(
        each.protocol == port.protocol
        and (
            named.get((each.name, each.protocol)) == port.first
            if each.name
            else each.first <= port.first <= each.last
        )
        for each in ports
    )


# -- policies -------------------------------------------------------------------------------------

selectors = st.sampled_from(
    [
        {},
        {"matchLabels": {"app": "web"}},
        {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
    ]
)
spaces = st.sampled_from([{}, {"matchLabels": {"team": "b"}}, {"matchLabels": {"team": "z"}}])
peers = st.one_of(
    st.builds(lambda s: {"podSelector": s}, selectors),
    st.builds(lambda n: {"namespaceSelector": n}, spaces),
    st.builds(lambda s, n: {"podSelector": s, "namespaceSelector": n}, selectors, spaces),
    st.sampled_from(["BLOCK", "BLOCK EXCEPT"]),
)
ports = st.sampled_from(
    [
        {"protocol": "UDP", "port": 80},
        {"protocol": "UDP", "port": 80, "endPort": 81},
        {"protocol": "UDP", "port": "main"},
        {"protocol": "UDP"},
        {"protocol": "TCP", "port": 80},
        {"port": 81},
    ]
)
rules = st.fixed_dictionaries(
    {}, optional={"peers": st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}
)


@st.composite
def network_policies(draw):
    policies = []
    for number in range(draw(st.integers(0, 3))):
        spec = {"podSelector": draw(selectors)}
        if draw(st.booleans()):
            spec["policyTypes"] = draw(
                st.lists(st.sampled_from([INGRESS, EGRESS]), min_size=1, max_size=2, unique=True)
            )
        for field, side in (("ingress", "from"), ("egress", "to")):
            if draw(st.booleans()):
                drawn = draw(st.lists(rules, max_size=2))
                spec[field] = [
                    {({"peers": side}.get(k, k)): v for k, v in rule.items()} for rule in drawn
                ]
        space = draw(st.sampled_from(sorted(NAMESPACES)))
        policies.append({"metadata": {"namespace": space, "name": f"p{number}"}, "spec": spec})
    return policies


def with_blocks(policies, pods):
    """Blocks of addresses around the pods: the whole subnet, or without the first pod."""
    first, bits = pods[0].address, 32 if pods[0].family is IPV4 else 128
    subnet = str(ipaddress.ip_network(f"{first}/{bits - 8}", strict=False))
    blocks = {
        "BLOCK": {"ipBlock": {"cidr": subnet}},
        "BLOCK EXCEPT": {"ipBlock": {"cidr": subnet, "except": [f"{first}/{bits}"]}},
    }
    for policy in policies:
        for field, side in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(field, ()):
                if side in rule:
                    rule[side] = [
                        blocks[peer] if isinstance(peer, str) else peer for peer in rule[side]
                    ]
    return policies


def test_packets_pass_as_the_policies_say(pods):
    family = pods[0].family
    facts = pod_facts((pod.document() for pod in pods), family)
    local = [pod.address for pod in pods]
    state = {"content": policy_rules.EMPTY}

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(network_policies())
    def check(policies):
        policies = with_blocks(policies, pods)
        ingress = isolation(INGRESS, policies, facts, NAMESPACES, local, family)
        egress = isolation(EGRESS, policies, facts, NAMESPACES, local, family)
        content = policy_rules.content(ingress, egress, facts, family)
        commands = policy_rules.change(TABLE, state["content"], content, family)
        if commands:
            nftables.run(commands)
        state["content"] = content
        wanted = allowed(facts, ingress, egress)
        assert arrived(pods, wanted) == wanted

    check()
    nftables.run(
        policy_rules.change(TABLE, state["content"], policy_rules.EMPTY, family) or "list tables\n"
    )
    everything = allowed(facts, Isolation({}, {}), Isolation({}, {}))
    assert len(everything) == len(pods) ** 2 * len(PORTS)
    assert arrived(pods, everything) == everything


def test_connections_that_stand_go_on_and_answers_pass(pods):
    family = pods[0].family
    facts = pod_facts((pod.document() for pod in pods), family)
    client, server = pods[1], pods[0]
    kind = socket.AF_INET if family is IPV4 else socket.AF_INET6
    with server.space.inside():
        listener = socket.create_server((server.address, 8080), family=kind)
    with client.space.inside():
        stream = socket.create_connection((server.address, 8080), 2)
    deny = [{"metadata": {"namespace": "shop", "name": "deny"}, "spec": {"podSelector": {}}}]
    ingress = isolation(INGRESS, deny, facts, NAMESPACES, [pod.address for pod in pods])
    content = policy_rules.content(ingress, Isolation({}, {}), facts, family)
    nftables.run(policy_rules.change(TABLE, policy_rules.EMPTY, content, family))
    stream.sendall(b"still here")
    accepted, _ = listener.accept()
    accepted.settimeout(2)
    assert accepted.recv(100) == b"still here"
    with client.space.inside(), pytest.raises(TimeoutError):
        socket.create_connection((server.address, 8080), 0.3)
    with server.space.inside(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((pods[2].address, 9), 2)
    nftables.run(policy_rules.change(TABLE, content, policy_rules.EMPTY, family))
    for each in (stream, accepted, listener):
        each.close()


def test_a_frame_that_a_pod_makes_by_hand_meets_the_policies(pods):
    """A pod with NET_RAW may know another's link-layer address, and need no router."""
    client, server = pods[1], pods[0]
    ends = (client.lease.address, server.lease.address)
    if pods[0].family is IPV4:
        frame = datagram(*ends, PORTS[0])
    else:
        frame = test_network_ipv6.datagram(ends, client.address, server.address, PORTS[0])
    family = pods[0].family
    facts = pod_facts((pod.document() for pod in pods), family)
    deny = [{"metadata": {"namespace": "shop", "name": "deny"}, "spec": {"podSelector": {}}}]
    ingress = isolation(INGRESS, deny, facts, NAMESPACES, [server.address])
    content = policy_rules.content(ingress, Isolation({}, {}), facts, family)
    receiver = server.sockets[PORTS[0]]
    with client.space.inside():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind((names.POD_INTERFACE, 0))
    with sender:
        sender.send(frame)
        assert select.select([receiver], [], [], 2)[0]
        assert receiver.recv(10).startswith(b"by hand")
        nftables.run(policy_rules.change(TABLE, policy_rules.EMPTY, content, family))
        sender.send(frame)
        assert not select.select([receiver], [], [], 0.3)[0]
        nftables.run(policy_rules.change(TABLE, content, policy_rules.EMPTY, family))


def datagram(source: str, target: str, port: int) -> bytes:
    """An Ethernet frame with a UDP packet from one pod to another (RFC 791, RFC 768)."""
    data = b"by hand"
    udp = struct.pack("!HHHH", 40000, port, 8 + len(data), 0) + data
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0)
    checksum = ~(sum(struct.unpack("!10H", head + addresses)) % 0xFFFF) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum)
    link = [b"\x02\x6b" + socket.inet_aton(address) for address in (target, source)]
    return b"".join(link) + struct.pack("!H", 0x0800) + head + addresses + udp
