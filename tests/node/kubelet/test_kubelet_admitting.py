"""Which pods may start on a node: plain values."""

from __future__ import annotations

import pytest

from kubelite.node.kubelet.decide.admitting import refusal
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod

ROOM = {"pods": 110, "cpu": 2000, "memory": 1 << 30, "ephemeral-storage": 1 << 30}


def pod(*ports: dict[str, object], **requests: str) -> Pod:
    container = {
        "name": "a",
        "image": "x",
        "ports": [{"containerPort": 80, **p} for p in ports],
        "resources": {"requests": requests},
    }
    return codec.decode(Pod, {"metadata": {"name": "p"}, "spec": {"containers": [container]}})


@pytest.mark.parametrize(
    ("port", "other", "reason"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, "NodePorts"),
        ({"hostPort": 80}, {"hostPort": 81}, None),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, None),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, "NodePorts"),
        (
            {"hostPort": 80, "hostIP": "10.0.0.1"},
            {"hostPort": 80, "hostIP": "10.0.0.2"},
            None,
        ),
        ({}, {}, None),
    ],
)
def test_a_host_port_belongs_to_one_pod(port, other, reason) -> None:
    refused = refusal(pod(port), [pod(), pod(other)], frozenset(), ROOM)
    assert (refused.reason if refused else None) == reason


def test_pressure_keeps_pods_out() -> None:
    refused = refusal(pod(), [], frozenset({"DiskPressure"}), ROOM)
    assert refused is not None and refused.reason == "Evicted"


@pytest.mark.parametrize(
    ("wanted", "others", "reason", "amounts"),
    [
        ({"cpu": "1500m"}, 1, "OutOfcpu", "cpu, requested: 1500, used: 600, capacity: 2000"),
        ({"cpu": "1400m"}, 1, None, ""),
        (
            {"memory": "1Gi"},
            1,
            "OutOfmemory",
            "memory, requested: 1073741824, used: 1048576, capacity: 1073741824",
        ),
        (
            {"ephemeral-storage": "2Gi"},
            0,
            "OutOfephemeral-storage",
            "ephemeral-storage, requested: 2147483648, used: 0, capacity: 1073741824",
        ),
        ({}, 110, "OutOfpods", "pods, requested: 1, used: 110, capacity: 110"),
        ({}, 109, None, ""),
    ],
)
def test_a_node_takes_no_more_than_it_has(wanted, others, reason, amounts) -> None:
    beside = [pod(cpu="600m", memory="1Mi")] * others
    refused = refusal(pod(**wanted), beside, frozenset(), ROOM)
    assert (refused.reason if refused else None) == reason
    if refused is not None:
        assert refused.message == f"Node didn't have enough resource: {amounts}"


def test_what_asks_for_nothing_may_join_a_node_that_is_too_full() -> None:
    assert refusal(pod(), [pod(cpu="3")], frozenset(), ROOM) is None
