"""Pods that were started without the API are shown there while a cluster runs."""

from __future__ import annotations

import os
import signal
from typing import Any

from kubelite.node.kubelet.agent import agent_control
from kubelite.node.runtime.home import Home
from tests.cluster.world import Cluster, eventually
from tests.e2e.world import alive

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {greeting: hello}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command:
    - sh
    - -c
    - echo started; cat /conf/greeting; echo; trap 'exit 0' TERM; while :; do sleep 0.1; done
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: conf, key: greeting}}}
    - {name: B, value: c}
    volumeMounts: [{name: conf, mountPath: /conf}]
  volumes: [{name: conf, configMap: {name: conf}}]
"""


def pod_up(cluster: Cluster, manifest: str = MANIFEST) -> None:
    cluster.kl("pod", "up", "-", input=manifest)


def mirror_of(cluster: Cluster) -> str:
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    return f"web-{node}"


def running(cluster: Cluster, name: str) -> Any:
    pod = cluster.get("pod", name)
    return pod if pod["status"]["phase"] == "Running" else None


def container(pod: Any) -> str:
    return str(pod["status"]["containerStatuses"][0]["containerID"])


def test_a_local_pod_has_a_mirror_that_kubectl_works_on(cluster):
    pod_up(cluster)
    name = mirror_of(cluster)
    pod = eventually(lambda: running(cluster, name))
    annotations = pod["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    node = cluster.get("nodes")["items"][0]["metadata"]
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Node", node["uid"], True)
    assert pod["spec"]["nodeName"] == node["name"]
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert pod["status"]["podIP"] in cluster.kl("pod", "ls", "-o", "wide").stdout
    eventually(lambda: cluster.kubectl("logs", name).stdout == "started\nhello\n")
    assert cluster.kubectl("exec", name, "--", "cat", "/conf/greeting").stdout == "hello"
    assert "kubernetes.io/config.mirror" not in cluster.kl("pod", "inspect", "web").stdout
    rows = eventually(lambda: cluster.kubectl("top", "pods", "--no-headers").stdout.split())
    assert rows[0] == name


def test_a_mirror_shows_nothing_that_would_let_the_node_read_more(cluster):
    pod_up(cluster)
    pod = eventually(lambda: running(cluster, mirror_of(cluster)))
    assert pod["spec"]["volumes"] == [{"name": "conf", "emptyDir": {}}]
    assert pod["spec"]["containers"][0]["env"] == [{"name": "B", "value": "c"}]
    assert not pod["spec"].get("serviceAccountName")


def test_a_deleted_mirror_comes_back_and_its_pod_runs_on(cluster):
    pod_up(cluster)
    name = mirror_of(cluster)
    before = eventually(lambda: running(cluster, name))
    cluster.kubectl("delete", "pod", name, "--wait=false")

    def again() -> Any:
        pod = running(cluster, name)
        return pod if pod and pod["metadata"]["uid"] != before["metadata"]["uid"] else None

    assert container(eventually(again)) == container(before)


def test_a_mirror_follows_its_pod_to_the_end(cluster):
    pod_up(cluster)
    name = mirror_of(cluster)
    before = eventually(lambda: running(cluster, name))
    pod_up(cluster, MANIFEST.replace("labels: {app: web}", "labels: {app: other}"))
    eventually(lambda: cluster.get("pod", name)["metadata"]["labels"] == {"app": "other"})
    cluster.kl("pod", "kill", "web")

    def restarted() -> bool:
        status = cluster.get("pod", name)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and bool(status["state"].get("running"))

    eventually(restarted)
    assert container(cluster.get("pod", name)) != container(before)
    cluster.kl("pod", "down", "web")
    eventually(lambda: not cluster.get("pods")["items"])


def test_a_mirror_goes_whose_pod_ended_while_nobody_looked(cluster):
    pod_up(cluster)
    eventually(lambda: running(cluster, mirror_of(cluster)))
    supervisor = cluster.record()["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(cluster.child("node"), signal.SIGKILL)
        cluster.kl("pod", "down", "web")
        assert cluster.get("pods")["items"]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: not cluster.get("pods")["items"])


def test_a_node_takes_the_place_of_the_agent_of_local_pods(cluster):
    """Whose pods it then looks after: the same container runs on."""
    cluster.kl("down")
    pod_up(cluster)
    local = eventually(lambda: agent_control.running(Home(str(cluster.root))))
    before = cluster.inspect("web")["containers"]["a"]["pid"]
    cluster.up()
    eventually(lambda: running(cluster, mirror_of(cluster)))
    assert cluster.inspect("web")["containers"]["a"]["pid"] == before
    assert not alive(local.pid)


def test_a_pod_of_that_name_is_left_alone(cluster):
    name = mirror_of(cluster)
    cluster.kubectl("run", name, "--image=host", "--restart=Never", "--", "sleep", "600")
    own = eventually(lambda: running(cluster, name))
    pod_up(cluster)
    text = f"the API does not show a local pod as default/{name}"
    eventually(lambda: text in cluster.logs_of_processes())
    assert cluster.get("pod", name)["metadata"]["uid"] == own["metadata"]["uid"]
    cluster.kubectl("delete", "pod", name, "--grace-period=0", "--force")
