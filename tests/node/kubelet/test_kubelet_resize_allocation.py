"""Who may have more of the node, and who first: plain values."""

from __future__ import annotations

from typing import Any

import pytest

from kubelite.node.kubelet.cluster import pod_status
from kubelite.node.kubelet.decide import resize_allocation as allocation
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod

NODE = {"cpu": 2000, "memory": 1 << 30}


def pod(
    cpu: str = "1", memory: str = "64Mi", priority: int = 0, limits: dict[str, str] | None = None
) -> Pod:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": limits or {}}
    container = {"name": "a", "image": "x", "resources": resources}
    spec = {"priority": priority, "containers": [container]}
    return codec.decode(Pod, {"metadata": {"name": "p", "generation": 3}, "spec": spec})


@pytest.mark.parametrize(
    ("wanted", "other", "expected"),
    [
        (pod("2"), pod("0"), None),
        (
            pod("2001m"),
            pod("0"),
            (
                "Infeasible",
                "Node didn't have enough capacity: cpu, requested: 2001, capacity: 2000",
            ),
        ),
        (
            pod("3", "2Gi"),
            pod("0"),
            (
                "Infeasible",
                "Node didn't have enough capacity: "
                "memory, requested: 2147483648, capacity: 1073741824",
            ),
        ),
        (
            pod("1500m"),
            pod("501m"),
            (
                "Deferred",
                "Node didn't have enough resource: cpu, requested: 1500, used: 501, capacity: 2000",
            ),
        ),
    ],
)
def test_room_is_what_other_pods_leave(wanted, other, expected) -> None:
    assert allocation.refusal(wanted, [other], NODE) == expected


def test_less_comes_first_then_priority_then_guaranteed_then_the_oldest() -> None:
    had = pod()
    places = {
        "less": allocation.queue_position(pod("500m"), had, 9),
        "important": allocation.queue_position(pod("2", priority=10), had, 8),
        "guaranteed": allocation.queue_position(
            pod("2", limits={"cpu": "2", "memory": "64Mi"}), had, 7
        ),
        "older": allocation.queue_position(pod("2"), had, 5),
        "newer": allocation.queue_position(pod("2"), had, 6),
    }
    order = ["less", "important", "guaranteed", "older", "newer"]
    assert sorted(places, key=lambda name: places[name]) == order


def test_a_refused_resize_leaves_the_resources_and_takes_the_rest() -> None:
    wanted, allocated = pod("2", priority=10), pod("1")
    kept = allocation.with_resources_of(wanted, allocated)
    assert not allocation.is_resized(kept, allocated) and kept.spec.priority == 10
    assert allocation.is_resized(wanted, allocated)


def test_an_event_names_the_resources_and_the_generation() -> None:
    assert allocation.event_message("Pod resize Deferred", pod("2"), "no room") == (
        'Pod resize Deferred: {"containers":[{"name":"a","resources":{"requests":{"cpu":"2",'
        '"memory":"64Mi"}}}],"generation":3,"error":"no room"}'
    )


def test_a_condition_that_holds_no_more_is_deleted() -> None:
    pending: dict[str, Any] = {"type": "PodResizePending", "status": "True"}
    other = {"type": "Ready", "status": "True"}
    gate = {"type": "example.com/gate", "status": "True"}
    live = {"metadata": {"uid": "u"}, "status": {"conditions": [pending, other, gate]}}
    assert pod_status.patch({"conditions": [other]}, live) == {
        "metadata": {"uid": "u"},
        "status": {"conditions": [other, {"$patch": "delete", "type": "PodResizePending"}]},
    }
