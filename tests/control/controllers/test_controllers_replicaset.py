"""ReplicaSet: which pods are made, which go, and what the status says."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import PODS
from kubelite.control.controllers.actions import Create, Delete, Patch, Refusal
from kubelite.control.controllers.shared.hashing import ALPHABET
from kubelite.control.controllers.workloads.pod_ranking import deletion_cost, rank, victims
from kubelite.control.controllers.workloads.replicaset import BURST, REPLICA_SET_CONTROLLER
from tests.control.controllers.plain import NOW, World, owner, pod, ready_pods

KEY = ("default", "web")
PLAN = REPLICA_SET_CONTROLLER.plan


def creates(world: World) -> list[Create]:
    return [each for each in world.actions if isinstance(each, Create)]


def test_pods_are_made_named_and_owned() -> None:
    world = World(owner("ReplicaSet", replicas=3))
    world.converge(PLAN, KEY)
    assert len(world.all("Pod")) == 3
    made = world.all("Pod")[0]["metadata"]
    assert made["generateName"] == "web-"
    assert made["name"][:4] == "web-"
    assert set(made["name"][4:]) <= set(ALPHABET)
    assert len(made["name"]) == 9
    assert made["labels"] == {"app": "web"}
    assert made["ownerReferences"][0]["uid"] == "uid-web"
    assert made["ownerReferences"][0]["controller"] is True
    assert [each.reason for each in world.events] == ["SuccessfulCreate"] * 3
    assert world.events[0].message.startswith("Created pod: web-")


def test_a_plan_made_again_over_the_same_view_names_the_same_pods() -> None:
    view = World(owner("ReplicaSet", replicas=5)).view
    plans = [PLAN(view, KEY, now).steps[0].actions for now in (NOW, NOW + 60)]
    assert [each.body["metadata"]["name"] for each in plans[0]] == [
        each.body["metadata"]["name"] for each in plans[1]
    ]
    assert len({each.body["metadata"]["name"] for each in plans[0]}) == 5


def test_a_pod_that_is_gone_does_not_give_its_name_to_the_next() -> None:
    world = World(owner("ReplicaSet", replicas=1))
    world.converge(PLAN, KEY)
    first = world.all("Pod")[0]
    world._delete(PODS, first)
    world.converge(PLAN, KEY)
    assert world.all("Pod")[0]["metadata"]["name"] != first["metadata"]["name"]


def test_a_burst_is_limited() -> None:
    step = PLAN(World(owner("ReplicaSet", replicas=2000)).view, KEY, NOW).steps[0]
    assert len(step.actions) == BURST == 500
    assert step.order == "slow start"


def test_status_counts() -> None:
    rs = owner("ReplicaSet", replicas=3, minReadySeconds=10)
    world = World(
        rs,
        pod("a", of=rs, node="n", phase="Running", ready_at=NOW - 20),
        pod("b", of=rs, node="n", phase="Running", ready_at=NOW - 5),
        pod("c", of=rs),
        pod("d", of=rs, phase="Succeeded"),
        pod("e", of=rs, deletionTimestamp="2026-01-01T00:00:00Z"),
    )
    plan = PLAN(world.view, KEY, NOW)
    world.run(plan)
    assert world.get("ReplicaSet", "web")["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }
    assert plan.wake_at == NOW + 5
    assert PLAN(world.view, KEY, NOW + 5).steps


def test_a_refused_pod_is_told_in_an_event_and_a_condition() -> None:
    message = 'pods "web-x" is forbidden: exceeded quota: q'
    world = World(
        owner("ReplicaSet", replicas=4),
        refuse=lambda action: (
            Refusal(403, "Forbidden", message)
            if isinstance(action, Create) and len(world.all("Pod")) == 1
            else None
        ),
    )
    world.run(PLAN(world.view, KEY, NOW))
    assert len(creates(world)) == 2  # one, then a batch of two of which the first fails
    assert world.events[-1][1:] == ("Warning", "FailedCreate", f"Error creating: {message}")
    (condition,) = world.get("ReplicaSet", "web")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert condition["message"] == message
    world.refuse = lambda action: None
    world.converge(PLAN, KEY)
    assert "conditions" not in world.get("ReplicaSet", "web")["status"]


def test_nothing_is_told_of_a_namespace_that_ends() -> None:
    refusal = Refusal(403, "Forbidden", "no", ("NamespaceTerminating",))
    world = World(
        owner("ReplicaSet", replicas=1),
        refuse=lambda action: refusal if isinstance(action, Create) else None,
    )
    world.run(PLAN(world.view, KEY, NOW))
    assert "conditions" not in world.get("ReplicaSet", "web").get("status", {})


def test_nothing_is_created_in_a_namespace_that_is_seen_to_end() -> None:
    metadata = {"name": "default", "uid": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    rs = owner("ReplicaSet", replicas=2)
    world = World(rs, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    world.converge(PLAN, KEY)
    assert not creates(world)
    assert world.get("ReplicaSet", "web")["status"]["replicas"] == 0


def test_orphans_are_adopted_and_strangers_released() -> None:
    rs, other = owner("ReplicaSet", replicas=2), owner("ReplicaSet", "other")
    world = World(
        rs,
        pod("orphan"),
        pod("stranger", of=rs, labels={"app": "db"}),
        pod("theirs", of=other),
        pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z"),
    )
    world.run(PLAN(world.view, KEY, NOW))
    patched = {
        each.name: each.body["metadata"] for each in world.actions if isinstance(each, Patch)
    }
    assert set(patched) == {"orphan", "stranger"}
    assert patched["orphan"]["ownerReferences"][0]["controller"] is True
    assert patched["stranger"]["ownerReferences"] == [{"$patch": "delete", "uid": "uid-web"}]
    assert len(creates(world)) == 1


def test_an_owner_that_is_being_deleted_touches_no_pod() -> None:
    rs = owner("ReplicaSet", replicas=2)
    rs["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
    world = World(rs, pod("orphan"), pod("stranger", of=rs, labels={}))
    world.run(PLAN(world.view, KEY, NOW))
    assert not [each for each in world.actions if isinstance(each, Patch | Create | Delete)]


# Who goes first


def pods_in_order() -> list[dict]:
    """Each differs from the next in one more criterion of the order."""
    cost = "controller.kubernetes.io/pod-deletion-cost"
    running = {"node": "n1", "phase": "Running"}
    restarted = pod("restarted", **running, ready_at=NOW - 1000, created=NOW - 5000)
    restarted["status"]["containerStatuses"] = [{"restartCount": 1}, {"restartCount": 7}]
    return [
        pod("unassigned"),
        pod("pending", node="n1"),
        pod("unknown", node="n1", phase="Unknown"),
        pod("unready", **running),
        pod("cheap", **running, ready_at=NOW - 9000, annotations={cost: "-3"}),
        pod("crowded", node="n2", phase="Running", ready_at=NOW - 9000),
        pod("fresh", **running, ready_at=NOW - 2),
        restarted,
        pod("young", **running, ready_at=NOW - 1000, created=NOW - 1001),
        pod("old", **running, ready_at=NOW - 1000, created=NOW - 5000),
        pod("dear", **running, ready_at=NOW - 9000, annotations={cost: "10"}),
    ]


def test_the_order_of_deletion() -> None:
    crowd = Counter({"n1": 2, "n2": 5})
    expected = pods_in_order()
    mixed = [*expected[::2], *expected[1::2]]
    assert sorted(mixed, key=lambda each: rank(each, crowd, NOW)) == expected


def test_crowded_nodes_count_the_pods_of_sibling_sets() -> None:
    deployment = owner("Deployment", "app")
    rs, sibling = owner("ReplicaSet", replicas=1), owner("ReplicaSet", "sibling")
    for each in (rs, sibling):
        each["metadata"]["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "controller": True,
             "uid": deployment["metadata"]["uid"]}
        ]  # fmt: skip
    ready = {"phase": "Running", "ready_at": NOW - 100}
    world = World(
        rs,
        sibling,
        pod("a", of=rs, node="n1", **ready),
        pod("b", of=rs, node="n2", **ready),
        pod("c", of=sibling, node="n2", **ready),
    )
    world.run(PLAN(world.view, KEY, NOW))
    assert [each.name for each in world.actions if isinstance(each, Delete)] == ["b"]


def test_costs_that_are_no_numbers_count_as_zero() -> None:
    def cost(text: str) -> int:
        key = "controller.kubernetes.io/pod-deletion-cost"
        return deletion_cost(pod("p", annotations={key: text}))

    assert [cost(text) for text in ("7", "-7", "0", "+7", "07", "-0", "x", "", "2147483648")] == [
        7, -7, 0, 0, 0, 0, 0, 0, 0,
    ]  # fmt: skip


def test_ages_of_the_same_magnitude_tie() -> None:
    older = pod("b", node="n", phase="Running", ready_at=NOW - 700, created=NOW - 700)
    newer = pod("a", node="n", phase="Running", ready_at=NOW - 600, created=NOW - 600)
    assert victims([older, newer], [], 1, NOW) == [newer]  # the uid decides
    assert rank(older, Counter(), NOW)[:-1] == rank(newer, Counter(), NOW)[:-1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
            st.booleans(),
            st.sampled_from([{"app": "web"}, {"app": "db"}]),
            st.booleans(),
        ),
        max_size=8,
    ),
    st.integers(0, 6),
)
def test_every_state_converges_and_then_rests(pods: list, replicas: int) -> None:
    rs = owner("ReplicaSet", replicas=replicas)
    world = World(rs)
    for index, (phase, is_owned, labels, is_ready) in enumerate(pods):
        world.put(
            pod(
                f"p{index}",
                of=rs if is_owned else None,
                labels=labels,
                phase=phase,
                ready_at=NOW - 50 if is_ready else None,
            )
        )
    world.converge(PLAN, KEY)
    ready_pods(world)
    world.converge(PLAN, KEY)
    assert not PLAN(world.view, KEY, NOW).steps
    active = [
        each
        for each in world.all("Pod")
        if (each["metadata"].get("ownerReferences") or [{}])[0].get("uid") == "uid-web"
        and each["metadata"]["labels"] == {"app": "web"}
    ]
    assert len(active) >= replicas
    assert world.get("ReplicaSet", "web")["status"]["replicas"] == replicas
