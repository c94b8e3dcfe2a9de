"""Job: completions, failures, policies, suspension, and counting each pod exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import JOBS, PODS
from kubelite.control.controllers.actions import Create, Delete, Patch, Refusal
from kubelite.control.controllers.batch import indexes
from kubelite.control.controllers.batch.job import BURST, JOB_CONTROLLER
from kubelite.control.controllers.batch.job_pods import (
    FINALIZER,
    backoff_until,
    finished_at,
    name_base,
)
from kubelite.control.controllers.batch.policies import judge, success_message
from kubelite.control.controllers.batch.ttl_after_finished import TTL_AFTER_FINISHED_CONTROLLER
from kubelite.control.controllers.shared.meta import format_time
from tests.control.controllers.plain import NOW, World, owner, pod

KEY = ("default", "job")
PLAN = JOB_CONTROLLER.plan
INDEX = indexes.INDEX_ANNOTATION


def job(**spec: Any) -> dict[str, Any]:
    obj = owner("Job", "job", "batch/v1", **{"backoffLimit": 6, "parallelism": 1, **spec})
    if "completions" not in spec:
        obj["spec"]["completions"] = 1
    elif spec["completions"] is None:
        del obj["spec"]["completions"]
    labels = {"app": "web", "batch.kubernetes.io/job-name": "job"}
    obj["spec"]["template"]["metadata"]["labels"] = labels
    return obj


def rest(world: World) -> float | None:
    """Plans until nothing is asked for. Returns when to look again."""
    for _ in range(60):
        plan = PLAN(world.view, KEY, world.now)
        if not plan.steps:
            return plan.wake_at
        world.run(plan)
        for each in list(world.all("Pod")):  # the kubelet lets deleted pods end
            metadata = each["metadata"]
            if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
                del world._objects[PODS, "default", metadata["name"]]
            elif metadata.get("deletionTimestamp") and each["status"]["phase"] == "Running":
                each["status"]["phase"] = "Failed"
    raise AssertionError(f"no rest: {world.actions[-4:]}")


def end(world: World, obj: dict[str, Any], phase: str, code: int = 1) -> None:
    """A pod ends now."""
    code = 0 if phase == "Succeeded" else code
    state = {"terminated": {"exitCode": code, "finishedAt": format_time(world.now)}}
    obj["status"] = {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]}


def running(world: World) -> list[dict[str, Any]]:
    return [each for each in world.all("Pod") if each["status"]["phase"] in ("Pending", "Running")]


def status(world: World) -> dict[str, Any]:
    return world.get("Job", "job")["status"]


def conditions(world: World) -> dict[str, str]:
    return {
        each["type"]: each["reason"]
        for each in status(world).get("conditions") or ()
        if each["status"] == "True"
    }


def change(world: World, **spec: Any) -> None:
    obj = world.get("Job", "job")
    world.put({**obj, "spec": {**obj["spec"], **spec}})


# Numbers and texts


@pytest.mark.parametrize(
    ("found", "text"),
    [([], ""), ([0], "0"), ([0, 1], "0,1"), ([0, 1, 2], "0-2"), ([4, 0, 1, 2, 6, 7], "0-2,4,6,7")],
)
def test_indexes_as_text(found: list[int], text: str) -> None:
    assert indexes.written(found) == text
    assert indexes.parse(text, 100) == set(found)


def test_indexes_beyond_the_completions_are_dropped() -> None:
    assert indexes.parse("0-3,7,x,9-", 3) == {0, 1, 2}
    assert indexes.pending({0, 2}, 5, 2) == [1, 3]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (50, 600)]
)
def test_back_off_doubles_up_to_ten_minutes(failures: int, seconds: int) -> None:
    assert backoff_until(failures, NOW) == NOW + seconds
    assert backoff_until(0, NOW) == 0


def test_when_a_pod_ended() -> None:
    ended = pod("p")
    states = [{"state": {"terminated": {"finishedAt": format_time(NOW - at)}}} for at in (9, 5)]
    ended["status"]["containerStatuses"] = states
    assert finished_at(ended) == NOW - 5
    deleted = pod("p", deletionTimestamp=format_time(NOW), deletionGracePeriodSeconds=30)
    assert finished_at(deleted) == NOW - 30
    assert finished_at(pod("p", created=NOW - 7)) == NOW - 7


def test_long_names_keep_their_index() -> None:
    long = job()
    long["metadata"]["name"] = "j" * 63
    assert name_base(long, 12345) == "j" * 51 + "-12345-"
    assert len(name_base(long)) == 58


# Completion


def test_a_job_runs_to_its_end() -> None:
    world = World(job(completions=3, parallelism=2))
    rest(world)
    assert len(running(world)) == 2
    assert all(each["metadata"]["finalizers"] == [FINALIZER] for each in running(world))
    assert status(world)["active"] == 2
    assert status(world)["startTime"] == format_time(NOW)
    for expected in (2, 1):
        end(world, running(world)[0], "Succeeded")
        rest(world)
        assert len(running(world)) == expected
    end(world, running(world)[0], "Succeeded")
    rest(world)
    found = status(world)
    assert conditions(world) == {
        "SuccessCriteriaMet": "CompletionsReached",
        "Complete": "CompletionsReached",
    }
    assert (found["succeeded"], found["ready"], found["terminating"]) == (3, 0, 0)
    assert found["uncountedTerminatedPods"] == {}
    assert "active" not in found
    assert found["completionTime"] == format_time(NOW)
    assert not any(each["metadata"]["finalizers"] for each in world.all("Pod"))
    assert [each.message for each in world.events][-1] == "Job completed"


def test_a_work_queue_ends_with_its_workers() -> None:
    world = World(job(completions=None, parallelism=3))
    rest(world)
    end(world, running(world)[0], "Succeeded")
    rest(world)
    assert len(running(world)) == 2
    assert conditions(world) == {}
    for each in running(world):
        end(world, each, "Succeeded")
    rest(world)
    assert "Complete" in conditions(world)
    assert status(world)["succeeded"] == 3


def test_a_burst_is_limited() -> None:
    step = PLAN(World(job(completions=2000, parallelism=2000)).view, KEY, NOW).steps[0]
    assert len(step.actions) == BURST == 500


# Failure


def test_a_failed_pod_is_followed_by_another_after_a_while() -> None:
    world = World(job())
    rest(world)
    end(world, running(world)[0], "Failed")
    assert rest(world) == NOW + 10
    assert running(world) == []
    assert status(world)["failed"] == 1
    world.now = NOW + 10
    rest(world)
    end(world, running(world)[0], "Failed")
    assert rest(world) == NOW + 30
    world.now = NOW + 30
    rest(world)
    end(world, running(world)[0], "Succeeded")
    rest(world)
    assert "Complete" in conditions(world)
    assert status(world)["failed"] == 2


def test_the_back_off_limit_ends_a_job() -> None:
    world = World(job(backoffLimit=1, parallelism=2, completions=2))
    rest(world)
    for _ in range(2):
        end(world, running(world)[0], "Failed")
    rest(world)
    assert conditions(world) == {
        "FailureTarget": "BackoffLimitExceeded",
        "Failed": "BackoffLimitExceeded",
    }
    assert world.events[-1][1:] == (
        "Warning",
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )


def test_restarts_count_where_containers_are_restarted() -> None:
    obj = job(backoffLimit=2)
    obj["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    world = World(obj)
    rest(world)
    found = running(world)[0]
    found["status"] = {"phase": "Running", "containerStatuses": [{"restartCount": 1}]}
    rest(world)
    assert conditions(world) == {}
    found = running(world)[0]
    found["status"]["containerStatuses"][0]["restartCount"] = 2
    rest(world)
    assert conditions(world)["Failed"] == "BackoffLimitExceeded"


def test_the_deadline_ends_a_job() -> None:
    world = World(job(activeDeadlineSeconds=30))
    assert rest(world) == NOW + 30
    world.now = NOW + 30
    rest(world)
    assert conditions(world)["Failed"] == "DeadlineExceeded"
    assert status(world)["failed"] == 1
    assert running(world) == []


def test_pods_that_are_deleted_count_as_failed() -> None:
    world = World(job(), job_pod := pod("p", phase="Running"))
    job_pod["metadata"] |= {"finalizers": [FINALIZER], "deletionTimestamp": format_time(NOW)}
    job_pod["metadata"]["ownerReferences"] = [
        {
            "kind": "Job",
            "apiVersion": "batch/v1",
            "name": "job",
            "uid": "uid-job",
            "controller": True,
        }
    ]
    world.run(PLAN(world.view, KEY, NOW))
    rest(world)
    assert status(world)["failed"] == 1


def test_pods_are_replaced_only_when_they_have_ended() -> None:
    world = World(job(podReplacementPolicy="Failed"))
    rest(world)
    leaving = running(world)[0]
    leaving["metadata"]["deletionTimestamp"] = format_time(NOW)
    for _ in range(3):
        world.run(PLAN(world.view, KEY, NOW))
    assert len(world.all("Pod")) == 1
    assert status(world)["terminating"] == 1
    assert "failed" not in status(world)
    end(world, world.all("Pod")[0], "Failed")
    rest(world)
    assert status(world)["failed"] == 1
    assert [each["metadata"].get("deletionTimestamp") for each in world.all("Pod")] == [None]


# Policies


def failed_pod(code: int = 0, container: str = "c", condition: str = "") -> dict[str, Any]:
    found = pod("p", phase="Failed")
    if code:
        state = {"terminated": {"exitCode": code}}
        found["status"]["containerStatuses"] = [{"name": container, "state": state}]
    if condition:
        found["status"]["conditions"] = [{"type": condition, "status": "True"}]
    return found


@pytest.mark.parametrize(
    ("rule", "found", "matches"),
    [
        ({"onExitCodes": {"operator": "In", "values": [3, 4]}}, failed_pod(4), True),
        ({"onExitCodes": {"operator": "In", "values": [3, 4]}}, failed_pod(5), False),
        ({"onExitCodes": {"operator": "NotIn", "values": [3]}}, failed_pod(5), True),
        ({"onExitCodes": {"operator": "NotIn", "values": [3]}}, failed_pod(), False),
        ({"onExitCodes": {"operator": "In", "values": [3], "containerName": "other"}},
         failed_pod(3), False),
        ({"onPodConditions": [{"type": "DisruptionTarget"}]},
         failed_pod(condition="DisruptionTarget"), True),
        ({"onPodConditions": [{"type": "DisruptionTarget", "status": "False"}]},
         failed_pod(condition="DisruptionTarget"), False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", ["Ignore", "Count", "FailIndex", "FailJob"])
def test_rules_of_the_failure_policy(rule: Any, found: Any, matches: bool, action: str) -> None:
    obj = job(podFailurePolicy={"rules": [{"action": action, **rule}]})
    verdict = judge(obj, found)
    assert verdict.action == (action if matches else "")
    assert verdict.counts is not (matches and action == "Ignore")


def test_sentences_of_the_failure_policy() -> None:
    by_code = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    by_condition = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget"}]}
    obj = job(podFailurePolicy={"rules": [by_code, by_condition]})
    assert judge(obj, failed_pod(42)).message == (
        "Container c for pod default/p failed with exit code 42 matching FailJob rule at index 0"
    )
    assert judge(obj, failed_pod(condition="DisruptionTarget")).message == (
        "Pod default/p has condition DisruptionTarget matching FailJob rule at index 1"
    )


def test_a_rule_fails_the_job_and_another_ignores_a_failure() -> None:
    rules = [
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]
    world = World(job(backoffLimit=0, podFailurePolicy={"rules": rules}))
    rest(world)
    end(world, running(world)[0], "Failed", 1)
    rest(world)
    assert "failed" not in status(world)
    world.now += 1000
    rest(world)
    end(world, running(world)[0], "Failed", 42)
    rest(world)
    assert conditions(world)["Failed"] == "PodFailurePolicy"
    assert status(world)["failed"] == 1


@pytest.mark.parametrize(
    ("rule", "done", "is_met"),
    [
        ({"succeededIndexes": "0,2-3"}, {0, 2, 3}, True),
        ({"succeededIndexes": "0,2-3"}, {0, 2}, False),
        ({"succeededIndexes": "0-3", "succeededCount": 2}, {1, 3}, True),
        ({"succeededIndexes": "0-1", "succeededCount": 2}, {1, 3}, False),
        ({"succeededCount": 2}, {1, 3}, True),
        ({"succeededCount": 3}, {1, 3}, False),
    ],
)
def test_rules_of_the_success_policy(rule: Any, done: set[int], is_met: bool) -> None:
    obj = job(completions=5, successPolicy={"rules": [{"succeededCount": 5}, rule]})
    assert bool(success_message(obj, done)) is is_met
    if is_met:
        assert success_message(obj, done) == "Matched rules at index 1"


# Indexed


def indexed(**spec: Any) -> dict[str, Any]:
    return job(completionMode="Indexed", **{"completions": 3, "parallelism": 3, **spec})


def of_index(world: World, index: int) -> dict[str, Any]:
    found = [
        each
        for each in world.all("Pod")
        if each["metadata"]["annotations"][INDEX] == str(index)
        and each["status"]["phase"] in ("Pending", "Running")
    ]
    (one,) = found
    return one


def test_indexed_pods_know_their_index() -> None:
    world = World(indexed())
    rest(world)
    made = of_index(world, 1)
    assert made["metadata"]["generateName"] == "job-1-"
    assert made["metadata"]["labels"][INDEX] == "1"
    assert made["spec"]["hostname"] == "job-1"
    (variable,) = made["spec"]["containers"][0]["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{INDEX}']"
    end(world, of_index(world, 0), "Succeeded")
    end(world, of_index(world, 2), "Succeeded")
    rest(world)
    assert status(world)["completedIndexes"] == "0,2"
    assert status(world)["succeeded"] == 2
    end(world, of_index(world, 1), "Succeeded")
    rest(world)
    assert status(world)["completedIndexes"] == "0-2"
    assert "Complete" in conditions(world)


def test_a_success_policy_ends_the_others() -> None:
    world = World(indexed(successPolicy={"rules": [{"succeededIndexes": "0"}]}))
    rest(world)
    for each in world.all("Pod"):
        each["status"]["phase"] = "Running"
    end(world, of_index(world, 0), "Succeeded")
    rest(world)
    assert conditions(world) == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    assert status(world)["succeeded"] == 1
    assert "failed" not in status(world)
    assert running(world) == []


def test_each_index_has_its_own_limit() -> None:
    world = World(indexed(backoffLimitPerIndex=1, backoffLimit=2**31 - 1))
    rest(world)
    end(world, of_index(world, 1), "Failed")
    assert rest(world) == NOW + 10
    world.now += 10
    rest(world)
    retry = of_index(world, 1)
    assert retry["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
    end(world, retry, "Failed")
    rest(world)
    assert status(world)["failedIndexes"] == "1"
    assert conditions(world) == {}
    for index in (0, 2):
        end(world, of_index(world, index), "Succeeded")
    rest(world)
    assert conditions(world)["Failed"] == "FailedIndexes"
    assert (status(world)["failed"], status(world)["succeeded"]) == (2, 2)


def test_too_many_failed_indexes_end_a_job() -> None:
    world = World(indexed(backoffLimitPerIndex=0, maxFailedIndexes=1, backoffLimit=2**31 - 1))
    rest(world)
    for index in (0, 1):
        end(world, of_index(world, index), "Failed")
    rest(world)
    assert conditions(world)["Failed"] == "MaxFailedIndexesExceeded"
    assert status(world)["failedIndexes"] == "0,1"


# Suspension and changes


def test_suspending_and_resuming() -> None:
    world = World(job(suspend=True, parallelism=2, completions=2))
    rest(world)
    assert world.all("Pod") == []
    assert conditions(world) == {"Suspended": "JobSuspended"}
    assert "startTime" not in status(world)
    world.now += 100
    change(world, suspend=False)
    rest(world)
    assert len(running(world)) == 2
    assert status(world)["startTime"] == format_time(NOW + 100)
    change(world, suspend=True)
    rest(world)
    assert world.all("Pod") == []
    assert "failed" not in status(world)
    assert "startTime" not in status(world)
    reasons = [each.reason for each in world.events if each.reason in ("Suspended", "Resumed")]
    assert reasons == ["Suspended", "Resumed", "Suspended"]


def test_lower_parallelism_takes_pods_back_without_counting_them() -> None:
    world = World(job(parallelism=3, completions=5))
    rest(world)
    change(world, parallelism=1)
    rest(world)
    assert len(world.all("Pod")) == 1
    assert "failed" not in status(world)
    order = [type(each).__name__ for each in world.actions if isinstance(each, Patch | Delete)]
    assert order == ["Patch", "Patch", "Delete", "Delete"]


def test_somebody_elses_jobs_are_left_alone() -> None:
    world = World(job(managedBy="example.com/other"))
    assert PLAN(world.view, KEY, NOW).steps == ()


def test_pods_of_a_job_that_is_gone_are_let_go() -> None:
    world = World(job(parallelism=2, completions=2))
    rest(world)
    del world._objects[JOBS, "default", "job"]
    world.all("Pod")[0]["metadata"]["ownerReferences"] = []
    rest(world)
    assert not any(each["metadata"]["finalizers"] for each in world.all("Pod"))
    concerned = JOB_CONTROLLER.watches[PODS]
    orphan = {**world.all("Pod")[0]}
    orphan["metadata"] = {**orphan["metadata"], "finalizers": [FINALIZER]}
    assert KEY in list(concerned(world.view, None, orphan))


def test_a_refused_pod_does_not_stop_counting() -> None:
    world = World(job(parallelism=2, completions=3))
    rest(world)
    end(world, running(world)[0], "Succeeded")
    world.refuse = lambda action: (
        Refusal(403, "Forbidden", "no") if isinstance(action, Create) else None
    )
    for _ in range(3):
        world.run(PLAN(world.view, KEY, NOW))
    assert status(world)["succeeded"] == 1
    assert status(world)["active"] == 1
    assert world.events[-1].message == "Error creating: no"


# Time to live


def test_finished_jobs_live_for_a_while() -> None:
    obj = job(ttlSecondsAfterFinished=60)
    plan = TTL_AFTER_FINISHED_CONTROLLER.plan
    assert plan(World(obj).view, KEY, NOW) == ((), None)
    ended = {"type": "Failed", "status": "True", "lastTransitionTime": format_time(NOW)}
    obj["status"] = {"conditions": [ended]}
    assert plan(World(obj).view, KEY, NOW) == ((), NOW + 60)
    (deletion,) = plan(World(obj).view, KEY, NOW + 60).steps
    assert deletion == Delete(JOBS, "default", "job", "uid-job", "1", "Foreground")
    obj["spec"]["ttlSecondsAfterFinished"] = 0
    assert plan(World(obj).view, KEY, NOW).steps


# Exactly once


@settings(max_examples=60, deadline=None)
@given(st.data(), st.booleans())
def test_each_pod_is_counted_once_however_often_a_plan_is_cut(
    data: st.DataObject, is_indexed: bool
) -> None:
    """A plan may end after any of its actions, as when the process is killed."""
    world = World(
        job(
            completions=3,
            parallelism=3,
            backoffLimit=100,
            completionMode="Indexed" if is_indexed else "NonIndexed",
        )
    )
    succeeded = failed = 0
    for _ in range(80):
        world.now += 700  # no back-off is left
        left = data.draw(st.integers(0, 6), label="actions before the end")
        counter = [left]

        def refuse(action: Any, counter: list[int] = counter) -> Refusal | None:
            counter[0] -= 1
            return Refusal(0, "Killed", "") if counter[0] < 0 else None

        world.refuse = refuse
        world.run(PLAN(world.view, KEY, world.now))
        world.refuse = lambda action: None
        for each in running(world):
            if data.draw(st.booleans(), label="ends"):
                phase = data.draw(st.sampled_from(["Succeeded", "Failed"]))
                end(world, each, phase)
                succeeded += phase == "Succeeded"
                failed += phase == "Failed"
        if "Complete" in conditions_of(world):
            break
    for _ in range(40):
        world.now += 700
        rest(world)
        for each in running(world):
            end(world, each, "Succeeded")
            succeeded += 1
    assert conditions(world).get("Complete")
    assert status(world).get("failed", 0) == failed
    assert status(world)["succeeded"] == succeeded == 3
    assert PLAN(world.view, KEY, world.now).steps == ()


def conditions_of(world: World) -> dict[str, str]:
    return conditions(world) if "status" in world.get("Job", "job") else {}
