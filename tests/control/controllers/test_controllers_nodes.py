"""Nodes: taints by condition, eviction by taint, pods that nobody else removes."""

from __future__ import annotations

import ipaddress

import pytest

from kubelite.control.controllers.actions import Delete, Emit, Patch, Update
from kubelite.control.controllers.nodes import (
    heartbeats,
    ipam,
    node_lifecycle,
    pod_gc,
    taint_eviction,
    ttl,
    zones,
)
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import FixedView

NOW = 1_800_000_000.0


def node(ready="True", heard=NOW, taints=(), unschedulable=False, name="n", zone=""):
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": format_time(heard)}
    spec = {"taints": list(taints)} if taints else {}
    metadata = {"name": name, "creationTimestamp": format_time(NOW - 1000)}
    if zone:
        metadata["labels"] = {"topology.kubernetes.io/zone": zone}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
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


class Nodes:
    """A cluster's nodes under the controller; what it says of taints is done."""

    def __init__(self, *nodes):
        self.memory = node_lifecycle.NodeLifecycle()
        self.nodes = {}
        self.others = []
        for each in nodes:
            self.set(each)

    def set(self, obj):
        """The names to plan again after a node has changed."""
        name = obj["metadata"]["name"]
        old, self.nodes[name] = self.nodes.get(name), obj
        return {key[1] for key in self.memory.zones.changed(FixedView([]), old, obj)}

    def remove(self, name):
        return {k[1] for k in self.memory.zones.changed(FixedView([]), self.nodes.pop(name), None)}

    def plan(self, name="n", now=NOW):
        view = FixedView([*self.nodes.values(), *self.others])
        plan = self.memory.plan(view, ("", name), now)
        for step in plan.steps:
            if isinstance(step, Update):
                self.set(step.body)
        told = [step for step in plan.steps if not isinstance(step, Emit)]
        return plan._replace(steps=tuple(told))

    def evicting(self):
        """The names of those with a taint that evicts."""
        return [name for name, obj in self.nodes.items() if node_lifecycle.evicts(obj)]


def taints_after(obj):
    plan = Nodes(obj, node(name="other")).plan()
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


def lease(renewed):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "n", "namespace": "kube-node-lease"},
        "spec": {"renewTime": format_time(renewed)},
    }


def test_a_node_that_is_not_heard_of_is_lost_with_its_pods():
    silent = Nodes(node(heard=NOW - 1000))
    silent.others = [pod()]
    first = silent.plan()
    assert (first.steps, first.wake_at) == ((), NOW + heartbeats.GRACE_SECONDS), "seen just now"
    silent.others.append(lease(NOW + 40))
    renewed = silent.plan(now=NOW + 50)
    assert (renewed.steps, renewed.wake_at) == ((), NOW + 90)
    status, *rest = silent.plan(now=NOW + 90).steps
    conditions = {c["type"]: c["status"] for c in status.body["status"]["conditions"]}
    assert conditions["Ready"] == "Unknown"
    assert [patch.name for patch in rest] == ["p"]


def test_a_node_that_never_reported_has_longer():
    silent = node() | {"status": {}}
    silent["metadata"]["creationTimestamp"] = format_time(NOW - 55)
    nodes = Nodes(silent)
    first = nodes.plan()
    assert (first.steps, first.wake_at) == ((), NOW + 5)
    (status,) = nodes.plan(now=NOW + 5).steps
    reasons = {row["reason"] for row in status.body["status"]["conditions"]}
    assert reasons == {"NodeStatusNeverUpdated"}


@pytest.mark.parametrize("wrong_by", [-3600, 3600])
def test_the_clock_of_a_node_need_not_be_right(wrong_by):
    nodes = Nodes(node())
    nodes.others = [lease(NOW + wrong_by)]
    assert nodes.plan().wake_at == NOW + 50
    nodes.others = [lease(NOW + 50 + wrong_by)]
    plan = nodes.plan(now=NOW + 50)
    assert (plan.steps, plan.wake_at) == ((), NOW + 55), "looked at every 5 s from now on"
    for later in range(55, 100, 5):
        plan = nodes.plan(now=NOW + later)
        assert (plan.steps, plan.wake_at) == ((), NOW + later + 5)
    assert nodes.plan(now=NOW + 100).steps, "lost 50 s after its Lease was renewed last"


@pytest.mark.parametrize(
    ("ready", "lost", "state", "rate"),
    [
        (1, 0, "normal", 0.1),
        (0, 1, "full disruption", 0.1),
        (0, 60, "full disruption", 0.1),
        (1, 2, "normal", 0.1),  # two nodes are too few
        (2, 3, "partial disruption", 0.0),
        (9, 11, "partial disruption", 0.0),
        (10, 12, "normal", 0.1),  # 54 %
        (20, 30, "partial disruption", 0.0),  # fifty nodes are no large zone
        (20, 31, "partial disruption", 0.01),
        (0, 0, "normal", 0.1),
    ],
)
def test_how_fast_nodes_of_a_zone_are_left(ready, lost, state, rate):
    assert zones.state_of(ready, lost) == state
    assert zones.rate_of(zones.state_of(ready, lost), ready + lost) == rate


def test_lost_nodes_are_left_one_after_the_other():
    nodes = Nodes(*(node(name=name) for name in "abcdef"))
    for name in "abc":
        nodes.set(node("Unknown", name=name))
    assert [nodes.plan(name).wake_at for name in "abc"] == [NOW + 50, NOW + 10, NOW + 50]
    assert nodes.evicting() == ["a"]
    assert {t["effect"] for t in nodes.nodes["b"]["spec"]["taints"]} == {"NoSchedule"}
    assert nodes.set(node(name="b")) == {"b", "c"}, "the next in line is planned again"
    assert nodes.plan("c").wake_at == NOW + 10
    nodes.plan("c", NOW + 10)
    assert nodes.evicting() == ["a", "c"]
    nodes.set(node(name="a", taints=nodes.nodes["a"]["spec"]["taints"]))
    nodes.plan("a", NOW + 10)
    assert nodes.evicting() == ["c"], "a node that is back loses it at once"


def test_nodes_of_another_zone_do_not_wait():
    nodes = Nodes(*(node(name=name, zone=name) for name in "abc"))
    for name in "ab":
        nodes.set(node("False", name=name, zone=name))
        nodes.plan(name)
    assert nodes.evicting() == ["a", "b"]


def test_a_zone_that_is_mostly_lost_is_not_left_until_it_is_better():
    nodes = Nodes(*(node(name=name) for name in "abcde"), node(name="z", zone="z"))
    for name in "abc":
        nodes.set(node("Unknown", name=name))
    assert [nodes.plan(name).wake_at for name in "abc"] == [NOW + 50] * 3
    assert nodes.evicting() == []
    assert nodes.set(node(name="c")) == {"a", "b", "c"}
    assert nodes.plan("a", NOW + 1).wake_at == NOW + 11, "none at once"
    nodes.plan("a", NOW + 11)
    assert nodes.evicting() == ["a"]


def test_nothing_is_left_while_no_node_is_ready():
    nodes = Nodes(node(name="a"), node(name="b", zone="b"))
    nodes.set(node("Unknown", name="a"))
    nodes.plan("a")
    nodes.plan("b")
    assert nodes.evicting() == ["a"]
    assert nodes.set(node("Unknown", name="b", zone="b")) == {"a", "b"}
    for name in "abab":
        nodes.plan(name)
    assert nodes.evicting() == []
    effects = [(t["key"], t["effect"]) for t in nodes.nodes["b"]["spec"]["taints"]]
    assert effects == [(node_lifecycle.UNREACHABLE, "NoSchedule")]
    assert nodes.set(node(name="b", zone="b")) == {"a", "b"}
    assert nodes.plan("b", NOW + 40).wake_at == NOW + 90, "all get their time anew"
    assert nodes.plan("a", NOW + 40).wake_at == NOW + 50
    nodes.plan("a", NOW + 50)
    assert nodes.evicting() == ["a"]


def test_a_taint_follows_the_condition_without_waiting():
    nodes = Nodes(*(node(name=name) for name in "abc"))
    nodes.set(node("Unknown", name="a"))
    nodes.plan("a")
    nodes.set(node("Unknown", name="b"))
    nodes.set(node("False", name="a", taints=nodes.nodes["a"]["spec"]["taints"]))
    nodes.plan("a")
    keys = {t["key"] for t in nodes.nodes["a"]["spec"]["taints"]}
    assert keys == {node_lifecycle.NOT_READY}
    assert nodes.evicting() == ["a"]


def test_nodes_may_be_left_out_of_the_count():
    out = node(name="out")
    out["metadata"]["labels"] = {zones.EXCLUDED: ""}
    nodes = Nodes(node("False", name="a"), out)
    nodes.plan("a")
    assert nodes.evicting() == [], "no other counts, so none is ready"
    assert nodes.remove("a") == {"a", "out"}


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
    known, key = node_lifecycle.NodeLifecycle(), ("", "n")
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
