"""What a node says of itself: plain values."""

from __future__ import annotations

from kubelite.node.kubelet.cluster.node_object import conditions, extended_changes, is_given_up


def test_extended_resources_that_somebody_adds_can_be_allocated() -> None:
    status = {
        "capacity": {"cpu": "2", "example.com/a": "3", "example.com/b": "1"},
        "allocatable": {"cpu": "1", "example.com/b": "1", "example.com/gone": "4"},
    }
    assert extended_changes(status) == {"example.com/a": "3", "example.com/gone": None}


def test_a_node_is_given_up_by_who_has_not_heard_of_it() -> None:
    fresh = conditions("2026-01-01T00:00:00Z", frozenset({"MemoryPressure"}))
    assert not is_given_up({"conditions": fresh})
    assert not is_given_up({})
    assert is_given_up({"conditions": [*fresh[:-1], fresh[-1] | {"status": "Unknown"}]})
