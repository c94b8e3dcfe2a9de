"""A node that runs out of something says so, is tainted, and evicts who uses most beyond its
requests. Thresholds in ``node.json`` stand for a full machine.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.world import Cluster, eventually

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  tolerations: [{{operator: Exists}}]
  containers:
  - name: a
    image: host
    command:
    - python3
    - -c
    - import time; kept = b'x' * ({size} << 20); open('/tmp/r', 'w'); time.sleep(600)
    readinessProbe: {{exec: {{command: [test, -e, /tmp/r]}}, periodSeconds: 1}}
    resources: {{requests: {{memory: {request}}}}}
"""


def configure(cluster: Cluster, *, is_soft: bool = False, **thresholds: str) -> None:
    """Writes the node's configuration, which it reads at each look."""
    path = cluster.root / "node.json"
    config: dict[str, Any] = {"evictionPressureTransitionPeriod": "1s"}
    if is_soft:
        periods = dict.fromkeys(thresholds, "1s")
        config |= {"evictionSoft": thresholds, "evictionSoftGracePeriod": periods}
    elif thresholds:
        config["evictionHard"] = thresholds
    path.write_text(json.dumps(config))


def condition(cluster: Cluster, kind: str) -> Any:
    conditions = cluster.get("nodes")["items"][0]["status"]["conditions"]
    return next(each for each in conditions if each["type"] == kind)


def taints(cluster: Cluster) -> set[str]:
    found = cluster.get("nodes")["items"][0]["spec"].get("taints") or ()
    return {f"{taint['key']}:{taint['effect']}" for taint in found}


def reasons(cluster: Cluster) -> set[str]:
    return {event["reason"] for event in cluster.get("events", "-A")["items"]}


def test_memory_pressure_evicts_the_pod_furthest_beyond_its_request(cluster):
    cluster.apply(POD.format(name="modest", size=8, request="200Mi"))
    cluster.apply(POD.format(name="greedy", size=96, request="16Mi"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/modest", "pod/greedy", "--timeout=30s")
    configure(cluster, **{"memory.available": "100%"})

    def evicted() -> Any:
        status = cluster.get("pod", "greedy")["status"]
        return status if status["phase"] == "Failed" else None

    status = eventually(evicted)
    assert cluster.get("pod", "modest")["status"]["phase"] == "Running"
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: memory. Threshold quantity:")
    assert "request is 16Mi, has larger consumption of memory. " in status["message"]
    target = next(each for each in status["conditions"] if each["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
    pressed = condition(cluster, "MemoryPressure")
    assert (pressed["status"], pressed["reason"]) == ("True", "KubeletHasInsufficientMemory")
    eventually(lambda: "node.kubernetes.io/memory-pressure:NoSchedule" in taints(cluster))
    told = {"Evicted", "EvictionThresholdMet", "NodeHasInsufficientMemory"}
    eventually(lambda: told <= reasons(cluster))
    configure(cluster)
    eventually(lambda: condition(cluster, "MemoryPressure")["status"] == "False")
    eventually(lambda: not taints(cluster))
    eventually(lambda: "NodeHasSufficientMemory" in reasons(cluster))


@pytest.mark.parametrize(
    ("signal", "kind", "reason", "taint", "resource"),
    [
        ("nodefs.available", "DiskPressure", "KubeletHasDiskPressure", "disk", "ephemeral-storage"),
        ("nodefs.inodesFree", "DiskPressure", "KubeletHasDiskPressure", "disk", "inodes"),
        ("pid.available", "PIDPressure", "KubeletHasInsufficientPID", "pid", "pids"),
    ],
)
def test_other_pressures(cluster, signal, kind, reason, taint, resource):
    cluster.apply(POD.format(name="p", size=1, request="16Mi"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    configure(cluster, is_soft=signal == "pid.available", **{signal: "100%"})
    eventually(lambda: cluster.get("pod", "p")["status"]["phase"] == "Failed")
    text = f"The node was low on resource: {resource}. "
    assert cluster.get("pod", "p")["status"]["message"].startswith(text)
    assert condition(cluster, kind)["reason"] == reason
    eventually(lambda: f"node.kubernetes.io/{taint}-pressure:NoSchedule" in taints(cluster))
    cluster.apply(POD.format(name="late", size=1, request="16Mi"))

    def refused() -> Any:
        status = cluster.get("pod", "late")["status"]
        return status if status["phase"] == "Failed" else None

    told = eventually(refused)
    assert told["message"] == f"Pod was rejected: The node had condition: [{kind}]. "
