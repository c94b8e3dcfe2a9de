"""The queue, second by second: nobody waits, the test says what time it is."""

import pytest

from kubelite.control.scheduler.facts.fields import named
from kubelite.control.scheduler.facts.traits import read
from kubelite.control.scheduler.loop.queue import Queue
from kubelite.control.scheduler.plugins.hints import Event, Hints
from kubelite.control.scheduler.snapshot.world import World
from tests.control.scheduler.small import node, pod, zone

FIT = ("NodeResourcesFit",)


@pytest.fixture
def queue():
    return Queue(Hints(lambda obj: read(named(obj, "Pod")), World()))


def names(queue, now, most=9):
    found = []
    while len(found) < most and (each := queue.pop(now)):
        found.append(each["metadata"]["name"])
    return found


def test_priority_first_then_who_came_first(queue):
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.add(pod(name, priority=priority), 0)
    assert names(queue, 0) == ["b", "d", "a", "c"]


def test_backoff_doubles_up_to_ten_seconds(queue):
    assert [queue.backoff(n) for n in (1, 2, 3, 4, 5, 50)] == [1, 2, 4, 8, 10, 10]


def test_a_failure_waits_for_an_event_that_helps(queue):
    queue.add(pod("a", cpu="1"), 0)
    queue.fail(queue.pop(0), FIT, 0)
    assert queue.state_of(pod("a")) == "unschedulable"
    assert queue.pop(5) is None
    queue.event(Event("Pod", None, pod("b", on="n")), 5)
    assert queue.state_of(pod("a")) == "unschedulable"
    queue.event(Event("Pod", pod("b", on="n"), None), 5)
    assert queue.state_of(pod("a")) == "active"
    assert names(queue, 5) == ["a"]


def test_an_event_during_backoff_is_honoured_when_it_is_over(queue):
    queue.add(pod("a"), 0)
    queue.fail(queue.pop(0), FIT, 0)
    queue.add(pod("b"), 0)
    queue.event(Event("Node", None, node("n")), 0.5)
    assert queue.state_of(pod("a")) == "backoff"
    assert queue.next_time() == 1.0
    assert names(queue, 0.6, 1) == ["b"]
    assert names(queue, 1.0) == ["a"]


def test_backoff_ends_early_while_nothing_else_is_to_do(queue):
    """But not after an error, which trying again would only repeat."""
    for name in ("rejected", "broken"):
        queue.add(pod(name), 0)
    queue.fail(queue.pop(0), FIT, 0)
    queue.fail(queue.pop(0), (), 0, error=True)
    queue.event(Event("Node", None, node("n")), 0)
    assert names(queue, 0.1) == ["rejected"]
    assert names(queue, 0.9) == []
    assert names(queue, 1.0) == ["broken"]


def test_an_event_during_the_attempt_counts(queue):
    queue.add(pod("a"), 0)
    trying = queue.pop(0)
    queue.event(Event("Node", None, node("new")), 0)
    queue.fail(trying, FIT, 0)
    assert queue.state_of(trying) == "backoff"


def test_unschedulable_pods_are_tried_again_after_five_minutes(queue):
    queue.add(pod("a"), 0)
    queue.fail(queue.pop(0), FIT, 0)
    assert queue.next_time() == 300.0
    assert names(queue, 299.9) == []
    assert names(queue, 300.0) == ["a"]


def test_gates_hold_until_they_are_gone(queue):
    gated = pod("a", schedulingGates=[{"name": "g"}])
    queue.add(gated, 0)
    assert (queue.state_of(gated), queue.pop(0)) == ("gated", None)
    queue.update(pod("a"), 1)
    assert names(queue, 1) == ["a"]


def test_a_deleted_pod_is_never_popped(queue):
    for name in ("a", "b"):
        queue.add(pod(name), 0)
    queue.delete(pod("a"))
    assert (names(queue, 0), len(queue)) == (["b"], 1)


def test_an_update_of_the_pod_itself_helps(queue):
    queue.add(pod("a"), 0)
    queue.fail(queue.pop(0), ("TaintToleration",), 0)
    queue.update(pod("a", tolerations=[{"operator": "Exists"}]), 2)
    assert names(queue, 2) == ["a"]


def test_nominated_pods_by_importance(queue):
    for name, priority in (("a", 1), ("b", 7), ("c", 3)):
        queue.add(pod(name, priority=priority), 0)
        queue.nominate(pod(name), "n")
    queue.clear_nomination(pod("c"))
    assert [each["metadata"]["name"] for each in queue.nominated_on("n")] == ["b", "a"]


TAINT = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
TERM = {
    "labelSelector": {"matchLabels": {"app": "db"}},
    "topologyKey": "topology.kubernetes.io/zone",
}
NEAR = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}
SPREAD = [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1,
           "whenUnsatisfiable": "DoNotSchedule",
           "labelSelector": {"matchLabels": {"app": "db"}}}]  # fmt: skip
PORT = [{"name": "c", "ports": [{"hostPort": 80}]}]


@pytest.mark.parametrize(
    ("plugin", "waiting", "event", "helps"),
    [
        ("NodeResourcesFit", pod("w", cpu="1"),
         Event("Node", node("n", cpu="1"), node("n", cpu="2")), True),
        ("NodeResourcesFit", pod("w", cpu="1"),
         Event("Node", node("n", cpu="2"), node("n", cpu="1")), False),
        ("NodeResourcesFit", pod("w", cpu="1"),
         Event("Node", node("n"), node("n", labels={"a": "b"})), False),
        ("TaintToleration", pod("w"), Event("Node", node("n", taints=TAINT), node("n")), True),
        ("TaintToleration", pod("w"), Event("Node", node("n"), node("n", taints=TAINT)), False),
        ("TaintToleration", pod("w"), Event("Pod", pod("x", on="n"), None), False),
        ("NodeAffinity", pod("w", nodeSelector={"a": "b"}),
         Event("Node", node("n"), node("n", labels={"a": "b"})), True),
        ("NodeAffinity", pod("w", nodeSelector={"a": "b"}),
         Event("Node", node("n"), node("n", labels={"a": "c"})), False),
        ("NodeUnschedulable", pod("w"), Event("Node", node("n", unschedulable=True), node("n")),
         True),
        ("NodePorts", pod("w", containers=PORT),
         Event("Pod", pod("x", on="n", containers=PORT), None), True),
        ("NodePorts", pod("w", containers=PORT), Event("Pod", pod("x", on="n"), None), False),
        ("InterPodAffinity", pod("w", affinity=NEAR),
         Event("Pod", None, pod("x", on="n", labels={"app": "db"})), True),
        ("InterPodAffinity", pod("w", affinity=NEAR),
         Event("Pod", None, pod("x", on="n", labels={"app": "web"})), False),
        ("InterPodAffinity", pod("w", affinity=NEAR),
         Event("Node", None, node("n", labels=zone("z"))), True),
        ("PodTopologySpread", pod("w", topologySpreadConstraints=SPREAD),
         Event("Pod", pod("x", on="n", labels={"app": "db"}), None), True),
        ("PodTopologySpread", pod("w", topologySpreadConstraints=SPREAD),
         Event("Node", node("n", labels=zone("z")), None), True),
        ("PodTopologySpread", pod("w", topologySpreadConstraints=SPREAD),
         Event("Node", None, node("n")), False),
        ("VolumeBinding", pod("w"), Event("PersistentVolume", None, {"metadata": {"name": "v"}}),
         True),
        ("DefaultPreemption", pod("w"), Event("Pod", pod("x", on="n"), None), False),
        ("SomebodysOwn", pod("w"), Event("Pod", pod("x", on="n"), None), True),
    ],
)  # fmt: skip
def test_hints(plugin, waiting, event, helps):
    hints = Hints(lambda obj: read(named(obj, "Pod")), World())
    assert hints(event, waiting, (plugin,)) is helps
