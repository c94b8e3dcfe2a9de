"""Which thresholds are met, which conditions follow, and who goes first: plain values."""

from __future__ import annotations

from typing import Any

import pytest

from kubelite.node.kubelet.decide.node_config import DEFAULT_THRESHOLDS
from kubelite.node.kubelet.decide.node_pressure_eviction import (
    DISK,
    MEMORY,
    PIDS,
    Amount,
    Candidate,
    Met,
    Used,
    conditions,
    last_met,
    message,
    met,
    ranked,
    refusal,
    threshold,
)
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod

MEBI = 1 << 20
PLENTY = Amount(100 << 30, 100 << 30)


def pod(name: str, requests: dict[str, str] | None = None, priority: int = 0, **spec: Any) -> Pod:
    container = {"name": "a", "image": "x", "resources": {"requests": requests or {}}}
    document = {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}
    document["spec"]["priority"] = priority
    return codec.decode(Pod, document)


@pytest.mark.parametrize(
    ("text", "amount"), [("100Mi", 100 * MEBI), ("10%", 100), ("0.5%", 5), ("1k", 1000)]
)
def test_a_threshold_is_an_amount_or_a_share(text: str, amount: int) -> None:
    assert threshold(text, 1000) == amount


def test_memory_is_relieved_before_disks() -> None:
    amounts = {
        "imagefs.available": Amount(14, 100),
        "memory.available": Amount(99 * MEBI, 1 << 30),
        "nodefs.available": Amount(10, 100),
        "nodefs.inodesFree": Amount(4, 100),
    }
    assert [each.signal for each in met(DEFAULT_THRESHOLDS, amounts)] == [
        "memory.available",
        "nodefs.inodesFree",
        "imagefs.available",
    ]


def test_a_file_system_without_inodes_is_not_short_of_them() -> None:
    assert met(DEFAULT_THRESHOLDS, {"nodefs.inodesFree": Amount(0, 0)}) == []


def test_a_condition_outlives_its_threshold_by_the_transition_period() -> None:
    short = [Met("pid.available", 10, 5)]
    seen = last_met({}, short, 100.0)
    assert conditions(seen, 100.0, 300) == {PIDS}
    seen = last_met(seen, [], 399.0)
    assert conditions(seen, 399.0, 300) == {PIDS}
    assert conditions(seen, 401.0, 300) == frozenset()


def names(candidates: list[Candidate], resource: str = "memory") -> list[str | None]:
    return [each.pod.metadata.name for each in ranked(candidates, resource)]


def test_who_exceeds_its_request_goes_first_then_by_priority_then_by_excess() -> None:
    candidates = [
        Candidate("1", pod("within", {"memory": "100Mi"}), 90 * MEBI),
        Candidate("2", pod("important", priority=10), 80 * MEBI),
        Candidate("3", pod("slightly", {"memory": "10Mi"}), 20 * MEBI),
        Candidate("4", pod("greatly", {"memory": "10Mi"}), 50 * MEBI),
        Candidate("5", pod("critical", priority=2_000_000_000), 500 * MEBI),
    ]
    assert names(candidates) == ["greatly", "slightly", "important", "within"]


def test_inodes_and_pids_go_by_priority_and_use_alone() -> None:
    candidates = [
        Candidate("1", pod("few"), 5),
        Candidate("2", pod("many"), 50),
        Candidate("3", pod("many-but-important", priority=1), 500),
    ]
    assert names(candidates, "pids") == ["many", "few", "many-but-important"]


def test_the_message_is_the_kubelets() -> None:
    candidate = Candidate("1", pod("p", {"memory": "10Mi"}), 50 * MEBI, [Used("a", 50 * MEBI)])
    assert message(Met("memory.available", 100 * MEBI, 64 * MEBI), candidate) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi. "
        "Container a was using 50Mi, request is 10Mi, has larger consumption of memory. "
    )


TOLERATES = [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("new", "pressures", "refused"),
    [
        (pod("p"), frozenset(), False),
        (pod("p"), frozenset({MEMORY}), True),
        (pod("p", {"memory": "1Mi"}), frozenset({MEMORY}), False),
        (pod("p", tolerations=TOLERATES), frozenset({MEMORY}), False),
        (pod("p", {"memory": "1Mi"}), frozenset({DISK}), True),
        (pod("p", {"memory": "1Mi"}), frozenset({MEMORY, PIDS}), True),
        (pod("p", priority=2_000_000_000), frozenset({DISK}), False),
    ],
)
def test_who_may_start_under_pressure(new: Pod, pressures: frozenset[str], refused: bool) -> None:
    text = refusal(new, pressures)
    assert bool(text) is refused
    if refused:
        assert text == f"The node had condition: [{', '.join(sorted(pressures))}]. "
