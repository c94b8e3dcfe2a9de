"""The cluster that tests get: what a user of the plug-in does with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from kubelite.client.errors import NotFound
from kubelite.testing.cluster import Cluster, run_cluster
from kubelite.testing.fixtures import namespace_of_test
from kubelite.testing.kube import Kube, has_condition, is_rolled_out
from kubelite.testing.pod_status import PodScript
from tests.control.debian import kubectl_of
from tests.testing.widgets import WIDGETS, define

pytest_plugins = ["kubelite.testing.fixtures", "pytester"]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.com/web:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: example.com/work}]}
"""


@pytest.fixture(scope="module")
def cluster(cluster_keys: Path) -> Iterator[Cluster]:
    """One for all, as a user may have it."""
    with run_cluster(cluster_keys) as running:
        yield running


def ready_addresses(kube: Kube) -> list[str]:
    """The addresses of the Service's endpoints that are ready."""
    slices = kube.list("endpointslices", "kubernetes.io/service-name=web")
    endpoints = [each for slice_ in slices for each in slice_["endpoints"] or ()]
    return [e["addresses"][0] for e in endpoints if e["conditions"]["ready"]]


def test_a_deployment_rolls_out_and_its_pods_are_endpoints(kube: Kube) -> None:
    kube.apply(WEB)
    kube.wait("deploy", "web", is_rolled_out)
    kube.cluster.settle()
    pods = kube.list("pods", "app=web")
    assert sorted(ready_addresses(kube)) == sorted(pod["status"]["podIP"] for pod in pods)
    assert len(pods) == 2
    kube.script("app=web", PodScript(ready=False))
    kube.patch(
        "deployment",
        "web",
        {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "new"}]}}}},
    )
    kube.wait("deployment", "web", lambda web: web["status"]["unavailableReplicas"] == 1)
    kube.cluster.settle()
    assert len(ready_addresses(kube)) == 2, "the old pods stay until the new one is ready"
    kube.script("app=web", PodScript())  # the next new pod comes as soon as this one is ready
    for pod in kube.list("pods", "app=web"):
        kube.rescript(pod["metadata"]["name"], PodScript())
    kube.wait("deployment", "web", is_rolled_out)


def test_client_libraries_and_kubectl_are_in_the_namespace_of_the_test(kube: Kube) -> None:
    kube.apply(WEB)
    kube.wait("deployment", "web", has_condition("Available"))
    api = kubernetes.config.new_client_from_config(str(kube.kubeconfig))
    deployment = kubernetes.client.AppsV1Api(api).read_namespaced_deployment("web", kube.namespace)
    assert deployment.status.available_replicas == 2
    command = [kubectl_of("new"), "get", "deployment", "web", "-o", "name"]
    said = subprocess.run(command, env=kube.env, capture_output=True, text=True, check=True)
    assert said.stdout == "deployment.apps/web\n"


def test_time_goes_on_when_the_test_says_so(kube: Kube) -> None:
    kube.script("job-name=once", PodScript(exit_code=1), times=1)
    kube.script("job-name=never", PodScript())
    kube.apply(JOB)
    kube.wait("job", "once", lambda job: job["status"]["failed"] == 1)
    kube.cluster.settle()
    assert [pod["status"]["phase"] for pod in kube.list("pods")] == ["Failed"], "back-off of 10 s"
    kube.script("job-name=once", PodScript(exit_code=0, after=3600), times=1)
    kube.cluster.advance(15)
    kube.wait("job", "once", lambda job: job["status"]["active"] == 1)
    kube.cluster.advance(3590)
    assert not has_condition("Complete")(kube.get("job", "once"))
    kube.cluster.advance(15)
    kube.wait("job", "once", has_condition("Complete"))


def test_pods_of_a_lost_node_move_after_five_minutes(cluster_keys: Path) -> None:
    with run_cluster(cluster_keys) as cluster:
        kube = Kube(cluster, "default")
        kube.apply(WEB)
        kube.wait("deployment", "web", is_rolled_out)
        cluster.add_node("spare", {"disk": "ssd"}, cpu="2")
        cluster.lose_node("node-0")
        cluster.advance(60)
        lost = kube.get("node", "node-0")
        taints = {taint["key"] for taint in lost["spec"]["taints"]}
        assert taints == {"node.kubernetes.io/unreachable"}
        kube.wait("deployment", "web", has_condition("Available", "False"))
        cluster.advance(310)
        kube.wait("deployment", "web", has_condition("Available"))
        alive = [p for p in kube.list("pod") if "deletionTimestamp" not in p["metadata"]]
        assert {pod["spec"]["nodeName"] for pod in alive} == {"spare"}
        cluster.regain_node("node-0")
        cluster.settle()
        assert len(kube.list("pod")) == 2


def test_a_pod_stays_terminating_until_its_script_lets_it_go(kube: Kube) -> None:
    kube.script("", PodScript(terminates=False))
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": SPEC})
    kube.wait("pod", "p", has_condition("Ready"))
    kube.delete("pod", "p")
    kube.wait("pod", "p", lambda pod: pod["metadata"]["deletionTimestamp"])
    with pytest.raises(AssertionError, match=r"after 0.1 s"):
        kube.wait_gone("pod", "p", seconds=0.1)
    kube.rescript("p", PodScript())
    kube.wait_gone("pod", "p")
    with pytest.raises(NotFound):
        kube.get("pod", "p")


def test_a_wait_in_vain_says_what_is_there_instead(kube: Kube) -> None:
    huge = {"requests": {"cpu": "1000"}}
    spec: Any = {"containers": [{"name": "c", "image": "i", "resources": huge}]}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "huge"}, "spec": spec})
    kube.wait("pod", "huge", has_condition("PodScheduled", "False"))
    kube.cluster.settle()
    with pytest.raises(AssertionError) as failure:
        kube.wait("pod", "huge", has_condition("Ready"), seconds=0.1)
    assert "Unschedulable" in str(failure.value)
    assert "Pod huge: FailedScheduling: 0/1 nodes are available" in str(failure.value)
    with pytest.raises(AssertionError, match="it does not exist"):
        kube.wait("pod", "nobody", has_condition("Ready"), seconds=0.1)


def test_custom_resources_are_known_by_every_name(kube: Kube) -> None:
    define(kube, WIDGETS)
    kube.apply("{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: 1}}")
    for word in ("widgets", "Widget", "wd"):
        assert kube.get(word, "w")["spec"] == {"size": 1}
    kube.delete("widget", "w")
    assert kube.list("widget") == []
    with pytest.raises(LookupError, match='the cluster serves no "gadget"'):
        kube.list("gadget")


def test_the_fixtures_of_a_user(pytester: pytest.Pytester) -> None:
    """Each test has a cluster of its own, and a namespace named after it."""
    pytester.makepyfile(
        """
        pytest_plugins = ["kubelite.testing.fixtures", "pytester"]
        urls = set()

        def test_first(kube, cluster):
            kube.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: mine}}")
            urls.add(cluster.url)

        def test_second(kube, cluster):
            assert cluster.url not in urls
            assert [c["metadata"]["name"] for c in kube.list("configmap")] == ["kube-root-ca.crt"]
            assert kube.namespace.startswith("second-")
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_test_s_name_becomes_a_namespace() -> None:
    assert namespace_of_test("test_Rolls_out[two pods-3]") == "rolls-out-two-pods-3"
    assert len(namespace_of_test("test_" + "x" * 80)) == 53
    assert namespace_of_test("test_[ä]") == "test"


SPEC = {"containers": [{"name": "c", "image": "example.com/c"}]}
