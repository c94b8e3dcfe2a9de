"""DaemonSet: which nodes get a pod, and how updates go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import NODES, PODS
from kubelite.control.controllers.actions import Create, Delete, Refusal
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.shared.node_fit import (
    matches_node,
    target_node,
    tolerates,
)
from kubelite.control.controllers.workloads.daemonset import BURST, DAEMON_SET_CONTROLLER
from kubelite.control.controllers.workloads.daemonset_pods import placement, tolerations_of
from tests.control.controllers.plain import NOW, World, owner, pod, ready_pods, template

KEY = ("default", "ds")
PLAN = DAEMON_SET_CONTROLLER.plan


def daemon_set(**spec: Any) -> dict[str, Any]:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    return owner(
        "DaemonSet", "ds", **{"revisionHistoryLimit": 10, "updateStrategy": rolling, **spec}
    )


def node(name: str, *taints: dict[str, str], **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "spec": {"taints": list(taints)} if taints else {},
    }


def nodes(count: int) -> list[dict[str, Any]]:
    return [node(f"n{number}") for number in range(count)]


def settle(world: World, *, kubelet: bool = True) -> None:
    for _ in range(200):
        plan = PLAN(world.view, KEY, world.now)
        if plan.steps:
            world.run(plan)
            continue
        for each in world.all("Pod"):
            each["spec"]["nodeName"] = target_node(each)
        if kubelet and any(not each["status"].get("conditions") for each in world.all("Pod")):
            ready_pods(world)
        else:
            return
    raise AssertionError("no rest")


def change(world: World, **spec: Any) -> None:
    obj = world.get("DaemonSet", "ds")
    obj = {**obj, "spec": {**obj["spec"], **spec}, "metadata": dict(obj["metadata"])}
    obj["metadata"]["generation"] += 1
    world.put(obj)


def image(name: str) -> dict[str, Any]:
    new = template()
    new["spec"]["containers"][0]["image"] = name
    return new


def images(world: World) -> list[str]:
    return sorted(each["spec"]["containers"][0]["image"] for each in world.all("Pod"))


def test_a_pod_for_every_node() -> None:
    world = World(daemon_set(), *nodes(3))
    settle(world)
    made = world.all("Pod")
    assert sorted(each["spec"]["nodeName"] for each in made) == ["n0", "n1", "n2"]
    affinity = made[0]["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"][0]["key"] == "metadata.name"
    assert len(made[0]["spec"]["tolerations"]) == 6
    assert world.get("DaemonSet", "ds")["status"] == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberMisscheduled": 0,
        "numberReady": 3,
        "numberAvailable": 3,
        "updatedNumberScheduled": 3,
        "observedGeneration": 1,
    }


def test_a_burst_is_limited() -> None:
    world = World(daemon_set(), *nodes(BURST + 50))
    world.run(PLAN(world.view, KEY, NOW))
    (step,) = PLAN(world.view, KEY, NOW).steps
    assert len(step.actions) == BURST == 250


@pytest.mark.parametrize(
    ("spec", "labels", "fits"),
    [
        ({}, {}, True),
        ({"nodeSelector": {"disk": "ssd"}}, {"disk": "ssd"}, True),
        ({"nodeSelector": {"disk": "ssd"}}, {"disk": "hdd"}, False),
        ({"terms": [{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}]},
         {"zone": "b"}, True),
        ({"terms": [{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}]},
         {"zone": "a"}, False),
        ({"terms": [{"matchFields": [{"key": "metadata.name", "operator": "In",
                                      "values": ["n"]}]}]},
         {}, True),
        ({"terms": [{}]}, {}, False),
        ({"terms": []}, {}, False),
        ({"terms": [{"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["3"]}]}]},
         {"cpus": "4"}, True),
    ],
)  # fmt: skip
def test_selectors_and_affinity(spec: Any, labels: Any, fits: bool) -> None:
    if "terms" in spec:
        required = {"nodeSelectorTerms": spec["terms"]}
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": required}
        spec = {"affinity": {"nodeAffinity": affinity}}
    assert matches_node(spec, node("n", **labels)) is fits


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: Any, covers: bool) -> None:
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoExecute"}) is covers


@pytest.mark.parametrize(
    ("taint", "expected"),
    [
        (("node.kubernetes.io/not-ready", "NoExecute"), (True, True)),
        (("node.kubernetes.io/unschedulable", "NoSchedule"), (True, True)),
        (("node.kubernetes.io/network-unavailable", "NoSchedule"), (False, True)),
        (("mine", "NoSchedule"), (False, True)),
        (("mine", "NoExecute"), (False, False)),
        (("mine", "PreferNoSchedule"), (True, True)),
    ],
)
def test_taints(taint: Any, expected: Any) -> None:
    set_ = daemon_set()
    tainted = node("n", {"key": taint[0], "effect": taint[1]})
    assert placement(set_, tolerations_of(set_), tainted) == expected


def test_daemons_of_the_host_network_need_no_network() -> None:
    new = template()
    new["spec"]["hostNetwork"] = True
    keys = [each["key"] for each in tolerations_of(daemon_set(template=new))]
    assert keys[-1] == "node.kubernetes.io/network-unavailable"


def test_pods_leave_nodes_that_do_not_want_them() -> None:
    world = World(daemon_set(), *nodes(2))
    settle(world)
    world.put(node("n1", {"key": "mine", "effect": "NoExecute"}))
    settle(world)
    assert [each["spec"]["nodeName"] for each in world.all("Pod")] == ["n0"]
    world.put(node("n0", {"key": "mine", "effect": "NoSchedule"}))
    settle(world)
    assert [each["spec"]["nodeName"] for each in world.all("Pod")] == ["n0"]
    status = world.get("DaemonSet", "ds")["status"]
    assert (status["numberMisscheduled"], status["desiredNumberScheduled"]) == (1, 0)


def test_an_unbound_pod_of_a_node_that_is_gone_goes() -> None:
    world = World(daemon_set(), *nodes(1))
    for _ in range(3):
        world.run(PLAN(world.view, KEY, NOW))
    del world._objects[NODES, "", "n0"]
    for each in world.all("Pod"):
        each["spec"].pop("nodeName", None)
    world.run(PLAN(world.view, KEY, NOW))
    assert world.all("Pod") == []


def test_one_pod_too_many_goes_and_it_is_the_youngest() -> None:
    set_ = daemon_set()
    ready = {"of": set_, "phase": "Running", "ready_at": NOW - 50, "node": "n0"}
    world = World(set_, node("n0"), pod("old", created=NOW - 99, **ready), pod("new", **ready))
    world.get("Pod", "new")["metadata"]["creationTimestamp"] = format_time(NOW - 1)
    settle(world)
    assert "new" not in [each["metadata"]["name"] for each in world.all("Pod")]


def test_failed_pods_are_replaced_but_not_at_once() -> None:
    set_ = daemon_set()
    failed = pod("f", of=set_, node="n0", phase="Failed", created=NOW)
    world = World(set_, node("n0"), failed)
    world.run(PLAN(world.view, KEY, NOW))
    plan = PLAN(world.view, KEY, NOW)
    assert plan.wake_at == NOW + 1
    world.now = NOW + 1
    settle(world)
    assert world.events[0].reason == "FailedDaemonPod"
    assert world.events[0].message == (
        "Found failed daemon pod default/f on node n0, will try to kill it"
    )
    assert images(world) == ["img:1"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.sampled_from([1, 2, "30%", "100%"]), st.booleans())
def test_updates_keep_their_bounds(count: int, limit: Any, surge: bool) -> None:
    rolling = {"maxSurge": limit, "maxUnavailable": 0} if surge else {"maxUnavailable": limit}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    world = World(daemon_set(updateStrategy=strategy), *nodes(count))
    settle(world)
    bound = limit if isinstance(limit, int) else -(-int(limit[:-1]) * count // 100)
    change(world, template=image("img:2"))
    for _ in range(200):
        plan = PLAN(world.view, KEY, world.now)
        world.run(plan)
        for each in world.all("Pod"):
            each["spec"]["nodeName"] = target_node(each)
        ready = [each for each in world.all("Pod") if each["status"].get("conditions")]
        served = {each["spec"]["nodeName"] for each in ready}
        if surge:
            assert len(served) == count
            assert len(world.all("Pod")) <= count + bound
        else:
            assert len(served) >= count - bound
        if not plan.steps:
            if len(ready) == len(world.all("Pod")):
                break
            ready_pods(world)
    assert images(world) == ["img:2"] * count


def test_on_delete_leaves_old_pods() -> None:
    world = World(daemon_set(updateStrategy={"type": "OnDelete"}), *nodes(2))
    settle(world)
    change(world, template=image("img:2"))
    settle(world)
    assert images(world) == ["img:1", "img:1"]
    world._delete(PODS, world.all("Pod")[0])
    settle(world)
    assert images(world) == ["img:1", "img:2"]
    assert len(world.all("ControllerRevision")) == 2


def test_heartbeats_of_nodes_concern_nobody() -> None:
    world = World(daemon_set(), node("n0"))
    concerned = DAEMON_SET_CONTROLLER.watches[NODES]
    beating = {**node("n0"), "status": {"conditions": []}}
    assert list(concerned(world.view, node("n0"), beating)) == []
    assert list(concerned(world.view, None, node("n0"))) == [KEY]
    tainted = node("n0", {"key": "k", "effect": "NoSchedule"})
    assert list(concerned(world.view, tainted, node("n0"))) == [KEY]
    assert list(concerned(world.view, node("n0"), tainted)) == []


def test_only_nodes_that_change_what_runs_concern_a_set() -> None:
    world = World(daemon_set(), node("n0"))
    settle(world)
    concerned = DAEMON_SET_CONTROLLER.watches[NODES]
    resting = node("n0", {"key": "k", "effect": "NoSchedule"})
    assert list(concerned(world.view, node("n0"), resting)) == []
    evicting = node("n0", {"key": "k", "effect": "NoExecute"})
    assert list(concerned(world.view, node("n0"), evicting)) == [KEY]
    assert list(concerned(world.view, node("n0"), None)) == [KEY]
    assert list(concerned(world.view, evicting, None)) == []


def test_refused_pods_are_told_and_the_status_is_written() -> None:
    world = World(
        daemon_set(),
        *nodes(2),
        refuse=lambda action: (
            Refusal(403, "Forbidden", "no")
            if isinstance(action, Create) and action.resource == PODS
            else None
        ),
    )
    for _ in range(2):
        world.run(PLAN(world.view, KEY, NOW))
    assert world.events[-1].message == "Error creating: no"
    assert world.get("DaemonSet", "ds")["status"]["numberUnavailable"] == 2
    assert not [each for each in world.actions if isinstance(each, Delete)]
