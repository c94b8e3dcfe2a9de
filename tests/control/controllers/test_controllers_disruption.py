"""PodDisruptionBudgets: what is expected, what is healthy, what may be evicted."""

from __future__ import annotations

import pytest

from kubelite.control.controllers.policy.disruption import DISRUPTION_CONTROLLER, plan
from kubelite.control.controllers.shared.meta import format_time
from tests.control.controllers.plain import NOW, World, owner, pod

KEY = ("default", "pdb")


def budget(**spec):
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": "pdb",
            "namespace": "default",
            "uid": "uid-pdb",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def counted(*objects, refuse=lambda action: None):
    world = World(*objects, refuse=refuse)
    world.converge(plan, KEY)
    status = world.get("PodDisruptionBudget", "pdb")["status"]
    assert not plan(world.view, KEY, NOW).steps or world.events
    return world, status


def numbers(status):
    fields = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    return tuple(status[field] for field in fields)


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({"maxUnavailable": 1}, (4, 3, 3, 0)),
        ({"maxUnavailable": 2}, (4, 2, 3, 1)),
        ({"maxUnavailable": "30%"}, (4, 2, 3, 1)),
        ({"minAvailable": "30%"}, (4, 2, 3, 1)),
        ({"minAvailable": 2}, (3, 2, 3, 1)),
        ({"minAvailable": 5}, (3, 5, 3, 0)),
        ({"maxUnavailable": 9}, (4, 0, 3, 3)),
    ],
)
def test_counts(spec, result) -> None:
    deployment = owner("Deployment", replicas=4)
    replicas = owner("ReplicaSet", "web-1", replicas=3)
    replicas["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web"}
        | {"controller": True}
    ]
    pods = [pod(f"p{n}", of=replicas, phase="Running", ready_at=NOW) for n in range(3)]
    _, status = counted(budget(**spec), deployment, replicas, *pods)
    assert numbers(status) == result
    condition = status["conditions"][0]
    reason = "SufficientPods" if result[3] else "InsufficientPods"
    assert (condition["type"], condition["reason"]) == ("DisruptionAllowed", reason)
    assert status["observedGeneration"] == 1


def settled(*objects):
    """The world after one plan, for budgets of which every plan has an Event."""
    world = World(*objects)
    world.run(plan(world.view, KEY, NOW))
    return world, world.get("PodDisruptionBudget", "pdb")["status"]


def test_pods_without_a_controller() -> None:
    world, status = settled(budget(maxUnavailable=1), pod("p", phase="Running", ready_at=NOW))
    assert numbers(status) == (0, 0, 1, 0)
    (event,) = world.events
    assert event.reason == "UnmanagedPods"
    assert "map[string]string{app: web,}" in event.message


def test_no_pods() -> None:
    world, status = settled(budget(minAvailable=1))
    assert numbers(status) == (0, 1, 0, 0)
    assert [event.reason for event in world.events] == ["NoPods"]


def test_a_controller_without_replicas() -> None:
    set_ = owner("DaemonSet")
    world, status = settled(budget(maxUnavailable=1), set_, pod("p", of=set_))
    assert status["disruptionsAllowed"] == 0
    assert status["conditions"][0]["reason"] == "SyncFailed"
    assert "observedGeneration" not in status["conditions"][0]
    text = "daemonsets.apps does not implement the scale subresource"
    assert status["conditions"][0]["message"] == text
    assert [event.reason for event in world.events] == ["CalculateExpectedPodCountFailed"]


def test_evicted_pods_do_not_count_for_two_minutes() -> None:
    replicas = owner("ReplicaSet", replicas=2)
    pods = [pod(f"p{n}", of=replicas, phase="Running", ready_at=NOW) for n in range(2)]
    pdb = budget(minAvailable=1)
    pdb["status"] = {"disruptedPods": {"p0": format_time(NOW - 60), "gone": format_time(NOW)}}
    world = World(pdb, replicas, *pods)
    first = plan(world.view, KEY, NOW)
    assert first.wake_at == NOW + 60
    world.run(first)
    status = world.get("PodDisruptionBudget", "pdb")["status"]
    assert numbers(status) == (2, 1, 1, 0)
    assert list(status["disruptedPods"]) == ["p0"]
    world.run(plan(world.view, KEY, NOW + 60))
    status = world.get("PodDisruptionBudget", "pdb")["status"]
    assert numbers(status) == (2, 1, 2, 1)
    assert "disruptedPods" not in status
    assert [event.reason for event in world.events] == ["NotDeleted"]


def test_pods_concern_the_budgets_that_select_them() -> None:
    world = World(budget(minAvailable=1))
    (concerned,) = [
        concerned
        for resource, concerned in DISRUPTION_CONTROLLER.watches.items()
        if resource.resource == "pods"
    ]
    assert list(concerned(world.view, None, pod("p"))) == [KEY]
    assert list(concerned(world.view, None, pod("p", labels={}))) == []
    assert list(concerned(world.view, pod("p"), pod("p", labels={}))) == [KEY]
