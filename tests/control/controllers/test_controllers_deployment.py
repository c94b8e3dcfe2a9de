"""Deployment: rollouts step by step, revisions, and what the conditions say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import REPLICA_SETS
from kubelite.control.controllers.actions import Create, Delete, Refusal, Update
from kubelite.control.controllers.shared.hashing import fnv32a, safe_encode, template_hash
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.shared.numbers import fence_posts, round_half_away, scaled
from kubelite.control.controllers.workloads.deployment import DEPLOYMENT_CONTROLLER
from kubelite.control.controllers.workloads.deployment_revisions import HASH_LABEL, mark_revision
from kubelite.control.controllers.workloads.replicaset import REPLICA_SET_CONTROLLER
from kubelite.control.controllers.workloads.rollout import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    Limits,
    SetDraft,
    new_set_size,
    scale_proportionally,
    shrink_old,
)
from tests.control.controllers.plain import NOW, World, owner, ready_pods, template

KEY = ("default", "web")
PLAN = DEPLOYMENT_CONTROLLER.plan
SETS = REPLICA_SET_CONTROLLER.plan


def deployment(**spec: Any) -> dict[str, Any]:
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    defaults = {
        "replicas": 4,
        "strategy": strategy,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    return owner("Deployment", **{**defaults, **spec})


def step(world: World) -> bool:
    """One plan of one controller that has something to do; the kubelet when none has."""
    plans = [PLAN(world.view, KEY, world.now)]
    plans += [
        SETS(world.view, ("default", each["metadata"]["name"]), world.now)
        for each in world.all("ReplicaSet")
    ]
    for plan in plans:
        if plan.steps:
            world.run(plan)
            return True
    return False


def settle(world: World, *, kubelet: bool = True) -> None:
    for _ in range(400):
        if step(world):
            continue
        if not kubelet or all(each["status"].get("conditions") for each in world.all("Pod")):
            return
        ready_pods(world)
    raise AssertionError("no rest")


def change(world: World, **spec: Any) -> None:
    obj = world.get("Deployment", "web")
    obj = {**obj, "spec": {**obj["spec"], **spec}, "metadata": dict(obj["metadata"])}
    obj["metadata"]["generation"] += 1
    world.put(obj)


def image(name: str) -> dict[str, Any]:
    new = template()
    new["spec"]["containers"][0]["image"] = name
    return new


def condition(world: World, type_: str) -> dict[str, Any]:
    conditions = world.get("Deployment", "web")["status"]["conditions"]
    return next(each for each in conditions if each["type"] == type_)


# Arithmetic


@pytest.mark.parametrize(
    ("value", "total", "up", "pods"),
    [("25%", 10, True, 3), ("25%", 10, False, 2), (3, 10, True, 3), ("100%", 7, False, 7),
     ("3", 10, True, 0), ("x%", 10, True, 0), (None, 10, True, 0), ("0%", 10, True, 0)],
)  # fmt: skip
def test_percentages(value: Any, total: int, up: bool, pods: int) -> None:
    assert scaled(value, total, up=up) == pods


def test_both_bounds_zero_leave_one_unavailable() -> None:
    assert fence_posts(0, 0, 10) == (0, 1)
    assert fence_posts("1%", "1%", 10) == (1, 0)
    assert fence_posts(0, "9%", 10) == (0, 1)


@pytest.mark.parametrize(("value", "whole"), [(2.5, 3), (-2.5, -3), (2.4, 2), (-2.4, -2), (0, 0)])
def test_halves_are_rounded_away_from_zero(value: float, whole: int) -> None:
    assert round_half_away(value) == whole


def test_unavailable_is_capped_at_the_size() -> None:
    rolling = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 9}}
    assert Limits(deployment(replicas=3, strategy=rolling)).unavailable == 3
    assert Limits(deployment(replicas=0)).unavailable == 0


def test_the_new_set_grows_into_what_the_surge_leaves() -> None:
    limits = Limits(deployment(replicas=10))
    assert (limits.surge, limits.unavailable) == (3, 2)
    assert new_set_size(limits, 10, 0) == 3
    assert new_set_size(limits, 13, 3) == 3
    assert new_set_size(limits, 5, 4) == 10
    assert new_set_size(Limits(deployment(strategy={"type": "Recreate"})), 4, 0) == 4


def a_set(name: str, replicas: int, available: int = 0, most: int = 0, age: int = 0) -> SetDraft:
    obj = owner("ReplicaSet", name, replicas=replicas)
    obj["metadata"]["creationTimestamp"] = format_time(NOW - age)
    obj["metadata"]["annotations"] = {MAX_REPLICAS: str(most)} if most else {}
    obj["status"] = {"replicas": replicas, "availableReplicas": available}
    return SetDraft(obj)


def test_proportional_scaling_keeps_the_shares() -> None:
    rolling = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    old, new = a_set("old", 8, 8, 13, age=9), a_set("new", 5, 0, 13)
    scale_proportionally(Limits(deployment(replicas=15, strategy=rolling)), [new, old], 13)
    assert (old.replicas, new.replicas) == (11, 7)
    scale_proportionally(Limits(deployment(replicas=6, strategy=rolling)), [new, old], 18)
    assert (old.replicas, new.replicas) == (5, 4)
    assert old.annotations == {DESIRED_REPLICAS: "6", MAX_REPLICAS: "9"}


def test_proportional_scaling_gives_the_rest_to_the_largest() -> None:
    rolling = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    sets = [a_set(name, 1, 1, 3, age=age) for name, age in (("a", 3), ("b", 2), ("c", 1))]
    scale_proportionally(Limits(deployment(replicas=4, strategy=rolling)), sets, 3)
    assert [each.replicas for each in sets] == [1, 1, 2]  # growing: the youngest of equal ones
    sets = [a_set(name, 2, 2, 6, age=age) for name, age in (("a", 3), ("b", 2), ("c", 1))]
    scale_proportionally(Limits(deployment(replicas=5, strategy=rolling)), sets, 6)
    assert [each.replicas for each in sets] == [1, 2, 2]  # shrinking: the oldest


def test_unhealthy_old_pods_go_first() -> None:
    limits = Limits(deployment(replicas=10))
    new, sick, healthy = a_set("new", 3, 3), a_set("sick", 4, 1, age=5), a_set("fit", 6, 6, age=9)
    assert shrink_old(limits, new, [sick, healthy])
    assert (healthy.replicas, sick.replicas) == (4, 1)


def test_old_sets_wait_for_counts_that_lag_behind() -> None:
    assert not shrink_old(Limits(deployment(replicas=6)), a_set("new", 4), [a_set("old", 5, 11)])


def test_hashes_have_the_form_of_kubernetes() -> None:
    assert fnv32a(b"") == 0x811C9DC5
    assert fnv32a(b"a") == 0xE40C292C
    assert safe_encode("0123456789") == "456789bcdf"
    first, second = template_hash(template()), template_hash(template(), 0)
    assert first != second
    assert set(first) <= set("bcdfghjklmnpqrstvwxz2456789")


# Rollouts


def test_a_new_deployment() -> None:
    world = World(deployment(minReadySeconds=0))
    settle(world)
    (rs,) = world.all("ReplicaSet")
    digest = rs["metadata"]["labels"][HASH_LABEL]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: digest}
    assert rs["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH_LABEL: digest}
    assert rs["metadata"]["annotations"] == {
        REVISION: "1",
        DESIRED_REPLICAS: "4",
        MAX_REPLICAS: "5",
    }
    assert world.get("Deployment", "web")["metadata"]["annotations"] == {REVISION: "1"}
    status = world.get("Deployment", "web")["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 4
    assert "unavailableReplicas" not in status
    assert condition(world, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert condition(world, "Progressing")["message"] == (
        f'ReplicaSet "web-{digest}" has successfully progressed.'
    )
    assert condition(world, "Available")["message"] == "Deployment has minimum availability."
    messages = [each.message for each in world.events if each.reason == "ScalingReplicaSet"]
    assert messages == [f"Scaled up replica set web-{digest} from 0 to 4"]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 9),
    st.sampled_from([0, 1, 3, "25%", "50%", "100%"]),
    st.sampled_from([0, 1, 2, "25%", "100%"]),
    st.data(),
)
def test_bounds_hold_at_every_step_of_a_rollout(
    replicas: int, surge: Any, unavailable: Any, data: st.DataObject
) -> None:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    world = World(deployment(replicas=replicas, strategy={"type": "RollingUpdate", **rolling}))
    settle(world)
    limits = Limits(world.get("Deployment", "web"))
    change(world, template=image("img:2"))
    for _ in range(600):
        if data.draw(st.booleans(), label="a pod becomes ready first"):
            waiting = [each for each in world.all("Pod") if not each["status"].get("conditions")]
            if waiting:
                chosen = data.draw(st.sampled_from(waiting))
                other = World(chosen)
                other.now = world.now
                ready_pods(other)
        moved = step(world)
        pods = world.all("Pod")
        ready = [each for each in pods if each["status"].get("conditions")]
        assert len(pods) <= limits.most
        assert len(ready) >= limits.least_available
        if not moved:
            if len(ready) == len(pods):
                break
            ready_pods(world)
    assert [each["spec"]["containers"][0]["image"] for each in world.all("Pod")] == (
        ["img:2"] * replicas
    )
    assert not step(world)


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    world = World(deployment(strategy={"type": "Recreate"}, replicas=2))
    settle(world)
    change(world, template=image("img:2"))
    for _ in range(100):
        images = {each["spec"]["containers"][0]["image"] for each in world.all("Pod")}
        assert len(images) <= 1
        if not step(world):
            break
    assert images == {"img:2"}


def test_a_template_that_was_there_before_gets_a_new_revision() -> None:
    world = World(deployment())
    settle(world)
    for name in ("img:2", "img:1", "img:2"):
        change(world, template=image(name))
        settle(world)
    assert len(world.all("ReplicaSet")) == 2
    notes = {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["metadata"]["annotations"]
        for each in world.all("ReplicaSet")
    }
    assert (notes["img:1"][REVISION], notes["img:1"][REVISION_HISTORY]) == ("3", "1")
    assert (notes["img:2"][REVISION], notes["img:2"][REVISION_HISTORY]) == ("4", "2")


def test_history_is_cut_at_its_limit() -> None:
    world = World(deployment(revisionHistoryLimit=1, replicas=1))
    settle(world)
    for number in range(2, 6):
        change(world, template=image(f"img:{number}"))
        settle(world)
    revisions = [each["metadata"]["annotations"][REVISION] for each in world.all("ReplicaSet")]
    assert sorted(revisions) == ["4", "5"]
    removed = [each for each in world.actions if isinstance(each, Delete)]
    assert all(each.resource_version for each in removed if each.resource == REPLICA_SETS)


def test_annotations_are_carried_over_but_not_all() -> None:
    obj = deployment()
    obj["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "example.com/a": "x",
    }
    notes: dict[str, str] = {}
    mark_revision(obj, notes, 1)
    assert notes == {"example.com/a": "x", REVISION: "1"}


def test_a_history_of_revisions_stays_below_2000_characters() -> None:
    notes = {REVISION: "7", REVISION_HISTORY: ",".join(["123456789"] * 200)}
    mark_revision(deployment(), notes, 8)
    assert len(notes[REVISION_HISTORY]) <= 2000
    assert notes[REVISION_HISTORY].endswith(",7")


def test_pausing_stops_the_rollout_and_the_deadline() -> None:
    world = World(deployment())
    settle(world)
    change(world, paused=True, template=image("img:2"))
    settle(world)
    assert len(world.all("ReplicaSet")) == 1
    paused = condition(world, "Progressing")
    assert (paused["status"], paused["reason"]) == ("Unknown", "DeploymentPaused")
    assert paused["message"] == "Deployment is paused"
    assert PLAN(world.view, KEY, NOW).wake_at is None
    change(world, paused=False)
    world.run(PLAN(world.view, KEY, NOW))
    assert condition(world, "Progressing")["reason"] in (
        "DeploymentResumed",
        "NewReplicaSetCreated",
    )


def test_the_deadline_passes() -> None:
    world = World(deployment(replicas=1, progressDeadlineSeconds=30))
    settle(world, kubelet=False)
    plan = PLAN(world.view, KEY, world.now)
    assert plan.wake_at == NOW + 31
    world.now = plan.wake_at
    settle(world, kubelet=False)
    late = condition(world, "Progressing")
    assert (late["status"], late["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert late["message"].endswith("has timed out progressing.")
    assert PLAN(world.view, KEY, world.now).wake_at is None


def test_a_refused_replica_set() -> None:
    world = World(
        deployment(),
        refuse=lambda action: (
            Refusal(403, "Forbidden", "no more") if isinstance(action, Create) else None
        ),
    )
    world.run(PLAN(world.view, KEY, NOW))
    failed = condition(world, "Progressing")
    assert (failed["status"], failed["reason"]) == ("False", "ReplicaSetCreateError")
    assert failed["message"].startswith('Failed to create new replica set "web-')
    assert failed["message"].endswith('": no more')
    assert world.events[-1].reason == "ReplicaSetCreateError"


def test_a_name_taken_by_another_changes_the_hash() -> None:
    world = World(deployment(replicas=1))
    name = PLAN(world.view, KEY, NOW).steps[0].actions[0].body["metadata"]["name"]
    selector = {"matchLabels": {"app": "db"}}
    stranger = owner("ReplicaSet", name, selector=selector, template=template(app="db"))
    stranger["metadata"]["labels"] = {"app": "db"}
    world.put(stranger)
    world.run(PLAN(world.view, KEY, NOW))
    assert world.get("Deployment", "web")["status"]["collisionCount"] == 1
    settle(world)
    assert len(world.all("ReplicaSet")) == 2


def test_failures_of_replica_sets_are_shown() -> None:
    world = World(deployment(replicas=1))
    settle(world)
    rs = world.all("ReplicaSet")[0]
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
               "message": "no", "lastTransitionTime": format_time(NOW)}  # fmt: skip
    world.put({**rs, "status": {**rs["status"], "conditions": [failure]}})
    world.run(PLAN(world.view, KEY, NOW))
    assert condition(world, "ReplicaFailure")["message"] == "no"


def test_scaling_to_zero_and_back_writes_no_template() -> None:
    world = World(deployment())
    settle(world)
    change(world, replicas=0)
    settle(world)
    assert not world.all("Pod")
    change(world, replicas=2)
    settle(world)
    assert len(world.all("Pod")) == 2
    assert len(world.all("ReplicaSet")) == 1
    scalings = [each for each in world.actions if isinstance(each, Update) and not each.sub]
    assert [each.body["spec"]["replicas"] for each in scalings] == [0, 2]
