"""Which pods may start on a node: plain values."""

from __future__ import annotations

import pytest

from kubelite.node.kubelet.decide.admitting import refusal
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod


def pod(*ports: dict[str, object]) -> Pod:
    container = {"name": "a", "image": "x", "ports": [{"containerPort": 80, **p} for p in ports]}
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
    refused = refusal(pod(port), [pod(), pod(other)], frozenset())
    assert (refused.reason if refused else None) == reason


def test_pressure_keeps_pods_out() -> None:
    refused = refusal(pod(), [], frozenset({"DiskPressure"}))
    assert refused is not None and refused.reason == "Evicted"
