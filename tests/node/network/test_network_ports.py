"""Host ports: when two collide, and what the firewall is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from kubelite.node.network import firewall_rules
from kubelite.node.network.errors import PortRefused, PortTaken
from kubelite.node.network.ports import Held, HostPort, check, overlap, refuse_taken, requested
from kubelite.objects.pod.pod import Pod


def port(number: int = 8080, protocol: str = "TCP", ip: str = "0.0.0.0") -> HostPort:
    return HostPort(host_port=number, container_port=80, protocol=protocol, host_ip=ip)


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        (port(), port(), True),
        (port(), port(8081), False),
        (port(), port(protocol="UDP"), False),
        (port(), port(ip="192.0.2.1"), True),
        (port(ip="127.0.0.1"), port(ip="192.0.2.1"), False),
        (port(ip="192.0.2.1"), port(ip="192.0.2.1"), True),
    ],
)
def test_two_ports_collide_as_in_the_scheduler(
    one: HostPort, other: HostPort, collide: bool
) -> None:
    assert overlap(one, other) is overlap(other, one) is collide


def test_a_taken_port_is_refused_with_its_owner() -> None:
    refuse_taken([port(8081)], [Held(port(), "pod default/web")])
    with pytest.raises(PortTaken, match="hostPort 8080/TCP is already taken by pod default/web"):
        refuse_taken([port(8081), port()], [Held(port(), "pod default/web")])


def test_a_host_ip_that_no_pod_could_have() -> None:
    check([port(), port(protocol="SCTP")])
    with pytest.raises(PortRefused, match="must be an IPv4 address"):
        check([port(), port(ip="::1")])


def test_host_ports_of_containers_and_sidecars_count() -> None:
    def container(name: str, number: int, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "ports": [{"containerPort": 80, "hostPort": number}, {"containerPort": 81}],
            **more,
        }

    spec = {
        "initContainers": [container("once", 1), container("side", 2, restartPolicy="Always")],
        "containers": [
            container("main", 3),
            {
                "name": "x",
                "ports": [
                    {"containerPort": 5, "hostPort": 53, "protocol": "UDP", "hostIP": "192.0.2.1"}
                ],
            },
        ],
    }
    made = msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, Pod)
    assert set(requested(made)) == {
        port(2),
        port(3),
        HostPort(host_port=53, container_port=5, protocol="UDP", host_ip="192.0.2.1"),
    }


def test_a_pod_on_the_hosts_network_needs_no_translation() -> None:
    container = {"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}
    made = msgspec.convert(
        {"metadata": {"name": "p"}, "spec": {"hostNetwork": True, "containers": [container]}}, Pod
    )
    assert requested(made) == ()


def test_ports_of_other_homes_are_read_from_what_the_kernel_holds() -> None:
    def entry(table: str, name: str, key: list[Any]) -> dict[str, Any]:
        pair = [{"concat": key}, {"concat": ["10.208.1.2", 80]}]
        return {"map": {"family": "ip", "name": name, "table": table, "elem": [pair]}}

    listing = {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            entry("kubelite-00000001", "hostports", ["tcp", 8080]),
            entry("kubelite-00000002", "hostports", ["tcp", 8081]),
            entry("kubelite-00000002", "hostips", ["192.0.2.1", "udp", 53]),
            entry("kubelite-00000002", "hostports", [6, 8082]),
            entry("somebody", "hostports", ["tcp", 9]),
            {"map": {"family": "ip", "name": "hostips", "table": "kubelite-00000003"}},
        ]
    }
    found = firewall_rules.foreign_ports(json.dumps(listing), "00000001")
    assert [each.port for each in found] == [
        port(8081),
        HostPort(host_port=53, container_port=80, protocol="UDP", host_ip="192.0.2.1"),
        port(8082),
    ]
    assert all("kubelite-00000002" in each.owner for each in found)


def test_closing_a_port_deletes_what_opening_it_added() -> None:
    ports = [port(), port(53, "UDP", "192.0.2.1")]
    opened = firewall_rules.open_ports("0a1b2c3d", ["10.208.1.2"], ports).splitlines()
    closed = firewall_rules.close_ports("0a1b2c3d", ["10.208.1.2"], ports).splitlines()
    assert opened == [
        "add element ip kubelite-0a1b2c3d hairpin { 10.208.1.2 . 10.208.1.2 }",
        "add element ip kubelite-0a1b2c3d hostports { tcp . 8080 : 10.208.1.2 . 80 }",
        "add element ip kubelite-0a1b2c3d hostips { 192.0.2.1 . udp . 53 : 10.208.1.2 . 80 }",
    ]
    assert closed == [line for add in opened for line in (add, add.replace("add", "delete", 1))]
