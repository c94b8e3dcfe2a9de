"""Which thresholds are met, which conditions follow, and who goes first: plain values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet.decide.node_config import NodeConfig, seconds
from kubelite.node.kubelet.decide.node_pressure_eviction import (
    DISK,
    MEMORY,
    PIDS,
    Amount,
    Candidate,
    Met,
    Threshold,
    Used,
    conditions,
    due,
    grace,
    last_met,
    message,
    met,
    met_since,
    ranked,
    refusal,
    threshold,
    thresholds,
)
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod

MEBI = 1 << 20
HARD = thresholds(NodeConfig())
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
    assert [reason.of.signal for reason in met(HARD, amounts)] == [
        "memory.available",
        "nodefs.inodesFree",
        "imagefs.available",
    ]


def test_a_file_system_without_inodes_is_not_short_of_them() -> None:
    assert met(HARD, {"nodefs.inodesFree": Amount(0, 0)}) == []


def test_a_condition_outlives_its_threshold_by_the_transition_period() -> None:
    short = [Met(Threshold("pid.available", "10"), 10, 5)]
    seen = last_met({}, short, 100.0)
    assert conditions(seen, 100.0, 300) == {PIDS}
    seen = last_met(seen, [], 399.0)
    assert conditions(seen, 399.0, 300) == {PIDS}
    assert conditions(seen, 401.0, 300) == frozenset()


SOFT = NodeConfig(
    eviction_hard={"memory.available": "100"},
    eviction_soft={"memory.available": "300"},
    eviction_soft_grace_period={"memory.available": "1m30s"},
    eviction_max_pod_grace_period=20,
    eviction_minimum_reclaim={"memory.available": "50"},
)


def test_a_soft_threshold_evicts_once_it_has_been_met_for_its_period() -> None:
    def look(available: int, since: dict[Threshold, float], now: float) -> Any:
        reasons = met(thresholds(SOFT), {"memory.available": Amount(available, 1000)}, since)
        since = met_since(since, reasons, now)
        return since, [(reason.of.is_soft, reason.threshold) for reason in due(reasons, since, now)]

    since, relieved = look(299, {}, 0.0)
    assert relieved == []
    assert look(299, since, 89.0)[1] == []
    assert look(299, since, 90.0)[1] == [(True, 300)]
    assert look(99, since, 90.0)[1] == [(False, 100), (True, 300)]
    assert look(349, since, 90.0)[1] == [(True, 300)]  # 50 more than the least are wanted
    since, relieved = look(350, since, 90.0)
    assert (since, relieved) == ({}, [])
    assert look(301, since, 91.0)[0] == {}


def test_how_long_an_evicted_pod_has() -> None:
    hard, soft = (Met(of, 1, 0) for of in thresholds(SOFT))
    for own, longest, expected in ((30, 20, 20), (5, 20, 5), (None, 20, 20), (30, 0, 1)):
        config = msgspec.structs.replace(SOFT, eviction_max_pod_grace_period=longest)
        victim = pod("p", terminationGracePeriodSeconds=own)
        assert (grace(soft, victim, config), grace(hard, victim, config)) == (expected, 1)


def test_a_soft_threshold_has_a_period() -> None:
    with pytest.raises(ValueError, match=r"evictionSoftGracePeriod lacks memory\.available"):
        NodeConfig(eviction_soft={"memory.available": "1Gi"})


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90), ("5m", 300), ("1m30s", 90), ("1h", 3600), ("x", 0), ("-1s", 0)],
)
def test_periods(text: str, length: int) -> None:
    assert seconds(text) == length


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
    assert message(Met(HARD[0], 100 * MEBI, 64 * MEBI), candidate) == (
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
