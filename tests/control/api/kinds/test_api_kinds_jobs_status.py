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


def test_a_job_ends_when_it_is_complete():
    ended = {"completionTime": "2024-01-01T00:00:00Z"}
    assert refused(ended) == ["status.completionTime"]
    assert refused({**ended, "conditions": [{"type": "Complete", "status": "True"}]}) == []
