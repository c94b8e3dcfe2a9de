"""StatefulSet: order, identity, revisions and claims."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import PODS
from kubelite.control.controllers.actions import Create, Delete, Refusal, Update
from kubelite.control.controllers.workloads.statefulset import STATEFUL_SET_CONTROLLER
from kubelite.control.controllers.workloads.statefulset_pods import (
    is_current_revision_needed,
    ordinal_of,
)
from tests.control.controllers.plain import NOW, World, owner, pod, ready_pods, template

KEY = ("default", "db")
PLAN = STATEFUL_SET_CONTROLLER.plan
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def stateful_set(**spec: Any) -> dict[str, Any]:
    defaults = {
        "replicas": 3,
        "serviceName": "db",
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    }
    return owner("StatefulSet", "db", **{**defaults, **spec})


def settle(world: World, *, kubelet: bool = True) -> None:
    for _ in range(200):
        plan = PLAN(world.view, KEY, world.now)
        if plan.steps:
            world.run(plan)
        elif kubelet and any(not each["status"].get("conditions") for each in world.all("Pod")):
            ready_pods(world)
        else:
            return
    raise AssertionError(f"no rest: {world.actions[-6:]}")


def change(world: World, **spec: Any) -> None:
    obj = world.get("StatefulSet", "db")
    obj = {**obj, "spec": {**obj["spec"], **spec}, "metadata": dict(obj["metadata"])}
    obj["metadata"]["generation"] += 1
    world.put(obj)


def image(name: str) -> dict[str, Any]:
    new = template()
    new["spec"]["containers"][0]["image"] = name
    return new


def names(world: World) -> list[str]:
    return sorted(each["metadata"]["name"] for each in world.all("Pod"))


def deleted(world: World) -> list[str]:
    return [each.name for each in world.actions if isinstance(each, Delete)]


def test_pods_come_one_after_the_other() -> None:
    world = World(stateful_set())
    for count in range(1, 4):
        settle(world, kubelet=False)
        assert names(world) == [f"db-{number}" for number in range(count)]
        ready_pods(world)
    settle(world)
    first = world.get("Pod", "db-0")
    assert first["spec"]["hostname"] == "db-0"
    assert first["spec"]["subdomain"] == "db"
    assert first["metadata"]["generateName"] == "db-"
    assert first["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert first["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
    revision = first["metadata"]["labels"]["controller-revision-hash"]
    assert world.get("StatefulSet", "db")["status"] == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
    }
    assert world.events[0].message == "Create Pod db-0 in StatefulSet db successful"


def test_parallel_pods_come_at_once() -> None:
    world = World(stateful_set(podManagementPolicy="Parallel"))
    settle(world, kubelet=False)
    assert names(world) == ["db-0", "db-1", "db-2"]
    change(world, replicas=1)
    settle(world)
    assert names(world) == ["db-0"]


def test_scaling_down_goes_from_the_highest_and_waits() -> None:
    world = World(stateful_set())
    settle(world)
    change(world, replicas=0)
    leaving = world.get("Pod", "db-2")
    leaving["metadata"]["finalizers"] = ["x"]
    settle(world)
    assert deleted(world) == ["db-2"]
    assert PLAN(world.view, KEY, NOW).steps == ()
    del world._objects[PODS, "default", "db-2"]
    settle(world)
    assert deleted(world) == ["db-2", "db-1", "db-0"]


def test_an_unhealthy_pod_stops_scaling_down_unless_it_is_the_first_one() -> None:
    world = World(stateful_set())
    settle(world)
    change(world, replicas=1)
    world.get("Pod", "db-1")["status"]["conditions"] = []
    settle(world, kubelet=False)
    assert deleted(world) == ["db-2", "db-1"]
    world = World(stateful_set())
    settle(world)
    change(world, replicas=1)
    world.get("Pod", "db-0")["status"]["conditions"] = []
    settle(world, kubelet=False)
    assert deleted(world) == []


def test_ordinals_begin_where_they_are_told() -> None:
    world = World(stateful_set(replicas=2, ordinals={"start": 5}))
    settle(world)
    assert names(world) == ["db-5", "db-6"]
    change(world, ordinals={"start": 6})
    settle(world)
    assert names(world) == ["db-6", "db-7"]


def test_updates_go_from_the_highest_to_the_partition() -> None:
    world = World(stateful_set())
    settle(world)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    change(world, template=image("img:2"), updateStrategy=rolling)
    settle(world)
    assert deleted(world) == ["db-2", "db-1"]
    images = [world.get("Pod", name)["spec"]["containers"][0]["image"] for name in names(world)]
    assert images == ["img:1", "img:2", "img:2"]
    status = world.get("StatefulSet", "db")["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    world._delete(PODS, world.get("Pod", "db-0"))
    settle(world)
    assert world.get("Pod", "db-0")["spec"]["containers"][0]["image"] == "img:1"


def test_on_delete_waits_for_somebody_to_delete() -> None:
    world = World(stateful_set(updateStrategy={"type": "OnDelete"}))
    settle(world)
    change(world, template=image("img:2"))
    settle(world)
    assert deleted(world) == []
    world._delete(PODS, world.get("Pod", "db-1"))
    settle(world)
    assert world.get("Pod", "db-1")["spec"]["containers"][0]["image"] == "img:2"


@pytest.mark.parametrize(
    ("limit", "policy", "gone"),
    [(2, "OrderedReady", ["db-4", "db-3"]), ("50%", "OrderedReady", ["db-4", "db-3"]),
     ("10%", "Parallel", ["db-4"]), (3, "Parallel", ["db-4", "db-3", "db-2"])],
)  # fmt: skip
def test_max_unavailable(limit: Any, policy: str, gone: list[str]) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": limit}}
    world = World(stateful_set(replicas=5, updateStrategy=rolling, podManagementPolicy=policy))
    settle(world)
    change(world, template=image("img:2"))
    while not deleted(world):
        world.run(PLAN(world.view, KEY, NOW))
    assert deleted(world) == gone


def test_in_parallel_broken_pods_are_replaced_beyond_the_budget() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}
    world = World(stateful_set(updateStrategy=rolling, podManagementPolicy="Parallel"))
    settle(world)
    change(world, template=image("img:2"))
    for name in ("db-0", "db-1"):
        world.get("Pod", name)["status"]["conditions"] = []
    while not deleted(world):
        world.run(PLAN(world.view, KEY, NOW))
    assert deleted(world) == ["db-1", "db-0"]


def test_a_former_template_gets_its_revision_back() -> None:
    world = World(stateful_set(revisionHistoryLimit=1))
    settle(world)
    first = world.all("ControllerRevision")[0]["metadata"]["name"]
    change(world, template=image("img:2"))
    settle(world)
    change(world, template=image("img:1"))
    settle(world)
    revisions = {
        each["metadata"]["name"]: each["revision"] for each in world.all("ControllerRevision")
    }
    assert revisions[first] == 3
    assert len(revisions) == 2
    for number in range(3, 6):
        change(world, template=image(f"img:{number}"))
        settle(world)
    assert sorted(each["revision"] for each in world.all("ControllerRevision")) == [5, 6]


def test_a_revision_keeps_the_template_as_a_patch() -> None:
    world = World(stateful_set())
    settle(world)
    (revision,) = world.all("ControllerRevision")
    assert revision["data"] == {"spec": {"template": {**template(), "$patch": "replace"}}}
    assert revision["metadata"]["name"] == (
        f"db-{revision['metadata']['labels']['controller.kubernetes.io/hash']}"
    )


def test_claims_come_before_their_pod() -> None:
    world = World(stateful_set(replicas=1, volumeClaimTemplates=[CLAIM]))
    settle(world)
    kinds = [each.body["kind"] for each in world.actions if isinstance(each, Create)]
    assert kinds == ["ControllerRevision", "PersistentVolumeClaim", "Pod"]
    claim = world.get("PersistentVolumeClaim", "data-db-0")
    assert claim["metadata"]["labels"] == {"app": "web"}
    assert "ownerReferences" not in claim["metadata"]
    assert world.get("Pod", "db-0")["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    ]
    assert world.events[0].message == "Create Claim data-db-0 Pod db-0 in StatefulSet db success"


@pytest.mark.parametrize("deletion", ["Retain", "Delete"])
@pytest.mark.parametrize("scaling", ["Retain", "Delete"])
def test_the_retention_policy_decides_who_owns_claims(deletion: str, scaling: str) -> None:
    policy = {"whenDeleted": deletion, "whenScaled": scaling}
    world = World(
        stateful_set(
            replicas=2,
            volumeClaimTemplates=[CLAIM],
            persistentVolumeClaimRetentionPolicy=policy,
        )
    )
    settle(world)

    def owners(name: str) -> list[str]:
        metadata = world.get("PersistentVolumeClaim", name)["metadata"]
        assert all(each["controller"] for each in metadata.get("ownerReferences") or ())
        return [each["kind"] for each in metadata.get("ownerReferences") or ()]

    of_set = ["StatefulSet"] if deletion == "Delete" else []
    assert owners("data-db-0") == owners("data-db-1") == of_set
    change(world, replicas=1)
    settle(world)
    assert owners("data-db-1") == (["Pod"] if scaling == "Delete" else of_set)
    assert owners("data-db-0") == of_set
    change(world, replicas=2)
    settle(world)
    assert names(world) == (["db-0"] if scaling == "Delete" else ["db-0", "db-1"])


def test_a_claim_that_is_going_is_waited_for() -> None:
    claim = {**CLAIM, "metadata": {"name": "data-db-0", "namespace": "default", "uid": "c",
             "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}}  # fmt: skip
    world = World(stateful_set(replicas=1, volumeClaimTemplates=[CLAIM]), claim)
    settle(world)
    assert names(world) == []
    keys = STATEFUL_SET_CONTROLLER.watches
    concerned = next(value for key, value in keys.items() if "claims" in key.resource)
    assert concerned(world.view, claim, None) == [KEY]


def test_a_failed_pod_is_made_anew() -> None:
    world = World(stateful_set(replicas=1))
    settle(world)
    world.get("Pod", "db-0")["status"] = {"phase": "Failed"}
    world.run(PLAN(world.view, KEY, NOW))
    assert world.events[-1].reason == "SuccessfulDelete"
    assert deleted(world) == ["db-0"]
    settle(world)
    assert names(world) == ["db-0"]


def test_only_pods_with_names_of_the_set_are_adopted() -> None:
    world = World(
        stateful_set(replicas=1),
        pod("db-0", phase="Running", ready_at=NOW - 50),
        pod("db-x", phase="Running"),
        pod("other-0", phase="Running"),
    )
    settle(world)
    adopted = [each for each in world.all("Pod") if each["metadata"].get("ownerReferences")]
    assert [each["metadata"]["name"] for each in adopted] == ["db-0"]
    assert adopted[0]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
    assert "SuccessfulUpdate" in {each.reason for each in world.events}


def test_min_ready_seconds_are_waited_for() -> None:
    world = World(stateful_set(replicas=2, minReadySeconds=30))
    settle(world)
    assert names(world) == ["db-0"]
    assert PLAN(world.view, KEY, world.now).wake_at == NOW + 30
    assert world.get("StatefulSet", "db")["status"]["availableReplicas"] == 0
    world.now += 30
    settle(world)
    assert names(world) == ["db-0", "db-1"]


def test_a_refused_pod_leaves_a_status() -> None:
    world = World(
        stateful_set(),
        refuse=lambda action: (
            Refusal(403, "Forbidden", "no")
            if isinstance(action, Create) and action.resource == PODS
            else None
        ),
    )
    world.run(PLAN(world.view, KEY, NOW))
    world.run(PLAN(world.view, KEY, NOW))
    assert world.events[-1].message == "Create Pod db-0 in StatefulSet db failed error: no"
    assert world.events[-1].reason == "FailedCreate"
    assert world.get("StatefulSet", "db")["status"]["observedGeneration"] == 1


def test_ordinals_of_names() -> None:
    assert [ordinal_of(pod(name)) for name in ("db-0", "a-b-12", "db", "db-", "-3")] == [
        0, 12, -1, -1, 3,
    ]  # fmt: skip


def test_which_revision_a_missing_pod_gets() -> None:
    partitioned = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    set_ = stateful_set(updateStrategy=partitioned)
    assert [is_current_revision_needed(set_, number) for number in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not is_current_revision_needed(stateful_set(updateStrategy={"type": "OnDelete"}), 0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("replicas"), st.integers(0, 4)),
            st.tuples(st.just("template"), st.sampled_from(["img:1", "img:2", "img:3"])),
            st.tuples(st.just("lose"), st.integers(0, 4)),
            st.tuples(st.just("fail"), st.integers(0, 4)),
        ),
        max_size=6,
    ),
    st.booleans(),
    st.booleans(),
)
def test_every_history_converges_and_then_rests(steps: list, parallel: bool, claims: bool) -> None:
    world = World(
        stateful_set(
            podManagementPolicy="Parallel" if parallel else "OrderedReady",
            volumeClaimTemplates=[CLAIM] if claims else [],
        )
    )
    wanted = {"replicas": 3, "template": "img:1"}
    for what, value in steps:
        for _ in range(3):  # not always at rest
            world.run(PLAN(world.view, KEY, world.now))
        if what in wanted:
            wanted[what] = value
            change(world, **{what: image(value) if what == "template" else value})
        elif value < len(world.all("Pod")):
            chosen = world.all("Pod")[value]
            if what == "lose":
                world._delete(PODS, chosen)
            else:
                chosen["status"] = {"phase": "Failed", "conditions": [{}]}
    settle(world)
    assert names(world) == [f"db-{number}" for number in range(wanted["replicas"])]
    images = {each["spec"]["containers"][0]["image"] for each in world.all("Pod")}
    assert images <= {wanted["template"]}
    assert not [
        each
        for each in world.actions
        if isinstance(each, Update) and each.sub not in ("", "status")
    ]
