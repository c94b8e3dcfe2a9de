"""Nodes on which room is being made: for whom it is kept, and who may take it."""

import pytest

from kubelite.control.scheduler import explain
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.rating import decide
from tests.control.scheduler.small import fits, node, pod, reasons


def nominated(name, on, **spec):
    return {**pod(name, **spec), "status": {"nominatedNodeName": on}}


def test_room_is_kept_from_pods_that_matter_no_more():
    objects = [node("n", cpu="2"), nominated("waiting", "n", cpu="1", priority=5)]
    for priority, expected in ((4, []), (5, []), (6, ["n"])):
        assert fits(explain(objects, pod("new", cpu="1500m", priority=priority))) == expected
    assert reasons(explain(objects, pod("new", cpu="1500m")), "n") == ["Insufficient cpu"]


def test_a_nominated_pod_is_not_yet_there_to_be_near():
    """What only holds because of it does not count; what it would break does."""
    near = {
        "labelSelector": {"matchLabels": {"app": "db"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    waiting = nominated("waiting", "n", labels={"app": "db"}, priority=5)
    wants = pod(
        "new", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}}
    )
    avoids = pod(
        "new",
        affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}},
    )
    assert fits(explain([node("n"), node("m"), waiting], wants)) == []
    assert fits(explain([node("n"), node("m"), waiting], avoids)) == ["m"]


def test_a_pod_takes_its_nominated_node_while_it_fits():
    objects = [node("better"), node("mine", cpu="1")]
    found = explain(objects, nominated("new", "mine", cpu="1"))
    assert (found["selected"], found["acceptable"]) == ("mine", ["mine"])
    found = explain(objects, nominated("new", "mine", cpu="2"))
    assert found["selected"] == "better"


def test_a_pod_waits_for_its_victims():
    leaving = pod("victim", cpu="2", on="n")
    leaving["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    leaving["status"] = {
        "conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        ]
    }
    found = explain([node("n", cpu="2"), leaving], nominated("new", "n", cpu="2", priority=9))
    assert found["preemption"] is None
    assert found["message"].endswith(
        "preemption: not eligible due to a terminating pod on the nominated node."
    )


@pytest.mark.parametrize("seed", [None, 3])
def test_nominating_and_forgetting(seed):
    cluster = Cluster(seed=seed)
    cluster.put("Node", node("n", cpu="2"))
    waiting = pod("waiting", cpu="2", priority=5)
    assert decide(cluster, pod("new", cpu="1")).node == "n"
    cluster.nominate(waiting, "n")
    assert decide(cluster, pod("new", cpu="1")).node is None
    assert decide(cluster, waiting).node == "n"
    cluster.forget(waiting)
    assert decide(cluster, pod("new", cpu="1")).node == "n"
