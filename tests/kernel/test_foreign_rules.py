"""Firewalls of others: what is said of them is what packets find, and they stay as they were."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.node.network import firewall_check, names, nftables
from kubelite.node.network.families import IPV4, IPV6, Family
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Endpoint, Frontend
from kubelite.testing.netns import NetworkNamespace
from tests.testing.uplink import NEIGHBOUR, UPLINK, UPPER, add_uplink, make_neighbour, outer

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

Places = dict[str, tuple[NetworkNamespace, tuple[str, ...]]]
KEY, PORT = "0c1d2e3f", 443
BRIDGE = names.bridge(KEY)
TIMEOUT = 0.5
OUT, BETWEEN, IN = "from pods to other machines", "from pod to pod", "from pods to this machine"
ANSWERS = "ct state established,related accept"


def chain(*rules: str, hook: str = "forward", policy: str = "accept", more: str = "") -> str:
    body = "\n".join(rules)
    return f"""table inet wall {{
        {more}
        chain guard {{
        type filter hook {hook} priority 0; policy {policy};
        {body}
        }}
    }}"""


CASES = {
    "nothing": ("", set()),
    "a wall that lets nothing through": (chain(policy="drop"), {OUT, BETWEEN}),
    "one that knows the bridge": (
        chain(f'iifname "{BRIDGE}" accept', ANSWERS, policy="drop"),
        set(),
    ),
    "one that knows how bridges begin": (
        chain('iifname "kl-*" accept', ANSWERS, policy="drop"),
        set(),
    ),
    "one that forgets the answers": (
        chain(f'iifname "{BRIDGE}" oifname != "{BRIDGE}" accept', policy="drop"),
        {OUT, BETWEEN},
    ),
    "one that knows the addresses": (
        chain("ip saddr 10.208.0.0/12 accept", ANSWERS, policy="drop"),
        set(),
    ),
    "one that knows other addresses": (
        chain("ip saddr { 10.0.0.1, 192.0.2.0/24 } accept", policy="drop"),
        {OUT, BETWEEN},
    ),
    "one that opens ports": (
        chain(f"tcp dport {{ 80, 400-{PORT} }} accept", ANSWERS, policy="drop"),
        set(),
    ),
    "one that opens other ports": (chain("tcp dport 80-90 accept", policy="drop"), {OUT, BETWEEN}),
    "a rule against the bridge": (chain(f'iifname "{BRIDGE}" counter drop'), {OUT, BETWEEN}),
    "a rule between pods": (
        chain(f'iifname "{BRIDGE}" oifname "{BRIDGE}" reject'),
        {BETWEEN},
    ),
    "a rule about datagrams": (chain("meta l4proto udp drop", "udp dport 443 drop"), set()),
    "a jump to a chain that rejects": (
        chain("jump more", more="chain more { counter; reject; }"),
        {OUT, BETWEEN},
    ),
    "a jump that comes back": (
        chain("jump more", ANSWERS, "accept", policy="drop", more="chain more { return; drop; }"),
        set(),
    ),
    "a goto does not come back": (
        chain("goto more", "accept", policy="drop", more="chain more { counter; }"),
        {OUT, BETWEEN},
    ),
    "a wall before this machine": (
        chain("iifname lo accept", ANSWERS, hook="input", policy="drop"),
        {IN},
    ),
    "two tables, of which one accepts": (
        chain("accept")
        + "\ntable ip second { chain c { type filter hook forward priority 1; drop; }; }",
        {OUT, BETWEEN},
    ),
    "as Docker begins": (
        """table ip filter {
            chain DOCKER-USER { return; }
            chain DOCKER { iifname != "docker0" oifname "docker0" drop; }
            chain FORWARD {
                type filter hook forward priority filter; policy drop;
                jump DOCKER-USER
                oifname "docker0" ct state established,related counter accept
                oifname "docker0" jump DOCKER
                iifname "docker0" oifname != "docker0" accept
            }
        }""",
        {OUT, BETWEEN},
    ),
}


IPV6_CASES = {
    "nothing": ("", set()),
    "a wall that lets nothing through": (chain(policy="drop"), {OUT, BETWEEN}),
    "a wall of IPv6 alone": (
        "table ip6 wall { chain guard { type filter hook forward priority 0; policy drop; }; }",
        {OUT, BETWEEN},
    ),
    "a wall of IPv4 alone": (
        "table ip wall { chain guard { type filter hook forward priority 0; policy drop; }; }",
        set(),
    ),
    "one that knows addresses of IPv4": (
        chain("ip saddr 10.208.0.0/12 accept", ANSWERS, policy="drop"),
        {OUT, BETWEEN},
    ),
    "one that knows the addresses": (
        chain("ip6 saddr fd6b:7562:656c:6974::/64 accept", ANSWERS, policy="drop"),
        set(),
    ),
    "one that knows the family": (chain("meta nfproto ipv6 accept", policy="drop"), set()),
}


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with NetworkNamespace() as space, space.inside():
        add_uplink(NEIGHBOUR, upper=UPPER)
        yield space


@pytest.fixture
def neighbour(host: NetworkNamespace) -> Iterator[NetworkNamespace]:
    with make_neighbour(upper=UPPER) as space:
        yield space


@pytest.fixture
def pods(host: NetworkNamespace, neighbour: NetworkNamespace, tmp_path: Path) -> Iterator[Places]:
    """Namespaces that listen, and their addresses: two pods, the host, a neighbour."""
    network = PodNetwork(str(tmp_path), KEY, str(tmp_path / "lock"))
    places = {
        "host": (host, (UPLINK, outer(UPLINK))),
        "neighbour": (neighbour, (NEIGHBOUR, outer(NEIGHBOUR))),
    }
    for name in ("one", "other"):
        space = NetworkNamespace(loopback=False)
        lease = network.prepare(name, f"default/{name}", dual_stack=True)
        network.attach(lease, space.fd)
        places[name] = space, lease.addresses
    listeners = []
    for space, _ in places.values():
        with space.inside():
            both = {"family": socket.AF_INET6, "dualstack_ipv6": True}
            listeners.append(socket.create_server(("::", PORT), **both))
    yield places
    for listener in listeners:
        listener.close()
    network.remove_all()


def reaches(pods: Places, target: str, family: Family = IPV4) -> bool:
    (address,) = family.of(pods[target][1])
    with pods["one"][0].inside():
        try:
            socket.create_connection((address, PORT), TIMEOUT).close()
        except OSError:
            return False
    return True


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_a_firewall_is_what_packets_find(pods, case: str) -> None:
    rules, expected = CASES[case]
    nftables.run(rules)
    said = {found.way for found in firewall_check.blocked(KEY)} & {OUT, BETWEEN, IN}
    targets = {OUT: "neighbour", BETWEEN: "other", IN: "host"}
    assert {way for way, target in targets.items() if not reaches(pods, target)} == expected
    assert said == expected


@pytest.mark.parametrize("case", IPV6_CASES)
def test_what_is_said_of_a_firewall_is_what_packets_of_ipv6_find(pods, case: str) -> None:
    rules, expected = IPV6_CASES[case]
    nftables.run(rules)
    said = {found.way for found in firewall_check.blocked(KEY)}
    targets = {OUT: "neighbour", BETWEEN: "other", IN: "host"}
    assert {way for way, target in targets.items() if not reaches(pods, target, IPV6)} == expected
    assert {way for way in targets if f"{way} by IPv6" in said} == expected


def test_the_chain_is_named_and_a_rule_that_is_not_understood_makes_it_uncertain(host) -> None:
    nftables.run(chain(policy="drop"))
    (found,) = (f for f in firewall_check.blocked(KEY) if f.way == BETWEEN)
    assert str(found.obstacle) == (
        'the chain "guard" of the nftables table inet wall drops what none of its rules accepts'
    )
    assert found.obstacle.is_certain
    nftables.run("add rule inet wall guard ip ttl 64 accept")
    (found,) = (f for f in firewall_check.blocked(KEY) if f.way == BETWEEN)
    assert not found.obstacle.is_certain


def test_the_command_names_what_blocks(host, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kubelite", "--root", str(tmp_path), "system", "check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("nothing stands in the way of pods\n")
    nftables.run(chain(policy="drop"))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f'packets {OUT} do not pass: the chain "guard" of the nftables' in done.stdout
    assert "let that firewall accept packets whose iifname or oifname is" in done.stderr


def test_rules_of_others_stay_as_they_were(host, tmp_path: Path) -> None:
    nftables.run(CASES["as Docker begins"][0] + "\n" + chain(ANSWERS, policy="drop"))
    before = foreign()
    network = PodNetwork(str(tmp_path), KEY, str(tmp_path / "lock"))
    network.prepare("one", "default/one")
    proxy = ServiceProxy("kubelite-test-services", nftables.run)
    proxy.apply({("d", "s"): [Frontend("10.96.0.1", "tcp", 80, (Endpoint("10.1.1.1", 80),))]}, ())
    assert foreign() == before
    proxy.rebuild()
    proxy.stop()
    network.remove_all()
    assert foreign() == before


def foreign() -> list:
    """Every table of others, as nft shows it."""
    return [
        json.loads(nftables.run(f"list table {table}"))["nftables"][1:]
        for table in ("ip filter", "inet wall")
    ]
