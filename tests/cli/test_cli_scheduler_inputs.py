"""What the scheduler commands make of the files that people have."""

from __future__ import annotations

import pytest

from kubelite.cli.common.diagnostic import CliError
from kubelite.cli.scheduler import workloads

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}


def workload(kind: str, **spec: object) -> dict:
    version = {"ReplicationController": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
    return {
        "apiVersion": version.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "w", "namespace": "n"},
        "spec": {"template": TEMPLATE, **spec},
    }


@pytest.mark.parametrize(
    ("obj", "count"),
    [
        (workload("Deployment", replicas=3), 3),
        (workload("Deployment"), 1),
        (workload("Deployment", replicas=0), 0),
        (workload("ReplicaSet", replicas=2), 2),
        (workload("StatefulSet", replicas=2), 2),
        (workload("ReplicationController", replicas=2), 2),
        (workload("Job", parallelism=4), 4),
        (workload("Job"), 1),
        (workload("DaemonSet"), 7),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else str(value),
)
def test_objects_with_a_template_become_their_pods(obj: dict, count: int) -> None:
    pods = workloads.pods_of([obj], "f", nodes=7)
    assert len(pods) == count
    for number, pod in enumerate(pods):
        assert pod["kind"] == "Pod" and pod["spec"] == TEMPLATE["spec"]
        assert pod["metadata"] == {"labels": {"a": "b"}, "name": f"w-{number}", "namespace": "n"}


def test_a_cron_job_becomes_the_pods_of_one_job() -> None:
    job = {"spec": {"parallelism": 2, "template": TEMPLATE}}
    cron = {"kind": "CronJob", "metadata": {"name": "w"}, "spec": {"jobTemplate": job}}
    assert len(workloads.pods_of([cron], "f")) == 2


@pytest.mark.parametrize("replicas", [-1, "three", True, 10**9])
def test_an_impossible_number_of_pods_is_an_error(replicas: object) -> None:
    with pytest.raises(CliError, match="Deployment w"):
        workloads.pods_of([workload("Deployment", replicas=replicas)], "f")


def test_an_object_without_pods_is_an_error_that_names_it() -> None:
    with pytest.raises(CliError, match="f: Service s has no pods"):
        workloads.pods_of([{"kind": "Service", "metadata": {"name": "s"}}], "f")


def pod(**spec: object) -> dict:
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def test_priority_classes_become_priorities() -> None:
    never = {"kind": "PriorityClass", "metadata": {"name": "x"}, "value": 5}
    never["preemptionPolicy"] = "Never"
    classes = workloads.priority_classes([never])
    pods = [
        pod(priorityClassName="x"),
        pod(priorityClassName="system-node-critical"),
        pod(priorityClassName="x", priority=1),
        pod(),
    ]
    specs = [each["spec"] for each in workloads.prioritized(pods, classes)]
    assert specs[0] == {"priorityClassName": "x", "priority": 5, "preemptionPolicy": "Never"}
    assert specs[1]["priority"] == 2_000_001_000
    assert specs[2]["priority"] == 1
    assert specs[3] == {}
    with pytest.raises(CliError, match='no PriorityClass "y"'):
        workloads.prioritized([pod(priorityClassName="y")], classes)


def test_the_default_class_is_that_of_pods_without_one() -> None:
    default = {"kind": "PriorityClass", "metadata": {"name": "d"}, "globalDefault": True}
    default["value"] = 9
    classes = workloads.priority_classes([default])
    assert workloads.prioritized([pod()], classes)[0]["spec"] == {"priority": 9}


@pytest.mark.parametrize(
    ("obj", "field", "hint"),
    [
        ({"kind": "Pod", "spec": {"nodeselector": {}}}, "spec.nodeselector", "nodeSelector"),
        (
            {"kind": "Pod", "spec": {"containers": [{"nmae": "c"}]}},
            "spec.containers[0].nmae",
            "name",
        ),
        (
            {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replcas": 1}},
            "spec.replcas",
            "replicas",
        ),
    ],
)
def test_unknown_fields_are_refused_with_a_hint(obj: dict, field: str, hint: str) -> None:
    with pytest.raises(CliError) as error:
        workloads.check_fields([obj], "f")
    shown = error.value.diagnostics[0]
    assert f'"{field}"' in shown.message and f'"{hint}"' in shown.hint


def test_objects_of_unknown_kinds_are_not_judged() -> None:
    workloads.check_fields([{"kind": "Whatever", "apiVersion": "x/v1", "field": 1}], "f")


def test_what_a_node_can_give_is_its_capacity_unless_it_says_less() -> None:
    node = {"kind": "Node", "status": {"capacity": {"cpu": "4"}}}
    assert workloads.as_served(node)["status"]["allocatable"] == {"cpu": "4"}
    node["status"]["allocatable"] = {"cpu": "3"}
    assert workloads.as_served(node)["status"]["allocatable"] == {"cpu": "3"}
