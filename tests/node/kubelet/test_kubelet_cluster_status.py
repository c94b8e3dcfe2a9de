"""What the node writes of a pod's status into the API."""

from __future__ import annotations

from kubelite.node.kubelet.cluster import pod_status

NOT_READY = {
    "type": "Ready",
    "status": "False",
    "reason": "ContainersNotReady",
    "message": "containers with unready status: [c]",
}
LIVE = {"metadata": {"uid": "u"}, "status": {"phase": "Running", "conditions": [NOT_READY]}}


def test_a_condition_loses_the_reason_that_it_no_longer_has():
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert pod_status.patch(status, LIVE) == {
        "metadata": {"uid": "u"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": None, "message": None}]
        },
    }


def test_a_status_that_is_there_needs_no_patch():
    assert pod_status.patch({"phase": "Running", "conditions": [NOT_READY]}, LIVE) is None
