"""Running pods are resized by a real kubectl: at once, after a wait, or not at all."""

from __future__ import annotations

import json
from typing import Any

from kubelite.objects.facts import quantity
from tests.cluster.world import Cluster, eventually

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 1
  tolerations: [{operator: Exists}]
  containers:
  - name: a
    image: host
    command: [sh, -c, "%s"]
    resources: {requests: {cpu: %dm, memory: 8Mi}, limits: {memory: 128Mi}}
"""
SLEEP = "exec sleep infinity"


def run(cluster: Cluster, name: str, milli: int, script: str = SLEEP) -> None:
    cluster.apply(POD % (name, script, milli))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def resize(cluster: Cluster, name: str, **resources: dict[str, str]) -> None:
    spec = {"containers": [{"name": "a", "resources": resources}]}
    words = ["--subresource", "resize", "-p", json.dumps({"spec": spec})]
    cluster.kubectl("patch", "pod", name, *words)


def condition(pod: dict[str, Any], kind: str) -> dict[str, Any] | None:
    conditions = pod["status"]["conditions"]
    return next((entry for entry in conditions if entry["type"] == kind), None)


def reasons(cluster: Cluster, name: str) -> dict[str, str]:
    events = cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {event["reason"]: event["message"] for event in events}


def allocatable(cluster: Cluster) -> int:
    (node,) = cluster.get("nodes")["items"]
    return quantity.milli(node["status"]["allocatable"]["cpu"])


def test_what_the_node_does_not_have_is_infeasible_until_less_is_wanted(cluster):
    run(cluster, "web", 50)
    node = allocatable(cluster)
    resize(cluster, "web", requests={"cpu": f"{node + 500}m"})
    pending = eventually(lambda: condition(cluster.get("pod", "web"), "PodResizePending"))
    pod = cluster.get("pod", "web")
    assert (pending["status"], pending["reason"]) == ("True", "Infeasible")
    sizes = f"cpu, requested: {node + 500}, capacity: {node}"
    assert pending["message"] == f"Node didn't have enough capacity: {sizes}"
    assert pending["observedGeneration"] == pod["metadata"]["generation"] == 2
    assert pod["status"]["observedGeneration"] == 2
    (status,) = pod["status"]["containerStatuses"]
    assert status["resources"]["requests"]["cpu"] == status["allocatedResources"]["cpu"] == "50m"
    summary = eventually(lambda: reasons(cluster, "web")["ResizeInfeasible"])
    before, _, text = summary.partition(": ")
    assert before == "Pod resize Infeasible"
    assert json.loads(text)["generation"] == 2 and json.loads(text)["error"] == pending["message"]

    resize(cluster, "web", requests={"cpu": "60m"})

    def resized() -> bool:
        pod = cluster.get("pod", "web")
        (status,) = pod["status"]["containerStatuses"]
        has = status["resources"]["requests"]["cpu"] == status["allocatedResources"]["cpu"] == "60m"
        return has and condition(pod, "PodResizePending") is None

    eventually(resized)
    eventually(lambda: {"ResizeStarted", "ResizeCompleted"} <= {*reasons(cluster, "web")})
    assert cluster.get("pod", "web")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_what_others_leave_no_room_for_waits_until_they_go(cluster):
    node = allocatable(cluster)
    run(cluster, "large", node * 6 // 10)
    run(cluster, "web", 50)
    wanted = node // 2
    resize(cluster, "web", requests={"cpu": f"{wanted}m"})
    pending = eventually(lambda: condition(cluster.get("pod", "web"), "PodResizePending"))
    used = node * 6 // 10
    sizes = f"cpu, requested: {wanted}, used: {used}, capacity: {node}"
    assert pending["reason"] == "Deferred"
    assert pending["message"] == f"Node didn't have enough resource: {sizes}"
    eventually(lambda: "ResizeDeferred" in reasons(cluster, "web"))
    cluster.kubectl("delete", "pod", "large", "--wait=false")

    def resized() -> bool:
        pod = cluster.get("pod", "web")
        (status,) = pod["status"]["containerStatuses"]
        milli = quantity.milli(status["allocatedResources"]["cpu"])
        return milli == wanted and condition(pod, "PodResizePending") is None

    eventually(resized)
    on_v1, on_v2 = "cat /sys/fs/cgroup/cpu/cpu.shares", "test -e /sys/fs/cgroup/cgroup.controllers"
    shares = cluster.kubectl("exec", "web", "--", "sh", "-c", f"{on_v1} || {on_v2}").stdout
    assert not shares or int(shares) == wanted * 1024 // 1000


def test_memory_in_use_is_not_taken_away(cluster):
    script = (
        "exec python3 -c 'x = bytearray(48 << 20); print(1, flush=True); import time;"
        " time.sleep(1000)'"
    )
    run(cluster, "web", 50, script)
    eventually(lambda: cluster.kubectl("logs", "web").stdout)
    resize(cluster, "web", limits={"memory": "16Mi"})
    state = eventually(lambda: condition(cluster.get("pod", "web"), "PodResizeInProgress"))
    assert state["reason"] == "Error" and "cannot decrease memory limits: " in state["message"]
    assert 'container "a" memory limit (16777216) below current usage' in state["message"]
    (status,) = cluster.get("pod", "web")["status"]["containerStatuses"]
    assert status["resources"]["limits"]["memory"] == "128Mi" and status["restartCount"] == 0
    eventually(lambda: "ResizeError" in reasons(cluster, "web"))
    resize(cluster, "web", limits={"memory": "96Mi"})

    def resized() -> bool:
        pod = cluster.get("pod", "web")
        (status,) = pod["status"]["containerStatuses"]
        has = status["resources"]["limits"]["memory"] == "96Mi"
        return has and condition(pod, "PodResizeInProgress") is None

    eventually(resized)
    assert cluster.get("pod", "web")["status"]["containerStatuses"][0]["restartCount"] == 0
