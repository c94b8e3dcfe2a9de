"""Which pods an object with a template has on one machine."""

from __future__ import annotations

from typing import Any

import pytest

from kubelite.cli import workloads
from kubelite.cli.review import review
from kubelite.lib.manifest_yaml import documents

CONTAINERS = [{"name": "c", "image": "host"}]
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}}


def owner(kind: str, template: Any = None, **spec: Any) -> Any:
    version = next(version for version, name in workloads.FAMILIES if name == kind)
    spec = {"template": template or TEMPLATE, **spec}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": spec,
    }


def cron(**job: Any) -> Any:
    found = owner("CronJob", schedule="* * * * *", jobTemplate=owner("Job", **job))
    del found["spec"]["template"]
    return found


@pytest.mark.parametrize(
    ("obj", "names"),
    [
        (owner("Deployment", replicas=2), ["web-0", "web-1"]),
        (owner("Deployment"), ["web-0"]),
        (owner("ReplicaSet", replicas=0), []),
        (owner("ReplicationController", replicas=1), ["web-0"]),
        (owner("DaemonSet"), ["web-0"]),
        (owner("StatefulSet", replicas=2, ordinals={"start": 5}), ["web-5", "web-6"]),
        (owner("Job"), ["web-0"]),
        (owner("Job", completions=2, parallelism=1), ["web-0", "web-1"]),
        (owner("Job", parallelism=2), ["web-0", "web-1"]),
        (owner("Job", suspend=True), []),
        (cron(completions=2), ["web-0", "web-1"]),
    ],
)
def test_each_kind_has_its_pods(obj, names) -> None:
    pods = workloads.pods(obj)
    assert [pod["metadata"]["name"] for pod in pods] == names
    for pod in pods:
        assert pod["metadata"]["namespace"] == "ns"
        assert pod["metadata"]["annotations"][workloads.OWNER] == f"{obj['kind']}/web"
        assert pod["metadata"]["labels"]["app"] == "web"
        assert pod["spec"]["containers"][0]["image"] == "host"


def test_a_pod_of_a_stateful_set_has_its_name_and_claims() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    obj = owner("StatefulSet", replicas=2, serviceName="db", volumeClaimTemplates=[template])
    pod = workloads.pods(obj)[1]
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "db")
    assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    claim = {"claimName": "data-web-1"}
    assert pod["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": claim}]
    names = [claim["metadata"]["name"] for claim in workloads.claims(obj)]
    assert names == ["data-web-0", "data-web-1"]


def test_a_pod_of_an_indexed_job_knows_its_index() -> None:
    pod = workloads.pods(owner("Job", completions=2, completionMode="Indexed"))[1]
    assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1"
    assert pod["spec"]["hostname"] == "web-1"


def told(obj: Any) -> list[tuple[str, str]]:
    return [(f.level.name, f.path[-1]) for f in workloads.findings(obj)]


def test_what_needs_a_controller_is_told() -> None:
    assert told(owner("Deployment", replicas=2, selector={})) == []
    assert told(owner("Deployment", strategy={}, paused=True)) == [
        ("QUIET", "strategy"),
        ("QUIET", "paused"),
    ]
    assert ("LOUD", "schedule") in told(cron())
    assert told(owner("Job", completions=3, parallelism=1)) == [("LOUD", "parallelism")]
    assert told(owner("Job", backoffLimit=3)) == [("QUIET", "backoffLimit")]


def test_others_of_a_file_are_named_and_pods_run_without_them() -> None:
    text = "\n---\n".join(
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}"
        for version, kind in (("v1", "Service"), ("v1", "ServiceAccount"),
                              ("networking.k8s.io/v1", "Ingress"))
    )  # fmt: skip
    pod = (
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
        "spec: {containers: [{name: c, image: host}]}\n"
    )
    found = review(documents(f"{text}\n{pod}".encode()), "f.yaml")
    assert [pod.metadata.name for pod in found.pods] == ["p"]
    assert found.errors == []
    assert [warning.message for warning in found.warnings] == [
        "Service needs a cluster",
        "Ingress needs a cluster",
    ]
    assert [note.message for note in found.notes] == ["ServiceAccount needs a cluster"]
    alone = review(documents(text.encode()), "f.yaml")
    assert len(alone.errors) == 3


def test_lists_of_any_kind_are_read() -> None:
    items = (
        "items: [{apiVersion: v1, kind: Pod, metadata: {name: p}, "
        "spec: {containers: [{name: c, image: host}]}}]"
    )
    text = f"apiVersion: apps/v1\nkind: DeploymentList\n{items}\n"
    assert [pod.metadata.name for pod in review(documents(text.encode()), "f").pods] == ["p"]
