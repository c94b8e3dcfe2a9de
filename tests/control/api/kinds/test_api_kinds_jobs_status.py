"""What a status write of a Job may say of its pods and indexes."""

import pytest

from kubelite.control.api.kinds.registry import KINDS

JOB = {
    "metadata": {"name": "j"},
    "spec": {"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1},
}


def refused(status, spec=None):
    new = {**JOB, "spec": {**JOB["spec"], **(spec or {})}, "status": status}
    check = KINDS["batch", "Job"].check_subresource["status"]
    return [cause.field for cause in check(new, {**JOB, "status": {}})]


@pytest.mark.parametrize("indexes", ["", "0", "0-2,4", "1,3"])
def test_indexes_in_increasing_order_are_accepted(indexes):
    assert refused({"completedIndexes": indexes}) == []


@pytest.mark.parametrize("indexes", ["x", "5", "2,1", "0-", "0-1-2", "1,1", "²"])
def test_other_texts_are_no_indexes(indexes):
    assert refused({"completedIndexes": indexes}) == ["status.completedIndexes"]


def test_indexes_are_of_indexed_jobs_alone():
    found = refused({"completedIndexes": "0"}, {"completionMode": "NonIndexed"})
    assert found == ["status.completedIndexes"]
    assert refused({"failedIndexes": ""}, {"backoffLimitPerIndex": None}) == [
        "status.failedIndexes"
    ]


def test_counters_are_not_negative():
    assert refused({"active": -1, "failed": 1}) == ["status.active"]


def conditions(*kinds):
    return [{"type": kind, "status": "True"} for kind in kinds]


START, END = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"
ENDED = {
    "startTime": START,
    "completionTime": END,
    "conditions": conditions("SuccessCriteriaMet", "Complete"),
}


def changed(before, after, spec=None):
    base = {**JOB, "spec": {**JOB["spec"], **(spec or {})}}
    check = KINDS["batch", "Job"].check_subresource["status"]
    return [
        f"{cause.field}: {cause.message}"
        for cause in check({**base, "status": after}, {**base, "status": before})
    ]


def test_a_job_ends_when_it_is_complete():
    assert refused({"completionTime": END}) == ["status.completionTime"]
    assert refused(ENDED) == []
    assert refused({"conditions": ENDED["conditions"], "startTime": START}) == [
        "status.completionTime"
    ]


def test_an_ended_job_has_started_and_has_no_pods_left():
    assert refused({**ENDED, "startTime": None}) == ["status.startTime"]
    assert refused({**ENDED, "active": 1}) == ["status.active"]
    assert refused({**ENDED, "terminating": 1}) == ["status.terminating"]
    left = {"succeeded": ["a"], "failed": ["a", ""]}
    assert refused({**ENDED, "uncountedTerminatedPods": left}) == [
        "status.uncountedTerminatedPods.failed[0]",
        "status.uncountedTerminatedPods.failed[1]",
        "status.uncountedTerminatedPods",
    ]


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (("Failed",), 1),
        (("Failed", "FailureTarget"), 0),
        (("FailureTarget", "SuccessCriteriaMet"), 1),
        (("Complete", "SuccessCriteriaMet", "FailureTarget"), 2),
    ],
)
def test_conditions_that_contradict_each_other(kinds, found):
    status = {"startTime": START, "conditions": conditions(*kinds)}
    if "Complete" in kinds:
        status["completionTime"] = END
    assert refused(status) == ["status.conditions"] * found


def test_what_was_wrong_before_hinders_no_other_write():
    wrong = {"ready": 3, "active": 1, "completedIndexes": "x"}
    assert changed(wrong, {**wrong, "terminating": 1}) == []


def test_counters_and_ends_never_go_back():
    assert changed({"failed": 2}, {"failed": 1}) == [
        "status.failed: Invalid value: 1: cannot decrease the failed counter"
    ]
    assert changed({"succeeded": 2}, {"succeeded": 1}, {"parallelism": 5}) == []
    assert changed(ENDED, {**ENDED, "completionTime": START}) == [
        f'status.completionTime: Invalid value: "{START}": completionTime cannot be mutated'
    ]
    again = changed(ENDED, {"startTime": START})
    assert again == [
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
        "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
    ]


def test_an_index_is_done_or_has_failed():
    both = {"completedIndexes": "0-2", "failedIndexes": "2,4"}
    assert changed({}, both) == [
        'status.failedIndexes: Invalid value: "2,4": '
        "failedIndexes and completedIndexes overlap at index: 2"
    ]


def job(suspend, template, status=None):
    spec = {**JOB["spec"], "suspend": suspend, "template": template}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": spec,
        "status": status or {},
    }


PODS = {"spec": {"containers": [{"name": "c", "image": "a"}]}}
ON_A_NODE = {"spec": {**PODS["spec"], "nodeSelector": {"a": "b"}}}
NEAR_OTHERS = {"spec": {**PODS["spec"], "affinity": {"podAffinity": {"x": []}}}}


@pytest.mark.parametrize(
    ("template", "suspend", "status", "field"),
    [
        (ON_A_NODE, True, {}, None),
        (ON_A_NODE, True, {"startTime": START}, "spec.template"),
        (ON_A_NODE, True, {"startTime": START, "conditions": conditions("Suspended")}, None),
        (ON_A_NODE, True, {"active": 1}, "spec.template"),
        (ON_A_NODE, False, {}, "spec.template"),
        (NEAR_OTHERS, True, {}, "spec.template.spec"),
        ({**PODS, "metadata": {"labels": {"a": "b"}}}, True, {}, None),
    ],
)
def test_a_job_that_rests_takes_scheduling_directives(template, suspend, status, field):
    old, new = job(suspend, PODS, status), job(suspend, template, status)
    found = KINDS["batch", "Job"].check_update(new, old)
    assert [cause.field for cause in found] == ([field] if field else [])
