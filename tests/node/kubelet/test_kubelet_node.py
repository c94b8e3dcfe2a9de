"""What a node says of itself: plain values."""

from __future__ import annotations

from kubelite.node.kubelet.cluster.node_object import extended_changes


def test_extended_resources_that_somebody_adds_can_be_allocated() -> None:
    status = {
        "capacity": {"cpu": "2", "example.com/a": "3", "example.com/b": "1"},
        "allocatable": {"cpu": "1", "example.com/b": "1", "example.com/gone": "4"},
    }
    assert extended_changes(status) == {"example.com/a": "3", "example.com/gone": None}
