"""Nodes: taints by condition, eviction by taint, pods that nobody else removes."""

from __future__ import annotations

import ipaddress

import pytest

from kubelite.control.controllers.actions import Delete, Patch, Update
from kubelite.control.controllers.nodes import ipam, node_lifecycle, pod_gc, taint_eviction, ttl
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import FixedView

NOW = 1_800_000_000.0


def node(ready="True", heard=NOW, taints=(), unschedulable=False):
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": format_time(heard)}
    spec = {"taints": list(taints)} if taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "creationTimestamp": format_time(NOW - 1000)},
        "spec": spec | ({"unschedulable": True} if unschedulable else {}),
        "status": {"conditions": [condition]},
    }


def pod(on="n", tolerations=(), deleted=False, phase="Running"):
    metadata = {"name": "p", "namespace": "default", "uid": "u", "generation": 2}
    metadata["creationTimestamp"] = format_time(NOW - 100)
    if deleted:
        metadata["deletionTimestamp"] = format_time(NOW - 60)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": on, "tolerations": list(tolerations), "containers": []},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def taints_after(obj):
    plan = node_lifecycle.plan(FixedView([obj]), ("", "n"), NOW)
    (update,) = [step for step in plan.steps if isinstance(step, Update)] or [None]
    if update is None:
        return None
    return [(t["key"], t["effect"]) for t in update.body["spec"].get("taints", ())]


def test_a_ready_node_loses_the_taints_of_one_that_is_not():
    own = {"key": node_lifecycle.NOT_READY, "effect": "NoSchedule"}
    other = {"key": "mine", "effect": "NoSchedule"}
    assert taints_after(node(taints=[own])) == []
    assert taints_after(node(taints=[own, other])) == [("mine", "NoSchedule")]
    assert taints_after(node(taints=[other])) is None


def test_conditions_and_cordons_become_taints():
    not_ready = [(node_lifecycle.NOT_READY, effect) for effect in ("NoSchedule", "NoExecute")]
    assert taints_after(node(ready="False")) == not_ready
    unreachable = [(node_lifecycle.UNREACHABLE, e) for e in ("NoSchedule", "NoExecute")]
    assert taints_after(node(ready="Unknown")) == unreachable
    assert taints_after(node(unschedulable=True)) == [(node_lifecycle.UNSCHEDULABLE, "NoSchedule")]


def test_a_node_that_is_not_heard_of_is_lost_with_its_pods():
    silent = node(heard=NOW - node_lifecycle.GRACE_SECONDS)
    plan = node_lifecycle.plan(FixedView([silent, pod()]), ("", "n"), NOW)
    status, *rest = [step for step in plan.steps if isinstance(step, Patch)]
    conditions = {c["type"]: c["status"] for c in status.body["status"]["conditions"]}
    assert conditions["Ready"] == "Unknown"
    assert [patch.name for patch in rest] == ["p"]
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "n", "namespace": "kube-node-lease"},
        "spec": {"renewTime": format_time(NOW - 10)},
    }
    plan = node_lifecycle.plan(FixedView([silent, lease]), ("", "n"), NOW)
    assert (plan.steps, plan.wake_at) == ((), NOW + node_lifecycle.GRACE_SECONDS - 10)


def test_a_node_that_never_reported_has_longer():
    silent = node() | {"status": {}}
    silent["metadata"]["creationTimestamp"] = format_time(NOW - 55)
    plan = node_lifecycle.plan(FixedView([silent]), ("", "n"), NOW)
    assert not [step for step in plan.steps if isinstance(step, Patch) and step.sub == "status"]
    assert plan.wake_at == NOW + 5
    silent["metadata"]["creationTimestamp"] = format_time(NOW - 60)
    status, *_ = node_lifecycle.plan(FixedView([silent]), ("", "n"), NOW).steps
    reasons = {row["reason"] for row in status.body["status"]["conditions"]}
    assert reasons == {"NodeStatusNeverUpdated"}


TAINT = {"key": "x", "effect": "NoExecute", "timeAdded": format_time(NOW - 5)}


@pytest.mark.parametrize(
    ("tolerations", "end"),
    [
        ([], 0.0),
        ([{"operator": "Exists"}], None),
        ([{"key": "x", "operator": "Exists", "tolerationSeconds": 30}], NOW + 25),
        ([{"key": "x", "operator": "Exists", "tolerationSeconds": 0}], 0.0),
        (
            [
                {"key": "x", "operator": "Exists", "tolerationSeconds": 30},
                {"operator": "Exists", "tolerationSeconds": 10},
            ],
            NOW + 5,
        ),
        ([{"key": "y", "operator": "Exists"}], 0.0),
    ],
)
def test_when_a_pod_leaves_a_tainted_node(tolerations, end):
    assert taint_eviction.leaves_at(pod(tolerations=tolerations), [TAINT]) == end
    view = FixedView([node(taints=[TAINT]), pod(tolerations=tolerations)])
    plan = taint_eviction.plan(view, ("default", "p"), NOW)
    deletes = [step for step in plan.steps if isinstance(step, Delete)]
    assert bool(deletes) == (end is not None and end <= NOW)
    assert plan.wake_at == (end if end and end > NOW else None)


def test_pods_of_missing_nodes_go_after_a_quarantine():
    gone = pod_gc.plan(FixedView([pod(on="gone")]), ("", "pods"), NOW)
    assert [step.grace for step in gone.steps if isinstance(step, Delete)] == [0]
    young = pod(on="gone")
    young["metadata"]["creationTimestamp"] = format_time(NOW - 10)
    waiting = pod_gc.plan(FixedView([young]), ("", "pods"), NOW)
    assert (waiting.steps, waiting.wake_at) == ((), NOW + 30)
    assert pod_gc.plan(FixedView([pod(), node()]), ("", "pods"), NOW).steps == ()


def test_terminating_pods_of_a_node_out_of_service_are_removed_at_once():
    marked = node(ready="Unknown", taints=[{"key": pod_gc.OUT_OF_SERVICE, "effect": "NoExecute"}])
    assert pod_gc.plan(FixedView([marked, pod()]), ("", "pods"), NOW).steps == ()
    assert pod_gc.plan(FixedView([marked, pod(deleted=True)]), ("", "pods"), NOW).steps
    assert pod_gc.plan(FixedView([node(), pod(deleted=True)]), ("", "pods"), NOW).steps == ()


def test_the_ttl_grows_with_the_cluster():
    assert [ttl.seconds_for(n) for n in (1, 100, 101, 1000, 2000, 5000)] == [0, 0, 15, 30, 60, 300]


def ranged(name, range="", wish=""):
    annotations = {"kubelite.io/pod-range": wish} if wish else {}
    spec = {"podCIDR": range, "podCIDRs": [range]} if range else {}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def assigned(*nodes):
    plan = ipam.plan(FixedView(nodes), ("", "n"), NOW)
    return [action.body["spec"]["podCIDR"] for action in plan.steps if isinstance(action, Patch)]


def test_a_node_gets_the_range_that_suits_it_unless_another_has_it():
    wish = "10.211.5.0/24"
    assert assigned(ranged("n", wish=wish)) == [wish]
    assert assigned(ranged("n", range="10.208.0.0/24", wish=wish)) == []
    (other,) = assigned(ranged("n", wish=wish), ranged("m", range=wish))
    assert other != wish
    assert ipaddress.ip_network(other).subnet_of(ipaddress.ip_network("10.208.0.0/12"))


@pytest.mark.parametrize("wish", ["", "10.0.0.0/24", "10.208.0.0/16", "words", "fd00::/64"])
def test_a_wish_outside_of_the_pool_is_not_granted(wish):
    (found,) = assigned(ranged("n", wish=wish))
    assert found != wish
    assert found.startswith("10.2") and found.endswith(".0/24")


def told(plan):
    return [(e.regarding["metadata"]["name"], e.reason, e.message) for e in plan.steps]


def test_nodes_that_come_and_go_are_told_once():
    known, key = node_lifecycle.KnownNodes(), ("", "n")
    old, new = node(), node()
    old["metadata"]["uid"], new["metadata"]["uid"] = "1", "2"
    come = ("n", "RegisteredNode", "Node n event: Registered Node n in Controller")
    gone = ("n", "RemovingNode", "Node n event: Removing Node n from Controller")
    assert told(known.plan(FixedView([old]), key, NOW)) == [come]
    assert told(known.plan(FixedView([old]), key, NOW)) == []
    assert told(known.plan(FixedView([new]), key, NOW)) == [gone, come], "another of that name"
    assert told(known.plan(FixedView([]), key, NOW)) == [gone]
    assert told(known.plan(FixedView([]), key, NOW)) == []


def test_a_pod_that_need_not_leave_after_all_is_told_of():
    evictions, key = taint_eviction.Evictions(), ("default", "p")
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": format_time(NOW)}
    waits = pod(tolerations=[{"operator": "Exists", "tolerationSeconds": 60}])
    tainted = FixedView([node(taints=[taint]), waits])
    cancelled = [("p", "TaintManagerEviction", "Cancelling deletion of Pod default/p")]
    assert evictions.plan(FixedView([node(), waits]), key, NOW).steps == ()
    assert evictions.plan(tainted, key, NOW).wake_at == NOW + 60
    assert told(evictions.plan(FixedView([node(), waits]), key, NOW)) == cancelled
    assert evictions.plan(FixedView([node(), waits]), key, NOW).steps == ()
    evictions.plan(tainted, key, NOW)
    assert told(evictions.plan(FixedView([node(taints=[taint])]), key, NOW)) == cancelled, "gone"
    evictions.plan(tainted, key, NOW)
    assert any(isinstance(s, Delete) for s in evictions.plan(tainted, key, NOW + 60).steps)
    assert evictions.plan(FixedView([]), key, NOW + 61).steps == (), "it has left"
