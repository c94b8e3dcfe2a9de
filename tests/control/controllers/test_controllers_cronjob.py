"""CronJob: when Jobs start, which do not, and which are removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import JOBS
from kubelite.control.controllers.actions import Create, Delete, Refusal
from kubelite.control.controllers.batch.cron_schedule import Schedule, ScheduleError
from kubelite.control.controllers.batch.cronjob import (
    CRON_JOB_CONTROLLER,
    job_name,
    last_missed,
)
from kubelite.control.controllers.shared.meta import format_time
from tests.control.controllers.plain import World, owner, template

KEY = ("default", "cj")
PLAN = CRON_JOB_CONTROLLER.plan
NOON = datetime.fromisoformat("2026-03-02T12:00:00Z").timestamp()  # a Monday


def cron_job(**spec: Any) -> dict[str, Any]:
    obj = owner("CronJob", "cj", "batch/v1")
    obj["metadata"]["creationTimestamp"] = format_time(NOON - 30)
    obj["spec"] = {
        "schedule": "* * * * *",
        "concurrencyPolicy": "Allow",
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": template()}},
        **spec,
    }
    return obj


def world(now: float = NOON, **spec: Any) -> World:
    made = World(cron_job(**spec))
    made.now = now
    return made


def settle(found: World) -> float | None:
    for _ in range(30):
        plan = PLAN(found.view, KEY, found.now)
        if all(not isinstance(step, tuple) or not hasattr(step, "actions") for step in plan.steps):
            before = len(found.actions)
            found.run(plan)
            if all(type(each).__name__ == "Emit" for each in found.actions[before:]):
                return plan.wake_at
        else:
            found.run(plan)
    raise AssertionError("no rest")


def finish(found: World, job: dict[str, Any], type_: str = "Complete") -> None:
    ended = {"type": type_, "status": "True", "lastTransitionTime": format_time(found.now)}
    job["status"] = {"conditions": [ended], "startTime": format_time(found.now - 5)}
    if type_ == "Complete":
        job["status"]["completionTime"] = format_time(found.now)


def reasons(found: World) -> list[str]:
    return [each.reason for each in found.events]


def names(found: World) -> list[str]:
    return sorted(each["metadata"]["name"] for each in found.all("Job"))


# Schedules


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("*/5 * * * *", None, "2026-03-02T12:00:00Z", "2026-03-02T12:05:00Z"),
        ("0 9 * * 1-5", None, "2026-03-06T10:00:00Z", "2026-03-09T09:00:00Z"),
        ("0 9 * * MON", "Europe/Berlin", "2026-03-02T07:00:00Z", "2026-03-02T08:00:00Z"),
        ("@daily", None, "2026-03-02T12:00:00Z", "2026-03-03T00:00:00Z"),
        ("@every 90m", None, "2026-03-02T12:00:00Z", "2026-03-02T13:30:00Z"),
        ("0 0 13 * 5", None, "2026-03-02T12:00:00Z", "2026-03-06T00:00:00Z"),  # either day
        ("0 0 13 * ?", None, "2026-03-02T12:00:00Z", "2026-03-13T00:00:00Z"),
        ("0 0 */2 * 2", None, "2026-03-02T12:00:00Z", "2026-03-03T00:00:00Z"),  # a restriction
        ("0 0 */1 * 5", None, "2026-03-02T12:00:00Z", "2026-03-06T00:00:00Z"),  # none
        ("50/4 * * * *", None, "2026-03-02T12:51:00Z", "2026-03-02T12:54:00Z"),
        ("0 0 29 2 *", None, "2026-03-02T12:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_next_times(text: str, zone: str | None, after: str, expected: str) -> None:
    seconds = datetime.fromisoformat(after).timestamp()
    assert format_time(Schedule(text, zone).after(seconds) or 0) == expected


@pytest.mark.parametrize("text", ["", "* * * *", "@never", "61 * * * *", "@every x", "a b c d e"])
def test_expressions_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule(text)


def test_a_day_that_never_comes() -> None:
    times = Schedule("59 23 31 2 *")
    assert times.after(NOON) is None
    assert last_missed(cron_job(), times, NOON, with_deadline=True) is None


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 50_000), st.sampled_from(["* * * * *", "*/7 * * * *", "5 4 * * *", "@hourly"])
)
def test_the_latest_missed_time_is_the_last_before_now(minutes: int, text: str) -> None:
    times, now = Schedule(text), NOON + 60.0 * minutes + 17
    missed = last_missed(cron_job(), times, now, with_deadline=True)
    assert missed is not None
    if missed.latest is None:
        assert (times.after(NOON - 30) or 0) > now
    else:
        assert missed.latest <= now < (times.after(missed.latest) or 0)


# Starting


def test_a_job_starts_when_its_time_has_come() -> None:
    found = world(NOON - 20)
    assert settle(found) == NOON
    assert names(found) == []
    found.now = NOON
    assert settle(found) == NOON + 60
    (job,) = found.all("Job")
    assert job["metadata"]["name"] == job_name(cron_job(), NOON) == f"cj-{int(NOON) // 60}"
    assert job["metadata"]["labels"] == {"a": "b"}
    assert job["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-02T12:00:00Z"
    }
    status = found.get("CronJob", "cj")["status"]
    assert status["lastScheduleTime"] == format_time(NOON)
    assert [each["name"] for each in status["active"]] == names(found)
    assert found.events[-1].message == f"Created job {job['metadata']['name']}"


def test_the_annotation_has_the_time_zone() -> None:
    found = world(timeZone="Europe/Berlin")
    settle(found)
    annotations = found.all("Job")[0]["metadata"]["annotations"]
    assert list(annotations.values()) == ["2026-03-02T13:00:00+01:00"]


def test_a_success_is_noted() -> None:
    found = world()
    settle(found)
    finish(found, found.all("Job")[0])
    settle(found)
    status = found.get("CronJob", "cj")["status"]
    assert "active" not in status
    assert status["lastSuccessfulTime"] == format_time(NOON)
    (event,) = [each for each in found.events if each.reason == "SawCompletedJob"]
    assert event.message == f"Saw completed job: {names(found)[0]}, condition: Complete"


def test_suspended_ones_start_nothing() -> None:
    found = world(suspend=True)
    assert settle(found) is None
    assert names(found) == []


@pytest.mark.parametrize(
    ("policy", "jobs", "reason"),
    [("Allow", 2, "SuccessfulCreate"), ("Forbid", 1, "JobAlreadyActive"),
     ("Replace", 1, "SuccessfulDelete")],
)  # fmt: skip
def test_concurrency(policy: str, jobs: int, reason: str) -> None:
    found = world(concurrencyPolicy=policy)
    settle(found)
    first = names(found)
    found.now += 60
    settle(found)
    assert len(names(found)) == jobs
    assert reason in reasons(found)
    assert (names(found) == first) is (policy == "Forbid")
    active = [each["name"] for each in found.get("CronJob", "cj")["status"]["active"]]
    assert active == names(found)


def test_a_time_that_is_too_long_ago_is_missed() -> None:
    found = world(NOON + 45, schedule="0 12 * * *", startingDeadlineSeconds=30)
    settle(found)
    assert names(found) == []
    found = world(NOON + 25, schedule="0 12 * * *", startingDeadlineSeconds=30)
    settle(found)
    assert len(names(found)) == 1


def test_only_the_latest_of_many_missed_times_is_made_up_for() -> None:
    found = world(NOON + 3600 * 5)
    settle(found)
    assert names(found) == [job_name(cron_job(), NOON + 3600 * 5)]
    assert "TooManyMissedTimes" in reasons(found)


def test_bad_zones_and_expressions_are_told() -> None:
    found = world(timeZone="Mars/Olympus")
    settle(found)
    assert reasons(found)[0] == "UnknownTimeZone"
    found = world(schedule="x")
    settle(found)
    assert reasons(found)[0] == "UnparseableSchedule"


def test_a_job_made_before_a_crash_is_taken_over() -> None:
    found = world()
    found.run(PLAN(found.view, KEY, NOON)._replace(steps=PLAN(found.view, KEY, NOON).steps[:1]))
    obj = found.get("CronJob", "cj")
    found.put({**obj, "status": {}})  # the status was not written
    found.refuse = lambda action: None
    settle(found)
    assert len(names(found)) == 1
    assert [each["name"] for each in found.get("CronJob", "cj")["status"]["active"]] == names(found)


def test_a_refused_job_is_told() -> None:
    found = world()
    found.refuse = lambda action: (
        Refusal(403, "Forbidden", "no") if isinstance(action, Create) else None
    )
    found.run(PLAN(found.view, KEY, NOON))
    assert found.events[-1].message == "Error creating job: no"
    assert "lastScheduleTime" not in found.get("CronJob", "cj").get("status", {})


# History


def test_history_keeps_the_latest() -> None:
    found = world(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for number in range(8):
        found.now = NOON + 60 * number
        settle(found)
        for job in found.all("Job"):
            if not job.get("status"):
                finish(found, job, "Failed" if number % 2 else "Complete")
    settle(found)
    assert names(found) == [job_name(cron_job(), NOON + 60 * number) for number in (4, 6, 7)]
    deletions = [each for each in found.actions if isinstance(each, Delete)]
    assert {each.propagation for each in deletions} == {"Background"}


def test_a_job_that_went_missing() -> None:
    found = world()
    settle(found)
    (name,) = names(found)
    del found._objects[JOBS, "default", name]
    settle(found)
    assert f"Active job went missing: {name}" in [each.message for each in found.events]
    assert "active" not in found.get("CronJob", "cj")["status"]
    assert names(found) == []
